// Refiller: notices drives that lost their data, and refills them one after another. Belongs to the home
// shard; status() is thread safe.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "base/metrics.h"
#include "object/heal_core.h"
#include "object/limits.h"
#include "object/refill_plan.h"
#include "object/refill_progress.h"

namespace ostraka::object {

class Refiller {
 public:
  explicit Refiller(HealCore& core);  // which outlives it
  // Until the service stops; inside core.gate.
  Task<> run();
  std::vector<RefillStatus> status() const;  // by drive
  void publish();                            // sets the metrics

 private:
  struct Gauges {
    Gauges(MetricRegistry& registry, std::size_t drive);
    void set(const RefillStatus& status);
    Gauge &groups, &keys, &keys_total, &bytes, &bytes_total, &eta_seconds;
  };
  struct Target {
    std::shared_ptr<RefillProgress> progress;
    TimePoint not_before{};
    Duration pause = kRefillPause;
    std::optional<TimePoint> stuck_since;
  };
  void follow();  // a table that has changed
  void look(const GroupStates& states);
  Task<> refill(std::size_t drive, RefillPlan plan);
  Task<> estimate(std::size_t drive, const RefillPlan& plan, const GroupStates& states);

  HealCore& core_;
  GroupMembers members_;  // of the table and the drives of now, between two walks
  const unsigned read_quorum_;
  mutable std::mutex mutex_;
  std::map<std::size_t, Target> targets_;  // by index of the drive; changed on the home shard only
  std::map<std::size_t, Gauges> gauges_;   // of the drives that were ever refilled
};

}  // namespace ostraka::object
