// A shard: one thread, one io_context, one buffer pool, one queue of hashing. A request lives on one shard
// from its first byte to its last.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/buffer_pool.h"
#include "runtime/clock.h"
#include "runtime/md5_queue.h"
#include "runtime/task.h"

namespace ostraka {

struct ShardSpec {
  std::size_t slab_bytes = 2U << 20;
  std::size_t max_slabs = 64;
  std::size_t keep_slabs = 4;
};

// Belongs to the thread that runs io(); executor() and buffers() may be used from any. Destroying it destroys
// the coroutines that are still suspended on it: close the gates first.
class Shard {
 public:
  Shard(unsigned index, Clock& clock, ShardSpec spec);
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  ~Shard();
  unsigned index() const noexcept { return index_; }
  boost::asio::io_context& io() noexcept { return io_; }
  IoExecutor executor() noexcept { return io_.get_executor(); }
  Clock& clock() noexcept { return clock_; }
  BufferPool& buffers() noexcept { return buffers_; }
  Md5Queue& md5() noexcept { return md5_; }

 private:
  const unsigned index_;
  Clock& clock_;
  BufferPool buffers_;  // before io_: frames still alive when io_ is destroyed hold buffers
  Md5Queue md5_;        // as the buffers
  boost::asio::io_context io_{1};
  friend class ShardPool;
  void trim_regularly();                      // keeps trimming while the loop runs
  std::unique_ptr<Clock::Timer> trim_timer_;  // on io_, so it goes first
};

// Owns the shards and their threads. start() runs them; stop() ends the loops and joins; both once, from the
// thread that owns the pool.
class ShardPool {
 public:
  ShardPool(unsigned shards, Clock& clock, ShardSpec spec);
  ShardPool(const ShardPool&) = delete;
  ShardPool& operator=(const ShardPool&) = delete;
  ~ShardPool();  // stops
  void start();
  void stop();
  std::size_t size() const noexcept { return shards_.size(); }
  Shard& operator[](std::size_t i) noexcept { return *shards_[i]; }

 private:
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<boost::asio::executor_work_guard<IoExecutor>> guards_;
  std::vector<std::thread> threads_;
};

// Runs the shard's loop on the calling thread until the task has ended: for main() and tests. The shard must
// not be running on another thread. An exception that leaves the task is thrown here.
template <class T>
T run_to_end(Shard& shard, Task<T> task);

}  // namespace ostraka

#include "runtime/run_to_end.h"
