// A few threads for calls that block, one pool a drive, so that a stuck drive only ever stalls its own threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "runtime/task.h"

namespace ostraka {

// Thread safe. The destructor runs what is queued, then joins.
class WorkerPool {
 public:
  WorkerPool(std::string name, unsigned threads);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool();
  void post(std::function<void()> job);
  std::size_t queued() const noexcept;

  // co_await run(fn): runs fn() on a thread of the pool; the coroutine goes on on its own shard with the value. fn owns what it uses.
  template <class F>
  auto run(F fn) {
    using T = std::invoke_result_t<F>;
    return suspend<T>([this, fn = std::move(fn)](Completion<T> done) mutable {
      auto job = std::make_shared<std::pair<F, Completion<T>>>(std::move(fn), std::move(done));
      post([job] { job->second(job->first()); });
    });
  }

 private:
  void work(const std::string& name);
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ostraka
