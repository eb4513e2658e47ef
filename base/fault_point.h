// Named places between two steps of the server, where a test lets the process die. Off by default; counted
// when hit.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ostraka {

// What is to happen at the points, and how often each was hit. One at a time in a process; thread safe.
//
// The points reach it through the one global variable of this code base: they stand in every folder and
// between any two lines, in functions that have no collaborators, and a parameter through all of them would
// change production code for the sake of tests. Nobody but main() and tests may create one.
class FaultPoints {
 public:
  // "NAME=kill:N", several joined by ',': the N-th hit of the point from now on kills the process as kill -9
  // does. "count": nothing happens. Nothing is armed, and nullptr given, for "". Errc::invalid_argument.
  static Result<std::unique_ptr<FaultPoints>> arm(std::string_view spec);
  ~FaultPoints();  // disarms, and tells the log what was hit; no other thread may run then
  FaultPoints(const FaultPoints&) = delete;
  FaultPoints& operator=(const FaultPoints&) = delete;

  std::map<std::string, std::uint64_t, std::less<>> hits() const;

 private:
  friend void fault_point(std::string_view name);
  FaultPoints() = default;
  void hit(std::string_view name);

  inline static constinit std::atomic<FaultPoints*> armed_{nullptr};
  std::map<std::string, std::uint64_t, std::less<>> kill_at_;
  mutable std::mutex mutex_;
  std::map<std::string, std::uint64_t, std::less<>> hits_;
};

// "shard.before_sync": the subject, then what has just happened or is about to. tests/crash/kill_points.py
// kills the server at every point that is in the sources. A relaxed load while nothing is armed.
inline void fault_point(std::string_view name) {
  FaultPoints* armed = FaultPoints::armed_.load(std::memory_order_relaxed);
  if (armed != nullptr) [[unlikely]]
    armed->hit(name);
}

}  // namespace ostraka
