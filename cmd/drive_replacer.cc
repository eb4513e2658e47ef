#include "cmd/drive_replacer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cluster/limits.h"
#include "cluster/placement_change.h"

namespace ostraka::cmd {
namespace {

using cluster::DriveRegister;
using cluster::RegisteredDrive;

constexpr Duration kFirstPause = std::chrono::seconds(2);  // after a failure; then twice as long
constexpr Duration kLongestPause = std::chrono::minutes(5);
constexpr Duration kLookAgain = std::chrono::seconds(1);

// Where the drive was last seen. Of one that was never seen since there is a register: its folder is a mount
// point, or on the same file system as that of a drive in service.
bool place_is_known(const std::vector<disk::LocalDrive*>& drives, const DriveRegister& known,
                    std::size_t slot, const std::string& mount_point) {
  if (mount_point.empty()) return false;
  if (known[slot]) return known[slot]->mount_point == mount_point;
  if (mount_point == drives[slot]->folder()) return true;
  for (std::size_t other = 0; other < drives.size(); ++other) {
    if (drives[other] != nullptr && drives[other]->online() && known[other] &&
        known[other]->mount_point == mount_point)
      return true;
  }
  return false;
}

// The drive, where the look found it: the drive itself may not have noticed yet that its folder is another
// one now, or the bare mount point. Nothing: it is not there.
std::optional<RegisteredDrive> seen_there(const disk::LocalDrive& drive,
                                          const Result<disk::FolderLook>& look) {
  if (!look || look->mount_point.empty() || !look->format || !*look->format || !drive.online())
    return std::nullopt;
  const disk::DriveFormat& format = **look->format;
  if (format.deployment != drive.expected().deployment || format.drive() != drive.id() ||
      format.incarnation != drive.incarnation())
    return std::nullopt;
  RegisteredDrive seen;
  seen.incarnation = format.incarnation;
  seen.mount_point = look->mount_point;
  return seen;
}

Task<bool> is_empty(Ctx& ctx, std::vector<disk::LocalDrive*> drives, DriveRegister known, std::size_t slot) {
  disk::LocalDrive& drive = *drives[slot];
  if (drive.online() || !drive.closed()) co_return false;
  const auto look = co_await drive.look_at_folder(ctx);
  if (!look || !look->format || *look->format || drive.online()) co_return false;
  co_return place_is_known(drives, known, slot, look->mount_point);
}

Task<std::vector<bool>> look_for_lost(Clock* clock, std::vector<disk::LocalDrive*> drives, Ctx ctx,
                                      std::optional<std::string> content) {
  std::vector<bool> lost(drives.size());
  DriveRegister known;
  if (content) {
    auto decoded = cluster::decode_drive_register(*content);
    if (!decoded) co_return lost;
    known = std::move(*decoded);
  }
  known.resize(std::max(known.size(), drives.size()));
  std::size_t count = 0;
  for (std::size_t slot = 0; slot < drives.size(); ++slot) {
    const bool empty = co_await is_empty(ctx, drives, known, slot);
    lost[slot] = empty;
    count += empty ? 1U : 0U;
  }
  if (count == 0) co_return lost;
  if (count > drives.front()->expected().parity_shards) {
    lost.assign(drives.size(), false);
    co_return lost;
  }
  co_await sleep_for(*clock, kLookAgain);  // whoever is at work on a folder gets a moment
  for (std::size_t slot = 0; slot < drives.size(); ++slot) {
    if (!lost[slot]) continue;
    const bool still_empty = co_await is_empty(ctx, drives, known, slot);
    lost[slot] = still_empty;
  }
  co_return lost;
}

}  // namespace

cluster::EmbeddedControlStore::LostDrives find_lost(Clock& clock, std::vector<disk::LocalDrive*> drives) {
  return [&clock, drives = std::move(drives)](Ctx ctx, std::optional<std::string> content) {
    return look_for_lost(&clock, drives, std::move(ctx), std::move(content));
  };
}

cluster::EmbeddedControlStore::ReplacedDrives find_replaced(std::vector<disk::LocalDrive*> drives) {
  return [drives = std::move(drives)](const std::string* content) {
    std::vector<bool> replaced(drives.size(), false);
    if (content == nullptr) return replaced;
    const auto known = cluster::decode_drive_register(*content);
    if (!known) return replaced;  // begin() says what is wrong with it
    for (std::size_t slot = 0; slot < drives.size() && slot < known->size(); ++slot) {
      const auto& drive = (*known)[slot];
      replaced[slot] = drive && drives[slot]->online() && drives[slot]->incarnation() != drive->incarnation;
    }
    return replaced;
  };
}

Result<DriveRegister> DriveReplacer::read_register(std::uint64_t& revision) const {
  DriveRegister drives;
  revision = 0;
  if (const control::DocumentPtr document = d_.control.get(cluster::kDriveRegister)) {
    TRY(decoded, cluster::decode_drive_register(document->content));
    drives = std::move(decoded);
    revision = document->revision;
  }
  drives.resize(std::max(drives.size(), d_.drives.size()));
  return drives;
}

Task<Result<>> DriveReplacer::update_register(Ctx& ctx, std::vector<std::size_t> slots,
                                              std::vector<RegisteredDrive> drives) {
  for (int tries = 0;; ++tries) {
    std::uint64_t revision = 0;
    CO_TRY(known, read_register(revision));
    bool changed = false;
    for (std::size_t i = 0; i < slots.size(); ++i) {
      changed |= known[slots[i]] != drives[i];
      known[slots[i]] = drives[i];
    }
    if (!changed) co_return Result<>();
    std::string json = cluster::encode_drive_register(known);
    std::string name(cluster::kDriveRegister);
    const auto put = co_await d_.control.put(ctx, std::move(name), std::move(json), revision);
    if (put) co_return Result<>();
    if (!put.failed_with(Errc::conflict) || tries == cluster::kPlacementPuts)
      co_return fail(put.code(), put.error().detail);
  }
}

Task<Result<>> DriveReplacer::begin(Ctx& ctx) {
  std::uint64_t revision = 0;
  CO_TRY(known, read_register(revision));
  std::vector<std::size_t> slots;
  std::vector<RegisteredDrive> seen;
  for (std::size_t slot = 0; slot < d_.drives.size(); ++slot) {
    if (d_.drives[slot] == nullptr) continue;
    disk::LocalDrive& drive = *d_.drives[slot];
    const bool was_registered = known[slot].has_value();
    if (was_registered) drive.require_incarnation(known[slot]->incarnation);
    if (!drive.online()) continue;
    const auto look = co_await drive.look_at_folder(ctx);
    std::optional<RegisteredDrive> now = seen_there(drive, look);
    if (!now || (was_registered && now->incarnation != known[slot]->incarnation)) continue;
    slots.push_back(slot);
    seen.push_back(std::move(*now));
  }
  for (std::size_t i = 0; i < slots.size(); ++i)
    d_.drives[slots[i]]->require_incarnation(seen[i].incarnation);
  const Result<> updated = co_await update_register(ctx, std::move(slots), std::move(seen));
  if (!updated && d_.in_cluster) co_return updated;
  if (!updated) log::warn("the register of drives is not up to date: {}", updated.error().detail);
  co_return Result<>();
}

Task<> DriveReplacer::note_place(Ctx& ctx, std::size_t slot) {
  disk::LocalDrive& drive = *d_.drives[slot];
  slots_[slot] = {};
  drive.set_absence_note({});
  const auto look = co_await drive.look_at_folder(ctx);
  const std::optional<RegisteredDrive> now = seen_there(drive, look);
  if (!now) co_return;
  std::uint64_t revision = 0;
  const auto known = read_register(revision);
  if (!known || ((*known)[slot] && (*known)[slot]->incarnation != now->incarnation)) co_return;
  drive.require_incarnation(now->incarnation);
  const std::vector<std::size_t> slots{slot};
  const std::vector<RegisteredDrive> drives{*now};
  const Result<> updated = co_await update_register(ctx, slots, drives);
  if (!updated) log::warn("the register of drives is not up to date: {}", updated.error().detail);
}

// Why the empty folder must not be formatted; empty: it may be.
Task<std::string> DriveReplacer::objection(Ctx& ctx, std::size_t slot, std::string mount_point) {
  const disk::LocalDrive& drive = *d_.drives[slot];
  if (!d_.is_this_node()) {
    co_return fmt::format(
        "{}: it is empty, and is formatted anew once this node is a member of the cluster in etcd: etcd is "
        "away, or another process runs as this node",
        drive.folder());
  }
  std::uint64_t revision = 0;
  const auto known = read_register(revision);
  if (!known || !place_is_known(d_.drives, *known, slot, mount_point)) {
    std::string before = "never seen there";
    if (known && (*known)[slot]) before = "on the one mounted at " + (*known)[slot]->mount_point;
    co_return fmt::format(
        "{}: it is empty and lies on the file system of {}, but the drive of slot {} was {}. It is not "
        "formatted, "
        "since its file system may just not be mounted. Mount it, or a new empty one, and the server goes on "
        "by "
        "itself",
        drive.folder(), mount_point, slot, before);
  }
  for (std::size_t other = 0; other < d_.drives.size(); ++other) {
    if (other == slot || d_.drives[other] == nullptr || !d_.drives[other]->closed()) continue;
    const auto look = co_await d_.drives[other]->look_at_folder(ctx);
    if (!look || !look->format || !*look->format) continue;
    const disk::DriveFormat& format = **look->format;
    if (format.deployment != d_.deployment || format.drive() != drive.id()) continue;
    co_return fmt::format(
        "{}: it is empty, and {} holds the drive of slot {} that should be here. Put the folders back in "
        "their "
        "order, or restart the server: identity decides then",
        drive.folder(), d_.drives[other]->folder(), slot);
  }
  if (d_.embedded == nullptr) co_return std::string();
  const auto answering = static_cast<std::size_t>(std::count_if(
      d_.drives.begin(), d_.drives.end(), [](const disk::LocalDrive* other) { return other->online(); }));
  if (answering >= d_.embedded->majority()) co_return std::string();
  const bool others_are_lost = co_await d_.embedded->others_are_lost(ctx);
  if (!others_are_lost) {
    co_return fmt::format(
        "{}: it is empty, and is formatted anew once at least {} of the other drives answer, or {} of them "
        "and "
        "the folders of all the rest (at most {}) are empty, too. Bring back those that are away; where one "
        "is "
        "lost for good, mount an empty file system in its place",
        drive.folder(), d_.embedded->majority(), d_.embedded->survivors_needed(),
        drive.expected().parity_shards);
  }
  co_return std::string();
}

Task<Result<std::vector<std::uint64_t>>> DriveReplacer::raise_epochs(Ctx& ctx, std::size_t slot) {
  std::vector<std::uint64_t> raised;
  std::function<void(cluster::Placement&)> change =
      [&raised, id = d_.drives[slot]->id()](cluster::Placement& table) { raised = table.raise_epochs(id); };
  auto changing =
      cluster::change_placement(d_.control, ctx, d_.deployment, d_.placement_document, std::move(change));
  CO_TRY_VOID(co_await std::move(changing));
  co_return raised;
}

// A new birth for the groups of the drive, which all others know before there is anything on it.
Task<Result<>> DriveReplacer::prepare(Ctx& ctx, std::size_t slot) {
  CO_TRY(epochs, co_await raise_epochs(ctx, slot));
  Prepared prepared;
  prepared.incarnation = make_uuid(d_.random);
  prepared.groups.resize(epochs.size());
  for (std::size_t group = 0; group < epochs.size(); ++group) {
    if (epochs[group] == 0) continue;
    d_.raise_epoch(static_cast<std::uint16_t>(group), epochs[group]);
    prepared.groups[group].epoch = prepared.groups[group].birth = epochs[group];
    prepared.groups[group].refilling = true;
  }
  slots_[slot].prepared = std::move(prepared);
  co_return Result<>();
}

Task<Result<>> DriveReplacer::replace(Ctx& ctx, std::size_t slot, std::string mount_point) {
  disk::LocalDrive& drive = *d_.drives[slot];
  CO_TRY_VOID(co_await drive.check_formattable(ctx));
  if (!slots_[slot].prepared) {
    CO_TRY_VOID(co_await prepare(ctx, slot));
  }
  const Prepared prepared = *slots_[slot].prepared;
  RegisteredDrive anew;
  anew.incarnation = prepared.incarnation;
  anew.mount_point = std::move(mount_point);
  const std::vector<std::size_t> slots{slot};
  const std::vector<RegisteredDrive> drives{anew};
  CO_TRY_VOID(co_await update_register(ctx, slots, drives));
  // Which may take as long as the control store is away.
  const auto still = co_await drive.look_at_folder(ctx);
  if (!still || !still->format || *still->format || still->mount_point != anew.mount_point)
    co_return fail(Errc::unavailable, "its file system went, or something came, while it was registered");
  if (!d_.is_this_node()) co_return fail(Errc::unavailable, "this node is no member of the cluster any more");
  drive.require_incarnation(prepared.incarnation);
  std::vector<disk::Drive::SystemRecord> records(d_.embedded == nullptr ? 0 : 1);
  if (!records.empty()) records[0].name = cluster::kBehindRecord;
  auto formatting = drive.format_anew(ctx, prepared.incarnation, prepared.groups, std::move(records));
  const Result<> formatted = co_await std::move(formatting);
  if (formatted) co_return Result<>();
  // Only a try that certainly left nothing may be followed by one with the same birth.
  const auto look = co_await drive.look_at_folder(ctx);
  if (!look || !look->format || *look->format) slots_[slot].prepared.reset();
  co_return fail(formatted.code(), formatted.error().detail);
}

Task<> DriveReplacer::replace_if_lost(Ctx& ctx, std::size_t slot) {
  disk::LocalDrive& drive = *d_.drives[slot];
  Slot& state = slots_[slot];
  if (!drive.closed()) co_return;  // it hangs, or was taken out of service: its folder is not the reason
  const auto look = co_await drive.look_at_folder(ctx);
  const bool empty = look && look->format && !*look->format;
  const bool still_empty = empty && state.was_empty;  // whoever is at work on the folder gets a moment
  state.was_empty = empty;
  if (!empty) drive.set_absence_note({});
  if (!still_empty || d_.clock.now() < state.not_before || drive.online()) co_return;
  if (replacing_) co_return;
  replacing_ = true;
  std::string mount_point = look->mount_point;
  co_await replace_unless_objected(ctx, slot, std::move(mount_point));
  replacing_ = false;
}

Task<> DriveReplacer::replace_unless_objected(Ctx& ctx, std::size_t slot, std::string mount_point) {
  disk::LocalDrive& drive = *d_.drives[slot];
  Slot& state = slots_[slot];
  std::string objecting = co_await objection(ctx, slot, mount_point);
  if (!objecting.empty()) {
    drive.set_absence_note(std::move(objecting));
    co_return;
  }
  log::warn("drive lost its data: formatting its empty folder anew drive={} slot={}", drive.folder(), slot);
  const Result<> replaced = co_await replace(ctx, slot, std::move(mount_point));
  if (replaced) {
    log::warn("drive is empty and will be filled from the others drive={} slot={}", drive.folder(), slot);
    state = {};
    drive.set_absence_note({});
    co_return;
  }
  state.pause = std::clamp(2 * state.pause, kFirstPause, kLongestPause);
  state.not_before = d_.clock.now() + state.pause;
  drive.set_absence_note(fmt::format("{}: it is empty, and could not be formatted anew: {}", drive.folder(),
                                     replaced.error().detail));
}

}  // namespace ostraka::cmd
