// Many waiting changes as one atomic batch: applies the protocol's rules to the rows of the index, one change
// after the other, and writes what came out. One object a batch; used by the committer's thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "disk/drive_op.h"
#include "disk/file_table.h"
#include "disk/group_places.h"
#include "disk/group_table.h"
#include "disk/meta_index.h"
#include "disk/row_cache.h"
#include "disk/usage_table.h"

namespace ostraka::disk {

class OpBatch {
 public:
  struct Parts {
    MetaIndex& index;
    IndexBatch& batch;  // empty
    RowCache& rows;
    GroupTable& groups;
    FileTable& files;
    UsageTable& usage;
    GroupPlaces& places;
    const DeploymentId& deployment;
  };
  OpBatch(Parts parts, std::int64_t now_ms) : p_(parts), now_ms_(now_ms) {}

  // Applies one change. An error concerns this change alone: what it did to the rows before it failed is
  // right by itself.
  Result<OpAnswer> apply(DriveOp& op);
  std::size_t bytes() const { return p_.batch.bytes() + row_bytes_; }
  // Writes it all. Sync as the changes need it. After a failure the object is of no use.
  Result<> write();
  bool synced() const { return needs_sync_; }
  // Once it is durable (or known to have failed): files and groups follow.
  void settle(bool durable);
  std::int64_t heal_entries() const { return heal_entries_; }  // put minus erased
  std::uint64_t heal_recorded() const { return heal_recorded_; }

 private:
  using Row = RowCache::Map::value_type;
  Result<OpAnswer> change_key(DriveOp& op);
  Result<OpAnswer> commit(DriveOp& op, Row& row, const GroupState& group);
  Result<> claim_files(DriveOp& op, OpAnswer& answer);
  bool too_far_ahead(VersionId id, const KeyState& state) const;
  Result<> retire(DriveOp& op, Row& row, OpAnswer& answer);
  // Files of a dropped version that nothing else on the drive owns go once the batch is durable. left: the
  // row without it.
  Result<> drop(const ObjectRef& ref, const std::string& row_key, const KeyState& left,
                const HeldVersion& version);
  Result<> end_upload(const ObjectRef& ref, const HeldVersion& held, const VersionRecord& completed);
  Result<> drop_part_row(Row& row, const VersionRecord& completed);
  Result<bool> part_row_owns(const ObjectRef& ref, const VersionRecord& record, const PartRecord& part);
  Result<bool> missed_part(const ObjectRef& ref, const VersionRecord& record, const PartRecord& part);
  Result<bool> object_owns(const ObjectRef& part_ref, const std::string& upload_id, const DataId& data);
  Result<std::optional<std::string>> system_value(const std::string& name);  // as of this batch, sealed
  Result<OpAnswer> system(DriveOp& op);
  Result<OpAnswer> readmit(DriveOp& op);
  Result<OpAnswer> begin_row(DriveOp& op);
  // To be dropped, whatever it says: one that cannot be read comes back empty, and is written so.
  Result<Row*> load_to_drop(const std::string& key);
  Result<OpAnswer> correct_usage(DriveOp& op);
  Result<OpAnswer> take_orphans(DriveOp& op);
  Result<OpAnswer> drop_inline(DriveOp& op);
  // Of groups that move: op_batch_move.cc.
  Result<OpAnswer> move(DriveOp& op);
  Result<MoveRecord> open_move(const MoveTicket& ticket, bool any_life = false);
  Result<OpAnswer> begin_move(const MoveChange& change, GroupPlace place);
  Result<OpAnswer> seal_groups(const MoveChange& change, const std::vector<std::uint16_t>& groups);
  Result<OpAnswer> take_back(const MoveChange& change, const std::vector<std::uint16_t>& groups);
  Result<OpAnswer> own(const MoveChange& change, const std::vector<std::uint16_t>& groups);
  Result<OpAnswer> end_drop(const MoveChange& change, const std::vector<std::uint16_t>& groups);
  Result<OpAnswer> import_rows(MoveChange& change, MoveRecord record);
  Result<OpAnswer> drop_rows(const MoveChange& change);
  Result<> replace_row(MoveChange::Row& moved);
  bool claim_moved_files(const MoveChange& change);
  Result<> check_places(const std::vector<std::uint16_t>& groups, GroupPlace place,
                        GroupPlace or_place) const;
  Result<> forget_changes(std::uint16_t group, std::uint64_t through);
  void note_changes();
  void write_raw_rows();                                         // rows lose their place in memory
  std::vector<std::uint16_t> groups_of(const Uuid& move) const;  // as of this batch, ascending
  GroupPlaces::Entry place_of(std::uint16_t group) const;
  bool serves(std::uint16_t group) const;
  void set_place(std::uint16_t group, GroupPlace place, const Uuid& move);
  // Records of the drive itself.
  void put_own(const std::string& name, std::string sealed);
  void erase_own(const std::string& name);

  void count_usage();
  BucketUsage& usage_of(BucketId bucket);  // as of this batch
  void changed(Row& row);
  GroupState group_of(std::uint16_t group) const;

  Parts p_;
  const std::int64_t now_ms_;
  std::vector<Row*> dirty_;
  std::map<std::uint16_t, GroupState> groups_;                // learnt in this batch
  std::map<std::string, std::optional<std::string>> system_;  // sealed values put in this batch; none: erased
  std::map<BucketId, BucketUsage> usage_;                     // changed in this batch
  std::vector<std::pair<VersionId, std::vector<DataId>>> dropped_;
  std::vector<DataId> claimed_;
  std::vector<DataId> orphans_;                         // taken in this batch
  std::map<std::uint16_t, GroupPlaces::Entry> places_;  // set in this batch
  std::map<std::string, std::string> raw_rows_;         // moved here, and not decoded
  std::uint64_t changes_ = 0;                           // noted in this batch
  bool leaving_ = false;                                // a group began to leave in this batch
  std::size_t row_bytes_ = 0;
  std::int64_t heal_entries_ = 0;
  std::uint64_t heal_recorded_ = 0;
  bool needs_sync_ = false;
};

}  // namespace ostraka::disk
