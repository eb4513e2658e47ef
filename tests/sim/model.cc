#include "tests/sim/model.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/hash.h"

namespace ostraka::sim {

using State = HistoryOp::State;
using Kind = HistoryOp::Kind;

std::string Bodies::add(std::string text, std::string etag) {
  std::string name = fmt::format("v{}", bodies_.size() + 1);
  by_etag_[etag] = name;
  bodies_[name] = Body{std::move(text), std::move(etag)};
  return name;
}

std::string Bodies::make(SimRandom& random, std::size_t bytes) {
  std::string text = fmt::format("v{}:", bodies_.size() + 1);
  const std::size_t head = text.size();
  if (bytes > head) {
    text.resize(bytes);
    random.fill(MutableByteSpan(reinterpret_cast<std::uint8_t*>(text.data()) + head, bytes - head));
  }
  std::string etag = hex(digest(DigestKind::md5, text));
  return add(std::move(text), std::move(etag));
}

std::string Bodies::of_parts(const std::vector<std::string>& texts) {
  std::string digests;
  for (const std::string& text : texts) digests += digest(DigestKind::md5, text);
  return fmt::format("{}-{}", hex(digest(DigestKind::md5, digests)), texts.size());
}

std::string Bodies::in_parts(const std::vector<std::string>& parts) {
  std::vector<std::string> texts;
  std::string all;
  for (const std::string& part : parts) {
    texts.push_back(text(part));
    all += texts.back();
  }
  const std::string etag = of_parts(texts);
  if (const auto known = by_etag(etag)) return *known;
  return add(std::move(all), etag);
}

std::string Bodies::etag_of_part(const std::string& name) const {
  return hex(digest(DigestKind::md5, text(name)));
}

std::string Bodies::copy_of(const std::string& name, const std::string& etag) {
  if (const auto known = by_etag(etag)) return *known;
  return add(text(name), etag);
}

std::optional<std::string> Bodies::by_etag(const std::string& etag) const {
  const auto found = by_etag_.find(etag);
  if (found == by_etag_.end()) return std::nullopt;
  return found->second;
}

HistoryOp* Register::begin(HistoryOp op, std::uint64_t tick) {
  op.call = tick;
  history_.push_back(std::move(op));
  return &history_.back();
}

bool Register::written(const std::string& value) const {
  return value.empty() || std::any_of(history_.begin(), history_.end(), [&](const HistoryOp& op) {
           return op.kind != Kind::read && (op.value == value || op.value == kCopied);
         });
}

std::vector<std::string> Model::check() const {
  std::vector<std::string> out;
  for (const auto& [key, reg] : registers) {
    std::vector<HistoryOp> history(reg.history().begin(), reg.history().end());
    // A read without an answer says nothing.
    std::erase_if(history,
                  [](const HistoryOp& op) { return op.kind == Kind::read && op.state != State::ok; });
    for (HistoryOp& op : history)
      if (op.state == State::open) op.state = State::doubt;
    std::erase_if(history, [](const HistoryOp& op) { return op.state == State::none; });
    if (reg.unclear() || history.size() > 64) continue;
    if (erasure::linearizable(history) == erasure::Answer::no) {
      out.push_back(fmt::format("{}: no order of the operations explains the answers\n{}", key,
                                erasure::describe(history)));
    }
  }
  return out;
}

}  // namespace ostraka::sim
