// DriveReplacer: a drive of the deployment whose folder is empty lost its data. When nothing speaks against
// it, the folder is formatted for a new incarnation of the drive, which the healer then fills from the
// others.
//
// The order is what makes it safe (ARCHITECTURE.md, rule 8): first the epoch of all its groups is raised in
// the placement table, then the new incarnation is registered, and only then the folder is formatted, with
// each of the groups born in its new epoch. The one that was replaced is refused should it come back.
//
// A folder that is empty because its file system is not mounted is told by where it lies: the register knows
// the mount point that it had when it was last seen.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cluster/drive_register.h"
#include "cluster/embedded_control_store.h"
#include "disk/local_drive.h"
#include "runtime/clock.h"
#include "runtime/ctx.h"
#include "runtime/random.h"

namespace ostraka::cmd {

// For EmbeddedControlStore::set_replaced_drives(), with kDriveRegister. drives: by slot.
cluster::EmbeddedControlStore::ReplacedDrives find_replaced(std::vector<disk::LocalDrive*> drives);

// For EmbeddedControlStore::set_lost_drives(). A drive is lost when it is out of service, and its folder,
// where the drive was when it was last seen, is found empty, and again a second later. None are when more are
// than the parity makes good. drives: by slot.
cluster::EmbeddedControlStore::LostDrives find_lost(Clock& clock, std::vector<disk::LocalDrive*> drives);

// Of one shard; calls for different slots may overlap.
class DriveReplacer {
 public:
  struct Deps {
    Clock& clock;
    Random& random;
    control::ControlStore& control;
    cluster::EmbeddedControlStore* embedded;  // the same, where it is kept on these drives; else null
    bool in_cluster = false;                  // other nodes have drives of the deployment, too
    DeploymentId deployment;
    std::string placement_document;
    // This process is the node's, and no other: else it formats nothing.
    std::function<bool()> is_this_node = [] { return true; };
    std::vector<disk::LocalDrive*> drives;  // by slot; null: on another node, whose own replacer has it
    // Makes those who use the group carry the epoch from now on.
    std::function<void(std::uint16_t group, std::uint64_t epoch)> raise_epoch;
  };
  explicit DriveReplacer(Deps deps) : d_(std::move(deps)), slots_(d_.drives.size()) {}

  // After the control store is loaded: refuses replaced drives, and registers where the others lie. Errors:
  // unsupported_version, malformed; of a cluster, where a drive that is not registered is taken for a new one
  // at the next start, those of ControlStore::put.
  Task<Result<>> begin(Ctx& ctx);
  // The drive has come into service.
  Task<> note_place(Ctx& ctx, std::size_t slot);
  // The drive is away: formats its folder when that is empty, was so a moment ago, and may be.
  Task<> replace_if_lost(Ctx& ctx, std::size_t slot);

 private:
  // The new incarnation, known to the others. Good for any number of tries to format, as long as none of them
  // left a drive: it has promised nothing since that birth.
  struct Prepared {
    Uuid incarnation{};
    std::vector<disk::GroupState> groups;
  };
  struct Slot {
    bool was_empty = false;  // at the last look
    TimePoint not_before{};  // the next try after one that failed
    Duration pause{};        // before that one
    std::optional<Prepared> prepared;
  };
  Result<cluster::DriveRegister> read_register(std::uint64_t& revision) const;
  Task<Result<>> update_register(Ctx& ctx, std::vector<std::size_t> slots,
                                 std::vector<cluster::RegisteredDrive> drives);
  Task<std::string> objection(Ctx& ctx, std::size_t slot, std::string mount_point);
  Task<Result<std::vector<std::uint64_t>>> raise_epochs(Ctx& ctx, std::size_t slot);
  Task<Result<>> prepare(Ctx& ctx, std::size_t slot);
  Task<> replace_unless_objected(Ctx& ctx, std::size_t slot, std::string mount_point);
  Task<Result<>> replace(Ctx& ctx, std::size_t slot, std::string mount_point);

  const Deps d_;
  std::vector<Slot> slots_;
  bool replacing_ = false;  // one at a time: the next counts on the one before it to answer
};

}  // namespace ostraka::cmd
