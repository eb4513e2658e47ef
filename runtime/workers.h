// Workers: where calls that block run, and what a part does on its own thread. Threads in the server
// (worker_pool.h), events of one loop in the simulator.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "runtime/clock.h"
#include "runtime/task.h"

namespace ostraka {

// Thread safe. Jobs are begun in the order in which they were posted; with one thread they also end in it.
// The destructor runs what is posted, drops what is still to come (post_after), and waits for what runs; the
// shards whose coroutines wait here must still exist then.
class Workers {
 public:
  using Job = std::function<void()>;
  virtual ~Workers() = default;
  virtual void post(Job job) = 0;
  virtual void post_after(Duration delay, Job job) = 0;  // posted when the delay is over
  virtual std::size_t queued() const noexcept = 0;       // posted and not begun
  // Calls fn(0) ... fn(count - 1), as many at once as there are threads, and returns after the last. Blocks.
  virtual void for_each(std::size_t count, const std::function<void(std::size_t)>& fn) = 0;

  // co_await run(fn): runs fn() as a job; the coroutine goes on on its own shard with the value. fn owns what
  // it uses, may be move-only, must not throw, and is named on the line before the co_await
  // (runtime/README.md).
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
};

// Thread safe.
class WorkersFactory {
 public:
  virtual ~WorkersFactory() = default;
  virtual std::unique_ptr<Workers> make(std::string name, unsigned threads) = 0;
};

}  // namespace ostraka
