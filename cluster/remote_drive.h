// RemoteDrive: a Drive on another node, by calls over a Transport to that node's DriveService.
//
// What an error says: unavailable: nothing was begun, here or there. deadline and closed: nobody knows, the
// call may have been carried out or may yet be, until its deadline. An erasure set counts each of them as no
// answer: whether a commit is taken is then decided by fences, and a fence, a withdrawal or a purge that was
// not answered stands for a drive that may hold the version. corrupt, not_found and io come from the drive
// itself, never from the way to it, since healing goes by them. Whoever takes closed for "not written" (the
// embedded control store) must not be given a remote drive.
//
// Calls fail fast with unavailable while online() is false: the node could not be reached, was silent, or
// said that the drive is out of service. Probes (drive.info) find out: every 5 s while all is well, at once
// when calls have been out for a second and none was answered; while it is away after 250 ms, then at growing
// intervals up to 4 s; when it was removed from the cluster none at all. One call that does not get through
// while others do changes nothing.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cluster/transport.h"
#include "disk/drive.h"
#include "disk/group_move.h"
#include "runtime/random.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

class DriveLink;

struct RemoteDriveDeps {
  Transport& transport;
  Clock& clock;
  Random& random;
  Shard& home;  // where probes and errands are sent from
};

struct RemoteDriveSpec {
  NodeName node;
  DriveId drive{};
  std::string path;  // as the topology writes it; for people
  unsigned slot = 0;
};

// Thread safe.
class RemoteDrive final : public disk::Drive {
 public:
  RemoteDrive(const RemoteDriveDeps& deps, RemoteDriveSpec spec);
  // Probes and errands run from here on.
  void start();
  // The cluster has nothing more to do with the drive: it is asked nothing any more, and calls fail. Errands
  // that wait are not sent.
  void leave();
  // Tells the other node once more what it can let go of. No call may be running. Before the drive goes.
  Task<> close();

  const NodeName& node() const noexcept;
  // The drive's node has called this one, so if the drive is away it may be back: it is probed at once.
  void node_called();
  std::uint64_t dropped_retires() const;  // that were not sent, since too many waited or for too long

  disk::GroupMoves* moves() noexcept override;
  DriveId id() const noexcept override;
  bool remote() const noexcept override { return true; }
  bool online() const noexcept override;
  // Asks the drive; what was last known of it, and why there is nothing newer, when it does not answer.
  Task<Result<disk::DriveInfo>> info(Ctx& ctx) override;
  Task<Result<std::unique_ptr<disk::ShardWriter>>> stage(Ctx& ctx, disk::StageSpec spec) override;
  Task<Result<>> discard(Ctx& ctx, DataId data) override;
  Task<Result<disk::CommitAnswer>> commit(Ctx& ctx, disk::ObjectRef ref,
                                          disk::CommitRequest request) override;
  Task<Result<disk::FenceAnswer>> fence(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  Task<Result<disk::Verdict>> withdraw(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  // Rides along with the next call, or goes 20 ms later. Lost when the call is lost, or when too many wait.
  void retire(disk::ObjectRef ref, VersionId id) override;
  Task<Result<disk::Verdict>> purge(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  // The pin is a lease of some minutes on the other node, renewed while it lives.
  Task<Result<disk::Held>> read(Ctx& ctx, disk::ObjectRef ref, disk::ReadSpec spec) override;
  std::optional<Result<disk::Held>> try_read(const disk::ObjectRef& ref, disk::ReadSpec spec) override;
  Task<Result<std::unique_ptr<disk::ShardReader>>> open_shard(Ctx& ctx, disk::ShardRef ref) override;
  std::unique_ptr<disk::ShardReader> open_shard_later(const disk::ShardRef& ref) override;
  Task<Result<disk::ListPage>> list(Ctx& ctx, disk::ListSpec spec) override;
  Task<Result<disk::ShardHealth>> verify(Ctx& ctx, disk::ShardRef ref) override;
  Task<Result<bool>> begin_anew(Ctx& ctx, disk::ObjectRef ref) override;
  Task<Result<disk::Verdict>> readmit_key(Ctx& ctx, disk::ObjectRef ref, std::uint64_t birth) override;
  Task<Result<std::vector<Result<disk::Held>>>> read_many(Ctx& ctx,
                                                          std::vector<disk::KeyRead> reads) override;
  Task<Result<>> readmit(Ctx& ctx, std::uint16_t group, std::uint64_t birth) override;
  Task<Result<std::vector<disk::GroupState>>> groups(Ctx& ctx) override;
  Task<Result<disk::RowPage>> scan(Ctx& ctx, disk::RowScanSpec spec) override;
  Task<Result<std::vector<disk::BucketUsage>>> usage(Ctx& ctx) override;
  Task<Result<bool>> recount_usage(Ctx& ctx, BucketId bucket) override;
  Task<Result<disk::OrphanReport>> find_orphans(Ctx& ctx, disk::OrphanSpec spec) override;
  // too_large also for a value that does not fit into one call.
  Task<Result<>> put_system(Ctx& ctx, std::string name, std::string value) override;
  Task<Result<>> erase_system(Ctx& ctx, std::string name) override;
  Task<Result<std::vector<SystemRecord>>> scan_system(Ctx& ctx, std::string prefix, std::size_t max) override;
  Task<Result<std::vector<SystemRecord>>> scan_system_after(Ctx& ctx, std::string prefix, std::string after,
                                                            std::size_t max) override;
  Task<Result<>> erase_system_if(Ctx& ctx, std::string name, std::string value) override;

 private:
  const std::shared_ptr<DriveLink> link_;
  const std::unique_ptr<disk::GroupMoves> moves_;
};

}  // namespace ostraka::cluster
