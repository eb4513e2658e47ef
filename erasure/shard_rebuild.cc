#include "erasure/shard_rebuild.h"

#include <algorithm>
#include <array>
#include <functional>
#include <optional>
#include <utility>

#include "base/log.h"
#include "erasure/drive_round.h"
#include "erasure/limits.h"

namespace ostraka::erasure {
namespace {

using WriterPtr = std::shared_ptr<disk::ShardWriter>;
using IoRound = DriveRound<Result<>>;

// A source while it is being read; calls that nobody waits for any more may outlive the rebuild.
struct Source {
  std::shared_ptr<disk::ShardReader> reader;
  bool unopened = false;
  bool damaged = false;  // found when it was opened
  bool corrupt = false;  // a block of it was
};

Task<Result<>> read_block(CorePtr core, unsigned slot, std::shared_ptr<Source> source, Ctx ctx,
                          disk::ShardRef ref, std::uint64_t stripe, disk::BlockTarget target) {
  if (!source->reader) {
    auto opened = co_await core->drives[slot]->open_shard(ctx, ref);
    if (!opened) {
      source->damaged = opened.failed_with(Errc::not_found) || opened.failed_with(Errc::corrupt);
      source->unopened = false;
      co_return tl::unexpected<Error>(std::move(opened).error());
    }
    source->reader = std::move(*opened);
  }
  const std::shared_ptr<disk::ShardReader> reader = source->reader;
  std::vector<disk::BlockTarget> targets;
  targets.push_back(std::move(target));
  const Result<> read = co_await reader->read_blocks(ctx, stripe, std::move(targets));
  source->corrupt = source->corrupt || read.failed_with(Errc::corrupt);
  co_return read;
}

Task<Result<WriterPtr>> stage_on(CorePtr core, unsigned slot, Ctx ctx, disk::StageSpec spec) {
  auto writer = co_await core->drives[slot]->stage(ctx, spec);
  if (!writer) co_return tl::unexpected<Error>(std::move(writer).error());
  co_return WriterPtr(std::move(*writer));
}

Task<Result<>> append_block(WriterPtr writer, Ctx ctx, Slice block) {
  BufferChain chain;
  chain.push_back(std::move(block));
  co_return co_await writer->append(ctx, std::move(chain));
}

// given_up: nobody waits any more, so nothing will ever name the file.
Task<Result<>> finish_file(CorePtr core, unsigned slot, Ctx ctx, WriterPtr writer, DataId data,
                           std::shared_ptr<bool> given_up) {
  Result<> done = co_await writer->finish(ctx);
  if (done && *given_up) {
    writer.reset();
    done = co_await core->drives[slot]->discard(ctx, data);
  }
  co_return done;
}

// Few free slabs belong to the clients. Without `wait`: an empty buffer when there are few.
Task<Result<Buffer>> take_slab(CorePtr core, Ctx ctx, bool wait) {
  BufferPool& pool = ctx.shard.buffers();
  Duration pause = kHealSlabPause;
  for (int tries = 0; tries < kHealSlabTries; ++tries) {
    if (pool.in_use() + pool.max_slabs() / kHealSlabShare < pool.max_slabs()) {
      Buffer slab = pool.try_acquire();
      if (slab) co_return slab;
    }
    if (!wait) co_return Buffer();
    co_await sleep_for(core->context.clock, pause);
    pause *= 2;
  }
  co_return co_await pool.acquire(core->context.clock, ctx.deadline);
}

// One stripe's blocks: in the slab, or where a slow read may still write there, on the heap.
struct Stripe {
  Buffer slab;
  std::uint64_t number = 0;
  std::size_t block = 0;
  std::vector<MutableByteSpan> spans;
  std::vector<Buffer> owners;
  std::array<bool, kMaxSetDrives> present{};
};

struct Target {
  std::uint8_t slot = 0;
  WriterPtr writer;
};

class PartRebuild {
 public:
  PartRebuild(CorePtr core, const Ctx& ctx, RebuildSpec spec)
      : core_(std::move(core)),
        ctx_(ctx),
        spec_(std::move(spec)),
        codec_(core_->codec(spec_.geometry)),
        avoid_(core_->size(), false) {
    layout_.data_shards = spec_.geometry.data_shards;
    layout_.part_bytes = spec_.part.size;
    for (const RebuildSource& given : spec_.sources)
      sources_.push_back(std::make_shared<Source>(Source{given.reader, given.unopened}));
    for (unsigned slot = 0; slot < core_->size(); ++slot)
      avoid_[slot] = core_->slow(slot) || is_target(slot);  // what is left of a damaged shard comes last
  }

  Task<Rebuilt> run() {
    co_await stage();
    out_.status = co_await write_stripes();
    if (out_.status && !targets_.empty()) co_await finish();
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      out_.damage_found = out_.damage_found || sources_[slot]->damaged;
      if (sources_[slot]->corrupt && !is_target(slot))
        out_.corrupt.push_back(static_cast<std::uint8_t>(slot));
    }
    co_return std::move(out_);
  }

 private:
  bool is_target(unsigned slot) const {
    return std::find(spec_.targets.begin(), spec_.targets.end(), slot) != spec_.targets.end();
  }
  TimePoint patience() const { return std::min(ctx_.deadline, core_->context.clock.now() + kHealCallWait); }

  Task<> stage() {
    disk::StageSpec stage;
    stage.data = spec_.part.data;
    stage.data_shards = spec_.geometry.data_shards;
    stage.parity_shards = spec_.geometry.parity_shards;
    stage.block_bytes = disk::shard_block_bytes(kStripeBytes, spec_.geometry.data_shards);
    stage.expected_bytes = spec_.part.size;
    const Ctx changing = core_->changing(ctx_);
    DriveRound<Result<WriterPtr>> round(core_, ctx_, core_->size());
    for (const std::uint8_t slot : spec_.targets) {
      stage.shard_index = slot;
      round.start(slot, stage_on(core_, slot, changing, stage));
    }
    const std::function<bool()> never = [] { return false; };
    co_await round.wait(patience(), never);
    for (const std::uint8_t slot : spec_.targets) {
      auto& answer = round.answers()[slot];
      if (answer && *answer) {
        targets_.push_back(Target{slot, std::move(**answer)});
      } else {
        note_failure(slot, "stage", answer ? answer->error().detail : std::string("no answer"));
      }
    }
  }

  // The next stripe is read and decoded while the one before is being written, if there is a slab for it.
  Task<Result<>> write_stripes() {
    std::optional<IoRound> writing;
    for (std::uint64_t number = 0; number < layout_.stripes() && !targets_.empty(); ++number) {
      const bool first = !writing;
      CO_TRY(early, co_await take_slab(core_, ctx_, first));
      Buffer slab = std::move(early);
      if (!slab) {
        co_await written(*writing);  // that gives its slab back
        writing.reset();
        CO_TRY(waited_for, co_await take_slab(core_, ctx_, true));
        slab = std::move(waited_for);
      }
      Stripe stripe;
      stripe.number = number;
      stripe.block = layout_.block_bytes(number);
      stripe.slab = std::move(slab);
      if (stripe.slab.size() < stripe.block * core_->size())
        co_return fail(Errc::internal, "the buffer pool's slabs are too small for this geometry");
      CO_TRY_VOID(co_await load(stripe));
      CO_TRY_VOID(co_await decode(stripe));
      if (writing) co_await written(*writing);
      writing.emplace(core_, ctx_, core_->size());
      const Ctx changing = core_->changing(ctx_);
      for (const Target& target : targets_) {
        Slice block{stripe.owners[target.slot], stripe.spans[target.slot]};
        out_.bytes_written += block.bytes.size();
        writing->start(target.slot, append_block(target.writer, changing, std::move(block)));
      }
    }
    if (writing) co_await written(*writing);
    co_return Result<>();
  }

  // Waits for a stripe's writes; a target that fails is none any more.
  Task<> written(IoRound& round) {
    const std::function<bool()> never = [] { return false; };
    co_await round.wait(patience(), never);
    std::vector<Target> left;
    for (Target& target : targets_) {
      const auto& answer = round.answers()[target.slot];
      if (answer && *answer) {
        left.push_back(std::move(target));
      } else {
        note_failure(target.slot, "append", answer ? answer->error().detail : std::string("no answer"));
      }
    }
    targets_ = std::move(left);
  }

  Task<> finish() {
    const auto given_up = std::make_shared<bool>(false);
    const Ctx changing = core_->changing(ctx_);
    IoRound round(core_, ctx_, core_->size());
    for (Target& target : targets_) {
      Task<Result<>> call =
          finish_file(core_, target.slot, changing, std::move(target.writer), spec_.part.data, given_up);
      round.start(target.slot, std::move(call));
    }
    const std::function<bool()> never = [] { return false; };
    co_await round.wait(patience(), never);
    *given_up = true;
    for (const Target& target : targets_) {
      const auto& answer = round.answers()[target.slot];
      if (answer && *answer) {
        out_.staged.push_back(target.slot);
      } else {
        note_failure(target.slot, "finish", answer ? answer->error().detail : std::string("no answer"));
      }
    }
  }

  // k good blocks of the stripe, from whoever has them.
  Task<Result<>> load(Stripe& stripe) {
    const unsigned n = core_->size();
    const unsigned k = spec_.geometry.data_shards;
    for (unsigned slot = 0; slot < n; ++slot) {
      stripe.spans.push_back(stripe.slab.span().subspan(slot * stripe.block, stripe.block));
      stripe.owners.push_back(stripe.slab);
    }
    IoRound round(core_, ctx_, n);
    std::array<bool, kMaxSetDrives> late{};
    const auto good = [&round](unsigned slot) {
      const auto& answer = round.answers()[slot];
      return answer && answer->has_value();
    };
    const auto answered = [&] {
      unsigned count = 0;
      for (unsigned slot = 0; slot < n; ++slot) count += round.answers()[slot].has_value() ? 1U : 0U;
      return count;
    };
    const TimePoint give_up = patience();
    for (;;) {
      unsigned have = 0;
      unsigned hopeful = 0;
      for (unsigned slot = 0; slot < n; ++slot) {
        have += good(slot) ? 1U : 0U;
        hopeful += round.out(slot) && !late[slot] ? 1U : 0U;
      }
      if (have >= k) break;
      const unsigned before = answered();
      while (have + hopeful < k && start_one(round, stripe)) ++hopeful;
      if (answered() != before) continue;  // at once
      if (round.running() == 0 || core_->context.clock.now() >= give_up) co_return too_few(round);
      const std::function<bool()> news = [&] { return answered() != before; };
      const TimePoint hedge = std::min(give_up, core_->context.clock.now() + kHealHedge);
      const bool in_time = co_await round.wait(hedge, news);
      if (in_time) continue;
      for (unsigned slot = 0; slot < n; ++slot) {
        if (!round.out(slot)) continue;
        late[slot] = true;
        avoid_[slot] = true;
      }
    }
    for (unsigned slot = 0; slot < n; ++slot) {
      stripe.present[slot] = good(slot);
      if (good(slot)) out_.bytes_read += stripe.block;
      if (!round.out(slot) || !is_target(slot)) continue;
      stripe.owners[slot] = Buffer::on_heap(stripe.block);
      stripe.spans[slot] = stripe.owners[slot].span();
    }
    co_return Result<>();
  }

  bool usable(unsigned slot) const { return sources_[slot]->reader || sources_[slot]->unopened; }
  disk::ShardRef shard_ref(unsigned slot) const {
    return disk::shard_ref(spec_.part, spec_.geometry.data_shards, spec_.geometry.parity_shards, slot);
  }

  bool start_one(IoRound& round, const Stripe& stripe) {
    for (const bool avoided : {false, true}) {
      for (unsigned slot = 0; slot < core_->size(); ++slot) {
        if (avoid_[slot] != avoided || !usable(slot) || round.started(slot)) continue;
        disk::BlockTarget target{stripe.slab, stripe.spans[slot]};
        return round.start(slot, read_block(core_, slot, sources_[slot], ctx_, shard_ref(slot), stripe.number,
                                            std::move(target)));
      }
    }
    return false;
  }

  Result<> too_few(IoRound& round) const {
    for (unsigned slot = 0; slot < core_->size(); ++slot) {
      const auto& answer = round.answers()[slot];
      const bool told = spec_.sources[slot].reader || spec_.sources[slot].unopened
                            ? answer && (answer->has_value() || answer->failed_with(Errc::corrupt) ||
                                         answer->failed_with(Errc::not_found))
                            : spec_.sources[slot].certain;
      if (!told) return fail(Errc::unavailable, "fewer than k shards can be read now");
    }
    return fail(Errc::corrupt, "fewer than k good blocks of a stripe are left");
  }

  Task<Result<>> decode(Stripe& stripe) {
    std::vector<std::uint8_t> wanted;
    for (const Target& target : targets_)
      if (!stripe.present[target.slot]) wanted.push_back(target.slot);
    if (wanted.empty()) co_return Result<>();
    const std::span<const bool> present(stripe.present.data(), core_->size());
    const std::size_t step =
        std::max<std::size_t>(kHashSliceBytes / spec_.geometry.data_shards / 64 * 64, 64);
    for (std::size_t at = 0; at < stripe.block; at += step) {
      co_await boost::asio::post(ctx_.shard.executor(), kAwait);  // clients first
      std::vector<MutableByteSpan> parts;
      for (const MutableByteSpan span : stripe.spans)
        parts.push_back(span.subspan(at, std::min(step, stripe.block - at)));
      CO_TRY_VOID(codec_->reconstruct(parts, present, wanted));
    }
    co_return Result<>();
  }

  void note_failure(unsigned slot, std::string_view what, const std::string& why) {
    log::warn("a drive did not take a rebuilt shard drive={} call={} data={} reason=\"{}\"",
              to_string(core_->drives[slot]->id()), what, to_string(spec_.part.data), why);
  }

  CorePtr core_;
  const Ctx& ctx_;
  const RebuildSpec spec_;
  const std::shared_ptr<const Codec> codec_;
  disk::StripeLayout layout_;
  std::vector<std::shared_ptr<Source>> sources_;  // by slot
  std::vector<bool> avoid_;                       // by slot: slow, or a target itself
  std::vector<Target> targets_;
  Rebuilt out_;
};

}  // namespace

Task<Rebuilt> rebuild_part(CorePtr core, const Ctx& ctx, RebuildSpec spec) {
  PartRebuild rebuild(std::move(core), ctx, std::move(spec));
  co_return co_await rebuild.run();
}

}  // namespace ostraka::erasure
