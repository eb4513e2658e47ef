// LocalDrive: a Drive on a folder of this machine. Reads and shard files run on a few threads of the drive,
// all changes of its index on one more (committer.h); a drive that goes away is closed, and opened again when
// it is back. Thread safe.
#pragma once

#include <memory>
#include <string>

#include "disk/committer.h"
#include "disk/drive.h"
#include "disk/drive_core.h"
#include "disk/health_watch.h"
#include "disk/local_group_moves.h"

namespace ostraka::disk {

class OrphanSearch;

class LocalDrive final : public Drive {
 public:
  // expected: whose folder this has to be. What deps refers to must outlive the drive. When the drive is
  // destroyed no call may be running, its readers and writers must be gone, and the shards must still be
  // there.
  LocalDrive(const DriveDeps& deps, std::string path, DriveFormat expected);
  ~LocalDrive() override;

  // Opens the folder on the calling thread, and starts the drive in either case: with an error it begins
  // offline, and comes into service by itself once the cause is gone. wrong_drive, unsupported_version,
  // corrupt, not_found, io: the detail names folder, cause and next step. Once.
  Result<> start();

  // --- for who replaces drives that lost their data
  const std::string& folder() const noexcept { return core_.path; }
  const DriveFormat& expected() const noexcept { return core_.expected; }
  bool closed() const { return core_.open() == nullptr; }  // nothing of its folder is in use
  Uuid incarnation() const;                                // of the drive in service; nil while it is away
  // The file in the folder that keeps other processes from using it; none while it is away.
  std::optional<FileId> lock_file() const;
  // The folder's drive is this incarnation; one of another was replaced, and is refused from now on.
  void require_incarnation(const Uuid& incarnation) { core_.require_incarnation(incarnation); }
  void set_absence_note(std::string note) { core_.set_absence_note(std::move(note)); }
  Task<Result<FolderLook>> look_at_folder(Ctx& ctx);
  // Whether format_anew() may be tried: the folder can be written, and no earlier life is being closed.
  Task<Result<>> check_formattable(Ctx& ctx);
  // Makes the empty folder a new incarnation of this drive. groups: by group, those with a birth refill, and
  // the others are not its own; records: what the drive's system column holds from the start. The drive comes
  // into service by itself then. Errors: those of format_drive(), unavailable (the drive is in service, or
  // still being closed).
  Task<Result<>> format_anew(Ctx& ctx, Uuid incarnation, std::vector<GroupState> groups,
                             std::vector<SystemRecord> records);

  // --- for who watches over drives
  void set_smart(SmartReport report) { core_.set_smart(std::move(report)); }
  // An operator says that it is well: it is used again at once, and what it did is forgotten.
  void trust_again() { core_.health.forget(core_.clock.now()); }

  GroupMoves* moves() noexcept override { return &moves_; }
  DriveId id() const noexcept override { return core_.expected.drive(); }
  bool online() const noexcept override { return core_.online(); }
  Task<Result<DriveInfo>> info(Ctx& ctx) override;
  Task<Result<std::unique_ptr<ShardWriter>>> stage(Ctx& ctx, StageSpec spec) override;
  Task<Result<>> discard(Ctx& ctx, DataId data) override;
  Task<Result<CommitAnswer>> commit(Ctx& ctx, ObjectRef ref, CommitRequest request) override;
  Task<Result<FenceAnswer>> fence(Ctx& ctx, ObjectRef ref, VersionId id) override;
  Task<Result<Verdict>> withdraw(Ctx& ctx, ObjectRef ref, VersionId id) override;
  void retire(ObjectRef ref, VersionId id) override;
  Task<Result<Verdict>> purge(Ctx& ctx, ObjectRef ref, VersionId id) override;
  Task<Result<Held>> read(Ctx& ctx, ObjectRef ref, ReadSpec spec) override;
  std::optional<Result<Held>> try_read(const ObjectRef& ref, ReadSpec spec) override;
  Task<Result<std::unique_ptr<ShardReader>>> open_shard(Ctx& ctx, ShardRef ref) override;
  Task<Result<ListPage>> list(Ctx& ctx, ListSpec spec) override;
  Task<Result<ShardHealth>> verify(Ctx& ctx, ShardRef ref) override;
  Task<Result<bool>> begin_anew(Ctx& ctx, ObjectRef ref) override;
  Task<Result<Verdict>> readmit_key(Ctx& ctx, ObjectRef ref, std::uint64_t birth) override;
  Task<Result<>> readmit(Ctx& ctx, std::uint16_t group, std::uint64_t birth) override;
  Task<Result<std::vector<GroupState>>> groups(Ctx& ctx) override;
  Task<Result<RowPage>> scan(Ctx& ctx, RowScanSpec spec) override;
  Task<Result<std::vector<Result<Held>>>> read_many(Ctx& ctx, std::vector<KeyRead> reads) override;
  Task<Result<std::vector<BucketUsage>>> usage(Ctx& ctx) override;
  Task<Result<bool>> recount_usage(Ctx& ctx, BucketId bucket) override;
  Task<Result<OrphanReport>> find_orphans(Ctx& ctx, OrphanSpec spec) override;
  Task<Result<>> put_system(Ctx& ctx, std::string name, std::string value) override;
  Task<Result<>> erase_system(Ctx& ctx, std::string name) override;
  Task<Result<std::vector<SystemRecord>>> scan_system(Ctx& ctx, std::string prefix, std::size_t max) override;
  Task<Result<std::vector<SystemRecord>>> scan_system_after(Ctx& ctx, std::string prefix, std::string after,
                                                            std::size_t max) override;
  Task<Result<>> erase_system_if(Ctx& ctx, std::string name, std::string value) override;

 private:
  Task<Result<OpAnswer>> submit(Ctx& ctx, std::unique_ptr<DriveOp> op);
  // Of the group's epoch that a read carries: it teaches the drive that, durably.
  bool knows_not(const ObjectRef& ref) const { return ref.epoch > core_.groups.state(ref.group).epoch; }
  Task<Result<>> learn_epoch(Ctx& ctx, const ObjectRef& ref);
  void learn_epoch_lazily(const ObjectRef& ref);  // with the next change
  Task<Result<std::optional<BucketUsage>>> count_bucket(Ctx& ctx, BucketId bucket);
  Task<Result<>> search_orphans(Ctx& ctx, std::shared_ptr<OrphanSearch> search);
  Task<Result<OpAnswer>> change_key(Ctx& ctx, OpKind kind, ObjectRef ref, VersionId id);
  Task<Result<Verdict>> change_system(Ctx& ctx, OpKind kind, std::string name, std::string value,
                                      bool only_if_value = false);

  DriveCore core_;
  Committer committer_;  // after core_: ends first
  LocalGroupMoves moves_;
  HealthWatch watch_;  // before both of them
};

}  // namespace ostraka::disk
