#include "cluster/shard_copy.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

// not_found and corrupt are about the file that is read.
tl::unexpected<Error> not_written(const Error& error) {
  const bool misleading = error.code == Errc::not_found || error.code == Errc::corrupt;
  return fail(misleading ? Errc::io : error.code, error.detail);
}

}  // namespace

Ctx briefly(Clock& clock, const Ctx& ctx) {
  Ctx out = ctx;
  out.deadline = std::min(ctx.deadline, clock.now() + kMoveCall);
  return out;
}

Task<Result<>> copy_shard(Ctx& ctx, ShardCopy copy) {
  const disk::ShardRef ref = copy.ref;
  Ctx brief = briefly(copy.clock, ctx);
  auto opening = copy.from.open_shard(brief, ref);
  CO_TRY(reader, co_await std::move(opening));
  disk::StageSpec spec;
  spec.data = ref.data;
  spec.shard_index = ref.shard_index;
  spec.data_shards = ref.data_shards;
  spec.parity_shards = ref.parity_shards;
  spec.block_bytes = disk::shard_block_bytes(kStripeBytes, ref.data_shards);
  spec.expected_bytes = ref.part_bytes;
  auto staging = copy.to.stage(brief, spec);
  auto staged = co_await std::move(staging);
  if (!staged) co_return not_written(staged.error());
  const std::unique_ptr<disk::ShardWriter> writer = std::move(*staged);
  const disk::StripeLayout layout{.data_shards = ref.data_shards, .part_bytes = ref.part_bytes};
  const std::uint64_t blocks = layout.stripes();
  for (std::uint64_t block = 0; block < blocks;) {
    std::vector<disk::BlockTarget> targets;
    BufferChain chain;
    std::uint64_t bytes = 0;
    const std::uint64_t first = block;
    for (; block < blocks && (targets.empty() || bytes + layout.block_bytes(block) <= kMoveCopyBytes);
         ++block) {
      Buffer buffer = Buffer::on_heap(layout.block_bytes(block));
      const MutableByteSpan span = buffer.span().first(layout.block_bytes(block));
      bytes += span.size();
      chain.push_back(Slice{buffer, span});
      targets.push_back(disk::BlockTarget{std::move(buffer), span});
    }
    brief.deadline = briefly(copy.clock, ctx).deadline;
    auto reading = reader->read_blocks(brief, first, std::move(targets));
    CO_TRY_VOID(co_await std::move(reading));
    auto appending = writer->append(brief, std::move(chain));
    const Result<> appended = co_await std::move(appending);
    if (!appended) co_return not_written(appended.error());
    if (!copy.between) continue;
    auto pausing = copy.between(bytes);
    const bool goes_on = co_await std::move(pausing);
    if (!goes_on) co_return fail(Errc::closed, "told to stop");
  }
  brief.deadline = briefly(copy.clock, ctx).deadline;
  auto finishing = writer->finish(brief);
  const Result<> finished = co_await std::move(finishing);
  if (!finished) co_return not_written(finished.error());
  co_return Result<>();
}

}  // namespace ostraka::cluster
