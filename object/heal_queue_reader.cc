#include "object/heal_queue_reader.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "object/limits.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::object {
namespace {

using Records = std::vector<disk::Drive::SystemRecord>;

Task<Result<Records>> scan_one(disk::Drive* drive, Ctx ctx, std::string after) {
  auto scanning =
      drive->scan_system_after(ctx, std::string(erasure::kHealPrefix), std::move(after), kHealQueuePage);
  Result<Records> records = co_await std::move(scanning);
  co_return records;
}

}  // namespace

HealQueueReader::HealQueueReader(std::vector<disk::Drive*> drives, Gate& gate) : gate_(gate) {
  for (disk::Drive* drive : drives) {
    Source& source = sources_.emplace_back();
    source.drive = drive;
    source.over = !drive->online();
  }
}

Task<> HealQueueReader::fetch(Ctx& ctx) {
  auto fan = std::make_shared<FanOut<Result<Records>>>(sources_.size());
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    if (!sources_[i].over)
      fan->start(ctx.shard.executor(), gate_, i, scan_one(sources_[i].drive, ctx, after_));
  }
  co_await fan->wait_all(ctx.shard.clock(), ctx.deadline);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    source.page.clear();
    source.at = 0;
    if (source.over) continue;
    auto& answer = fan->answers()[i];
    if (answer && answer->has_value()) source.page = std::move(**answer);
    source.over = source.page.empty();
  }
}

QueuedHeal HealQueueReader::take(const std::string& name) {
  QueuedHeal out;
  out.name = name;
  std::optional<erasure::HealEntry> newest;
  for (Source& source : sources_) {
    if (source.at == source.page.size() || source.page[source.at].name != name) continue;
    std::string& value = source.page[source.at++].value;
    const auto same = std::find_if(out.copies.begin(), out.copies.end(),
                                   [&](const QueuedHeal::Copy& copy) { return *copy.value == value; });
    if (same != out.copies.end()) {
      out.copies.push_back({source.drive, same->value});
      continue;
    }
    Result<erasure::HealEntry> entry = erasure::decode_heal_entry(as_bytes(value));
    out.copies.push_back({source.drive, std::make_shared<const std::string>(std::move(value))});
    if (!entry) {
      log::warn("a heal queue entry does not decode name={} drive={} reason={}", name,
                to_string(source.drive->id()), entry.error().detail);
      if (entry.failed_with(Errc::unsupported_version)) out.copies.pop_back();  // not ours to erase
      continue;
    }
    if (!newest || std::tie(entry->version, entry->when_ms) > std::tie(newest->version, newest->when_ms))
      newest = std::move(*entry);
  }
  if (newest) out.entry = std::move(*newest);
  return out;
}

Task<std::vector<QueuedHeal>> HealQueueReader::next(Ctx& ctx) {
  co_await fetch(ctx);
  // Up to here every drive has given what it has.
  std::optional<std::string> bound;
  for (const Source& source : sources_) {
    if (source.page.size() < kHealQueuePage) continue;
    const std::string& last = source.page.back().name;
    if (!bound || last < *bound) bound = last;
  }
  std::vector<QueuedHeal> out;
  for (;;) {
    std::optional<std::string> first;
    for (const Source& source : sources_) {
      if (source.at == source.page.size()) continue;
      const std::string& name = source.page[source.at].name;
      if ((!bound || name <= *bound) && (!first || name < *first)) first = name;
    }
    if (!first) break;
    QueuedHeal queued = take(*first);
    if (!queued.copies.empty()) out.push_back(std::move(queued));
  }
  end_ = !bound;
  if (bound) after_ = *bound;
  co_return out;
}

}  // namespace ostraka::object
