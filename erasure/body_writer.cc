#include "erasure/body_writer.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "base/check.h"
#include "base/fault_point.h"
#include "base/log.h"
#include "erasure/commit_coordinator.h"
#include "erasure/drive_round.h"
#include "erasure/limits.h"
#include "runtime/event.h"

namespace ostraka::erasure {
namespace {

// A stripe that waits for a second one to be written with it waits no longer: its slab is not for a client to
// sit on.
constexpr Duration kPairWait = std::chrono::milliseconds(100);

// One drive's part of the write. Lives in WriteState, at a fixed place.
struct WriteSlot {
  std::unique_ptr<disk::ShardWriter> writer;
  BufferChain pending;     // blocks not handed to the drive yet, one a stripe
  std::uint64_t done = 0;  // stripes written
  bool busy = false;       // its pump runs
  bool dropped = false;    // failed or too slow: no part of the write any more
  bool lagging = false;    // not waited for
  bool counted_slow = false;
  bool finished = false;
  bool no_space = false;
};

// Shared by the writer and the pumps. Belongs to one shard.
struct WriteState {
  WriteState(CorePtr set, Geometry body_geometry, DataId id, std::uint64_t bytes)
      : core(std::move(set)), geometry(body_geometry), data(id), expected_bytes(bytes), slots(core->size()) {}
  CorePtr core;
  const Geometry geometry;
  const DataId data;
  const std::uint64_t expected_bytes;
  std::vector<WriteSlot> slots;
  bool closing = false;  // no stripe follows
  bool ended = false;    // the writer is gone, or has what it needs
  TimePoint deadline;    // as the request has it now: each byte that arrives moves it
  Event changed;

  unsigned live() const noexcept {
    unsigned count = 0;
    for (const WriteSlot& slot : slots) count += slot.dropped ? 0U : 1U;
    return count;
  }
  void drop(WriteSlot& slot, std::string_view why, const Error* error) {
    if (slot.dropped) return;
    slot.dropped = true;
    slot.no_space = error != nullptr && error->code == Errc::no_space;
    let_go(slot);
    if (!slot.busy) slot.writer.reset();
    if (ended) return;
    core->metrics.dropped_writers.add();
    const auto index = static_cast<std::size_t>(&slot - slots.data());
    log::warn("a drive was dropped from a write drive={} why={} error={}",
              to_string(core->drives[index]->id()), why, error != nullptr ? error->detail : std::string());
  }
  // Its buffers, but for those that the drive is busy with.
  void let_go(WriteSlot& slot) {
    slot.pending.clear();
    if (slot.busy && slot.writer) slot.writer->cancel();
  }
  // Buffers are short: drives that lag and keep some are dropped, as long as a quorum is left.
  void drop_lagging(unsigned quorum) {
    for (WriteSlot& slot : slots)
      if (slot.lagging && slot.busy && !slot.dropped && live() > quorum)
        drop(slot, "too slow while buffers are short", nullptr);
  }
  void mark_lagging(WriteSlot& slot) {
    slot.lagging = true;
    if (!slot.busy || slot.counted_slow) return;
    slot.counted_slow = true;
    stalled(slot).given_up(core->context.clock.now());
  }
  void answered(WriteSlot& slot) {
    if (slot.counted_slow) stalled(slot).answered(core->context.clock.now());
    slot.counted_slow = false;
  }
  StalledCalls& stalled(const WriteSlot& slot) {
    return *core->stalled[static_cast<std::size_t>(&slot - slots.data())];
  }
};
using StatePtr = std::shared_ptr<WriteState>;

Task<> pump(StatePtr state, std::size_t index, Ctx ctx) {
  WriteSlot& slot = state->slots[index];
  disk::Drive& drive = *state->core->drives[index];
  if (!slot.writer && !slot.dropped) {
    disk::StageSpec spec;
    spec.data = state->data;
    spec.shard_index = static_cast<std::uint8_t>(index);
    spec.data_shards = state->geometry.data_shards;
    spec.parity_shards = state->geometry.parity_shards;
    spec.block_bytes = disk::shard_block_bytes(kStripeBytes, state->geometry.data_shards);
    spec.expected_bytes = state->expected_bytes;
    auto writer = co_await drive.stage(ctx, spec);
    state->answered(slot);
    if (writer) {
      slot.writer = std::move(*writer);
    } else {
      state->drop(slot, "stage", &writer.error());
    }
    state->changed.set();
  }
  while (!slot.dropped && !slot.pending.empty()) {
    ctx.deadline = state->deadline;  // a pump that always has something to write lives as long as the request
    BufferChain blocks = std::exchange(slot.pending, {});
    const std::size_t count = blocks.size();
    const Result<> appended = co_await slot.writer->append(ctx, std::move(blocks));
    state->answered(slot);
    if (appended) {
      slot.done += count;
    } else {
      state->drop(slot, "append", &appended.error());
    }
    state->changed.set();
  }
  if (!slot.dropped && state->closing && !slot.finished) {
    ctx.deadline = state->deadline;
    const Result<> finished = co_await slot.writer->finish(ctx);
    state->answered(slot);
    if (!finished) {
      state->drop(slot, "finish", &finished.error());
    } else if (slot.dropped || state->ended) {
      // too late to be counted: nothing will ever name this file
      slot.dropped = true;
      slot.writer.reset();
      const Result<> discarded = co_await drive.discard(ctx, state->data);
      if (!discarded) log::warn("a late shard file stays behind data={}", to_string(state->data));
    } else {
      slot.finished = true;
    }
    state->changed.set();
  }
  slot.busy = false;
  if (slot.dropped) slot.writer.reset();
}

class SetBodyWriter final : public BodyWriter {
 public:
  SetBodyWriter(StatePtr state, unsigned quorum)
      : state_(std::move(state)), codec_(state_->core->codec(state_->geometry)), quorum_(quorum) {}

  ~SetBodyWriter() override {
    state_->ended = true;
    for (WriteSlot& slot : state_->slots)
      if (!slot.finished || !returned_) state_->drop(slot, "abandoned", nullptr);
    if (!returned_ && finish_ctx_) discard_body(state_->core, *finish_ctx_, state_->data);
  }

  void start(const Ctx& ctx) {
    const bool enough = not_hanging() >= quorum_;
    for (std::size_t index = 0; index < state_->slots.size(); ++index) {
      WriteSlot& slot = state_->slots[index];
      const bool left_out = enough && state_->core->hangs(static_cast<unsigned>(index));
      if (left_out || !state_->core->drives[index]->online()) {
        slot.dropped = true;
        continue;
      }
      slot.lagging = state_->core->slow(static_cast<unsigned>(index));
      kick(index, ctx);
    }
  }

  Task<Result<StripeBuffer>> next_stripe(Ctx& ctx) override {
    CHECK(!last_ && !state_->closing);
    CO_TRY_VOID(enough_left());
    StripeBuffer stripe;
    stripe.slab = ctx.shard.buffers().try_acquire();
    if (!stripe.slab) {
      // nobody may sit on slabs while waiting for one, and no drive that the quorum has left behind
      kick_all(ctx);
      CO_TRY(slab, co_await wait_for_slab(ctx));
      stripe.slab = std::move(slab);
    }
    const std::uint64_t expected = state_->expected_bytes;
    const std::uint64_t left = expected > size_ ? expected - size_ : kStripeBytes;
    stripe.data = stripe.slab.span().first(std::min<std::uint64_t>(kStripeBytes, left));
    co_return stripe;
  }

  Task<Result<>> put_stripe(Ctx& ctx, StripeBuffer stripe, std::size_t bytes) override {
    CHECK(!last_ && bytes > 0 && bytes <= kStripeBytes && stripe.slab);
    CO_TRY_VOID(enough_left());
    last_ = bytes < kStripeBytes;
    size_ += bytes;
    co_await encode(ctx, stripe.slab, bytes);
    const std::size_t block = disk::shard_block_bytes(bytes, state_->geometry.data_shards);
    for (std::size_t index = 0; index < state_->slots.size(); ++index) {
      WriteSlot& slot = state_->slots[index];
      if (slot.dropped) continue;
      if (slot.lagging && slot.pending.size() >= kLagStripes) {
        state_->drop(slot, "too slow", nullptr);
        continue;
      }
      const std::size_t place = state_->geometry.data_shards == 1 ? 0 : index;  // copies share one block
      slot.pending.push_back(Slice{stripe.slab, stripe.slab.span().subspan(place * block, block)});
    }
    stripe = StripeBuffer();
    ++stripes_;
    if (stripes_ % kStripesPerAppend != 0 && !last_) {
      CO_TRY_VOID(enough_left());
      Clock& clock = state_->core->context.clock;
      const TimePoint until = clock.now() + kPairWait;
      pair_wait_ = clock.arm(ctx.shard.executor(), until, [this, ctx] { kick_all(ctx); });
      co_return Result<>();
    }
    pair_wait_.reset();
    kick_all(ctx);
    const std::uint64_t behind = stripes_ > kStripesPerAppend ? stripes_ - kStripesPerAppend : 0;
    co_return co_await written(ctx, behind);
  }

  Task<Result<StagedBody>> finish(Ctx& ctx) override {
    CHECK(!state_->closing);
    StagedBody body;
    body.size = size_;
    body.geometry = state_->geometry;
    body.staged_on.assign(state_->slots.size(), false);
    if (size_ == 0) {
      returned_ = true;
      co_return body;
    }
    state_->closing = true;
    pair_wait_.reset();
    finish_ctx_.emplace(ctx);
    kick_all(ctx);
    CO_TRY_VOID(co_await written(ctx, stripes_));
    body.data = state_->data;
    body.shard = &ctx.shard;
    body.core = state_->core;
    for (std::size_t index = 0; index < state_->slots.size(); ++index)
      body.staged_on[index] = state_->slots[index].finished;
    body.full = full();
    fault_point("body.staged");
    returned_ = true;
    state_->ended = true;
    for (WriteSlot& slot : state_->slots) {
      if (slot.finished) {
        slot.writer.reset();
      } else {
        state_->drop(slot, "too slow", nullptr);
      }
    }
    co_return body;
  }

 private:
  unsigned not_hanging() const {
    unsigned count = 0;
    for (unsigned slot = 0; slot < state_->slots.size(); ++slot)
      count += state_->core->drives[slot]->online() && !state_->core->hangs(slot) ? 1U : 0U;
    return count;
  }
  void kick(std::size_t index, const Ctx& ctx) {
    state_->deadline = ctx.deadline;
    WriteSlot& slot = state_->slots[index];
    if (slot.busy || slot.dropped || slot.finished) return;
    slot.busy = true;
    const bool spawned =
        state_->core->context.background.spawn(ctx.shard.executor(), pump(state_, index, ctx));
    if (spawned) return;
    slot.busy = false;
    state_->drop(slot, "shutting down", nullptr);
  }
  void kick_all(const Ctx& ctx) {
    for (std::size_t index = 0; index < state_->slots.size(); ++index) kick(index, ctx);
  }

  Task<Result<Buffer>> wait_for_slab(Ctx& ctx) {
    Clock& clock = state_->core->context.clock;
    BufferPool& pool = ctx.shard.buffers();
    state_->drop_lagging(quorum_);
    const TimePoint grace = std::min(ctx.deadline, clock.now() + state_->core->context.write_grace);
    Result<Buffer> slab = co_await pool.acquire(clock, grace);
    if (slab || clock.now() >= ctx.deadline) co_return slab;
    mark_those_left_behind();
    state_->drop_lagging(quorum_);
    co_return co_await pool.acquire(clock, ctx.deadline);
  }
  // Drives that have written less than the quorum has.
  void mark_those_left_behind() {
    std::vector<std::uint64_t> done;
    for (const WriteSlot& slot : state_->slots)
      if (!slot.dropped) done.push_back(slot.done);
    if (done.size() < quorum_) return;
    std::nth_element(done.begin(), done.begin() + (quorum_ - 1), done.end(), std::greater<>());
    const std::uint64_t reached_by_quorum = done[quorum_ - 1];
    for (WriteSlot& slot : state_->slots)
      if (!slot.dropped && slot.done < reached_by_quorum) state_->mark_lagging(slot);
  }

  // Pads the last data shards and computes parity, a slice at a time.
  Task<> encode(Ctx& ctx, Buffer slab, std::size_t bytes) {
    const unsigned k = state_->geometry.data_shards;
    const unsigned m = state_->geometry.parity_shards;
    const std::size_t block = disk::shard_block_bytes(bytes, k);
    std::memset(slab.data() + bytes, 0, block * k - bytes);
    if (m == 0 || k == 1) co_return;
    const std::size_t step = std::max<std::size_t>(kHashSliceBytes / k / 64 * 64, 64);
    for (std::size_t at = 0; at < block; at += step) {
      if (at > 0) co_await boost::asio::post(ctx.shard.executor(), kAwait);
      const std::size_t part = std::min(step, block - at);
      std::vector<ByteSpan> data;
      std::vector<MutableByteSpan> parity;
      for (std::size_t i = 0; i < k; ++i) data.push_back(slab.span().subspan(i * block + at, part));
      for (std::size_t i = k; i < k + m; ++i) parity.push_back(slab.span().subspan(i * block + at, part));
      codec_->encode(data, parity);
    }
  }

  bool reached(const WriteSlot& slot, std::uint64_t stripes) const noexcept {
    return state_->closing ? slot.finished : slot.done >= stripes;
  }

  // Waits until the drives have written that many stripes (or finished, when closing): all of them, or a
  // write quorum and the grace time.
  Task<Result<>> written(Ctx& ctx, std::uint64_t stripes) {
    Clock& clock = state_->core->context.clock;
    std::optional<TimePoint> grace_end;
    for (;;) {
      CO_TRY_VOID(enough_left());
      unsigned there = 0;
      bool waiting = false;
      for (WriteSlot& slot : state_->slots) {
        if (slot.dropped) continue;
        if (reached(slot, stripes)) {
          ++there;
          if (slot.done > 0) slot.lagging = false;
        } else if (!slot.lagging) {
          waiting = true;
        }
      }
      if (there >= quorum_ && !waiting) co_return Result<>();
      TimePoint until = ctx.deadline;
      if (there >= quorum_) {
        if (!grace_end) grace_end = clock.now() + state_->core->context.write_grace;
        if (clock.now() >= *grace_end) break;
        until = std::min(until, *grace_end);
      }
      state_->changed.reset();
      const bool changed = co_await state_->changed.wait_until(clock, until);
      if (!changed && clock.now() >= ctx.deadline) co_return fail(Errc::deadline, "writing shards");
    }
    for (WriteSlot& slot : state_->slots)
      if (!slot.dropped && !reached(slot, stripes)) state_->mark_lagging(slot);
    const BufferPool& pool = ctx.shard.buffers();
    if (2 * pool.in_use() > pool.max_slabs()) state_->drop_lagging(quorum_);
    co_return Result<>();
  }

  unsigned full() const {
    unsigned count = 0;
    for (const WriteSlot& slot : state_->slots) count += slot.no_space ? 1U : 0U;
    return count;
  }

  Result<> enough_left() const {
    const unsigned live = state_->live();
    if (live >= quorum_) return {};
    if (full() > state_->slots.size() - quorum_)
      return fail(Errc::no_space, fmt::format("{} of {} drives are full", full(), state_->slots.size()));
    return fail(Errc::unavailable, fmt::format("{} of {} drives take part in the write, {} needed", live,
                                               state_->slots.size(), quorum_));
  }

  StatePtr state_;
  std::shared_ptr<const Codec> codec_;
  const unsigned quorum_;
  std::uint64_t size_ = 0;
  std::uint64_t stripes_ = 0;
  bool last_ = false;      // a short stripe was put: none may follow
  bool returned_ = false;  // finish() gave the body to the caller
  std::optional<Ctx> finish_ctx_;
  std::unique_ptr<Clock::Timer> pair_wait_;
};

}  // namespace

Task<Result<std::unique_ptr<BodyWriter>>> open_body_writer(CorePtr core, Ctx& ctx, Geometry geometry,
                                                           std::uint64_t expected_bytes) {
  const auto valid = make_geometry(geometry.data_shards, geometry.parity_shards);
  if (!valid) co_return tl::unexpected<Error>(valid.error());
  if (geometry.drives() != core->size())
    co_return fail(Errc::invalid_argument, fmt::format("{}+{} on a set of {} drives", geometry.data_shards,
                                                       geometry.parity_shards, core->size()));
  const std::size_t block = disk::shard_block_bytes(kStripeBytes, geometry.data_shards);
  const std::size_t needed = geometry.data_shards == 1 ? block : block * geometry.drives();
  if (ctx.shard.buffers().slab_bytes() < needed)
    co_return fail(Errc::internal, fmt::format("buffer slabs of {} bytes, {} needed",
                                               ctx.shard.buffers().slab_bytes(), needed));
  const unsigned quorum = core->quorum_of(geometry);
  if (core->online() < quorum)
    co_return fail(Errc::unavailable, fmt::format("{} of {} drives in service, {} needed", core->online(),
                                                  core->size(), quorum));
  const DataId data{make_uuid(core->context.random)};
  auto state = std::make_shared<WriteState>(core, geometry, data, expected_bytes);
  auto writer = std::make_unique<SetBodyWriter>(std::move(state), quorum);
  writer->start(ctx);
  std::unique_ptr<BodyWriter> out = std::move(writer);
  co_return out;
}

}  // namespace ostraka::erasure
