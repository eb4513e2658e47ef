#include "runtime/md5_queue.h"

namespace ostraka {

Task<> Md5Queue::update(Md5& message, ByteSpan slice) {
  if (slice.size() < kLeastShared) {
    message.update(slice, kernel_);
    co_return;
  }
  Waiting self(message, slice);
  waiting_.push_back(self);
  // Without vector instructions there is nothing to wait for, and all slices in one turn would take too long.
  const std::size_t lanes = kernel_ == Md5Kernel::scalar ? 1 : kMd5Lanes;
  if (waiting_.size() >= lanes) hash_all();
  const IoExecutor executor = co_await boost::asio::this_coro::executor;
  // Twice: the loop looks at the sockets between the first and the second, and runs what they have ready.
  co_await boost::asio::post(executor, kAwait);
  co_await boost::asio::post(executor, kAwait);
  if (self.is_linked()) hash_all();
}

void Md5Queue::hash_all() {
  Md5Batch batch;
  for (Waiting& each : waiting_) batch.add(each.message, each.slice);
  waiting_.clear();
  batch.run(kernel_);
}

}  // namespace ostraka
