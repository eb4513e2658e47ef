#include "erasure/version_push.h"

#include <algorithm>
#include <utility>

#include "erasure/drive_round.h"
#include "erasure/inline_body.h"
#include "erasure/quorum_read.h"

namespace ostraka::erasure {

Task<std::vector<std::uint8_t>> push_version(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref,
                                             PushSpec spec, unsigned need) {
  std::vector<std::uint8_t> took;
  const disk::VersionRecord& record = *spec.record;
  Ctx changing = core->changing(ctx);
  changing.deadline = std::min(changing.deadline, spec.commit_by);
  const auto geometry = make_geometry(record.data_shards, record.parity_shards);
  const bool with_shards = record.inline_data && record.size > 0;
  std::shared_ptr<const Codec> codec;
  std::vector<std::string> shards = std::move(spec.shards);
  if (with_shards) {
    if (!geometry || geometry->drives() != core->size() || !plausible_inline_size(record.size))
      co_return took;
    codec = core->codec(*geometry);
    const std::size_t bytes = disk::shard_block_bytes(record.size, record.data_shards);
    if (shards.empty()) {
      shards = co_await read_inline_shards(core, ctx, ref, record.id, bytes, record.data_shards,
                                           std::move(spec.holders));
    }
  }
  DriveRound<Result<disk::CommitAnswer>> round(core, ctx, core->size());
  for (const std::uint8_t slot : spec.targets) {
    disk::CommitRequest request;
    request.mode = spec.mode;
    request.record = spec.record;
    request.encoded = spec.encoded;
    request.shard_index = slot;
    request.retire = spec.retire;
    if (with_shards) {
      auto shard = rebuild_inline_shard(*codec, record.size, shards, slot);
      if (!shard) co_return took;
      request.inline_shard = std::move(*shard);
    }
    round.start(slot, call_commit(core, slot, changing, ref, std::move(request)));
  }
  const auto taken = [&round](std::size_t slot) {
    const auto& answer = round.answers()[slot];
    return answer && *answer &&
           ((**answer).verdict == disk::Verdict::ok || (**answer).verdict == disk::Verdict::newer);
  };
  const std::function<bool()> enough = [&] {
    unsigned count = 0;
    for (std::size_t slot = 0; slot < round.answers().size(); ++slot) count += taken(slot) ? 1U : 0U;
    return count >= need && !round.waiting_for_healthy();
  };
  co_await round.wait(changing.deadline, enough);
  for (const std::uint8_t slot : spec.targets)
    if (taken(slot)) took.push_back(slot);
  co_return took;
}

}  // namespace ostraka::erasure
