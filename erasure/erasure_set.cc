#include "erasure/erasure_set.h"

#include <utility>

#include "base/check.h"
#include "erasure/body_reader.h"
#include "erasure/body_writer.h"
#include "erasure/commit_coordinator.h"
#include "erasure/healer.h"
#include "erasure/inline_body.h"
#include "erasure/lister.h"
#include "erasure/quorum_read.h"
#include "erasure/set_core.h"
#include "runtime/shard.h"

namespace ostraka::erasure {
namespace {

// Large bodies are read from files, and files live as long as somebody pins them: also those that only a
// reconstruction would need.
void pin_the_others(const SetCore& core, const disk::ObjectRef& ref, const Reading& reading,
                    Elected& elected) {
  const disk::ReadSpec spec;
  for (unsigned slot = 0; slot < core.size(); ++slot) {
    if (reading.answers[slot] || !core.drives[slot]->online()) continue;
    const auto answer = core.drives[slot]->try_read(ref, spec);
    if (!answer || !*answer) continue;
    const disk::HeldVersion* held = (**answer).state.find(elected.record->id);
    if (held == nullptr) continue;
    elected.shard_on[slot] = held->shard_index;
    elected.pins.push_back((**answer).pin);
  }
}

Task<Result<Elected>> read_elected(CorePtr core, Ctx& ctx, disk::ObjectRef ref, bool with_inline) {
  purge_due_tombstones(core, ctx);
  const disk::ObjectRef asked = core->stamped(std::move(ref));
  const Want want = with_inline ? Want::data : Want::metadata;
  CO_TRY(reading, co_await read_newest(core, ctx, asked, want));
  if (reading.outcome == Outcome::unknown)
    co_return fail(Errc::unavailable, fmt::format("{} drives answered and cannot decide", reading.full));
  if (reading.is_absent()) co_return fail(Errc::not_found);
  Elected elected;
  elected.core = core;
  elected.record = reading.record;
  elected.encoded = reading.version.record;
  elected.is_final = reading.is_final;
  elected.inline_shards = std::move(reading.inline_shards);
  elected.shard_on.assign(core->size(), 0xff);
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    const disk::HeldVersion* held = reading.held_by(slot, reading.version.id);
    if (held == nullptr) continue;
    elected.shard_on[slot] = held->shard_index;
    auto& pin = (**reading.answers[slot]).pin;
    if (pin) elected.pins.push_back(std::move(pin));
  }
  if (with_inline && !elected.record->inline_data && elected.record->size > 0)
    pin_the_others(*core, asked, reading, elected);
  co_return elected;
}

// Where the slot has gone to another drive since, the staged file was left behind.
void forget_what_stayed(const SetCore& core, StagedBody& body) {
  if (!body.core || body.core.get() == &core) return;
  for (unsigned slot = 0; slot < core.size() && slot < body.staged_on.size(); ++slot)
    if (body.core->drives[slot] != core.drives[slot]) body.staged_on[slot] = false;
}

Task<Result<Committed>> commit_version(CorePtr core, Ctx& ctx, CommitSpec spec) {
  purge_due_tombstones(core, ctx);
  WriteSpec write = write_of(std::move(spec));
  if (write.body) forget_what_stayed(*core, *write.body);
  CO_TRY(written, co_await write_version(core, ctx, write));
  Committed committed;
  committed.record = *written.record;
  committed.replaced = std::move(written.replaced);
  co_return committed;
}

Task<Result<std::shared_ptr<const disk::VersionRecord>>> erase_key(CorePtr core, Ctx& ctx,
                                                                   disk::ObjectRef ref, bool conditional,
                                                                   Precondition precondition) {
  purge_due_tombstones(core, ctx);
  const std::int64_t now_ms = core->context.clock.unix_ms();
  WriteSpec write = write_of_tombstone(std::move(ref), conditional, std::move(precondition), now_ms);
  CO_TRY(written, co_await write_version(core, ctx, write));
  co_return std::move(written.replaced);
}

Task<Result<std::shared_ptr<const disk::VersionRecord>>> read_own(CorePtr core, Ctx& ctx,
                                                                  disk::ObjectRef ref) {
  ref = core->stamped(std::move(ref));
  CO_TRY(reading, co_await read_newest(core, ctx, ref, Want::metadata));
  if (reading.outcome == Outcome::unknown) co_return fail(Errc::unavailable, "a key cannot be decided");
  std::shared_ptr<const disk::VersionRecord> record;
  if (!reading.is_absent()) record = reading.record;
  co_return record;
}

Task<Result<SetListPage>> list_page(CorePtr core, Ctx& ctx, disk::ListSpec spec, KeyReader reader) {
  ListFieldPtr field = make_list_field(core);
  if (!reader) {
    reader = [core](Ctx& read_ctx, disk::ObjectRef ref) { return read_own(core, read_ctx, std::move(ref)); };
  }
  co_return co_await list_keys(std::move(field), ctx, std::move(spec), std::move(reader));
}

class DriveErasureSet final : public ErasureSet {
 public:
  explicit DriveErasureSet(CorePtr core) : core_(std::move(core)) {}

  Geometry geometry() const noexcept override { return core_->geometry; }

  Task<Result<std::unique_ptr<BodyWriter>>> stage(Ctx& ctx, Geometry geometry,
                                                  std::uint64_t expected_bytes) override {
    return open_body_writer(core_, ctx, geometry, expected_bytes);
  }

  StagedBody encode_inline(Geometry geometry, ByteSpan data) override {
    CHECK(geometry.drives() == core_->size());
    StagedBody body;
    body.size = data.size();
    body.geometry = geometry;
    if (!data.empty()) body.inline_shards = encode_inline_shards(*core_->codec(geometry), data);
    return body;
  }

  void discard(StagedBody body) override {
    if (body.shard == nullptr || body.data.is_nil()) return;
    const Ctx ctx{*body.shard, kNoDeadline, "discard"};
    discard_body(body.core ? body.core : core_, ctx, body.data);
  }

  Task<Result<Committed>> commit(Ctx& ctx, CommitSpec spec) override {
    return commit_version(core_, ctx, std::move(spec));
  }

  Task<Result<std::shared_ptr<const disk::VersionRecord>>> erase(Ctx& ctx, disk::ObjectRef ref,
                                                                 bool conditional,
                                                                 Precondition precondition) override {
    return erase_key(core_, ctx, std::move(ref), conditional, std::move(precondition));
  }

  Task<Result<Elected>> read(Ctx& ctx, disk::ObjectRef ref, bool with_inline) override {
    return read_elected(core_, ctx, std::move(ref), with_inline);
  }

  Result<std::unique_ptr<BodyReader>> open(disk::ObjectRef ref, std::shared_ptr<const Elected> elected,
                                           ByteRange range) override {
    const CorePtr core = elected->core ? elected->core : core_;
    return open_body_reader(core, core->stamped(std::move(ref)), std::move(elected), range);
  }

  Task<Result<HealReport>> heal(Ctx& ctx, disk::ObjectRef ref, HealSpec spec, KeyLookPtr ahead) override {
    return heal_key(core_, ctx, std::move(ref), spec, std::move(ahead));
  }

  void raise_epoch(std::uint64_t epoch) noexcept override { core_->raise_epoch(epoch); }

  std::vector<disk::Drive*> drives() const override { return core_->drives; }
  CorePtr core() const override { return core_; }

  Task<Result<SetListPage>> list(Ctx& ctx, disk::ListSpec spec, KeyReader reader) override {
    return list_page(core_, ctx, std::move(spec), std::move(reader));
  }

 private:
  CorePtr core_;
};

}  // namespace

std::unique_ptr<ErasureSet> make_erasure_set(SetContext& context, std::uint16_t group, std::uint64_t epoch,
                                             Geometry geometry, std::vector<disk::Drive*> drives) {
  return std::make_unique<DriveErasureSet>(
      std::make_shared<SetCore>(context, group, epoch, geometry, std::move(drives)));
}

}  // namespace ostraka::erasure
