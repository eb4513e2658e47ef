// HealRuns: heals that an operator asked for, one at a time, and what came of the last ones. status(), get(),
// start() and cancel() are thread safe; the runs themselves are on the home shard.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "object/heal_core.h"
#include "object/merged_scan.h"

namespace ostraka::object {

class HealRuns {
 public:
  explicit HealRuns(HealCore& core) : core_(core) {}  // which outlives it
  Result<std::uint64_t> start(HealRunSpec spec);      // see HealService::start_run
  Result<> cancel(std::uint64_t id);                  // not_found
  Result<HealRunStatus> get(std::uint64_t id) const;  // not_found
  std::vector<HealRunStatus> status() const;          // the newest first, without `named`
  void stop();                                        // no more runs; the one under way ends

 private:
  using State = HealRunStatus::State;
  struct Run {
    HealRunStatus status;
    std::optional<BucketId> bucket;
    bool cancelled = false;
  };
  using RunPtr = std::shared_ptr<Run>;
  // Row keys behind `after` and before `until`; empty: no bound.
  struct Range {
    std::string after, until;
  };

  static Task<> work(HealRuns* self, RunPtr run);
  Task<Result<>> walk(RunPtr run, Range range, HealCrew& crew);
  static Task<> heal_row(HealRuns* self, RunPtr run, disk::ObjectRef ref);
  std::vector<Range> ranges(const Run& run) const;
  Task<std::uint64_t> estimate(RunPtr run);
  bool going_on(const RunPtr& run) const;
  void name_key(Run& run, HealedKey key);

  HealCore& core_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  std::uint64_t last_id_ = 0;
  std::deque<RunPtr> runs_;  // the newest first; fields of a Run are changed with the lock held
};

}  // namespace ostraka::object
