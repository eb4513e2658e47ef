// A shard: one thread, one io_context, one buffer pool. A request lives on one shard from its first byte to its last.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "runtime/buffer_pool.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace ostraka {

struct ShardSpec {
  std::size_t slab_bytes = 2U << 20;
  std::size_t max_slabs = 64;
  std::size_t keep_slabs = 4;
};

class Shard {
 public:
  Shard(unsigned index, Clock& clock, ShardSpec spec);
  unsigned index() const noexcept { return index_; }
  boost::asio::io_context& io() noexcept { return io_; }
  IoExecutor executor() noexcept { return io_.get_executor(); }
  Clock& clock() noexcept { return clock_; }
  BufferPool& buffers() noexcept { return buffers_; }

 private:
  const unsigned index_;
  Clock& clock_;
  BufferPool buffers_;  // before io_: frames still alive when io_ is destroyed hold buffers
  boost::asio::io_context io_{1};
};

// Owns the shards and their threads. start() runs them; stop() ends the loops and joins; both once.
class ShardPool {
 public:
  ShardPool(unsigned shards, Clock& clock, ShardSpec spec);
  ~ShardPool();
  void start();
  void stop();
  std::size_t size() const noexcept { return shards_.size(); }
  Shard& operator[](std::size_t i) noexcept { return *shards_[i]; }

 private:
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<boost::asio::executor_work_guard<IoExecutor>> guards_;
  std::vector<std::thread> threads_;
};

// Runs a task to its end on a fresh single-threaded loop: for main() and tests, never inside a shard.
template <class T>
T run_to_end(Shard& shard, Task<T> task);

}  // namespace ostraka

#include "runtime/run_to_end.h"
