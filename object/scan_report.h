// What a scanner says about its passes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "object/heal_status.h"

namespace ostraka::object {

struct ScanTotals {
  std::uint64_t keys = 0;            // looked at: objects, uploads, parts, tombstones, leftovers
  std::uint64_t bytes_verified = 0;  // of shards, on all drives together
  std::uint64_t damaged = 0;         // keys of which a drive that answered had a wrong or no part
  std::uint64_t repaired = 0;        // of these, those that are whole on every drive again
  std::uint64_t unrepaired = 0;      // of these, those that are not: tried again in the next pass
  std::uint64_t lost = 0;            // of the unrepaired, those with fewer than k good shards left
  std::uint64_t cleared = 0;         // keys that turned out to be absent: tombstones, leftovers, zombie parts
  std::uint64_t not_verified = 0;    // keys whose shards could not all be looked at: a drive was away
  std::uint64_t unclaimed = 0;     // live keys of buckets that the control store does not know; never removed
  std::uint64_t corrupt_rows = 0;  // index rows that failed their checksum
  std::uint64_t orphan_files = 0, orphan_bytes = 0;  // shard files that no record named, removed
  std::uint64_t orphan_inline = 0;                   // shards in the index that no record named, removed
  std::uint64_t usage_corrections = 0;               // bucket numbers of a drive that a recount changed
  bool operator==(const ScanTotals&) const = default;
};

struct ScanPass {
  enum class State : std::uint8_t { none, running, done, cancelled };
  State state = State::none;
  std::uint64_t number = 0;  // 1, 2, ...; goes on over restarts
  bool deep = false;       // every shard block is read and verified; otherwise only that everything is there
  bool on_demand = false;  // at full speed; its report names keys
  std::int64_t started_ms = 0, ended_ms = 0;  // unix time; ended_ms 0 while it runs
  double progress = 0;                        // 0 to 1; an estimate
  bool waiting = false;                       // for clients, which come first
  BucketId bucket{};                          // where it is
  std::string key;
  ScanTotals totals;
};

struct ScanReport {
  ScanPass pass;
  std::vector<HealedKey> findings;  // at most kScanFindings, in the order they were met
  std::uint64_t left_off = 0;       // more of them
};

std::string_view to_string(ScanPass::State state) noexcept;

}  // namespace ostraka::object
