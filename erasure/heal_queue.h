// The durable heal queue: what a write could not reach and what a read found damaged. Byte format:
// erasure/FORMAT.md.
//
// An entry for a missed commit is written right after the acknowledgement, not before: the version is durable
// at its write quorum without it, a synced record more would double the latency of every write while a drive
// is away, and an entry lost in a crash in between is found again by the scanner, which compares what the
// drives hold.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "disk/drive.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

inline constexpr std::string_view kHealPrefix = "heal/";

enum class HealReason : std::uint8_t { missed_commit = 1, damaged_shard = 2 };  // stored: never renumber

struct HealEntry {
  HealReason reason = HealReason::missed_commit;
  BucketId bucket{};
  disk::KeySpace space = disk::KeySpace::object;
  std::string key;
  std::string sub;
  VersionId version;
  std::uint16_t group = 0;
  std::uint32_t slots = 0;  // bit set, in the group's order
  std::int64_t when_ms = 0;
  bool operator==(const HealEntry&) const = default;
};

std::string heal_entry_name(const HealEntry& entry);
std::string encode(const HealEntry& entry);
Result<HealEntry> decode_heal_entry(ByteSpan bytes);  // corrupt, unsupported_version

HealEntry make_heal_entry(const SetCore& core, const disk::ObjectRef& ref, HealReason reason,
                          VersionId version, std::uint32_t slots);
// Writes the entry on drives of `holders` (slots) in the background, until m + 1 of them have it or none is
// left.
void record_for_heal(const CorePtr& core, const Ctx& ctx, HealEntry entry, std::vector<std::uint8_t> holders);
// The same from a read, at most once in a while for the same shard.
void report_damage(const CorePtr& core, const Ctx& ctx, const disk::ObjectRef& ref, VersionId version,
                   unsigned slot);
// A drive cannot read its row of the key. Nothing is wrong with bodies, so it is healed as what a write
// missed.
void report_lost_row(const CorePtr& core, const Ctx& ctx, const disk::ObjectRef& ref, VersionId newest,
                     unsigned slot);
void forget_lost_row(SetShared& shared, const disk::ObjectRef& ref, unsigned slot);
// The shard was mended: when it is damaged again, that is reported again.
void forget_damage(SetShared& shared, VersionId version, unsigned slot);

}  // namespace ostraka::erasure
