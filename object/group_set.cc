#include "object/group_set.h"

#include <algorithm>
#include <utility>

#include "erasure/set_core.h"
#include "object/limits.h"

namespace ostraka::object {

using erasure::ErasureSet;

// The tries of one call.
class GroupSet::Tries {
 public:
  explicit Tries(const GroupSet& group) : group_(group), set_(group.now()) {}
  ErasureSet& set() const noexcept { return *set_; }

  // After a call that was not carried out: whether to try it again, with the set of now.
  Task<bool> again(const Ctx& ctx, const Error& error) {
    if (error.code != Errc::unavailable) co_return false;
    if (take_newer()) co_return true;
    if (!group_.moving() || !enough_in_service()) co_return false;
    Clock& clock = set_->core()->context.clock;
    const TimePoint now = clock.now();
    if (!until_) until_ = std::min(ctx.deadline, now + kMovePatience);
    if (now + kMovePause >= *until_) co_return false;
    co_await sleep_for(clock, kMovePause);
    take_newer();
    co_return true;
  }

 private:
  bool take_newer() {
    SetPtr now = group_.now();
    if (now == set_) return false;
    set_ = std::move(now);
    return true;
  }

  // A slot on its way is one of a drive in service: where more is lacking, waiting is of no use.
  bool enough_in_service() const {
    const auto core = set_->core();
    return core->online() >= std::max(core->write_quorum, core->read_quorum);
  }

  const GroupSet& group_;
  SetPtr set_;
  std::optional<TimePoint> until_;
};

SetPtr GroupSet::now() const {
  const std::lock_guard lock(mutex_);
  return set_;
}

void GroupSet::follow(SetPtr set) {
  const std::lock_guard lock(mutex_);
  if (set == set_) return;
  set->raise_epoch(set_->core()->epoch.load(std::memory_order_relaxed));
  set_ = std::move(set);
}

erasure::Geometry GroupSet::geometry() const noexcept {
  return now()->geometry();
}

Task<Result<std::unique_ptr<erasure::BodyWriter>>> GroupSet::stage(Ctx& ctx, erasure::Geometry geometry,
                                                                   std::uint64_t expected_bytes) {
  return now()->stage(ctx, geometry, expected_bytes);  // what is staged belongs to no group yet
}

erasure::StagedBody GroupSet::encode_inline(erasure::Geometry geometry, ByteSpan data) {
  return now()->encode_inline(geometry, data);
}

void GroupSet::discard(erasure::StagedBody body) {
  now()->discard(std::move(body));
}

Task<Result<erasure::Committed>> GroupSet::commit(Ctx& ctx, erasure::CommitSpec spec) {
  const bool staged = spec.body && !spec.body->data.is_nil();
  if (!moving() || staged) co_return co_await now()->commit(ctx, std::move(spec));
  Tries tries(*this);
  for (;;) {
    erasure::CommitSpec kept = spec;
    Result<erasure::Committed> committed = co_await tries.set().commit(ctx, std::move(kept));
    if (committed) co_return committed;
    const bool again = co_await tries.again(ctx, committed.error());
    if (!again) co_return committed;
  }
}

Task<Result<std::shared_ptr<const disk::VersionRecord>>> GroupSet::erase(Ctx& ctx, disk::ObjectRef ref,
                                                                         bool conditional,
                                                                         erasure::Precondition precondition) {
  Tries tries(*this);
  for (;;) {
    auto erased = co_await tries.set().erase(ctx, ref, conditional, precondition);
    if (erased) co_return erased;
    const bool again = co_await tries.again(ctx, erased.error());
    if (!again) co_return erased;
  }
}

Task<Result<erasure::Elected>> GroupSet::read(Ctx& ctx, disk::ObjectRef ref, bool with_inline) {
  Tries tries(*this);
  for (;;) {
    Result<erasure::Elected> elected = co_await tries.set().read(ctx, ref, with_inline);
    if (elected) co_return elected;
    const bool again = co_await tries.again(ctx, elected.error());
    if (!again) co_return elected;
  }
}

Result<std::unique_ptr<erasure::BodyReader>> GroupSet::open(disk::ObjectRef ref,
                                                            std::shared_ptr<const erasure::Elected> elected,
                                                            ByteRange range) {
  return now()->open(std::move(ref), std::move(elected), range);
}

Task<Result<erasure::HealReport>> GroupSet::heal(Ctx& ctx, disk::ObjectRef ref, erasure::HealSpec spec,
                                                 erasure::KeyLookPtr ahead) {
  // What the drives said before the slot moved holds for it where it is now.
  return now()->heal(ctx, std::move(ref), spec, std::move(ahead));
}

void GroupSet::raise_epoch(std::uint64_t epoch) noexcept {
  const std::lock_guard lock(mutex_);
  set_->raise_epoch(epoch);
}

std::vector<disk::Drive*> GroupSet::drives() const {
  return now()->drives();
}

std::shared_ptr<erasure::SetCore> GroupSet::core() const {
  return now()->core();
}

Task<Result<erasure::SetListPage>> GroupSet::list(Ctx& ctx, disk::ListSpec spec, erasure::KeyReader reader) {
  Tries tries(*this);
  for (;;) {
    Result<erasure::SetListPage> page = co_await tries.set().list(ctx, spec, reader);
    if (page) co_return page;
    const bool again = co_await tries.again(ctx, page.error());
    if (!again) co_return page;
  }
}

}  // namespace ostraka::object
