// Jobs that were handed to a drive's threads and have not begun: when the drive hangs, they are answered
// without having run, and what they hold is freed. Thread safe.
#pragma once

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>

namespace ostraka::disk {

class WaitingJob {
 public:
  virtual ~WaitingJob() = default;
  // Once, whichever comes first.
  void begin() {
    if (!claimed_.exchange(true, std::memory_order_acq_rel)) run();
  }
  void give_up() {
    if (!claimed_.exchange(true, std::memory_order_acq_rel)) refuse();
  }
  bool claimed() const noexcept { return claimed_.load(std::memory_order_acquire); }

 private:
  virtual void run() = 0;
  virtual void refuse() = 0;
  std::atomic<bool> claimed_{false};
};

class WaitingJobs {
 public:
  void add(std::weak_ptr<WaitingJob> job) {
    const std::lock_guard lock(mutex_);
    // Jobs begin in their order, so those that have are in front.
    while (!jobs_.empty() && over(jobs_.front())) jobs_.pop_front();
    jobs_.push_back(std::move(job));
  }
  void give_up_all() {
    std::deque<std::weak_ptr<WaitingJob>> jobs;
    {
      const std::lock_guard lock(mutex_);
      jobs.swap(jobs_);
    }
    for (const auto& waiting : jobs)
      if (const auto job = waiting.lock()) job->give_up();
  }

 private:
  static bool over(const std::weak_ptr<WaitingJob>& waiting) {
    const auto job = waiting.lock();
    return job == nullptr || job->claimed();
  }
  std::mutex mutex_;
  std::deque<std::weak_ptr<WaitingJob>> jobs_;
};

}  // namespace ostraka::disk
