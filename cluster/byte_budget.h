// Memory of one shard counted in bytes: who wants more than is free waits in line.
#pragma once

#include <boost/intrusive/list.hpp>
#include <cstddef>
#include <utility>

#include "base/result.h"
#include "runtime/clock.h"
#include "runtime/event.h"
#include "runtime/task.h"

namespace ostraka::cluster {

// Belongs to one shard; outlives what was taken.
class ByteBudget {
 public:
  // Gives its bytes back when it goes.
  class Held {
   public:
    Held(ByteBudget& budget, std::size_t bytes) noexcept : budget_(&budget), bytes_(bytes) {}
    Held(Held&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), bytes_(other.bytes_) {}
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (budget_ != nullptr) budget_->give_back(bytes_);
    }

   private:
    ByteBudget* budget_;
    std::size_t bytes_;
  };

  explicit ByteBudget(std::size_t bytes) : free_(bytes) {}
  // bytes: at most the whole budget. Error: overloaded (not free by the deadline).
  Task<Result<Held>> take(Clock& clock, TimePoint deadline, std::size_t bytes);
  std::size_t free() const noexcept { return free_; }

 private:
  struct Waiter
      : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    explicit Waiter(std::size_t b) : bytes(b) {}
    const std::size_t bytes;
    bool granted = false;
    Event changed;
  };
  void give_back(std::size_t bytes) noexcept;
  void grant() noexcept;

  std::size_t free_;
  boost::intrusive::list<Waiter, boost::intrusive::constant_time_size<false>> line_;
};

}  // namespace ostraka::cluster
