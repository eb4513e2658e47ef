#include "cluster/byte_budget.h"

namespace ostraka::cluster {

Task<Result<ByteBudget::Held>> ByteBudget::take(Clock& clock, TimePoint deadline, std::size_t bytes) {
  if (bytes == 0 || (line_.empty() && free_ >= bytes)) {
    free_ -= bytes;
    co_return Held(*this, bytes);
  }
  Waiter waiter(bytes);
  line_.push_back(waiter);
  co_await waiter.changed.wait_until(clock, deadline);
  if (waiter.granted) co_return Held(*this, bytes);
  waiter.unlink();
  grant();  // those behind may want less
  co_return fail(Errc::overloaded, "no memory was free in time for a peer call");
}

void ByteBudget::give_back(std::size_t bytes) noexcept {
  free_ += bytes;
  grant();
}

void ByteBudget::grant() noexcept {
  while (!line_.empty() && line_.front().bytes <= free_) {
    Waiter& first = line_.front();
    first.unlink();
    free_ -= first.bytes;
    first.granted = true;
    first.changed.set();
  }
}

}  // namespace ostraka::cluster
