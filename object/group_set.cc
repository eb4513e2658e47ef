#include "object/group_set.h"

#include <algorithm>
#include <utility>

#include "erasure/commit_coordinator.h"
#include "erasure/set_core.h"
#include "erasure/settle.h"
#include "object/limits.h"
#include "object/staged_body.h"

namespace ostraka::object {

using erasure::ErasureSet;

namespace {

// Its shards lie on drives of which too few have told: one is on its way with its slot.
bool lacks_shards(const erasure::Elected& elected) {
  if (elected.record->inline_data || elected.record->size == 0) return false;
  const auto unknown = std::count(elected.shard_on.begin(), elected.shard_on.end(), std::uint8_t{0xff});
  return elected.shard_on.size() < elected.record->data_shards + static_cast<std::size_t>(unknown);
}

bool has_files(const std::optional<erasure::StagedBody>& body) {
  return body && !body->data.is_nil();
}

}  // namespace

// The tries of one call.
class GroupSet::Tries {
 public:
  // need: so many drives in service, or there is no use in waiting; 0: as many as a write needs.
  explicit Tries(const GroupSet& group, unsigned need = 0) : group_(group), set_(group.now()), need_(need) {}
  ErasureSet& set() const noexcept { return *set_; }
  std::shared_ptr<erasure::SetCore> core() const { return set_->core(); }

  // After a call that was not carried out: whether to try it again, with the set of now.
  Task<bool> again(const Ctx& ctx, const Error& error) {
    if (error.code != Errc::unavailable) co_return false;
    if (take_newer()) co_return true;
    if (!group_.moving() || !enough_in_service()) co_return false;
    const bool patient = co_await pause(ctx);
    take_newer();
    co_return patient;
  }

  // A slot is on its way, or has moved since the last try.
  bool under_way() const { return group_.moving() || group_.now() != set_; }

  // What comes now is another matter: with patience of its own.
  void begin_anew() noexcept { until_.reset(); }

  // What became of a write that ended in doubt.
  Task<erasure::Settled> decide(Ctx& ctx, disk::ObjectRef ref, disk::HeldVersion version) {
    for (;;) {
      take_newer();
      const auto core = set_->core();
      const disk::ObjectRef asked = core->stamped(ref);
      const erasure::Settled settled = co_await erasure::settle(core, ctx, asked, version);
      if (settled != erasure::Settled::doubt || !enough_in_service()) co_return settled;
      if (!under_way()) co_return settled;
      const bool patient = co_await pause(ctx);
      if (!patient) co_return settled;
    }
  }

 private:
  // False: patience is at its end.
  Task<bool> pause(const Ctx& ctx) {
    Clock& clock = set_->core()->context.clock;
    const TimePoint now = clock.now();
    if (!until_) until_ = std::min(ctx.deadline, now + kMovePatience);
    if (now + kMovePause >= *until_) co_return false;
    co_await sleep_for(clock, kMovePause);
    co_return true;
  }

  bool take_newer() {
    SetPtr now = group_.now();
    if (now == set_) return false;
    set_ = std::move(now);
    return true;
  }

  // A slot on its way is one of a drive in service: where more is lacking, waiting is of no use.
  bool enough_in_service() const {
    const auto core = set_->core();
    const unsigned need = need_ > 0 ? need_ : core->write_quorum;
    return core->online() >= std::max<unsigned>(need, core->read_quorum);
  }

  const GroupSet& group_;
  SetPtr set_;
  const unsigned need_;
  std::optional<TimePoint> until_;
};

// Reads on where it stands when a slot has moved, or moves, under it.
class GroupSet::Reader final : public erasure::BodyReader {
 public:
  Reader(const GroupSet& group, disk::ObjectRef ref, std::shared_ptr<const erasure::Elected> elected,
         ByteRange range)
      : tries_(group, elected->record->data_shards),
        ref_(std::move(ref)),
        first_(elected),
        elected_(std::move(elected)),
        left_(range) {}
  Result<> open() {
    TRY(reader, tries_.set().open(ref_, elected_, left_));
    reader_ = std::move(reader);
    return {};
  }

  Task<Result<BufferChain>> next(Ctx& ctx) override {
    for (;;) {
      Result<BufferChain> piece = co_await reader_->next(ctx);
      if (piece) {
        for (const Slice& slice : *piece) left_.begin += slice.bytes.size();
        tries_.begin_anew();
        co_return piece;
      }
      const bool again = co_await tries_.again(ctx, piece.error());
      if (!again) co_return piece;
      // On the drives of now. Those that were asked when it was elected were asked first: they keep its files
      // for as long as it is read.
      auto moved = std::make_shared<erasure::Elected>(*first_);
      moved->core = tries_.core();
      elected_ = std::move(moved);
      CO_TRY_VOID(open());
    }
  }

 private:
  Tries tries_;
  const disk::ObjectRef ref_;
  const std::shared_ptr<const erasure::Elected> first_;
  std::shared_ptr<const erasure::Elected> elected_;
  ByteRange left_;
  std::unique_ptr<erasure::BodyReader> reader_;
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
  set_lacking({});
}

TimePoint GroupSet::lacking() const noexcept {
  return TimePoint(Duration(lacking_.load(std::memory_order_relaxed)));
}

void GroupSet::set_lacking(TimePoint since) noexcept {
  lacking_.store(since.time_since_epoch().count(), std::memory_order_relaxed);
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

Task<Result<erasure::Written>> GroupSet::write(Ctx& ctx, erasure::WriteSpec spec) {
  Tries tries(*this);
  const bool staged = has_files(spec.body);
  const bool tombstone = spec.record.kind == disk::RecordKind::tombstone;
  Clock& clock = tries.core()->context.clock;
  erasure::purge_due_tombstones(tries.core(), ctx);
  spec.keeps_body = staged;
  // Where nothing moves, the first try asks no more drives than it must. So a staged body is lost where a
  // move begins and seals a slot between this look and the commit: an error for the client, and nothing else.
  bool moves = moving() || (staged && spec.body->core && spec.body->core != tries.core());
  for (;; moves = true) {
    if (staged && moves) co_await follow_slots(ctx, *spec.body, tries.core());
    const TimePoint since = lacking();
    spec.slot_moves = staged && moves;
    spec.whole = moves && !tombstone && (since == TimePoint{} || clock.now() < since + kMoveSpare);
    const auto doubt = std::make_shared<erasure::Doubt>();
    spec.doubt = doubt;
    Result<erasure::Written> written = co_await erasure::write_version(tries.core(), ctx, spec);
    if (spec.whole && doubt->begun) set_lacking({});
    if (written) co_return written;
    bool again = false;
    if (spec.whole && !doubt->begun && written.failed_with(Errc::unavailable) && lacking() == TimePoint{})
      set_lacking(clock.now());
    if (written.failed_with(Errc::in_doubt)) {
      if (!moves && !tries.under_way()) co_return written;
      const erasure::Settled settled = co_await tries.decide(ctx, spec.ref, doubt->version);
      if (settled == erasure::Settled::kept) {
        erasure::Written done;
        done.record = doubt->record;
        done.replaced = doubt->replaced;
        co_return done;
      }
      again = settled == erasure::Settled::gone && !staged;
    } else if (!staged || !doubt->begun) {
      again = co_await tries.again(ctx, written.error());
    }
    if (again) continue;
    if (staged && !doubt->begun) {
      const auto stager = spec.body->core ? spec.body->core : tries.core();
      erasure::discard_body(stager, ctx, spec.body->data);
    }
    co_return written;
  }
}

Task<Result<erasure::Committed>> GroupSet::commit(Ctx& ctx, erasure::CommitSpec spec) {
  erasure::WriteSpec write_spec = erasure::write_of(std::move(spec));
  CO_TRY(written, co_await write(ctx, std::move(write_spec)));
  erasure::Committed committed;
  committed.record = *written.record;
  committed.replaced = std::move(written.replaced);
  co_return committed;
}

Task<Result<std::shared_ptr<const disk::VersionRecord>>> GroupSet::erase(Ctx& ctx, disk::ObjectRef ref,
                                                                         bool conditional,
                                                                         erasure::Precondition precondition) {
  const std::int64_t now_ms = now()->core()->context.clock.unix_ms();
  erasure::WriteSpec write_spec =
      erasure::write_of_tombstone(std::move(ref), conditional, std::move(precondition), now_ms);
  CO_TRY(written, co_await write(ctx, std::move(write_spec)));
  co_return std::move(written.replaced);
}

Task<Result<erasure::Elected>> GroupSet::read(Ctx& ctx, disk::ObjectRef ref, bool with_inline) {
  Tries tries(*this);
  for (;;) {
    Result<erasure::Elected> elected = co_await tries.set().read(ctx, ref, with_inline);
    const bool waits = elected && with_inline && moving() && lacks_shards(*elected);
    if (elected && !waits) co_return elected;
    const Error why = elected ? Error{Errc::unavailable, "too few drives have a shard"} : elected.error();
    const bool again = co_await tries.again(ctx, why);
    if (!again) co_return elected;
  }
}

Result<std::unique_ptr<erasure::BodyReader>> GroupSet::open(disk::ObjectRef ref,
                                                            std::shared_ptr<const erasure::Elected> elected,
                                                            ByteRange range) {
  auto reader = std::make_unique<Reader>(*this, std::move(ref), std::move(elected), range);
  TRY_VOID(reader->open());
  return reader;
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
