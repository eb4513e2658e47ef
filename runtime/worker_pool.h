// A few threads for calls that block, one pool a drive, so that a stuck drive only ever stalls its own
// threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/workers.h"

namespace ostraka {

class WorkerPool final : public Workers {
 public:
  WorkerPool(std::string name, unsigned threads);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool() override;
  void post(Job job) override;
  void post_after(Duration delay, Job job) override;
  std::size_t queued() const noexcept override;
  void for_each(std::size_t count, const std::function<void(std::size_t)>& fn) override;

 private:
  void work();
  void take_due();  // with the lock held
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::multimap<TimePoint, Job> later_;
  unsigned sleeping_ = 0;  // threads that wait; only they need a wake-up
  // A thread was woken and has not looked for jobs yet. It wakes the next one if it leaves any, so that a
  // burst of short jobs does not wake all threads for nothing.
  bool waking_ = false;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

class WorkerPools final : public WorkersFactory {
 public:
  std::unique_ptr<Workers> make(std::string name, unsigned threads) override {
    return std::make_unique<WorkerPool>(std::move(name), threads);
  }
};

}  // namespace ostraka
