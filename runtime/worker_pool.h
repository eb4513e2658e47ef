// A few threads for calls that block, one pool a drive, so that a stuck drive only ever stalls its own
// threads.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/task.h"

namespace ostraka {

// Thread safe. The destructor runs what is queued, then joins; the shards whose coroutines wait here must
// still exist then.
class WorkerPool {
 public:
  WorkerPool(std::string name, unsigned threads);
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;
  ~WorkerPool();
  void post(std::function<void()> job);
  std::size_t queued() const noexcept;

  // co_await run(fn): runs fn() on a thread of the pool; the coroutine goes on on its own shard with the
  // value. fn owns what it uses, may be move-only, must not throw, and is named on the line before the
  // co_await (runtime/README.md).
  template <class F>
  auto run(F fn) {
    using T = std::invoke_result_t<F&>;
    static_assert(!std::is_void_v<T>,
                  "give the coroutine something to go on with: Result<> where there is no value");
    return suspend<T>([this, fn = std::move(fn)](Completion<T> done) mutable {
      // std::function wants copyable targets, so what cannot be copied is shared.
      auto job = std::make_shared<std::pair<F, Completion<T>>>(std::move(fn), std::move(done));
      post([job = std::move(job)] { job->second(job->first()); });
    });
  }

 private:
  void work();
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ostraka
