// HealCore: what the parts of the heal service share. It belongs to the home shard, but for heal_key() and
// the journal, which are thread safe.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "erasure/plain_heal.h"
#include "object/heal_journal.h"
#include "object/heal_lanes.h"
#include "object/heal_service.h"
#include "runtime/gate.h"

namespace ostraka::object {

struct HealCore {
  explicit HealCore(HealDeps heal_deps);

  const HealDeps deps;
  Shard& home;
  Gate gate;   // the loops and their jobs
  Gate heals;  // on other shards: closed after `gate`, since those inside that one wait for them
  HealStop stop;
  HealLanes lanes;
  HealJournal journal;

  TimePoint now() const noexcept { return deps.clock.now(); }
  Ctx ctx(std::string name) const;  // on the home shard, for one call of a drive
  // On whichever shard's turn it is; on the home shard only. Notes it in the journal.
  Task<Result<erasure::HealReport>> heal_in_turn(disk::ObjectRef ref, erasure::HealSpec spec, HealCause cause,
                                                 erasure::KeyLookPtr ahead = {});
  // Of many keys that were looked at together; likewise. By key; none: see erasure::heal_plain().
  Task<std::vector<std::optional<erasure::HealReport>>> heal_plain_in_turn(
      std::vector<erasure::PlainKey> keys, HealCause cause);
  // On ctx.shard, which may be any.
  Task<Result<erasure::HealReport>> heal_here(Ctx& ctx, disk::ObjectRef ref, erasure::HealSpec spec,
                                              HealCause cause, erasure::KeyLookPtr ahead = {});
  // Those that heal_in_turn() began end soon, and so do those that it begins after this. Before the gates are
  // closed.
  void end_heals();
  // Without the bucket's name: fill_names() when somebody wants to know.
  HealedKey describe_key(const disk::ObjectRef& ref, HealCause cause, bool dry_run,
                         const Result<erasure::HealReport>& report) const;
  std::map<BucketId, std::string> bucket_names() const;
  void fill_names(std::vector<HealedKey>& keys) const;
  // Keys at a time, with nobody to yield to: as many as the shards have buffers for.
  static double greatest_width(const std::vector<Shard*>& shards);

 private:
  void note(const disk::ObjectRef& ref, HealCause cause, bool dry_run,
            const Result<erasure::HealReport>& report);
  // Of one shard: touched on that one alone.
  struct OnShard {
    std::set<Ctx*> healing;
    bool ended = false;
  };
  Task<Result<erasure::HealReport>> heal_on(std::size_t shard, disk::ObjectRef ref, erasure::HealSpec spec,
                                            HealCause cause, erasure::KeyLookPtr ahead);
  using PlainReports = std::vector<std::optional<erasure::HealReport>>;
  Task<PlainReports> heal_plain_on(std::size_t shard, std::vector<erasure::PlainKey> keys, HealCause cause);
  static Task<> heal_plain_there(HealCore* core, std::size_t shard, std::vector<erasure::PlainKey> keys,
                                 HealCause cause, Completion<PlainReports> done);
  static Task<> end_on(HealCore* core, std::size_t shard);
  static Task<> heal_there(HealCore* core, std::size_t shard, disk::ObjectRef ref, erasure::HealSpec spec,
                           HealCause cause, erasure::KeyLookPtr ahead,
                           Completion<Result<erasure::HealReport>> done);
  std::size_t turn_ = 0;
  std::vector<OnShard> on_shards_;  // as deps.shards
};

}  // namespace ostraka::object
