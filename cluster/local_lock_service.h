// Commit leases within one process: a table of names in stripes, each under a mutex of its own. A lease that
// nobody holds is had without suspending; waiters are served in order of arrival and go on on their own
// shard.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "control/lock_service.h"

namespace ostraka::cluster {

// Thread safe. Must outlive its leases. Coroutines that still wait when it goes are destroyed: their
// io_contexts must still be there.
class LocalLockService final : public control::LockService {
 public:
  LocalLockService() = default;
  LocalLockService(const LocalLockService&) = delete;
  LocalLockService& operator=(const LocalLockService&) = delete;
  ~LocalLockService() override;

  Task<Result<std::unique_ptr<control::Lease>>> acquire(Ctx& ctx, std::string name) override;
  std::size_t held() const;  // names that somebody holds

 private:
  class HeldLease;
  struct Waiter;
  using Line = std::deque<std::shared_ptr<Waiter>>;  // who waits for a held name
  struct Stripe {
    mutable std::mutex mutex;
    std::unordered_map<std::string, Line> held;
  };

  Stripe& stripe_of(std::string_view name) noexcept {
    return stripes_[std::hash<std::string_view>()(name) % stripes_.size()];
  }
  bool try_acquire(const std::string& name);
  void release(const std::string& name) noexcept;
  void expire(const std::string& name, const std::shared_ptr<Waiter>& waiter);

  std::array<Stripe, 64> stripes_;
};

}  // namespace ostraka::cluster
