#include "cluster/local_lock_service.h"

#include <algorithm>
#include <utility>

#include "runtime/clock.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

// In the line exactly as long as it has been given neither the lease nor up. Owned by the line alone, so that
// the coroutine, which owns the timer, is not kept alive by itself.
struct LocalLockService::Waiter {
  Completion<std::unique_ptr<control::Lease>> done;
};

class LocalLockService::HeldLease final : public control::Lease {
 public:
  HeldLease(LocalLockService& service, std::string name) : service_(service), name_(std::move(name)) {}
  HeldLease(const HeldLease&) = delete;
  HeldLease& operator=(const HeldLease&) = delete;
  ~HeldLease() override { service_.release(name_); }

 private:
  LocalLockService& service_;
  const std::string name_;
};

LocalLockService::~LocalLockService() = default;

bool LocalLockService::try_acquire(const std::string& name) {
  Stripe& stripe = stripe_of(name);
  const std::lock_guard lock(stripe.mutex);
  return stripe.held.try_emplace(name).second;
}

Task<Result<std::unique_ptr<control::Lease>>> LocalLockService::acquire(Ctx& ctx, std::string name) {
  if (try_acquire(name)) co_return std::make_unique<HeldLease>(*this, std::move(name));
  Clock& clock = ctx.shard.clock();
  if (ctx.deadline <= clock.now()) co_return fail(Errc::deadline, "waiting for the commit lease");
  std::weak_ptr<Waiter> waiting;
  auto park = [this, &name, &waiting](Completion<std::unique_ptr<control::Lease>> done) {
    Stripe& stripe = stripe_of(name);
    {
      const std::lock_guard lock(stripe.mutex);
      const auto [entry, was_free] = stripe.held.try_emplace(name);
      if (!was_free) {
        auto waiter = std::make_shared<Waiter>();
        waiter->done = std::move(done);
        waiting = waiter;
        entry->second.push_back(std::move(waiter));
        return;
      }
    }
    done(std::make_unique<HeldLease>(*this, name));
  };
  // Armed before parking, since the coroutine may go on at once then; it fires on this shard, that is, not
  // before the parking is done.
  const auto timer = clock.arm(ctx.shard.executor(), ctx.deadline, [this, &name, &waiting] {
    if (const auto waiter = waiting.lock()) expire(name, waiter);
  });
  std::unique_ptr<control::Lease> lease = co_await suspend<std::unique_ptr<control::Lease>>(park);
  if (!lease) co_return fail(Errc::deadline, "waiting for the commit lease");
  co_return lease;
}

void LocalLockService::expire(const std::string& name, const std::shared_ptr<Waiter>& waiter) {
  Stripe& stripe = stripe_of(name);
  {
    const std::lock_guard lock(stripe.mutex);
    const auto entry = stripe.held.find(name);
    if (entry == stripe.held.end()) return;
    const auto place = std::find(entry->second.begin(), entry->second.end(), waiter);
    if (place == entry->second.end()) return;  // it got the lease a moment ago
    entry->second.erase(place);
  }
  waiter->done(nullptr);
}

void LocalLockService::release(const std::string& name) noexcept {
  Stripe& stripe = stripe_of(name);
  std::shared_ptr<Waiter> next;
  {
    const std::lock_guard lock(stripe.mutex);
    const auto entry = stripe.held.find(name);
    if (entry->second.empty()) {
      stripe.held.erase(entry);
      return;
    }
    next = std::move(entry->second.front());
    entry->second.pop_front();
  }
  // a lease, so that nothing is lost when the waiting coroutine is destroyed instead
  next->done(std::make_unique<HeldLease>(*this, name));
}

std::size_t LocalLockService::held() const {
  std::size_t count = 0;
  for (const Stripe& stripe : stripes_) {
    const std::lock_guard lock(stripe.mutex);
    count += stripe.held.size();
  }
  return count;
}

}  // namespace ostraka::cluster
