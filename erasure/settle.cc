#include "erasure/settle.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "base/sabotage.h"
#include "erasure/drive_round.h"
#include "erasure/limits.h"
#include "erasure/version_push.h"

namespace ostraka::erasure {
namespace {

using FenceRound = DriveRound<Result<disk::FenceAnswer>>;
using WithdrawRound = DriveRound<Result<disk::Verdict>>;

struct FenceCount {
  unsigned answered = 0;
  unsigned has = 0;   // hold it
  unsigned lack = 0;  // fenced it, and can vouch that they never had it
  VersionId final_id;
};

FenceCount count_fences(const FenceRound::Answers& answers, const disk::HeldVersion& version) {
  FenceCount out;
  for (const auto& answer : answers) {
    if (!answer || !*answer) continue;
    ++out.answered;
    out.final_id = std::max(out.final_id, (**answer).final_id);
    if ((**answer).has) {
      ++out.has;
    } else if (version.epoch >= (**answer).birth) {
      ++out.lack;
    }
  }
  return out;
}

// All drives have answered, and what a lost one knew will never be heard: keep the version, since it can be
// rebuilt.
Task<bool> heal_over_fences(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref,
                            const disk::HeldVersion& version, std::vector<std::uint8_t> holders,
                            TimePoint commit_by, BringVersion bring) {
  auto record = disk::decode_version_record(as_bytes(*version.record));
  if (!record) co_return false;
  PushSpec push;
  push.mode = disk::CommitMode::heal;
  push.record = std::make_shared<const disk::VersionRecord>(std::move(*record));
  push.encoded = version.record;
  push.commit_by = commit_by;
  push.holders = std::move(holders);
  // to the holders too: another one who settles it may have withdrawn it there meanwhile
  for (unsigned slot = 0; slot < core->size(); ++slot)
    push.targets.push_back(static_cast<std::uint8_t>(slot));
  const unsigned need = version.write_quorum;
  const std::vector<std::uint8_t> took = co_await bring(core, ctx, ref, std::move(push), need);
  co_return took.size() >= version.write_quorum;
}

}  // namespace

Task<Settled> settle(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref, disk::HeldVersion version,
                     BringVersion bring) {
  const unsigned n = core->size();
  const unsigned w = version.write_quorum;
  Ctx changing = core->changing(ctx);
  const TimePoint commit_by = deadline_after(core->context.clock.now(), kLongestCall);
  const TimePoint patience = std::min(changing.deadline, core->context.clock.now() + kSettleWait);

  FenceRound fences(core, ctx, n);
  for (unsigned slot = 0; slot < n; ++slot)
    fences.start(slot, call_fence(core, slot, changing, ref, version.id));
  const std::function<bool()> counted = [&] {
    const FenceCount count = count_fences(fences.answers(), version);
    return count.final_id >= version.id || count.has >= w || n - count.lack < w;
  };
  co_await fences.wait(patience, counted);
  const FenceCount count = count_fences(fences.answers(), version);
  if (count.final_id > version.id) co_return Settled::doubt;  // whatever it was, it is history
  if (count.final_id == version.id || count.has >= w) {
    core->metrics.settled_kept.add();
    co_return Settled::kept;
  }
  if (n - count.lack >= w && !sabotaged(Sabotage::withdraw)) {  // it may be committed
    if (count.answered < n || sabotaged(Sabotage::decree)) co_return Settled::doubt;
    if (count.has >= version.data_shards) {
      std::vector<std::uint8_t> holders;
      for (unsigned slot = 0; slot < n; ++slot)
        if ((**fences.answers()[slot]).has) holders.push_back(static_cast<std::uint8_t>(slot));
      const bool healed =
          co_await heal_over_fences(core, ctx, ref, version, std::move(holders), commit_by, bring);
      if (!healed) co_return Settled::doubt;
      core->metrics.settled_kept.add();
      co_return Settled::kept;
    }
    log::error("a version that may have been committed cannot be rebuilt and is withdrawn key={} version={}",
               ref.key, to_string(version.id));
  }

  WithdrawRound withdrawals(core, ctx, n);
  for (unsigned slot = 0; slot < n; ++slot)
    withdrawals.start(slot, call_withdraw(core, slot, changing, ref, version.id));
  // how many drives may still hold it
  const auto may_hold = [&] {
    unsigned may = 0;
    for (unsigned slot = 0; slot < n; ++slot) {
      const auto& fenced = fences.answers()[slot];
      if (fenced && *fenced && !(**fenced).has) continue;
      const auto& withdrawn = withdrawals.answers()[slot];
      const bool ok = withdrawn && *withdrawn && **withdrawn == disk::Verdict::ok;
      may += ok ? 0U : 1U;
    }
    return may;
  };
  const std::function<bool()> nearly_all = [&] {
    return may_hold() < version.data_shards && !withdrawals.waiting_for_healthy();
  };
  co_await withdrawals.wait(patience, nearly_all);
  if (may_hold() >= version.data_shards && !sabotaged(Sabotage::certain)) co_return Settled::doubt;
  core->metrics.settled_gone.add();
  co_return Settled::gone;
}

}  // namespace ostraka::erasure
