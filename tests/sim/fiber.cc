#include "tests/sim/fiber.h"

#include <utility>

#include "base/check.h"

namespace ostraka::sim {
namespace {

constexpr std::size_t kStackBytes = 512U << 10;  // touched only as far as it is used
Fiber* running = nullptr;

}  // namespace

Fiber::Fiber() : stack_(new char[kStackBytes]) {
  CHECK(getcontext(&here_) == 0);
  here_.uc_stack.ss_sp = stack_.get();
  here_.uc_stack.ss_size = kStackBytes;
  here_.uc_link = nullptr;
  makecontext(&here_, &Fiber::main, 0);
}

Fiber::~Fiber() {
  CHECK(!busy());
}

Fiber* Fiber::current() noexcept {
  return running;
}

void Fiber::main() {
  for (;;) {
    Fiber* self = running;
    self->job_();
    self->job_ = nullptr;
    CHECK(swapcontext(&self->here_, &self->back_) == 0);
  }
}

bool Fiber::enter() {
  CHECK(running == nullptr);
  running = this;
  CHECK(swapcontext(&back_, &here_) == 0);
  running = nullptr;
  return !busy();
}

bool Fiber::begin(std::function<void()> job) {
  CHECK(!busy());
  job_ = std::move(job);
  return enter();
}

bool Fiber::go_on() {
  CHECK(busy());
  return enter();
}

void Fiber::stop() {
  Fiber* self = running;
  CHECK(self != nullptr);
  CHECK(swapcontext(&self->here_, &self->back_) == 0);
}

}  // namespace ostraka::sim
