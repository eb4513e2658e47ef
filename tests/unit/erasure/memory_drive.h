// A drive in memory: the rules of key_state.h applied to maps. Single-threaded; answers at once.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "disk/drive.h"
#include "runtime/clock.h"

namespace ostraka::erasure {

class MemoryDrive final : public disk::Drive {
 public:
  struct File {
    std::uint8_t shard_index = 0;
    std::vector<std::string> blocks;
    std::vector<bool> corrupt;  // by block
    bool finished = false;
  };
  using RowKey = std::tuple<std::uint64_t, char, std::string, std::string>;

  MemoryDrive(Clock& clock, std::uint8_t number);
  ~MemoryDrive() override;

  // for tests
  const disk::KeyState* state(const disk::ObjectRef& ref) const;
  std::size_t rows() const noexcept { return rows_.size(); }
  std::map<DataId, std::shared_ptr<File>>& files() noexcept { return files_; }
  const std::map<std::string, std::string>& system() const noexcept { return system_; }
  void corrupt_inline(const disk::ObjectRef& ref) { damaged_inline_.insert_or_assign(row_key(ref), true); }
  void lose_inline(const disk::ObjectRef& ref);  // as if the index had lost the value
  void lose_row(const disk::ObjectRef& ref);     // record, inline shard and all; files stay
  // Its checksum fails: what it said is forgotten, and the files that it named are nobody's.
  void damage_row(const disk::ObjectRef& ref);
  bool row_lost(const disk::ObjectRef& ref) const { return lost_rows_.contains(row_key(ref)); }
  bool refilling(std::uint16_t group) { return groups_[group].refilling; }
  void set_online(bool online) noexcept { online_ = online; }
  void set_full(bool full) noexcept { full_ = full; }
  void set_memory_reads(bool on) noexcept { memory_reads_ = on; }
  // A slot of the group has left the drive, or is on its way here: it answers nothing about it. It keeps the
  // rows that it has.
  void set_away(std::uint16_t group, bool away = true) { away_.set(group, away); }
  // All that it has of the group goes to another drive.
  void move_group(std::uint16_t group, MemoryDrive& to);
  unsigned long lists = 0, listed_rows = 0, looked_rows = 0;
  unsigned long reads = 0;  // of keys, by read, read_many and try_read
  // Loses all it has, and refills these groups from now on; all of them when none are named.
  void lose_everything(std::uint64_t birth, std::vector<std::uint16_t> groups = {});
  std::uint64_t nameless_rows = 0;  // that scans leave out
  unsigned long block_reads = 0;
  unsigned long system_scans = 0;

  DriveId id() const noexcept override { return id_; }
  bool online() const noexcept override { return online_; }
  Task<Result<disk::DriveInfo>> info(Ctx& ctx) override;
  Task<Result<std::unique_ptr<disk::ShardWriter>>> stage(Ctx& ctx, disk::StageSpec spec) override;
  Task<Result<>> discard(Ctx& ctx, DataId data) override;
  Task<Result<disk::CommitAnswer>> commit(Ctx& ctx, disk::ObjectRef ref,
                                          disk::CommitRequest request) override;
  Task<Result<disk::FenceAnswer>> fence(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  Task<Result<disk::Verdict>> withdraw(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  void retire(disk::ObjectRef ref, VersionId id) override;
  Task<Result<disk::Verdict>> purge(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  Task<Result<disk::Held>> read(Ctx& ctx, disk::ObjectRef ref, disk::ReadSpec spec) override;
  Task<Result<std::vector<Result<disk::Held>>>> read_many(Ctx& ctx,
                                                          std::vector<disk::KeyRead> reads) override;
  std::optional<Result<disk::Held>> try_read(const disk::ObjectRef& ref, disk::ReadSpec spec) override;
  Task<Result<std::unique_ptr<disk::ShardReader>>> open_shard(Ctx& ctx, disk::ShardRef ref) override;
  Task<Result<disk::ListPage>> list(Ctx& ctx, disk::ListSpec spec) override;
  Task<Result<disk::ShardHealth>> verify(Ctx& ctx, disk::ShardRef ref) override;
  Task<Result<bool>> recount_usage(Ctx& ctx, BucketId bucket) override;
  Task<Result<disk::OrphanReport>> find_orphans(Ctx& ctx, disk::OrphanSpec spec) override;
  Task<Result<>> put_system(Ctx& ctx, std::string name, std::string value) override;
  Task<Result<>> erase_system(Ctx& ctx, std::string name) override;
  Task<Result<std::vector<SystemRecord>>> scan_system(Ctx& ctx, std::string prefix, std::size_t max) override;
  Task<Result<std::vector<SystemRecord>>> scan_system_after(Ctx& ctx, std::string prefix, std::string after,
                                                            std::size_t max) override;
  Task<Result<>> erase_system_if(Ctx& ctx, std::string name, std::string value) override;
  Task<Result<bool>> begin_anew(Ctx& ctx, disk::ObjectRef ref) override;
  Task<Result<disk::Verdict>> readmit_key(Ctx& ctx, disk::ObjectRef ref, std::uint64_t birth) override;
  Task<Result<>> readmit(Ctx& ctx, std::uint16_t group, std::uint64_t birth) override;
  Task<Result<std::vector<disk::GroupState>>> groups(Ctx& ctx) override;
  Task<Result<disk::RowPage>> scan(Ctx& ctx, disk::RowScanSpec spec) override;
  Task<Result<std::vector<disk::BucketUsage>>> usage(Ctx& ctx) override;

 private:
  class Writer;
  class Reader;
  static RowKey row_key(const disk::ObjectRef& ref);
  disk::GroupState& group(const disk::ObjectRef& ref) { return groups_[ref.group]; }
  disk::GroupState group_of_key(const disk::ObjectRef& ref) {
    return disk::group_of_key(group(ref), rows_[row_key(ref)]);
  }
  std::string row_bytes(const RowKey& key) const;
  enum class Epochs { current, any };  // which calls are taken
  Result<> admit(const disk::ObjectRef& ref, Epochs which);
  Result<disk::Held> held(const disk::ObjectRef& ref, disk::ReadSpec spec);
  bool staged(const disk::ObjectRef& ref, const disk::VersionRecord& record) const;
  bool missed_part(disk::ObjectRef ref, const disk::VersionRecord& record,
                   const disk::PartRecord& part) const;
  void end_upload(const disk::ObjectRef& ref, const disk::HeldVersion& held,
                  const disk::VersionRecord& completed);
  void clean_up(const RowKey& key, const disk::Dropped& dropped);
  bool named(DataId data) const;

  Clock& clock_;
  DriveId id_;
  bool online_ = true;
  bool full_ = false;
  bool memory_reads_ = true;
  std::map<RowKey, disk::KeyState> rows_;
  std::set<RowKey> lost_rows_;  // they are in rows_, too, and say nothing
  std::map<std::pair<RowKey, VersionId>, std::string> inline_;
  std::map<RowKey, bool> damaged_inline_;
  std::map<DataId, std::shared_ptr<File>> files_;
  std::map<DataId, std::weak_ptr<File>> pinned_;  // those dropped that somebody still reads, too
  std::map<std::uint16_t, disk::GroupState> groups_;
  std::map<RowKey, std::uint16_t> group_of_;  // as the calls said
  GroupBits away_;
  std::map<std::string, std::string> system_;
  std::uint64_t heal_recorded_ = 0;
};

}  // namespace ostraka::erasure
