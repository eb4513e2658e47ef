// Rebalancer: keeps the placement table as the topology wants it. One node of a cluster leads in it: while no
// moves are decided, it plans what is to move (rebalance.h) whenever drives were added, drain, or changed
// their size; what is decided it carries out (move_runner.h), also what a leader before it had begun. On
// every node it changes the topology for operators, and tells how far all of it is.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "cluster/move_runner.h"
#include "cluster/topology_change.h"
#include "control/election.h"
#include "control/membership.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

inline constexpr std::string_view kRebalanceMatter = "rebalance";

// All of it outlives the rebalancer, but for `moves`, which it takes over and completes: wait_until_known is
// the membership's.
struct RebalancerDeps {
  SlotMoveDeps moves;
  control::Election& election;
  control::Membership& membership;
  MetricRegistry& metrics;
  std::function<disk::Drive*(const DriveId& id)> find;  // nullptr: not known here (yet). On any thread
};

enum class RebalanceState : std::uint8_t {
  unknown,   // not asked yet, or another node leads
  balanced,  // nothing is to be moved
  moving,
  waiting,  // something stands in the way
  paused,
};
std::string_view to_string(RebalanceState state) noexcept;

struct RebalanceStatus {
  RebalanceState state = RebalanceState::unknown;
  // Revisions of the topology: the one that the state is about (0: none), and the newest that this node
  // knows.
  std::uint64_t topology = 0, newest_topology = 0;
  MoveProgress progress;  // its problem: also why nothing is moved though it should be
};

// A drive of the topology, for people.
struct DriveReport {
  DriveUrl url;
  DriveId id;
  SlotState state = SlotState::in_service;
  bool online = false, refilling = false;
  std::string problem;
  std::uint64_t total_bytes = 0, used_bytes = 0;  // 0: not known
  std::uint64_t free_bytes = 0;                   // above the reserve
  unsigned groups = 0;                            // that have a slot on it
  unsigned leaving = 0, arriving = 0;             // slots, of moves that were decided
};

// Thread safe, but for start() and close().
class Rebalancer {
 public:
  explicit Rebalancer(RebalancerDeps deps);
  Rebalancer(const Rebalancer&) = delete;
  Rebalancer& operator=(const Rebalancer&) = delete;
  ~Rebalancer();

  // Once: stands for election, and works on that shard.
  void start(Shard& shard);
  // Stops at the next step; whoever leads then goes on.
  Task<> close();

  bool leads() const { return deps_.election.leading(kRebalanceMatter).has_value(); }
  std::string leader() const { return deps_.election.leader(kRebalanceMatter); }
  RebalanceStatus status() const;
  // Asks all drives, each for a few seconds at most. Errors: unavailable (there is no topology), malformed.
  Task<Result<std::vector<DriveReport>>> drives(Ctx& ctx);
  Result<Topology> topology() const;

  // What operators want; on any node. Each gives the revision of the topology that says so. Errors: those of
  // topology_change.h.
  Task<Result<std::uint64_t>> add(Ctx& ctx, std::vector<DriveUrl> drives);
  Task<Result<std::uint64_t>> drain(Ctx& ctx, std::vector<DriveUrl> drives, bool bears_less);
  Task<Result<std::uint64_t>> take_back(Ctx& ctx, std::vector<DriveUrl> drives);
  Task<Result<std::uint64_t>> remove(Ctx& ctx, std::vector<DriveUrl> drives);
  Task<Result<>> pause(Ctx& ctx, bool paused) { return runner_.pause(ctx, paused); }

 private:
  struct Metrics {
    explicit Metrics(MetricRegistry& registry);
    Gauge &slots_done, &slots_left, &bytes_done, &bytes_left, &bytes_per_second, &problem;
  };
  // What a plan rests on: as long as it stays the same, so does the plan.
  struct Ground {
    std::uint64_t topology = 0, placement = 0, moves = 0;  // revisions
    std::vector<bool> online;                              // by slot
    bool operator==(const Ground&) const = default;
  };
  struct Look {
    bool online = false;
    disk::DriveInfo info;
  };

  static Task<> loop(Rebalancer* self);
  static Task<> wake(Rebalancer* self);
  Task<> round(std::uint64_t token);
  bool look_after_leader();
  struct KnownTopology {
    Topology topology;
    std::uint64_t revision = 0;
  };
  Result<KnownTopology> known_topology() const;
  Task<Result<>> go_on(Ctx& ctx, std::uint64_t token, const KnownTopology& known);
  Task<Result<>> plan(Ctx& ctx, const KnownTopology& known);
  Task<std::vector<Look>> look_at(Ctx& ctx, const Topology& topology);
  Result<Placement> placement() const;
  Ground ground(const KnownTopology& known) const;
  std::string url_of(const DriveId& id) const;
  std::string why_away(std::size_t slot, const Topology::Slot& what, bool online) const;
  void tell(RebalanceState state, std::string problem, std::uint64_t topology);
  void tell_metrics();
  void note_begin(const char* what);
  void note_end();

  RebalancerDeps deps_;
  MoveRunner runner_;
  Metrics metrics_;
  Gate gate_;
  Shard* shard_ = nullptr;
  Event wake_;
  std::atomic<bool> stopping_{false};
  // of the loop
  std::optional<Ground> failed_on_, planned_on_;
  TimePoint retry_at_{}, look_again_at_{};
  Duration backoff_{};
  std::uint64_t away_token_ = 0;  // of the leader that is away, since
  TimePoint away_since_{};
  std::map<std::string, TimePoint> deposed_;  // members, and when
  bool under_way_ = false;                    // told in the log
  TimePoint began_{};

  mutable std::mutex mutex_;  // guards what follows
  RebalanceState state_ = RebalanceState::unknown;
  std::uint64_t about_ = 0;  // revision of the topology
  std::string problem_;
};

}  // namespace ostraka::cluster
