#include "tests/unit/erasure/linearizability.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"

namespace ostraka::erasure {
namespace {

using Kind = HistoryOp::Kind;
using State = HistoryOp::State;

bool fits(const HistoryOp& op, const std::string& value) {
  switch (op.kind) {
    case Kind::read:
      return value == op.value;
    case Kind::create:
      return value.empty();
    case Kind::match:
    case Kind::erase_match:
      return !op.expect.empty() && value == op.expect;
    case Kind::put:
    case Kind::erase:
      return true;
  }
  return false;
}

}  // namespace

Answer linearizable(std::vector<HistoryOp> history) {
  std::erase_if(history,
                [](const HistoryOp& op) { return op.state == State::none || op.state == State::open; });
  std::stable_sort(history.begin(), history.end(), [](const HistoryOp& a, const HistoryOp& b) {
    const bool doubt_a = a.state == State::doubt;
    const bool doubt_b = b.state == State::doubt;
    return doubt_a != doubt_b ? doubt_b : a.call < b.call;
  });
  CHECK(history.size() <= 64);
  std::uint64_t must = 0;
  for (std::size_t i = 0; i < history.size(); ++i)
    if (history[i].state != State::doubt) must |= std::uint64_t{1} << i;
  using Place = std::pair<std::uint64_t, std::string>;  // operations done, value now
  std::set<Place> seen;
  std::vector<Place> stack{{0, ""}};
  while (!stack.empty()) {
    const Place place = std::move(stack.back());
    stack.pop_back();
    if (!seen.insert(place).second) continue;
    const auto& [done, value] = place;
    if ((done & must) == must) return Answer::yes;
    if (seen.size() > 200000) return Answer::gave_up;
    std::uint64_t bound = ~std::uint64_t{0};
    for (std::size_t i = 0; i < history.size(); ++i)
      if ((must & ~done) >> i & 1) bound = std::min(bound, history[i].ret);
    for (std::size_t i = history.size();
         i-- > 0;) {  // those that must be, in order of their calls, are tried first
      const HistoryOp& op = history[i];
      if ((done >> i & 1) != 0 || op.call > bound) continue;
      if (fits(op, value) == (op.state == State::refused)) continue;
      const bool changes = op.state != State::refused && op.kind != Kind::read;
      stack.emplace_back(done | std::uint64_t{1} << i, changes ? op.value : value);
    }
  }
  return Answer::no;
}

std::string describe(const std::vector<HistoryOp>& history) {
  static constexpr const char* kKinds[] = {"read", "put", "create", "match", "erase", "erase_match"};
  static constexpr const char* kStates[] = {"open", "ok", "refused", "doubt", "none"};
  std::string out;
  for (const HistoryOp& op : history)
    out += fmt::format("  {:11} value={:6} expect={:6} {:4}..{:4} {}\n", kKinds[static_cast<int>(op.kind)],
                       op.value, op.expect, op.call, op.ret == ~std::uint64_t{0} ? 0 : op.ret,
                       kStates[static_cast<int>(op.state)]);
  return out;
}

}  // namespace ostraka::erasure
