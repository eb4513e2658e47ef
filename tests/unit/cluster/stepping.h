// Running what is on one shard under a clock that goes on only when nothing else is left to do.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <utility>

#include "runtime/gate.h"
#include "runtime/shard.h"
#include "runtime/task.h"
#include "tests/unit/erasure/manual_clock.h"

namespace ostraka::cluster {

// For wait_stepping(), which wants a value.
inline Task<bool> done(Task<> task) {
  co_await std::move(task);
  co_return true;
}

template <class T>
Task<> keep(Task<T> task, std::optional<T>* out) {
  out->emplace(co_await std::move(task));
}

inline void run_what_is_ready(Shard& shard) {
  do {
    shard.io().restart();
  } while (shard.io().poll() > 0);
}

// Time goes on as far as it takes.
template <class T>
T wait_stepping(erasure::ManualClock& clock, Shard& shard, Task<T> task) {
  Gate gate;
  std::optional<T> out;
  gate.spawn(shard.executor(), keep(std::move(task), &out));
  for (run_what_is_ready(shard); gate.inside() > 0; run_what_is_ready(shard)) EXPECT_TRUE(clock.step());
  return std::move(*out);
}

inline void pass_time(erasure::ManualClock& clock, Shard& shard, Duration time) {
  const TimePoint until = clock.now() + time;
  for (run_what_is_ready(shard); clock.next() <= until; run_what_is_ready(shard)) clock.step();
  clock.advance(until - clock.now());
}

}  // namespace ostraka::cluster
