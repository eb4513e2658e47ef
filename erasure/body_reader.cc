#include "erasure/body_reader.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "base/check.h"
#include "erasure/inline_body.h"
#include "erasure/limits.h"
#include "erasure/quorum_read.h"
#include "erasure/stripe_loader.h"
#include "runtime/event.h"
#include "runtime/shard.h"

namespace ostraka::erasure {
namespace {

// Where in the object the next stripe is taken from.
struct Cursor {
  std::size_t part = 0;
  std::uint64_t part_begin = 0;  // of that part in the object
  std::uint64_t at = 0;          // in the object
};

// One load: what it brought, or is about to bring.
struct Batch {
  std::deque<BufferChain> chains;
  Result<> status;
  Event ready;
};

// Shared with the load that runs ahead, which may outlive the reader.
struct ReadState {
  CorePtr core;
  disk::ObjectRef ref;
  std::shared_ptr<const Elected> elected;
  ByteRange range;
  Cursor next;
  std::size_t loader_part = 0;
  std::shared_ptr<StripeLoader> loader;
  unsigned stripes_at_once = 1;
  unsigned most_at_once = 1;

  const disk::VersionRecord& record() const noexcept { return *elected->record; }
  bool at_end() const noexcept { return next.at >= range.end; }
};
using StatePtr = std::shared_ptr<ReadState>;

// The next stripe in range, without its slab; advances the cursor past it.
StripePiece take_piece(ReadState& state) {
  Cursor& cursor = state.next;
  const auto& parts = state.record().parts;
  disk::StripeLayout layout;
  layout.data_shards = state.record().data_shards;
  layout.part_bytes = parts[cursor.part].size;
  const std::uint64_t in_part = cursor.at - cursor.part_begin;
  StripePiece piece;
  piece.stripe = in_part / kStripeBytes;
  piece.stripe_bytes = layout.stripe_bytes(piece.stripe);
  piece.block_bytes = layout.block_bytes(piece.stripe);
  const std::uint64_t stripe_begin = cursor.part_begin + piece.stripe * kStripeBytes;
  piece.begin = cursor.at - stripe_begin;
  piece.end = std::min<std::uint64_t>(piece.stripe_bytes, state.range.end - stripe_begin);
  cursor.at = stripe_begin + piece.end;
  return piece;
}

// Moves on to the part that holds the cursor. Parts without bytes are passed over.
void find_part(ReadState& state) {
  const auto& parts = state.record().parts;
  while (state.next.at >= state.next.part_begin + parts[state.next.part].size) {
    state.next.part_begin += parts[state.next.part].size;
    ++state.next.part;
    CHECK(state.next.part < parts.size());  // the parts add up to the object: open_body_reader looked
  }
}

bool plenty(const BufferPool& buffers) {
  return buffers.in_use() < buffers.max_slabs() / kReadAheadShare;
}

// How many stripes of the object are worth reading by one call.
unsigned stripes_for_one_call(const SetCore& core, const disk::VersionRecord& record) {
  const auto remote = [](const disk::Drive* drive) { return drive->remote(); };
  if (std::none_of(core.drives.begin(), core.drives.end(), remote)) return 1;
  const std::size_t block = disk::shard_block_bytes(kStripeBytes, record.data_shards);
  return static_cast<unsigned>(std::clamp<std::size_t>(kRemoteReadBytes / block, 1, kMaxStripesPerRead));
}

Task<Result<std::vector<StripePiece>>> plan(StatePtr state, Ctx& ctx) {
  std::vector<StripePiece> pieces;
  find_part(*state);
  const std::uint64_t part_end = state->next.part_begin + state->record().parts[state->next.part].size;
  while (pieces.size() < state->stripes_at_once && !state->at_end() && state->next.at < part_end) {
    if (!pieces.empty() && !plenty(ctx.shard.buffers())) break;
    Buffer slab = ctx.shard.buffers().try_acquire();
    if (!slab) {
      if (!pieces.empty()) break;  // nobody may sit on slabs while waiting for one
      CO_TRY(waited_for, co_await ctx.shard.buffers().acquire(state->core->context.clock, ctx.deadline));
      slab = std::move(waited_for);
    }
    StripePiece piece = take_piece(*state);
    if (slab.size() < piece.block_bytes * (state->record().data_shards + state->record().parity_shards))
      co_return fail(Errc::internal, "the buffer pool's slabs are too small for this geometry");
    piece.slab = std::move(slab);
    pieces.push_back(std::move(piece));
  }
  co_return pieces;
}

Task<Result<>> load_some(StatePtr state, Ctx ctx, std::shared_ptr<Batch> batch) {
  for (;;) {
    const Cursor before = state->next;
    CO_TRY(pieces, co_await plan(state, ctx));
    if (!state->loader || state->loader_part != state->next.part) {
      state->loader = std::make_shared<StripeLoader>(state->core, state->ref, state->elected,
                                                     state->record().parts[state->next.part]);
      state->loader_part = state->next.part;
    }
    const std::size_t count = pieces.size();
    auto chains = co_await StripeLoader::load(state->loader, ctx, std::move(pieces));
    if (chains) {
      for (BufferChain& chain : *chains) batch->chains.push_back(std::move(chain));
      state->stripes_at_once = std::min(2 * state->stripes_at_once, state->most_at_once);
      co_return Result<>();
    }
    if (count == 1 || !chains.failed_with(Errc::unavailable))
      co_return tl::unexpected<Error>(std::move(chains).error());
    // each stripe may still have k good blocks, if not on the same drives
    state->stripes_at_once = state->most_at_once = 1;
    state->next = before;
  }
}

Task<> load_ahead(StatePtr state, Ctx ctx, std::shared_ptr<Batch> batch) {
  batch->status = co_await load_some(state, ctx, batch);
  batch->ready.set();
}

class StripedReader final : public BodyReader {
 public:
  explicit StripedReader(StatePtr state) : state_(std::move(state)) {}

  Task<Result<BufferChain>> next(Ctx& ctx) override {
    if (failure_) co_return tl::unexpected<Error>(*failure_);
    if (current_.empty()) {
      if (!ahead_ && state_->at_end()) co_return BufferChain();
      std::shared_ptr<Batch> batch = std::exchange(ahead_, nullptr);
      if (batch) {
        co_await batch->ready.wait();
      } else {
        batch = std::make_shared<Batch>();
        batch->status = co_await load_some(state_, ctx, batch);
      }
      if (!batch->status) {
        failure_ = batch->status.error();
        co_return tl::unexpected<Error>(*failure_);
      }
      current_ = std::move(batch->chains);
    }
    BufferChain piece = std::move(current_.front());
    current_.pop_front();
    if (!ahead_ && !state_->at_end()) {
      auto batch = std::make_shared<Batch>();
      if (state_->core->context.background.spawn(ctx.shard.executor(), load_ahead(state_, ctx, batch)))
        ahead_ = std::move(batch);
    }
    co_return piece;
  }

 private:
  StatePtr state_;
  std::deque<BufferChain> current_;
  std::shared_ptr<Batch> ahead_;
  std::optional<Error> failure_;
};

class InlineReader final : public BodyReader {
 public:
  explicit InlineReader(StatePtr state) : state_(std::move(state)) {}

  Task<Result<BufferChain>> next(Ctx& ctx) override {
    BufferChain chain;
    if (state_->at_end()) co_return chain;
    const disk::VersionRecord& record = state_->record();
    const Geometry geometry{record.data_shards, record.parity_shards};
    const auto codec = state_->core->codec(geometry);
    const std::size_t block = disk::shard_block_bytes(record.size, geometry.data_shards);
    const std::vector<std::string>& by_slot = state_->elected->inline_shards;
    unsigned have = 0;
    for (const std::string& shard : by_slot) have += shard.size() == block ? 1U : 0U;
    std::vector<std::string> fetched;
    if (have < geometry.data_shards) {
      std::vector<std::uint8_t> slots = state_->core->preference();
      fetched = co_await read_inline_shards(state_->core, ctx, state_->ref, record.id, block,
                                            geometry.data_shards, std::move(slots));
    }
    // shard i of an inline body lies on slot i
    CO_TRY(slice, assemble_inline(*codec, record.size, fetched.empty() ? by_slot : fetched, state_->range));
    state_->next.at = state_->range.end;
    chain.push_back(std::move(slice));
    co_return chain;
  }

 private:
  StatePtr state_;
};

Result<> check_record(const disk::VersionRecord& record, unsigned drives) {
  const auto geometry = make_geometry(record.data_shards, record.parity_shards);
  if (!geometry || geometry->drives() != drives) return fail(Errc::corrupt, "a record of another geometry");
  if (record.inline_data) {
    if (!plausible_inline_size(record.size)) return fail(Errc::corrupt, "an inline body that is too large");
    return {};
  }
  std::uint64_t sum = 0;
  for (const disk::PartRecord& part : record.parts) {
    if (part.size > kMaxObjectBytes - std::min(sum, kMaxObjectBytes))
      return fail(Errc::corrupt, "parts of impossible size");
    sum += part.size;
  }
  if (sum != record.size) return fail(Errc::corrupt, "parts that do not add up to the object");
  return {};
}

}  // namespace

Result<std::unique_ptr<BodyReader>> open_body_reader(CorePtr core, disk::ObjectRef ref,
                                                     std::shared_ptr<const Elected> elected,
                                                     ByteRange range) {
  CHECK(elected && elected->record);
  const disk::VersionRecord& record = *elected->record;
  TRY_VOID(check_record(record, core->size()));
  if (range.begin > range.end || range.end > record.size)
    return fail(Errc::invalid_argument, "range beyond the end of the object");
  const bool inline_data = record.inline_data;
  auto state = std::make_shared<ReadState>();
  state->core = std::move(core);
  state->ref = std::move(ref);
  state->elected = std::move(elected);
  state->range = range;
  state->next.at = range.begin;
  if (inline_data) return std::unique_ptr<BodyReader>(std::make_unique<InlineReader>(std::move(state)));
  state->most_at_once = stripes_for_one_call(*state->core, state->record());
  return std::unique_ptr<BodyReader>(std::make_unique<StripedReader>(std::move(state)));
}

}  // namespace ostraka::erasure
