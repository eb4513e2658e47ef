// What the heal service says about itself: plain data, from which others make JSON, metrics and sentences.
// Times are unix milliseconds; 0: never, or not known.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "disk/drive.h"
#include "erasure/erasure_set.h"

namespace ostraka::object {

enum class HealPriority : std::uint8_t {
  idle,    // only while no client asks for anything; a crawl otherwise
  normal,  // yields to clients: their latency at most doubles
  high,    // as fast as the drives allow
};
std::string_view to_string(HealPriority priority) noexcept;
std::optional<HealPriority> parse_heal_priority(std::string_view text) noexcept;

// Why a key was looked at.
enum class HealCause : std::uint8_t { missed_commit, damaged_shard, refill, on_demand, scanner };
std::string_view to_string(HealCause cause) noexcept;
std::string_view to_string(erasure::HealReport::Outcome outcome) noexcept;
std::string_view to_string(erasure::ShardState state) noexcept;

// By outcome of HealReport, and what was moved. An error of the call itself counts as undecided.
struct HealCounts {
  std::uint64_t keys = 0, healthy = 0, healed = 0, partly = 0, absent = 0, undecided = 0, lost = 0;
  std::uint64_t shards_healed = 0;
  std::uint64_t bytes_verified = 0, bytes_read = 0, bytes_written = 0;

  std::uint64_t& of(erasure::HealReport::Outcome outcome) noexcept;
  void add(const Result<erasure::HealReport>& report) noexcept;
};

// One look at one key.
struct HealedKey {
  std::int64_t when_ms = 0;
  HealCause cause = HealCause::on_demand;
  bool dry_run = false;
  BucketId bucket{};
  std::string bucket_name;  // empty: no such bucket any more
  disk::KeySpace space = disk::KeySpace::object;
  std::string key, sub;
  VersionId version;
  erasure::HealReport::Outcome outcome = erasure::HealReport::Outcome::undecided;
  struct Shard {
    unsigned slot = 0;  // of the group
    DriveId drive;
    erasure::ShardState state = erasure::ShardState::not_looked_at;
    bool healed = false;
    std::string detail;
  };
  std::vector<Shard> shards;  // those that were not good
  std::string error;          // of the call, when it failed
};

// Whether there is something to tell: the key was not found whole, or could not be looked at.
bool lacks_something(const Result<erasure::HealReport>& report) noexcept;
// drives: by slot of the key's group. The bucket's name is left empty.
HealedKey describe(const disk::ObjectRef& ref, std::span<disk::Drive* const> drives, HealCause cause,
                   bool dry_run, std::int64_t now_ms, const Result<erasure::HealReport>& report);

struct HealQueueStatus {
  // Keys recorded that this node sees to; of the only node, between two looks at the queue, the most that any
  // drive holds.
  std::uint64_t entries = 0;
  std::uint64_t ready = 0;        // of these, known and to be healed now or after a back-off
  std::uint64_t backing_off = 0;  // of these, tried before and to be tried again later
  std::int64_t oldest_ms = 0;     // when the oldest of them was recorded
  struct Waiting {
    DriveId drive;
    std::uint64_t entries = 0;
  };
  std::vector<Waiting> waiting;  // for drives that are away
};

struct BucketProgress {
  BucketId bucket{};
  std::string bucket_name;
  std::uint64_t keys = 0, keys_total = 0;    // totals are estimates while clients write
  std::uint64_t bytes = 0, bytes_total = 0;  // of objects, as clients see them
};

// One drive that is being filled from the others.
struct RefillStatus {
  enum class Phase : std::uint8_t {
    waiting,  // for its turn, or for full drives to fill it from; why is in `problem`
    telling,  // the other drives learn the groups' epochs
    walking,  // healing key after key
    retrying  // keys that could not be healed yet
  };
  DriveId drive;
  Phase phase = Phase::waiting;
  std::string problem;  // for people; empty: none
  unsigned groups = 0;  // still refilling
  std::int64_t started_ms = 0;
  std::uint64_t keys = 0, keys_total = 0, bytes = 0, bytes_total = 0;
  std::uint64_t failed_keys = 0;  // to be tried again
  double keys_per_second = 0, bytes_per_second = 0;
  std::optional<std::int64_t> eta_ms;   // milliseconds from now
  std::vector<BucketProgress> buckets;  // ascending by id; the first 1,000
};
std::string_view to_string(RefillStatus::Phase phase) noexcept;

// A heal that an operator asked for.
struct HealRunSpec {
  std::optional<BucketName> bucket;  // none: all
  std::string prefix;                // of keys; only with a bucket
  bool deep = false;                 // read and verify every block on every drive
  bool dry_run = false;
};

struct HealRunStatus {
  enum class State : std::uint8_t { running, done, cancelled, failed };
  std::uint64_t id = 0;
  HealRunSpec spec;
  State state = State::running;
  std::string problem;  // why it failed
  std::int64_t started_ms = 0, ended_ms = 0;
  HealCounts counts;
  std::uint64_t keys_total = 0;    // an estimate; 0: not known (a prefix)
  std::string at;                  // the last key looked at
  std::vector<HealedKey> named;    // keys at which something was lacking, the lost ones first to be kept
  std::uint64_t named_beyond = 0;  // further ones that are only counted
};
std::string_view to_string(HealRunStatus::State state) noexcept;

struct HealStatus {
  HealPriority priority = HealPriority::normal;
  double width = 0;  // keys healed at a time just now; below 1: that share of the time
  unsigned in_flight = 0;
  HealQueueStatus queue;
  std::vector<RefillStatus> refills;
  std::vector<HealRunStatus> runs;  // the newest first; without `named`, which run() has
  HealCounts totals;                // since the start, dry runs left out
  std::vector<HealedKey> recent;    // the newest first; healthy ones left out
};

}  // namespace ostraka::object
