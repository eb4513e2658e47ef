// The metric cells of one drive, labelled with its slot.
#pragma once

#include <array>
#include <chrono>
#include <string>

#include "base/metrics.h"
#include "disk/drive_condition.h"
#include "runtime/clock.h"

namespace ostraka::disk {

struct DriveMetrics {
  DriveMetrics(MetricRegistry& registry, unsigned slot)
      : commit(call(registry, slot, "commit")),
        read(call(registry, slot, "read")),
        stage(call(registry, slot, "stage")),
        append(call(registry, slot, "append")),
        finish(call(registry, slot, "finish")),
        open_shard(call(registry, slot, "open_shard")),
        read_blocks(call(registry, slot, "read_blocks")),
        list(call(registry, slot, "list")),
        read_many(call(registry, slot, "read_many")),
        system(call(registry, slot, "system")),
        batch(call(registry, slot, "batch")),
        probe(call(registry, slot, "probe")),
        batch_ops(registry.counter("ostraka_drive_batch_ops_total", "changes written in synced batches",
                                   label(slot))),
        batches(registry.counter("ostraka_drive_batches_total", "batches written to the index", label(slot))),
        errors(registry.counter("ostraka_drive_errors_total", "calls that failed because of the drive",
                                label(slot))),
        bytes_written(
            registry.counter("ostraka_drive_written_bytes_total", "shard bytes written", label(slot))),
        bytes_read(
            registry.counter("ostraka_drive_read_bytes_total", "shard bytes read and verified", label(slot))),
        online(registry.gauge("ostraka_drive_online", "1 while the drive is in service", label(slot))),
        heal_queue(registry.gauge("ostraka_drive_heal_queue", "heal-queue entries recorded on the drive",
                                  label(slot))),
        states_{&state(registry, slot, DriveState::ok), &state(registry, slot, DriveState::away),
                &state(registry, slot, DriveState::stalled), &state(registry, slot, DriveState::failing)},
        registry_(registry),
        slot_(slot) {}

  void show(DriveState now) const {
    for (std::size_t i = 0; i < states_.size(); ++i)
      states_[i]->set(i == static_cast<std::size_t>(now) ? 1 : 0);
  }
  void show(const SmartReport& report) const;  // what it does not tell has no metric

  Histogram& commit;  // and fence, withdraw, purge
  Histogram& read;
  Histogram& stage;
  Histogram& append;
  Histogram& finish;
  Histogram& open_shard;
  Histogram& read_blocks;
  Histogram& list;
  Histogram& read_many;
  Histogram& system;
  Histogram& batch;
  Histogram& probe;
  Counter& batch_ops;
  Counter& batches;
  Counter& errors;
  Counter& bytes_written;
  Counter& bytes_read;
  Gauge& online;
  Gauge& heal_queue;

 private:
  static Labels label(unsigned slot) { return {{"drive", std::to_string(slot)}}; }
  static Gauge& state(MetricRegistry& registry, unsigned slot, DriveState which) {
    return registry.gauge("ostraka_drive_state", "1 for the state that the drive is in",
                          {{"drive", std::to_string(slot)}, {"state", std::string(to_string(which))}});
  }
  static Histogram& call(MetricRegistry& registry, unsigned slot, const char* name) {
    return registry.histogram("ostraka_drive_call_seconds", "latency of calls to a drive",
                              {{"drive", std::to_string(slot)}, {"call", name}});
  }

  const std::array<Gauge*, 4> states_;  // by DriveState
  MetricRegistry& registry_;
  const unsigned slot_;
};

// Observes how long it lived.
class CallTimer {
 public:
  CallTimer(Histogram& histogram, Clock& clock) : histogram_(histogram), clock_(clock), begin_(clock.now()) {}
  CallTimer(const CallTimer&) = delete;
  CallTimer& operator=(const CallTimer&) = delete;
  ~CallTimer() {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(clock_.now() - begin_);
    histogram_.observe_us(static_cast<std::uint64_t>(took.count()));
  }

 private:
  Histogram& histogram_;
  Clock& clock_;
  const TimePoint begin_;
};

}  // namespace ostraka::disk
