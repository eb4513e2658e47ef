#include "erasure/drive_round.h"

namespace ostraka::erasure {

Task<Result<disk::Held>> call_read(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                   disk::ReadSpec spec) {
  disk::Drive& drive = *core->drives[slot];
  Result<disk::Held> answer = co_await drive.read(ctx, ref, spec);
  if (!spec.with_inline || !answer.failed_with(Errc::corrupt)) co_return answer;
  // its shard is lost, but what it knows of the key may be whole
  core->metrics.corrupt_shards.add();
  const disk::ReadSpec bare;
  co_return co_await drive.read(ctx, std::move(ref), bare);
}

Task<Result<disk::CommitAnswer>> call_commit(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                             disk::CommitRequest request) {
  co_return co_await core->drives[slot]->commit(ctx, std::move(ref), std::move(request));
}

Task<Result<disk::FenceAnswer>> call_fence(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                           VersionId id) {
  co_return co_await core->drives[slot]->fence(ctx, std::move(ref), id);
}

Task<Result<disk::Verdict>> call_withdraw(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                          VersionId id) {
  co_return co_await core->drives[slot]->withdraw(ctx, std::move(ref), id);
}

Task<Result<disk::Verdict>> call_purge(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                       VersionId id) {
  co_return co_await core->drives[slot]->purge(ctx, std::move(ref), id);
}

Task<Result<>> call_discard(CorePtr core, unsigned slot, Ctx ctx, DataId data) {
  co_return co_await core->drives[slot]->discard(ctx, data);
}

Task<Result<>> call_put_system(CorePtr core, unsigned slot, Ctx ctx, std::string name, std::string value) {
  co_return co_await core->drives[slot]->put_system(ctx, std::move(name), std::move(value));
}

}  // namespace ostraka::erasure
