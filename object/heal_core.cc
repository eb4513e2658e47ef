#include "object/heal_core.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/check.h"
#include "object/limits.h"

namespace ostraka::object {

HealCore::HealCore(HealDeps heal_deps)
    : deps(std::move(heal_deps)),
      home(*deps.shards.at(0)),
      stop(deps.clock),
      lanes(deps.clock, stop, greatest_width(deps.shards)),
      journal(deps.metrics),
      on_shards_(deps.shards.size()) {}

double HealCore::greatest_width(const std::vector<Shard*>& shards) {
  std::size_t slabs = 0;
  for (Shard* shard : shards) slabs += shard->buffers().max_slabs();
  return static_cast<double>(std::clamp<std::size_t>(slabs / kSlabsPerHeal, 1, kMaxHealWidth));
}

Ctx HealCore::ctx(std::string name) const {
  return Ctx{home, deadline_after(now(), kHealCallTime), std::move(name)};
}

Task<Result<erasure::HealReport>> HealCore::heal_on(std::size_t shard, disk::ObjectRef ref,
                                                    erasure::HealSpec spec, HealCause cause,
                                                    erasure::KeyLookPtr ahead) {
  OnShard& here = on_shards_[shard];
  Ctx ctx{*deps.shards[shard], deadline_after(now(), kHealTime), "heal"};
  if (here.ended) co_return fail(Errc::closed, "the server is stopping");
  here.healing.insert(&ctx);
  auto healing = heal_here(ctx, std::move(ref), spec, cause, std::move(ahead));
  Result<erasure::HealReport> report = co_await std::move(healing);
  here.healing.erase(&ctx);
  co_return report;
}

Task<HealCore::PlainReports> HealCore::heal_plain_on(std::size_t shard, std::vector<erasure::PlainKey> keys,
                                                     HealCause cause) {
  OnShard& here = on_shards_[shard];
  Ctx ctx{*deps.shards[shard], deadline_after(now(), kHealCallTime), "heal"};
  if (here.ended) co_return PlainReports(keys.size());
  std::vector<disk::ObjectRef> refs;
  refs.reserve(keys.size());
  for (const erasure::PlainKey& key : keys) refs.push_back(key.ref);
  auto healing = erasure::heal_plain(ctx, std::move(keys));
  PlainReports reports = co_await std::move(healing);
  for (std::size_t i = 0; i < reports.size(); ++i) {
    if (!reports[i]) continue;
    Result<erasure::HealReport> report = std::move(*reports[i]);
    note(refs[i], cause, false, report);
    reports[i] = std::move(*report);
  }
  co_return reports;
}

Task<> HealCore::heal_plain_there(HealCore* core, std::size_t shard, std::vector<erasure::PlainKey> keys,
                                  HealCause cause, Completion<PlainReports> done) {
  auto healing = core->heal_plain_on(shard, std::move(keys), cause);
  PlainReports reports = co_await std::move(healing);
  done(std::move(reports));
}

Task<HealCore::PlainReports> HealCore::heal_plain_in_turn(std::vector<erasure::PlainKey> keys,
                                                          HealCause cause) {
  const std::size_t shard = turn_++ % deps.shards.size();
  if (deps.shards[shard] == &home) {
    auto healing = heal_plain_on(shard, std::move(keys), cause);
    PlainReports reports = co_await std::move(healing);
    co_return reports;
  }
  auto start = [this, shard, keys = std::move(keys), cause](Completion<PlainReports> done) mutable {
    const bool started = heals.spawn(deps.shards[shard]->executor(),
                                     heal_plain_there(this, shard, std::move(keys), cause, std::move(done)));
    CHECK(started);  // closed only after all that could come here
  };
  PlainReports reports = co_await suspend<PlainReports>(std::move(start));
  co_return reports;
}

Task<> HealCore::end_on(HealCore* core, std::size_t shard) {
  OnShard& here = core->on_shards_[shard];
  here.ended = true;
  for (Ctx* ctx : here.healing) ctx->deadline = core->now();
  co_return;
}

void HealCore::end_heals() {
  for (std::size_t i = 0; i < deps.shards.size(); ++i)
    heals.spawn(deps.shards[i]->executor(), end_on(this, i));
}

Task<> HealCore::heal_there(HealCore* core, std::size_t shard, disk::ObjectRef ref, erasure::HealSpec spec,
                            HealCause cause, erasure::KeyLookPtr ahead,
                            Completion<Result<erasure::HealReport>> done) {
  auto healing = core->heal_on(shard, std::move(ref), spec, cause, std::move(ahead));
  Result<erasure::HealReport> report = co_await std::move(healing);
  done(std::move(report));
}

Task<Result<erasure::HealReport>> HealCore::heal_in_turn(disk::ObjectRef ref, erasure::HealSpec spec,
                                                         HealCause cause, erasure::KeyLookPtr ahead) {
  const std::size_t shard = turn_++ % deps.shards.size();
  if (deps.shards[shard] == &home) {
    auto healing = heal_on(shard, std::move(ref), spec, cause, std::move(ahead));
    Result<erasure::HealReport> report = co_await std::move(healing);
    co_return report;
  }
  auto start = [this, shard, ref = std::move(ref), spec, cause,
                ahead = std::move(ahead)](Completion<Result<erasure::HealReport>> done) mutable {
    const bool started =
        heals.spawn(deps.shards[shard]->executor(),
                    heal_there(this, shard, std::move(ref), spec, cause, std::move(ahead), std::move(done)));
    CHECK(started);  // closed only after all that could come here
  };
  Result<erasure::HealReport> report = co_await suspend<Result<erasure::HealReport>>(std::move(start));
  co_return report;
}

Task<Result<erasure::HealReport>> HealCore::heal_here(Ctx& here, disk::ObjectRef ref, erasure::HealSpec spec,
                                                      HealCause cause, erasure::KeyLookPtr ahead) {
  erasure::ErasureSet& set = deps.sets.of(ref);
  auto healing = set.heal(here, ref, spec, std::move(ahead));
  Result<erasure::HealReport> report = co_await std::move(healing);
  note(ref, cause, spec.dry_run, report);
  co_return report;
}

void HealCore::note(const disk::ObjectRef& ref, HealCause cause, bool dry_run,
                    const Result<erasure::HealReport>& report) {
  std::optional<HealedKey> entry;
  if (HealJournal::remembers(cause, dry_run, report)) entry = describe_key(ref, cause, dry_run, report);
  journal.note(std::move(entry), dry_run, report);
}

HealedKey HealCore::describe_key(const disk::ObjectRef& ref, HealCause cause, bool dry_run,
                                 const Result<erasure::HealReport>& report) const {
  return describe(ref, deps.sets.of(ref).drives(), cause, dry_run, deps.clock.unix_ms(), report);
}

std::map<BucketId, std::string> HealCore::bucket_names() const {
  std::map<BucketId, std::string> out;
  for (const BucketInfo& bucket : deps.buckets.list()) out.emplace(bucket.id, bucket.name.get());
  return out;
}

void HealCore::fill_names(std::vector<HealedKey>& keys) const {
  if (keys.empty()) return;
  const auto names = bucket_names();
  for (HealedKey& key : keys)
    if (const auto name = names.find(key.bucket); name != names.end()) key.bucket_name = name->second;
}

}  // namespace ostraka::object
