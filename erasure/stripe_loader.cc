#include "erasure/stripe_loader.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "erasure/drive_round.h"
#include "erasure/heal_queue.h"
#include "erasure/limits.h"

namespace ostraka::erasure {

// What is known of one shard of the part, from stripe to stripe.
struct StripeLoader::ShardState {
  std::shared_ptr<disk::ShardReader> reader;  // opened by the first read
  bool avoid = false;                         // failed or was slow: asked last from now on
};

// One batch of stripes. Slots 0..n-1 of the round: the blocks a shard was asked for first; n..2n-1: the rest
// of its blocks.
struct StripeLoader::Attempt {
  Attempt(const CorePtr& core, const Ctx& ctx, std::vector<StripePiece> given, unsigned n, unsigned k)
      : pieces(std::move(given)), shards(n), data_shards(k), round(core, ctx, std::size_t{2} * n) {}

  std::vector<StripePiece> pieces;
  const unsigned shards;
  const unsigned data_shards;
  struct Asked {
    std::size_t begin = 0, end = 0;  // pieces asked for by the first read
    bool counted = false;            // its failure has been dealt with
  };
  std::array<Asked, kMaxSetDrives> asked{};
  std::array<bool, kMaxSetDrives> spared{};  // data shards that parity at hand stands in for
  DriveRound<Result<>> round;

  bool in_range(std::size_t piece, unsigned shard) const noexcept {
    const StripePiece& p = pieces[piece];
    return shard < data_shards && p.begin < (shard + 1) * p.block_bytes && p.end > shard * p.block_bytes;
  }
  bool answered_ok(std::size_t slot) {
    const auto& answer = round.answers()[slot];
    return answer && answer->has_value();
  }
  bool failed(unsigned shard) {
    for (const std::size_t slot : {std::size_t{shard}, std::size_t{shard} + shards}) {
      const auto& answer = round.answers()[slot];
      if (answer && !answer->has_value()) return true;
    }
    return false;
  }
  std::size_t failure_count() {
    std::size_t count = 0;
    for (unsigned shard = 0; shard < shards; ++shard) count += failed(shard) ? 1U : 0U;
    return count;
  }
  bool asked_all(unsigned shard) const noexcept {
    const Asked& first = asked[shard];
    if (round.started(shard + shards)) return true;
    return round.started(shard) && first.begin == 0 && first.end == pieces.size();
  }
  // Every block of the batch.
  bool complete(unsigned shard) {
    if (!asked_all(shard) || !answered_ok(shard)) return false;
    return !round.started(shard + shards) || answered_ok(shard + shards);
  }
  // The blocks that the caller wants.
  bool served(unsigned shard) {
    bool wanted = false;
    for (std::size_t piece = 0; piece < pieces.size(); ++piece) wanted = wanted || in_range(piece, shard);
    return !wanted || (answered_ok(shard) && asked[shard].begin < asked[shard].end) || complete(shard);
  }
  bool direct() {
    for (unsigned shard = 0; shard < data_shards; ++shard)
      if (!served(shard)) return false;
    return true;
  }
  unsigned complete_count() {
    unsigned count = 0;
    for (unsigned shard = 0; shard < shards; ++shard) count += complete(shard) ? 1U : 0U;
    return count;
  }
  bool enough() { return direct() || complete_count() >= data_shards; }
};

StripeLoader::StripeLoader(CorePtr core, disk::ObjectRef ref, std::shared_ptr<const Elected> elected,
                           disk::PartRecord part)
    : core_(std::move(core)),
      ref_(std::move(ref)),
      elected_(std::move(elected)),
      part_(std::move(part)),
      geometry_{elected_->record->data_shards, elected_->record->parity_shards},
      codec_(core_->codec(geometry_)),
      shards_(geometry_.drives()) {
  for (unsigned shard = 0; shard < shards_.size(); ++shard) {
    const unsigned slot = drive_of(shard);
    const bool unknown = !elected_->shard_on.empty() && elected_->shard_on[slot] != shard;
    shards_[shard].avoid = unknown || core_->slow(slot) || !core_->drives[slot]->online();
  }
}

StripeLoader::~StripeLoader() = default;

unsigned StripeLoader::drive_of(unsigned shard) const noexcept {
  for (unsigned slot = 0; slot < elected_->shard_on.size(); ++slot)
    if (elected_->shard_on[slot] == shard) return slot;
  return shard;  // where it belongs, though nobody has said so
}

disk::ShardRef StripeLoader::ref_of(unsigned shard) const {
  return disk::shard_ref(part_, geometry_.data_shards, geometry_.parity_shards, shard);
}

Task<Result<>> StripeLoader::read_blocks(std::shared_ptr<StripeLoader> self, unsigned shard, Ctx ctx,
                                         std::uint64_t first, std::vector<disk::BlockTarget> targets) {
  const TimePoint began = self->core_->context.clock.now();
  std::shared_ptr<disk::ShardReader> reader = self->shards_[shard].reader;
  if (!reader) {
    disk::Drive& drive = *self->core_->drives[self->drive_of(shard)];
    reader = drive.open_shard_later(self->ref_of(shard));
    if (!reader) {
      auto opened = co_await drive.open_shard(ctx, self->ref_of(shard));
      if (!opened) co_return tl::unexpected<Error>(std::move(opened).error());
      reader = std::move(*opened);
    }
    self->shards_[shard].reader = reader;
  }
  Result<> done = co_await reader->read_blocks(ctx, first, std::move(targets));
  self->core_->observe_read(self->core_->context.clock.now() - began);
  if (done) self->shards_[shard].avoid = false;  // late, perhaps, but well again
  co_return done;
}

bool StripeLoader::start(Attempt& attempt, const Ctx& ctx, unsigned shard, std::size_t begin, std::size_t end,
                         bool rest) {
  std::vector<disk::BlockTarget> targets;
  for (std::size_t piece = begin; piece < end; ++piece) {
    const StripePiece& p = attempt.pieces[piece];
    targets.push_back(disk::BlockTarget{p.slab, p.slab.span().subspan(shard * p.block_bytes, p.block_bytes)});
  }
  if (!rest) {
    attempt.asked[shard].begin = begin;
    attempt.asked[shard].end = end;
  }
  const std::uint64_t first = attempt.pieces[begin].stripe;
  return attempt.round.start(rest ? shard + attempt.shards : shard, drive_of(shard),
                             read_blocks(shared_from_this(), shard, ctx, first, std::move(targets)));
}

// Where all of every stripe is wanted: a data shard on another node for each parity shard that lies on this
// one is not read but computed, which costs less than a block that comes over the network.
void StripeLoader::start_parity_at_hand(Attempt& attempt, const Ctx& ctx) {
  const unsigned k = attempt.data_shards;
  if (k > kMostDataForParityAtHand) return;
  for (const StripePiece& piece : attempt.pieces)
    if (piece.begin > 0 || piece.end < piece.stripe_bytes) return;
  // A short last stripe may not reach all data shards: those are not read in full, and do not count.
  if (!attempt.in_range(attempt.pieces.size() - 1, k - 1)) return;
  const auto remote = [this](unsigned shard) { return core_->drives[drive_of(shard)]->remote(); };
  unsigned spare = k;  // those below it may still be spared
  for (unsigned parity = k; parity < attempt.shards; ++parity) {
    if (shards_[parity].avoid || remote(parity)) continue;
    const auto spares = [&](unsigned shard) { return remote(shard) && !shards_[shard].avoid; };
    while (spare > 0 && !spares(spare - 1)) --spare;
    if (spare == 0) return;
    if (start(attempt, ctx, parity, 0, attempt.pieces.size(), false)) attempt.spared[--spare] = true;
  }
}

// The data blocks in range, unless one of them is known to be in trouble or spared.
void StripeLoader::start_needed(Attempt& attempt, const Ctx& ctx) {
  start_parity_at_hand(attempt, ctx);
  for (unsigned shard = 0; shard < attempt.data_shards; ++shard) {
    if (shards_[shard].avoid || attempt.spared[shard]) continue;
    std::size_t begin = attempt.pieces.size();
    std::size_t end = 0;
    for (std::size_t piece = 0; piece < attempt.pieces.size(); ++piece) {
      if (!attempt.in_range(piece, shard)) continue;
      begin = std::min(begin, piece);
      end = piece + 1;
    }
    if (begin < end) start(attempt, ctx, shard, begin, end, false);
  }
}

// Another shard in full, or the rest of one, so that there are k to decode from; false when none is left.
bool StripeLoader::start_one_more(Attempt& attempt, const Ctx& ctx) {
  for (const bool avoided : {false, true}) {
    for (unsigned shard = 0; shard < attempt.shards; ++shard) {
      if (shards_[shard].avoid != avoided || attempt.failed(shard) || attempt.asked_all(shard)) continue;
      if (!attempt.round.started(shard)) return start(attempt, ctx, shard, 0, attempt.pieces.size(), false);
      if (attempt.asked[shard].begin > 0)
        return start(attempt, ctx, shard, 0, attempt.asked[shard].begin, true);
      return start(attempt, ctx, shard, attempt.asked[shard].end, attempt.pieces.size(), true);
    }
  }
  return false;
}

void StripeLoader::note_failures(Attempt& attempt, const Ctx& ctx) {
  for (unsigned shard = 0; shard < attempt.shards; ++shard) {
    if (attempt.asked[shard].counted || !attempt.failed(shard)) continue;
    attempt.asked[shard].counted = true;
    Errc code = Errc::unavailable;
    for (const std::size_t slot : {std::size_t{shard}, std::size_t{shard} + attempt.shards})
      if (const auto& answer = attempt.round.answers()[slot]; answer && !*answer) code = answer->error().code;
    // other blocks of a shard with a damaged one may be whole: it is asked again for the next stripes
    if (code != Errc::corrupt) shards_[shard].avoid = true;
    if (code == Errc::corrupt || code == Errc::not_found)
      report_damage(core_, ctx, ref_, elected_->record->id, drive_of(shard));
  }
}

Task<Result<std::vector<BufferChain>>> StripeLoader::load(std::shared_ptr<StripeLoader> self, Ctx ctx,
                                                          std::vector<StripePiece> pieces) {
  CHECK(!pieces.empty() && pieces.size() <= kMaxStripesPerRead);
  StripeLoader& me = *self;
  const unsigned k = me.geometry_.data_shards;
  Clock& clock = me.core_->context.clock;
  Attempt attempt(me.core_, ctx, std::move(pieces), me.geometry_.drives(), k);
  me.start_needed(attempt, ctx);
  bool hedged = false;
  while (!attempt.enough()) {
    if (clock.now() >= ctx.deadline) co_return fail(Errc::deadline, "reading shards");
    me.note_failures(attempt, ctx);
    // Shards that are complete, or may become so in time; once hedged, what is still out after its time does
    // not count.
    unsigned hopeful = 0;
    bool needed_in_trouble = false;
    for (unsigned shard = 0; shard < attempt.shards; ++shard) {
      const bool bad = attempt.failed(shard) || me.shards_[shard].avoid;
      if (!bad && attempt.asked_all(shard)) ++hopeful;
      const bool needed = shard < k ? !attempt.served(shard) : attempt.round.started(shard);
      if (bad && needed) needed_in_trouble = true;
    }
    bool exhausted = false;
    bool more = false;
    const bool all_came = attempt.round.running() == 0;  // and it was not enough
    if (needed_in_trouble || hedged || all_came) {
      for (; hopeful < k && !exhausted; ++hopeful) {
        exhausted = !me.start_one_more(attempt, ctx);
        more = more || !exhausted;
      }
    }
    if (attempt.enough()) break;
    if (attempt.round.running() == 0) {
      if (more) continue;  // they have answered already
      me.note_failures(attempt, ctx);
      co_return fail(Errc::unavailable, fmt::format("{} of {} shards of a stripe can be read, {} needed",
                                                    attempt.complete_count(), attempt.shards, k));
    }
    // wake at each answer that changes the plan, or when the shards that are out have had their time
    const std::size_t failures = attempt.failure_count();
    const std::function<bool()> news = [&] {
      return attempt.enough() || attempt.failure_count() != failures;
    };
    const TimePoint hedge = exhausted ? ctx.deadline : clock.now() + me.core_->hedge_delay();
    const bool in_time = co_await attempt.round.wait(std::min(hedge, ctx.deadline), news);
    if (in_time) continue;
    hedged = true;
    if (!exhausted) me.core_->metrics.hedged_reads.add();
    for (unsigned shard = 0; shard < attempt.shards; ++shard)
      if (attempt.round.out(shard) || attempt.round.out(shard + attempt.shards))
        me.shards_[shard].avoid = true;
  }
  me.note_failures(attempt, ctx);
  std::vector<BufferChain> chains;
  for (std::size_t index = 0; index < attempt.pieces.size(); ++index) {
    CO_TRY(chain, co_await me.assemble(attempt, ctx, index));
    chains.push_back(std::move(chain));
  }
  co_return chains;
}

// The slices of one piece, after reconstructing what is missing of it. A shard that is still being read gets
// its bytes in a buffer of their own: the slow read may yet write into its place in the slab, and what it
// writes has not been verified then.
Task<Result<BufferChain>> StripeLoader::assemble(Attempt& attempt, Ctx& ctx, std::size_t index) {
  StripePiece& piece = attempt.pieces[index];
  const std::size_t block = piece.block_bytes;
  const unsigned n = attempt.shards;
  std::vector<MutableByteSpan> spans;
  std::array<bool, kMaxSetDrives> present{};
  std::array<Buffer, kMaxSetDrives> owners;
  std::vector<std::uint8_t> wanted;
  for (unsigned shard = 0; shard < n; ++shard) {
    spans.push_back(piece.slab.span().subspan(shard * block, block));
    owners[shard] = piece.slab;
    present[shard] = attempt.complete(shard);
    if (!attempt.in_range(index, shard) || attempt.served(shard)) continue;
    wanted.push_back(static_cast<std::uint8_t>(shard));
    if (!attempt.round.out(shard) && !attempt.round.out(shard + n)) continue;
    owners[shard] = Buffer::on_heap(block);
    spans[shard] = owners[shard].span();
  }
  if (!wanted.empty()) {
    const bool spared = std::all_of(wanted.begin(), wanted.end(),
                                    [&attempt](std::uint8_t shard) { return attempt.spared[shard]; });
    (spared ? core_->metrics.spared_stripes : core_->metrics.decoded_stripes).add();
    const std::span<const bool> given(present.data(), n);
    const std::size_t step = std::max<std::size_t>(kHashSliceBytes / geometry_.data_shards / 64 * 64, 64);
    for (std::size_t at = 0; at < block; at += step) {
      if (at > 0) co_await boost::asio::post(ctx.shard.executor(), kAwait);
      std::vector<MutableByteSpan> parts;
      for (const MutableByteSpan span : spans) parts.push_back(span.subspan(at, std::min(step, block - at)));
      CO_TRY_VOID(codec_->reconstruct(parts, given, wanted));
    }
  }
  BufferChain chain;
  std::size_t at = piece.begin;
  while (at < piece.end) {
    const std::size_t shard = at / block;
    const std::size_t end = std::min(piece.end, (shard + 1) * block);
    const ByteSpan bytes = spans[shard].subspan(at - shard * block, end - at);
    const bool adjoins = !chain.empty() &&
                         chain.back().bytes.data() + chain.back().bytes.size() == bytes.data() &&
                         chain.back().owner.data() == owners[shard].data();
    if (adjoins) {
      chain.back().bytes = ByteSpan(chain.back().bytes.data(), chain.back().bytes.size() + bytes.size());
    } else {
      chain.push_back(Slice{owners[shard], bytes});
    }
    at = end;
  }
  co_return chain;
}

}  // namespace ostraka::erasure
