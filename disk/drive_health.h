// DriveHealth: what the calls to a drive and their outcomes say about it, and whether it should be in
// service. It is told everything, the time included, and touches nothing itself. Thread safe.
//
//   ok       -> stalled  calls are under way and none has come to an end for a while
//   stalled  -> ok       they have, and a probe succeeds
//   ok       -> failing  too many calls fail, the index fails again and again, or probes do
//   failing  -> ok       after a cool-down, doubled with each relapse, probes succeed; not after too many
//   relapses
//
// Not counted against a drive: what every drive of the machine would show at once (no more files, memory or
// room), refusals, deadlines, and what a folder that is gone answers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"
#include "disk/drive_condition.h"
#include "disk/latency_window.h"
#include "disk/limits.h"
#include "runtime/clock.h"

namespace ostraka::disk {

struct HealthPolicy {
  Duration watch_period = kWatchPeriod;  // between two looks
  Duration stalled_after = kStuckAfter;
  Duration window = std::chrono::minutes(1);  // in which errors are counted
  std::uint64_t io_errors = 20;               // so many, and
  std::uint64_t io_percent = 10;              // this share of the calls: failing
  std::uint64_t corrupt_errors = 500;  // the same of bytes that are not what was written: a lot, since these
  std::uint64_t corrupt_percent = 50;  // are what the healer makes good, and it needs the drive for that
  std::uint64_t index_failures = 5;    // that closed the index
  unsigned probe_failures = 3;         // in a row
  unsigned good_probes = 2;            // in a row, to bring a failing drive back
  Duration slow_probe = std::chrono::seconds(5);     // one that took longer brings nothing back
  Duration probe_period = std::chrono::seconds(10);  // of a drive that is not written to
  Duration probe_retry = std::chrono::seconds(1);
  Duration cool_down = std::chrono::seconds(30);
  Duration cool_down_max = std::chrono::minutes(16);
  unsigned relapses = 5;                            // the last of these is for good
  Duration forgiven_after = std::chrono::hours(6);  // back in service so long, a relapse is not one
};

// What a call did, for the latencies; those of upkeep, which may be long, are not kept.
enum class CallKind : std::uint8_t { read, write, upkeep };

// Where calls run: each place makes progress of its own, or does not.
enum class Lane : std::uint8_t {
  jobs,     // the drive's threads
  commits,  // the thread that changes the index
  probe,    // on one of the drive's threads: other calls may make progress where a probe does not
};
inline constexpr std::size_t kLanes = 3;

// How many drives of a node may be taken out because of errors: what takes all of them out at once is not the
// fault of the drives. Thread safe.
class FailingQuota {
 public:
  // parity: of the geometry; out of service may be as many as are not needed for writing.
  FailingQuota(unsigned data_shards, unsigned parity_shards) noexcept;
  explicit FailingQuota(std::size_t most) noexcept : most_(most) {}
  void note(unsigned slot, bool out_of_service);
  // True: the drive may go, and counts as out of service from now on.
  bool may_take_out(unsigned slot);

 private:
  const std::size_t most_;
  std::mutex mutex_;
  std::set<unsigned> out_;
};

class DriveHealth {
 public:
  explicit DriveHealth(TimePoint now, HealthPolicy policy = {});
  const HealthPolicy& policy() const noexcept { return policy_; }

  // --- calls under way
  void begins(Lane lane, TimePoint now) noexcept;
  void progress(Lane lane, TimePoint now) noexcept;  // of a long call
  void ends(Lane lane, TimePoint now) noexcept;
  // A call has been running for a while without any coming to its end: better not to touch the drive from a
  // shard's thread.
  bool hesitates(TimePoint now) const noexcept;

  // --- what came of them. code: nullopt is success
  void told(CallKind kind, Duration took, std::optional<Errc> code, TimePoint now);
  // The index had to be closed, and the folder is where it was.
  void index_failed(TimePoint now);
  // The folder is the one that was opened, and can be read. Without this no errors take a drive out.
  void folder_is_good(TimePoint now) noexcept;

  // --- probes
  bool wants_probe(TimePoint now) const;
  // True: the first in a row that failed.
  bool probed(Duration took, std::optional<Errc> code, TimePoint now);

  // --- state
  bool in_service(TimePoint now) const noexcept;
  DriveState state(TimePoint now) const;  // never away
  struct Change {
    DriveState from = DriveState::ok, to = DriveState::ok;
    std::string reason;   // for people; of the change, or
    bool spared = false;  // why it would have been taken out, if others were not out already. Once a window
  };
  // Changes the state when it is time to. Once a second or so.
  Change look(TimePoint now, const std::function<bool()>& may_take_out);
  // False while a failing drive is left alone.
  bool may_open(TimePoint now) const;
  // Another drive lies there now, or an operator says that it is well.
  void forget(TimePoint now);

  std::string problem(TimePoint now) const;          // for people; empty while it is ok
  std::uint64_t recent_errors(TimePoint now) const;  // within the window
  LatencySummary latency(CallKind kind, TimePoint now) const;

 private:
  static constexpr std::size_t kSlots = 12;
  struct Slot {
    std::int64_t number = -1;
    std::uint64_t calls = 0, io = 0, corrupt = 0, index = 0;
  };
  Slot& slot(TimePoint now);
  Slot sum(TimePoint now) const;
  std::optional<Duration> stuck_for(TimePoint now) const noexcept;
  std::string what_fails(TimePoint now) const;
  void take_out(TimePoint now, const std::string& reason);
  void enter(DriveState state, TimePoint now);
  void clear(TimePoint now);

  const HealthPolicy policy_;
  std::array<std::atomic<int>, kLanes> running_{};
  std::array<std::atomic<std::int64_t>, kLanes> progress_{};
  std::atomic<DriveState> state_{DriveState::ok};  // changed with the mutex held

  mutable std::mutex mutex_;
  std::array<Slot, kSlots> slots_{};
  std::array<LatencyWindow, 2> latency_;
  std::string reason_;  // of the state
  std::optional<TimePoint> suspect_since_, spared_at_, back_at_;
  TimePoint folder_good_at_{}, written_at_, next_probe_, retry_at_{};
  Duration cool_down_{};
  unsigned relapses_ = 0, good_probes_ = 0, failed_probes_ = 0;
  bool out_for_good_ = false;
};

// A call under way, from here to the end of the scope.
class LaneMark {
 public:
  LaneMark(DriveHealth& health, Lane lane, const Clock& clock) noexcept
      : health_(health), lane_(lane), clock_(clock), begun_(clock.now()) {
    health_.begins(lane_, begun_);
  }
  LaneMark(const LaneMark&) = delete;
  LaneMark& operator=(const LaneMark&) = delete;
  ~LaneMark() { health_.ends(lane_, clock_.now()); }
  TimePoint begun() const noexcept { return begun_; }

 private:
  DriveHealth& health_;
  const Lane lane_;
  const Clock& clock_;
  const TimePoint begun_;
};

}  // namespace ostraka::disk
