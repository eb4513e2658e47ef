#include "runtime/worker_pool.h"

#include <pthread.h>

#include <latch>

#include "base/check.h"

namespace ostraka {

WorkerPool::WorkerPool(std::string name, unsigned threads) {
  CHECK(threads > 0);
  name.resize(std::min<std::size_t>(name.size(), 15));  // the kernel's limit for thread names
  threads_.reserve(threads);
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
    pthread_setname_np(threads_.back().native_handle(), name.c_str());
  }
}

WorkerPool::~WorkerPool() {
  std::multimap<TimePoint, Job> dropped;  // what they own may post jobs when it goes
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(later_);
  }
  dropped.clear();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (auto& thread : threads_) thread.join();
}

void WorkerPool::post(Job job) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    CHECK(!stopping_);
    jobs_.push_back(std::move(job));
    wake = sleeping_ > 0 && !waking_;
    waking_ = waking_ || wake;
  }
  if (wake) wake_.notify_one();
}

void WorkerPool::post_after(Duration delay, Job job) {
  const TimePoint at = deadline_after(std::chrono::steady_clock::now(), delay);
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    wake =
        sleeping_ > 0 && (later_.empty() || at < later_.begin()->first);  // who sleeps would sleep too long
    later_.emplace(at, std::move(job));
  }
  if (wake) wake_.notify_one();
}

std::size_t WorkerPool::queued() const noexcept {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void WorkerPool::for_each(std::size_t count, const std::function<void(std::size_t)>& fn) {
  std::latch left(static_cast<std::ptrdiff_t>(count));
  for (std::size_t i = 0; i < count; ++i) {
    post([&fn, &left, i] {
      fn(i);
      left.count_down();
    });
  }
  left.wait();
}

void WorkerPool::take_due() {
  if (later_.empty()) return;
  const TimePoint now = std::chrono::steady_clock::now();
  while (!later_.empty() && later_.begin()->first <= now) {
    jobs_.push_back(std::move(later_.begin()->second));
    later_.erase(later_.begin());
  }
  // This thread is about to take one job: another looks after the clock and what else came due.
  if (sleeping_ > 0 && (!later_.empty() || jobs_.size() > 1)) wake_.notify_one();
}

void WorkerPool::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    take_due();
    if (!jobs_.empty()) {
      {
        const Job job = std::move(jobs_.front());
        jobs_.pop_front();
        const bool more = !jobs_.empty() && sleeping_ > 0 && !waking_;
        waking_ = waking_ || more;
        lock.unlock();
        if (more) wake_.notify_one();
        job();
      }  // the job and what it owns are gone before the lock is taken again
      lock.lock();
      continue;
    }
    if (stopping_) return;
    ++sleeping_;
    if (later_.empty()) {
      wake_.wait(lock);
    } else {
      const TimePoint next = later_.begin()->first;  // the job may go while this waits
      wake_.wait_until(lock, next);
    }
    --sleeping_;
    waking_ = false;
  }
}

}  // namespace ostraka
