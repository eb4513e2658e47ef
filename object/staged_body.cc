#include "object/staged_body.h"

#include <utility>

#include "base/log.h"
#include "cluster/shard_copy.h"
#include "erasure/set_core.h"

namespace ostraka::object {

Task<> follow_slots(Ctx& ctx, erasure::StagedBody& body, std::shared_ptr<erasure::SetCore> core) {
  if (!body.core || body.core == core || body.core->size() != core->size()) co_return;
  for (unsigned slot = 0; slot < core->size(); ++slot) {
    disk::Drive& from = *body.core->drives[slot];
    disk::Drive& to = *core->drives[slot];
    if (&from == &to || !body.staged_on[slot]) continue;
    disk::ShardRef ref;
    ref.data = body.data;
    ref.shard_index = static_cast<std::uint8_t>(slot);
    ref.part_bytes = body.size;
    ref.data_shards = body.geometry.data_shards;
    ref.parity_shards = body.geometry.parity_shards;
    cluster::ShardCopy copy{std::move(ref), from, to, core->context.clock};
    auto copying = cluster::copy_shard(ctx, std::move(copy));
    const Result<> copied = co_await std::move(copying);
    if (!copied)
      log::warn("a staged shard did not follow its group from={} to={} error={}", to_string(from.id()),
                to_string(to.id()), copied.error().detail);
    body.staged_on[slot] = copied.has_value();
    auto discarding = from.discard(ctx, body.data);
    static_cast<void>(co_await std::move(discarding));  // otherwise the drive finds it some day
  }
  body.core = std::move(core);
}

}  // namespace ostraka::object
