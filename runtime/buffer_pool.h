// A bounded pool of 4096-aligned slabs. co_await acquire() is the back-pressure: it waits until a slab is
// free.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/clock.h"
#include "runtime/task.h"

namespace ostraka {

class BufferPool;

// A shared handle on one slab; the slab returns to its pool with the last handle, from whichever thread.
// Contents are not cleared.
class Buffer {
 public:
  Buffer() = default;
  std::uint8_t* data() const noexcept { return slab_.get(); }
  std::size_t size() const noexcept { return size_; }
  MutableByteSpan span() const noexcept { return {slab_.get(), size_}; }
  explicit operator bool() const noexcept { return slab_ != nullptr; }
  // A slab of its own on the heap, for small bodies and tests. 64-aligned.
  static Buffer on_heap(std::size_t bytes);

 private:
  friend class BufferPool;
  Buffer(std::shared_ptr<std::uint8_t> slab, std::size_t size) : slab_(std::move(slab)), size_(size) {}
  std::shared_ptr<std::uint8_t> slab_;
  std::size_t size_ = 0;
};

// Bytes that lie in several slabs: each slice keeps its slab alive.
struct Slice {
  Buffer owner;
  ByteSpan bytes;
};
using BufferChain = std::vector<Slice>;

// Thread safe. Must outlive its buffers.
class BufferPool {
 public:
  // slab_bytes: of each slab; max_slabs: the bound; keep_slabs: free slabs kept resident, the others are
  // given back to the system once they have been idle for a while (see trim). Address space for all slabs is
  // reserved at once, memory only as slabs are used.
  BufferPool(std::size_t slab_bytes, std::size_t max_slabs, std::size_t keep_slabs);
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;
  ~BufferPool();

  std::size_t slab_bytes() const noexcept { return slab_bytes_; }
  // Waits in line. Errc::overloaded when no slab was free by the deadline.
  Task<Result<Buffer>> acquire(Clock& clock, TimePoint deadline);
  Buffer try_acquire();  // empty when none is free
  std::size_t in_use() const noexcept;
  std::size_t resident() const noexcept;  // slabs that hold memory: in use, or free and not yet given back
  std::size_t max_slabs() const noexcept { return max_slabs_; }
  // Gives back the free slabs beyond keep_slabs that nobody needed since the last call. A running ShardPool
  // calls it every second, so that a busy pool is not paying for page faults on every slab.
  void trim() noexcept;
  // Destroys the coroutines that wait: for the owner of the io_context, just before it goes.
  void drop_waiters() noexcept;

 private:
  struct Waiter;
  void release(std::uint8_t* slab) noexcept;
  std::uint8_t* take() noexcept;  // under mutex_; nullptr when none is free
  void expire(const std::shared_ptr<Waiter>& waiter);
  Buffer wrap(std::uint8_t* slab);
  const std::size_t slab_bytes_, max_slabs_, keep_slabs_;
  std::uint8_t* region_ = nullptr;
  mutable std::mutex mutex_;
  std::vector<std::uint8_t*> warm_;  // free and resident; the last is the most recently used
  std::vector<std::uint8_t*> cold_;  // free, without memory behind them
  std::size_t idle_warm_ = 0;        // fewest warm slabs since the last trim
  std::size_t in_use_ = 0;
  std::deque<std::shared_ptr<Waiter>> waiters_;
};

}  // namespace ostraka
