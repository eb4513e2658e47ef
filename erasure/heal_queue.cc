#include "erasure/heal_queue.h"

#include <bit>
#include <cstring>
#include <functional>

#include "base/encoding.h"
#include "base/fault_point.h"
#include "base/hash.h"
#include "base/log.h"
#include "erasure/drive_round.h"
#include "erasure/limits.h"

namespace ostraka::erasure {
namespace {

static_assert(std::endian::native == std::endian::little, "the entry's integers are copied as they are");
constexpr std::uint8_t kFormat = 1;

template <class T>
void put(std::string& out, T value) {
  char raw[sizeof value];
  std::memcpy(raw, &value, sizeof value);
  out.append(raw, sizeof value);
}

// Takes fields off the front; `ok` turns false at the first that is not there.
struct Fields {
  ByteSpan rest;
  bool ok = true;

  template <class T>
  T take() {
    T value{};
    if (rest.size() < sizeof value) {
      ok = false;
      return value;
    }
    std::memcpy(&value, rest.data(), sizeof value);
    rest = rest.subspan(sizeof value);
    return value;
  }
  std::string take_text() {
    const auto size = take<std::uint16_t>();
    if (!ok || rest.size() < size) {
      ok = false;
      return {};
    }
    std::string text(as_text(rest.first(size)));
    rest = rest.subspan(size);
    return text;
  }
};

bool known_space(std::uint8_t space) noexcept {
  return space == 'o' || space == 'p' || space == 'u';
}

std::uint64_t damaged_thing(VersionId version, unsigned slot) {
  return std::hash<VersionId>()(version) * 31 + slot + 1;
}

std::uint64_t lost_row_thing(BucketId bucket, const std::string& key, const std::string& sub, unsigned slot) {
  const std::uint64_t row = std::hash<std::string>()(key) * 31 + std::hash<std::string>()(sub);
  return (row * 31 + static_cast<std::uint64_t>(bucket)) * 31 + slot + 1;
}

Task<> write_entry(CorePtr core, Ctx ctx, HealEntry entry, std::vector<std::uint8_t> holders) {
  const std::string name = heal_entry_name(entry);
  const std::string value = encode(entry);
  const unsigned wanted = core->geometry.parity_shards + 1U;
  unsigned written = 0;
  fault_point("heal.before_record");
  for (const std::uint8_t slot : holders) {
    if (written == wanted) break;
    const Result<> done = co_await call_put_system(core, slot, ctx, name, value);
    if (done) ++written;
    fault_point("heal.recorded");
  }
  if (written == 0) {
    log::warn("no drive took a heal queue entry name={}", name);
    for (unsigned slot = 0; slot < core->size(); ++slot) {
      if ((entry.slots >> slot & 1U) == 0) continue;
      forget_damage(*core->shared, entry.version, slot);
      core->shared->reported.forget(lost_row_thing(entry.bucket, entry.key, entry.sub, slot));
    }
  }
  core->metrics.heal_entries.add();
}

}  // namespace

std::string heal_entry_name(const HealEntry& entry) {
  std::string named = entry.key;
  named.push_back('\0');
  named += entry.sub;
  const Hash128 hash = xxh3_128(as_bytes(named));
  return fmt::format("{}{:016x}/{}/{:016x}{:016x}", kHealPrefix, static_cast<std::uint64_t>(entry.bucket),
                     static_cast<char>(entry.space), hash.high, hash.low);
}

std::string encode(const HealEntry& entry) {
  std::string out;
  out.reserve(64 + entry.key.size() + entry.sub.size());
  put(out, kFormat);
  put(out, entry.reason);
  put(out, entry.space);
  put(out, std::uint8_t{0});
  put(out, static_cast<std::uint64_t>(entry.bucket));
  put(out, entry.version.time);
  put(out, entry.version.origin);
  put(out, entry.group);
  put(out, entry.slots);
  put(out, entry.when_ms);
  put(out, static_cast<std::uint16_t>(entry.key.size()));
  out += entry.key;
  put(out, static_cast<std::uint16_t>(entry.sub.size()));
  out += entry.sub;
  put(out, xxh3_64(as_bytes(out)));
  return out;
}

Result<HealEntry> decode_heal_entry(ByteSpan bytes) {
  if (bytes.empty()) return fail(Errc::corrupt, "empty heal queue entry");
  if (bytes[0] != kFormat) return fail(Errc::unsupported_version, "heal queue entry of another release");
  constexpr std::size_t kSumBytes = sizeof(std::uint64_t);
  if (bytes.size() < kSumBytes) return fail(Errc::corrupt, "short heal queue entry");
  Fields sum{bytes.last(kSumBytes)};
  const ByteSpan body = bytes.first(bytes.size() - kSumBytes);
  if (sum.take<std::uint64_t>() != xxh3_64(body))
    return fail(Errc::corrupt, "heal queue entry fails its checksum");
  Fields fields{body.subspan(1)};
  HealEntry entry;
  const auto reason = fields.take<std::uint8_t>();
  const auto space = fields.take<std::uint8_t>();
  const auto zero = fields.take<std::uint8_t>();
  entry.bucket = BucketId{fields.take<std::uint64_t>()};
  entry.version.time = fields.take<std::uint64_t>();
  entry.version.origin = fields.take<std::uint32_t>();
  entry.group = fields.take<std::uint16_t>();
  entry.slots = fields.take<std::uint32_t>();
  entry.when_ms = fields.take<std::int64_t>();
  entry.key = fields.take_text();
  entry.sub = fields.take_text();
  const bool sane = reason >= 1 && reason <= 2 && known_space(space) && zero == 0;
  if (!fields.ok || !fields.rest.empty() || !sane)
    return fail(Errc::corrupt, "heal queue entry does not decode");
  entry.reason = static_cast<HealReason>(reason);
  entry.space = static_cast<disk::KeySpace>(space);
  return entry;
}

HealEntry make_heal_entry(const SetCore& core, const disk::ObjectRef& ref, HealReason reason,
                          VersionId version, std::uint32_t slots) {
  HealEntry entry;
  entry.reason = reason;
  entry.bucket = ref.bucket;
  entry.space = ref.space;
  entry.key = ref.key;
  entry.sub = ref.sub;
  entry.version = version;
  entry.group = core.group;
  entry.slots = slots;
  entry.when_ms = core.context.clock.unix_ms();
  return entry;
}

void record_for_heal(const CorePtr& core, const Ctx& ctx, HealEntry entry,
                     std::vector<std::uint8_t> holders) {
  Ctx later = ctx;
  later.deadline = deadline_after(core->context.clock.now(), kLongestCall);
  Task<> work = write_entry(core, std::move(later), std::move(entry), std::move(holders));
  core->context.background.spawn(ctx.shard.executor(), std::move(work));
}

namespace {

// On other drives than the one that it is about, if there are any.
void record_slot(const CorePtr& core, const Ctx& ctx, HealEntry entry, unsigned slot) {
  std::vector<std::uint8_t> holders;
  for (const std::uint8_t other : core->preference())
    if (other != slot) holders.push_back(other);
  if (holders.empty()) holders.push_back(static_cast<std::uint8_t>(slot));
  record_for_heal(core, ctx, std::move(entry), std::move(holders));
}

}  // namespace

void forget_damage(SetShared& shared, VersionId version, unsigned slot) {
  shared.reported.forget(damaged_thing(version, slot));
}

void report_damage(const CorePtr& core, const Ctx& ctx, const disk::ObjectRef& ref, VersionId version,
                   unsigned slot) {
  core->metrics.corrupt_shards.add();
  if (!core->shared->reported.first_time(damaged_thing(version, slot))) return;
  log::warn("a shard is missing or corrupt key={} version={} drive={}", ref.key, to_string(version),
            to_string(core->drives[slot]->id()));
  record_slot(core, ctx,
              make_heal_entry(*core, ref, HealReason::damaged_shard, version, std::uint32_t{1} << slot),
              slot);
}

void forget_lost_row(SetShared& shared, const disk::ObjectRef& ref, unsigned slot) {
  shared.reported.forget(lost_row_thing(ref.bucket, ref.key, ref.sub, slot));
}

void report_lost_row(const CorePtr& core, const Ctx& ctx, const disk::ObjectRef& ref, VersionId newest,
                     unsigned slot) {
  if (!core->shared->reported.first_time(lost_row_thing(ref.bucket, ref.key, ref.sub, slot))) return;
  log::warn("a row of the index cannot be read key={} drive={}", ref.key,
            to_string(core->drives[slot]->id()));
  record_slot(core, ctx,
              make_heal_entry(*core, ref, HealReason::missed_commit, newest, std::uint32_t{1} << slot), slot);
}

}  // namespace ostraka::erasure
