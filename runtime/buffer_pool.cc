#include "runtime/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>

#include "base/check.h"

namespace ostraka {
namespace {

constexpr std::size_t kPageBytes = 4096;
constexpr std::align_val_t kHeapAlignment{64};

}  // namespace

// Under the pool's mutex: it is in waiters_ exactly as long as it has been given neither a slab nor up.
struct BufferPool::Waiter {
  Completion<Buffer> done;
};

Buffer Buffer::on_heap(std::size_t bytes) {
  auto* raw = static_cast<std::uint8_t*>(::operator new(std::max<std::size_t>(bytes, 1), kHeapAlignment));
  return {std::shared_ptr<std::uint8_t>(raw, [](std::uint8_t* p) { ::operator delete(p, kHeapAlignment); }),
          bytes};
}

BufferPool::BufferPool(std::size_t slab_bytes, std::size_t max_slabs, std::size_t keep_slabs)
    : slab_bytes_((slab_bytes + kPageBytes - 1) / kPageBytes * kPageBytes),
      max_slabs_(max_slabs),
      keep_slabs_(keep_slabs) {
  CHECK(slab_bytes > 0 && max_slabs > 0);
  void* region = ::mmap(nullptr, slab_bytes_ * max_slabs_, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(region != MAP_FAILED);
  region_ = static_cast<std::uint8_t*>(region);
  warm_.reserve(max_slabs_);
  cold_.reserve(max_slabs_);
  for (std::size_t i = max_slabs_; i-- > 0;) cold_.push_back(region_ + i * slab_bytes_);
}

BufferPool::~BufferPool() {
  CHECK(in_use_ == 0);
  drop_waiters();
  ::munmap(region_, slab_bytes_ * max_slabs_);
}

Buffer BufferPool::wrap(std::uint8_t* slab) {
  return {std::shared_ptr<std::uint8_t>(slab, [this](std::uint8_t* p) { release(p); }), slab_bytes_};
}

std::uint8_t* BufferPool::take() noexcept {
  auto& list = warm_.empty() ? cold_ : warm_;
  if (list.empty()) return nullptr;
  std::uint8_t* slab = list.back();
  list.pop_back();
  idle_warm_ = std::min(idle_warm_, warm_.size());
  ++in_use_;
  return slab;
}

Buffer BufferPool::try_acquire() {
  std::uint8_t* slab = nullptr;
  {
    const std::lock_guard lock(mutex_);
    slab = take();  // nobody can be waiting while one is free: release() hands over directly
  }
  return slab == nullptr ? Buffer() : wrap(slab);
}

Task<Result<Buffer>> BufferPool::acquire(Clock& clock, TimePoint deadline) {
  if (Buffer free_one = try_acquire()) co_return free_one;
  if (deadline <= clock.now()) co_return fail(Errc::overloaded, "no buffer is free");
  const IoExecutor executor = co_await boost::asio::this_coro::executor;
  const auto waiter = std::make_shared<Waiter>();
  const auto timer = clock.arm(executor, deadline, [this, waiter] { expire(waiter); });
  auto park = [this, waiter](Completion<Buffer> done) {
    std::uint8_t* slab = nullptr;
    {
      const std::lock_guard lock(mutex_);
      slab = take();
      if (slab == nullptr) {
        waiter->done = std::move(done);
        waiters_.push_back(waiter);
        return;
      }
    }
    done(wrap(slab));
  };
  Buffer buffer = co_await suspend<Buffer>(park);
  if (!buffer) co_return fail(Errc::overloaded, "no buffer became free in time");
  co_return buffer;
}

void BufferPool::expire(const std::shared_ptr<Waiter>& waiter) {
  {
    const std::lock_guard lock(mutex_);
    const auto place = std::find(waiters_.begin(), waiters_.end(), waiter);
    if (place == waiters_.end()) return;  // it got a slab a moment ago
    waiters_.erase(place);
  }
  waiter->done(Buffer());
}

void BufferPool::release(std::uint8_t* slab) noexcept {
  std::shared_ptr<Waiter> next;
  {
    const std::lock_guard lock(mutex_);
    if (waiters_.empty()) {
      warm_.push_back(slab);
      --in_use_;
      return;
    }
    next = std::move(waiters_.front());
    waiters_.pop_front();
  }
  next->done(
      wrap(slab));  // a handle, so that nothing is lost when the waiting coroutine is destroyed instead
}

void BufferPool::trim() noexcept {
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    const std::size_t spare = warm_.size() > keep_slabs_ ? warm_.size() - keep_slabs_ : 0;
    count = std::min(spare, idle_warm_);
  }
  for (; count > 0;
       --count) {  // one at a time: giving back 2 MiB takes a while, and a slab must never be in neither list
    const std::lock_guard lock(mutex_);
    if (warm_.size() <= keep_slabs_) break;
    std::uint8_t* slab = warm_.front();  // idle longest
    warm_.erase(warm_.begin());
    ::madvise(slab, slab_bytes_, MADV_DONTNEED);
    cold_.push_back(slab);
  }
  const std::lock_guard lock(mutex_);
  idle_warm_ = warm_.size();
}

void BufferPool::drop_waiters() noexcept {
  std::deque<std::shared_ptr<Waiter>> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(waiters_);
  }
  // The timer's callback in the coroutine's frame shares the waiter: only dropping the completion itself
  // breaks the ring.
  for (const auto& waiter : dropped) waiter->done = Completion<Buffer>();
}

std::size_t BufferPool::in_use() const noexcept {
  const std::lock_guard lock(mutex_);
  return in_use_;
}

std::size_t BufferPool::resident() const noexcept {
  const std::lock_guard lock(mutex_);
  return in_use_ + warm_.size();
}

}  // namespace ostraka
