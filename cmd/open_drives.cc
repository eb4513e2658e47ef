#include "cmd/open_drives.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cmd/drive_plan.h"
#include "disk/drive_format.h"
#include "disk/drive_health.h"
#include "disk/group_places.h"
#include "disk/local_drive.h"

namespace ostraka::cmd {
namespace {

constexpr std::size_t kMaxStartThreads = 32;

class Opener {
 public:
  explicit Opener(DriveOpening opening)
      : o_(std::move(opening)),
        threads_(
            o_.workers.make("start", static_cast<unsigned>(std::min(o_.folders.size(), kMaxStartThreads)))) {}

  Result<NodeDrives> open() {
    TRY(plan, plan_drives(inspect(), o_.wanted));
    for (const std::string& notice : plan.notices) log::warn("{}", notice);
    if (plan.fresh) {
      TRY_VOID(format_all(plan));
    } else {
      TRY_VOID(finish_formatting(plan));
    }
    return start(plan, nullptr);
  }

  Result<NodeDrives> open_those_of(const ClusterOpening& cluster) {
    TRY(plan, plan_node_drives(cluster.topology, cluster.self, inspect(), cluster.seen));
    for (const std::string& notice : plan.drives.notices) log::warn("{}", notice);
    TRY_VOID(format(plan.drives, plan.new_slots, cluster.table));
    for (const std::size_t slot : plan.new_slots) {
      Seat& seat = plan.drives.seats[slot];
      seat = Seat{.folder = seat.folder, .usable = true};
      log::info("formatted a new drive drive={} slot={}", seat.folder, slot);
    }
    return start(plan.drives, &cluster);
  }

 private:
  std::vector<FoundFolder> inspect() {
    std::vector<FoundFolder> found(o_.folders.size());
    threads_->for_each(found.size(), [&](std::size_t i) {
      found[i].path = o_.folders[i];
      found[i].exists = o_.fs.exists(o_.folders[i]).value_or(true);
      found[i].format = disk::inspect_drive(o_.fs, o_.folders[i]);
    });
    return found;
  }

  Result<> format_all(DrivePlan& plan) {
    if (!o_.may_format)
      return fail(Errc::not_found, "all of these folders are empty or missing: there is nothing to read");
    const erasure::Geometry geometry = o_.wanted.value_or(default_geometry(o_.folders.size()));
    plan.format.deployment = DeploymentId{make_uuid(o_.random)};
    plan.format.data_shards = geometry.data_shards;
    plan.format.parity_shards = geometry.parity_shards;
    plan.format.created_ms = o_.clock.unix_ms();
    for (std::size_t i = 0; i < o_.folders.size(); ++i)
      plan.format.drives.push_back(DriveId{make_uuid(o_.random)});
    std::vector<std::size_t> slots(o_.folders.size());
    for (std::size_t slot = 0; slot < slots.size(); ++slot) slots[slot] = slot;
    TRY_VOID(format(plan, slots));
    log::info("formatted {} drives as {}+{} deployment={}", slots.size(), geometry.data_shards,
              geometry.parity_shards, to_string(plan.format.deployment));
    return {};
  }

  // A first start that was interrupted leaves some folders formatted and the others empty. If nothing was
  // ever stored on any of the former, the rest is formatted now; otherwise an empty folder is a drive that
  // lost its data.
  Result<> finish_formatting(DrivePlan& plan) {
    std::vector<std::size_t> missing, formatted;
    for (std::size_t slot = 0; slot < plan.seats.size(); ++slot) {
      (plan.seats[slot].usable ? formatted : missing).push_back(slot);
    }
    if (missing.empty() || !o_.may_format) return {};
    for (const std::size_t slot : missing) {
      const auto found = disk::inspect_drive(o_.fs, plan.seats[slot].folder);
      if (!found || *found) return {};
    }
    for (const std::size_t slot : formatted) {
      if (!never_used(plan.seats[slot].folder)) return {};
    }
    log::info("the first start was interrupted before anything was stored: formatting the other {} drives",
              missing.size());
    TRY_VOID(format(plan, missing));
    for (const std::size_t slot : missing)
      plan.seats[slot] = Seat{.folder = plan.seats[slot].folder, .usable = true};
    return {};
  }

  // Whatever a deployment does begins with a document on a majority of its drives.
  bool never_used(const std::string& folder) {
    const auto index = o_.indexes.open(disk::index_folder(folder), disk::IndexMode::existing);
    if (!index) return false;
    for (const disk::Column column : {disk::Column::system, disk::Column::rows}) {
      const auto cursor = (*index)->scan(column, "", "");
      cursor->seek("");
      if (cursor->valid() || !cursor->status()) return false;
    }
    return true;
  }

  // Groups that the table does not give to the drive: who asks it about them has not heard of a move.
  static disk::FirstRecords groups_away(const cluster::Placement& table, const DriveId& drive) {
    disk::FirstRecords out;
    for (unsigned i = 0; i < kPlacementGroups; ++i) {
      const auto group = static_cast<std::uint16_t>(i);
      const std::vector<DriveId>& drives = table.group(group).drives;
      if (std::find(drives.begin(), drives.end(), drive) != drives.end()) continue;
      out.emplace_back(disk::place_record_name(group), disk::encode_place({disk::GroupPlace::away, Uuid{}}));
    }
    return out;
  }

  Result<> format(const DrivePlan& plan, const std::vector<std::size_t>& slots,
                  const cluster::Placement* table = nullptr) {
    std::vector<Result<>> done(slots.size());
    threads_->for_each(slots.size(), [&](std::size_t i) {
      disk::DriveFormat drive = plan.format;
      drive.slot = static_cast<unsigned>(slots[i]);
      disk::FirstRecords records;
      if (table != nullptr) records = groups_away(*table, drive.drive());
      done[i] = disk::format_drive(o_.fs, o_.indexes, plan.seats[slots[i]].folder, drive, records);
    });
    for (Result<>& result : done) TRY_VOID(std::move(result));
    return {};
  }

  // cluster: null when all seats are on this node.
  Result<NodeDrives> start(const DrivePlan& plan, const ClusterOpening* cluster) {
    for (const Seat& seat : plan.seats) {
      if (!seat.usable && !seat.elsewhere) log::warn("drive left out: {}", seat.problem);
    }
    NodeDrives out;
    out.deployment = plan.format.deployment;
    out.geometry = erasure::Geometry{plan.format.data_shards, plan.format.parity_shards};
    out.ids = plan.format.drives;
    out.drives.resize(plan.seats.size());
    std::vector<Result<>> started(plan.seats.size());
    std::vector<disk::LocalDrive*> local(plan.seats.size());
    const auto quota =
        std::make_shared<disk::FailingQuota>(plan.format.data_shards, plan.format.parity_shards);
    const disk::DriveDeps deps{o_.fs, o_.clock, o_.indexes, o_.workers, o_.metrics, quota};
    threads_->for_each(plan.seats.size(), [&](std::size_t slot) {
      if (plan.seats[slot].elsewhere) return;
      disk::DriveFormat expected = plan.format;
      expected.slot = static_cast<unsigned>(slot);
      auto drive = std::make_unique<disk::LocalDrive>(deps, plan.seats[slot].folder, std::move(expected));
      started[slot] = drive->start();
      local[slot] = drive.get();
      out.drives[slot] = std::move(drive);
    });
    for (std::size_t slot = 0; slot < plan.seats.size(); ++slot) {
      const Seat& seat = plan.seats[slot];
      out.local.push_back(local[slot]);
      out.nodes.push_back(cluster == nullptr ? "" : cluster->topology.slots[slot].url.node);
      if (cluster == nullptr) {
        out.paths.push_back(seat.folder);
      } else {
        out.paths.push_back(to_string(cluster->topology.slots[slot].url));
      }
      out.remote.push_back(nullptr);
      out.removed.push_back(cluster != nullptr &&
                            cluster->topology.slots[slot].state == cluster::SlotState::removed);
      if (seat.elsewhere) {
        std::unique_ptr<cluster::RemoteDrive> remote =
            cluster->remote({out.nodes.back(), out.ids[slot], out.paths.back(), static_cast<unsigned>(slot)});
        out.remote.back() = remote.get();
        out.drives[slot] = std::move(remote);
        out.awaited.push_back(false);
        out.file_systems.push_back(0);
        continue;
      }
      const Result<>& drive = started[slot];
      const bool gone_since =
          seat.usable && (drive.failed_with(Errc::not_found) || drive.failed_with(Errc::io));
      out.awaited.push_back(!drive && (seat.awaited || gone_since));
      const auto identity = o_.fs.identity(plan.seats[slot].folder);
      out.file_systems.push_back(identity ? identity->device : 0);
      // What the plan left out was told already.
      if (!started[slot] && plan.seats[slot].usable)
        log::warn("drive left out: {}", started[slot].error().detail);
    }
    return out;
  }

  DriveOpening o_;
  const std::unique_ptr<Workers> threads_;
};

}  // namespace

Result<NodeDrives> open_drives(DriveOpening opening) {
  if (opening.wanted && opening.folders.size() < opening.wanted->drives()) {
    return fail(Errc::invalid_argument, "too few folders for the erasure set");
  }
  return Opener(std::move(opening)).open();
}

Result<NodeDrives> open_cluster_drives(DriveOpening opening, ClusterOpening cluster) {
  return Opener(std::move(opening)).open_those_of(cluster);
}

}  // namespace ostraka::cmd
