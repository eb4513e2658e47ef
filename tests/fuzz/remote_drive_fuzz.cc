// links: cluster
// What a node answers to a call to one of its drives: the first byte chooses the call, the rest is the
// answer. Whatever comes, the call ends with a value or an error.
#include "cluster/remote_drive.h"
#include "runtime/random.h"

namespace {

using namespace ostraka;

class OneAnswer final : public cluster::Transport {
 public:
  explicit OneAnswer(std::string head) : head_(std::move(head)) {}
  Task<Result<cluster::PeerAnswer>> call(Ctx&, const cluster::NodeName&, cluster::PeerCall,
                                         std::vector<disk::BlockTarget>) override {
    cluster::PeerAnswer answer;
    answer.head = head_;
    co_return std::move(answer);
  }

 private:
  const std::string head_;
};

disk::ShardRef shard_ref() {
  disk::ShardRef ref;
  ref.data.bytes.fill(1);
  ref.part_bytes = 3 << 20;
  ref.data_shards = 4;
  ref.parity_shards = 2;
  return ref;
}

disk::CommitRequest commit_request() {
  disk::VersionRecord record;
  record.id = {1ULL << 40, 1};
  disk::CommitRequest request;
  request.encoded = std::make_shared<const std::string>(disk::encode(record));
  request.record = std::make_shared<const disk::VersionRecord>(std::move(record));
  return request;
}

Task<bool> read_blocks(cluster::RemoteDrive* drive, Ctx ctx) {
  auto opening = drive->open_shard(ctx, shard_ref());
  auto reader = co_await std::move(opening);
  if (!reader) co_return false;
  Buffer buffer = Buffer::on_heap(64);
  std::vector<disk::BlockTarget> targets;
  targets.push_back(disk::BlockTarget{buffer, buffer.span()});
  auto reading = (*reader)->read_blocks(ctx, 0, std::move(targets));
  const Result<> read = co_await std::move(reading);
  co_return read.has_value();
}

Task<bool> write_blocks(cluster::RemoteDrive* drive, Ctx ctx) {
  const disk::StageSpec spec;
  auto staging = drive->stage(ctx, spec);
  auto writer = co_await std::move(staging);
  if (!writer) co_return false;
  auto finishing = (*writer)->finish(ctx);
  const Result<> finished = co_await std::move(finishing);
  co_return finished.has_value();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  SystemClock clock;
  SystemRandom random;
  Shard shard(0, clock, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1});
  OneAnswer transport(std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  cluster::RemoteDriveSpec spec;
  spec.node = "node2";
  cluster::RemoteDrive drive(cluster::RemoteDriveDeps{transport, clock, random, shard}, spec);
  Ctx ctx{shard, kNoDeadline, "fuzz"};
  disk::ObjectRef ref;
  ref.key = "key";
  disk::ListSpec list;
  list.prefix = "a";
  list.max_rows = 10;
  disk::RowScanSpec scan;
  scan.max_rows = 10;
  std::vector<disk::KeyRead> reads(2);
  const auto run = [&shard](auto task) { static_cast<void>(run_to_end(shard, std::move(task))); };
  switch (data[0] % 20) {
    case 0:
      return run(drive.read(ctx, ref, {})), 0;
    case 1:
      return run(drive.read_many(ctx, reads)), 0;
    case 2:
      return run(drive.commit(ctx, ref, commit_request())), 0;
    case 3:
      return run(drive.fence(ctx, ref, VersionId{1, 1})), 0;
    case 4:
      return run(drive.withdraw(ctx, ref, VersionId{1, 1})), 0;
    case 5:
      return run(drive.purge(ctx, ref, VersionId{1, 1})), 0;
    case 6:
      return run(read_blocks(&drive, ctx)), 0;
    case 7:
      return run(write_blocks(&drive, ctx)), 0;
    case 8:
      return run(drive.verify(ctx, shard_ref())), 0;
    case 9:
      return run(drive.list(ctx, list)), 0;
    case 10:
      return run(drive.scan(ctx, scan)), 0;
    case 11:
      return run(drive.info(ctx)), 0;
    case 12:
      return run(drive.groups(ctx)), 0;
    case 13:
      return run(drive.usage(ctx)), 0;
    case 14:
      return run(drive.find_orphans(ctx, {})), 0;
    case 15:
      return run(drive.scan_system(ctx, "", 10)), 0;
    case 16:
      return run(drive.recount_usage(ctx, BucketId{1})), 0;
    case 17:
      return run(drive.readmit_key(ctx, ref, 1)), 0;
    case 18:
      return run(drive.begin_anew(ctx, ref)), 0;
    default:
      return run(drive.put_system(ctx, "name", "value")), 0;
  }
}
