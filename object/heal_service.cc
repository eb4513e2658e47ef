#include "object/heal_service.h"

#include <atomic>
#include <utility>

#include "object/heal_core.h"
#include "object/heal_queue_drain.h"
#include "object/heal_runs.h"
#include "object/limits.h"
#include "object/refiller.h"

namespace ostraka::object {

struct HealService::Impl {
  explicit Impl(HealDeps deps)
      : core(std::move(deps)),
        queue(core),
        refiller(core),
        runs(core),
        pace(core.now(), HealCore::greatest_width(core.deps.shards)),
        in_flight(core.deps.metrics.gauge("ostraka_heal_in_flight", "Keys being healed now.")) {}

  static Task<> run_queue(Impl* self) { co_await self->queue.run(); }
  static Task<> run_refiller(Impl* self) { co_await self->refiller.run(); }
  static Task<> keep_pace(Impl* self);
  static Task<> stop(Impl* self);

  HealCore core;
  HealQueueDrain queue;
  Refiller refiller;
  HealRuns runs;
  HealPace pace;
  Gauge& in_flight;
  std::atomic<HealPriority> priority{HealPriority::normal};
  std::atomic<double> width{0};
  std::atomic<unsigned> busy{0};
};

Task<> HealService::Impl::keep_pace(Impl* self) {
  HealCore& core = self->core;
  TimePoint publish_at = core.now();
  while (!core.stop.stopping()) {
    const bool wanted = core.lanes.wanted();
    const ClientLoad load = core.deps.clients ? core.deps.clients() : ClientLoad();
    self->pace.set_priority(self->priority.load(std::memory_order_relaxed));
    const double width = self->pace.tick(core.now(), load, core.journal.work(), wanted);
    if (width != core.lanes.width()) core.lanes.set_width(width);
    self->width.store(width, std::memory_order_relaxed);
    self->busy.store(core.lanes.in_flight(), std::memory_order_relaxed);
    self->in_flight.set(core.lanes.in_flight());
    if (core.now() >= publish_at) {
      self->refiller.publish();
      publish_at = core.now() + kHealPoll;
    }
    const Duration pause = wanted ? kPaceTick : kHealPoll / 2;
    co_await core.stop.wait(core.now() + pause);
  }
}

Task<> HealService::Impl::stop(Impl* self) {
  self->core.stop.stop();
  self->core.lanes.stop();
  self->core.end_heals();
  co_return;
}

HealService::HealService(HealDeps deps) : impl_(std::make_unique<Impl>(std::move(deps))) {}

HealService::~HealService() = default;

void HealService::start() {
  Impl* self = impl_.get();
  const auto executor = self->core.home.executor();
  self->core.gate.spawn(executor, Impl::keep_pace(self));
  self->core.gate.spawn(executor, Impl::run_queue(self));
  self->core.gate.spawn(executor, Impl::run_refiller(self));
}

Task<> HealService::close() {
  Impl* self = impl_.get();
  self->runs.stop();
  self->core.gate.spawn(self->core.home.executor(), Impl::stop(self));
  co_await self->core.gate.close();
  co_await self->core.heals.close();
}

Result<std::uint64_t> HealService::start_run(HealRunSpec spec) {
  return impl_->runs.start(std::move(spec));
}

Result<> HealService::cancel_run(std::uint64_t id) {
  return impl_->runs.cancel(id);
}

Result<HealRunStatus> HealService::run(std::uint64_t id) const {
  TRY(status, impl_->runs.get(id));
  impl_->core.fill_names(status.named);
  return status;
}

Task<Result<erasure::HealReport>> HealService::heal(Ctx& ctx, disk::ObjectRef ref, erasure::HealSpec spec,
                                                    HealCause cause) {
  auto healing = impl_->core.heal_here(ctx, std::move(ref), spec, cause);
  Result<erasure::HealReport> report = co_await std::move(healing);
  co_return report;
}

void HealService::set_priority(HealPriority priority) {
  impl_->priority.store(priority, std::memory_order_relaxed);
}

HealStatus HealService::status() const {
  HealStatus out;
  out.priority = impl_->priority.load(std::memory_order_relaxed);
  out.width = impl_->width.load(std::memory_order_relaxed);
  out.in_flight = impl_->busy.load(std::memory_order_relaxed);
  out.queue = impl_->queue.status();
  out.refills = impl_->refiller.status();
  const auto names = impl_->core.bucket_names();
  for (RefillStatus& refill : out.refills) {
    for (BucketProgress& bucket : refill.buckets)
      if (const auto name = names.find(bucket.bucket); name != names.end()) bucket.bucket_name = name->second;
  }
  out.runs = impl_->runs.status();
  out.totals = impl_->core.journal.totals();
  out.recent = impl_->core.journal.recent();
  impl_->core.fill_names(out.recent);
  return out;
}

std::vector<HealedKey> HealService::history(BucketId bucket, std::string_view key) const {
  std::vector<HealedKey> out = impl_->core.journal.history(bucket, key);
  impl_->core.fill_names(out);
  return out;
}

}  // namespace ostraka::object
