#include "runtime/gate.h"

#include <boost/asio/co_spawn.hpp>
#include <exception>

#include "base/check.h"
#include "base/log.h"

namespace ostraka {
namespace {

[[noreturn]] void die_of(const std::exception_ptr& exception) noexcept {
  try {
    std::rethrow_exception(exception);
  } catch (const std::exception& e) {
    log::error("an exception left a spawned task what={}", e.what());
  } catch (...) {
    log::error("an exception left a spawned task");
  }
  std::terminate();
}

}  // namespace

Gate::~Gate() {
  CHECK(inside_ == 0);
}

bool Gate::spawn(IoExecutor executor, Task<> task) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    ++inside_;
  }
  boost::asio::co_spawn(executor, std::move(task), [this](const std::exception_ptr& exception) {
    if (exception) die_of(exception);
    leave();
  });
  return true;
}

void Gate::leave() noexcept {
  Completion<bool> closer;
  {
    const std::lock_guard lock(mutex_);
    CHECK(inside_ > 0);
    if (--inside_ == 0 && closed_) closer = std::move(closer_);
  }
  // The gate may be gone as soon as the closer goes on.
  if (closer) closer(true);
}

void Gate::shut() noexcept {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

Task<> Gate::close() {
  auto park = [this](Completion<bool> done) {
    {
      const std::lock_guard lock(mutex_);
      CHECK(!closer_);
      closed_ = true;
      if (inside_ > 0) {
        closer_ = std::move(done);
        return;
      }
    }
    done(true);
  };
  co_await suspend<bool>(park);
}

std::size_t Gate::inside() const noexcept {
  const std::lock_guard lock(mutex_);
  return inside_;
}

}  // namespace ostraka
