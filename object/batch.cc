#include "object/batch.h"

#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::object {

namespace {

Task<bool> work(std::shared_ptr<Batch> batch, std::shared_ptr<std::size_t> next) {
  while (*next < batch->size()) {
    const std::size_t index = (*next)++;
    co_await batch->run(index);
  }
  co_return true;
}

}  // namespace

Task<bool> run_batch(Ctx& ctx, Gate& gate, std::shared_ptr<Batch> batch, std::size_t width) {
  const std::size_t workers = std::min(width, batch->size());
  auto fan = std::make_shared<FanOut<bool>>(workers);
  auto next = std::make_shared<std::size_t>(0);
  bool started = workers == 0;
  for (std::size_t slot = 0; slot < workers; ++slot)
    started = fan->start(ctx.shard.executor(), gate, slot, work(batch, next)) || started;
  // Each job keeps to its own deadline.
  co_await fan->wait_all(ctx.shard.clock(), kNoDeadline);
  co_return started;
}

}  // namespace ostraka::object
