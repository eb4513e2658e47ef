// The part of DriveCore and LocalDrive about a drive that lost its data and starts anew.
#include <fmt/format.h>

#include "base/log.h"
#include "disk/group_places.h"
#include "disk/group_table.h"
#include "disk/local_drive.h"
#include "disk/row_key.h"
#include "disk/row_read.h"

namespace ostraka::disk {
namespace {

// Empty: there is none.
std::string parent_of(const std::string& path) {
  if (path == "/" || path == ".") return {};
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

struct Place {
  std::string mount_point;
  std::uint64_t device = 0;
  bool operator==(const Place&) const = default;
};

// Where the folder lies, or would lie.
std::optional<Place> place_of(Fs& fs, std::string at) {
  while (at.size() > 1 && at.back() == '/') at.pop_back();
  Result<FileId> here = fs.identity(at);
  while (!here && here.failed_with(Errc::not_found)) {  // the nearest that is there
    at = parent_of(at);
    if (at.empty()) return std::nullopt;
    here = fs.identity(at);
  }
  if (!here) return std::nullopt;
  for (;;) {
    const std::string above = parent_of(at);
    if (above.empty()) break;
    const auto id = fs.identity(above);
    if (!id || id->device != here->device) break;
    at = above;
  }
  return Place{std::move(at), here->device};
}

}  // namespace

void DriveCore::require_incarnation(const Uuid& incarnation) {
  {
    const std::lock_guard lock(mutex_);
    required_incarnation_ = incarnation;
  }
  const auto life = open();
  if (life && is_replaced(*life)) replaced_.store(true, std::memory_order_release);
}

bool DriveCore::is_replaced(const OpenDrive& life) const {
  const std::scoped_lock lock(mutex_, life.folder_mutex);
  return required_incarnation_ && *required_incarnation_ != life.folder.format.incarnation;
}

void DriveCore::set_absence_note(std::string note) {
  const std::lock_guard lock(mutex_);
  absence_note_ = std::move(note);
}

// Looked at before and after: what was mounted or unmounted meanwhile makes the look worthless as to the
// place.
FolderLook DriveCore::look_at_folder() const {
  FolderLook look;
  const std::optional<Place> before = place_of(fs, path);
  look.format = inspect_drive(fs, path);
  const std::optional<Place> after = place_of(fs, path);
  if (before && before == after) look.mount_point = before->mount_point;
  return look;
}

// What a format begins with: the lock file stays, and is not taken for content.
Result<> DriveCore::check_formattable() const {
  if (open() || closer_->lives.load(std::memory_order_acquire) > 0)
    return fail(Errc::unavailable, path + ": its index is open still");
  TRY_VOID(fs.make_dirs(path));
  TRY(lock, fs.lock(path + "/lock"));
  return {};
}

Result<> DriveCore::format_anew(const Uuid& incarnation, FirstRecords records) {
  TRY_VOID(check_formattable());
  DriveFormat format = expected;
  format.incarnation = incarnation;
  format.refilling = true;
  format.created_ms = clock.unix_ms();
  records.emplace_back(kIdentityRecord, seal(index_identity(format)));
  TRY_VOID(format_drive(fs, indexes_, path, format, records));
  health.forget(clock.now());  // what the one before it did
  return {};
}

Result<> DriveCore::clear_refilling(OpenDrive& life) {
  if (groups.refilling()) return {};
  const std::lock_guard lock(life.folder_mutex);
  if (!life.folder.format.refilling) return {};
  DriveFormat format = life.folder.format;
  format.refilling = false;
  TRY(now, fs.identity(format_path(path)));
  if (now != life.folder.format_file)
    return fail(Errc::unavailable, path + ": the folder was replaced by another");
  TRY_VOID(fs.write_file(format_path(path), encode_drive_format(format)));
  TRY(id, fs.identity(format_path(path)));
  life.folder.format_file = id;
  life.folder.format = std::move(format);
  log::info("drive is full again drive={} slot={}", path, expected.slot);
  return {};
}

Uuid LocalDrive::incarnation() const {
  const auto life = core_.open();
  if (!life) return {};
  const std::lock_guard lock(life->folder_mutex);
  return life->folder.format.incarnation;
}

Task<Result<FolderLook>> LocalDrive::look_at_folder(Ctx&) {
  auto look = [&core = core_]() -> Result<FolderLook> { return core.look_at_folder(); };
  auto looking = core_.run_away(std::move(look));
  Result<FolderLook> found = co_await std::move(looking);
  co_return found;
}

Task<Result<>> LocalDrive::check_formattable(Ctx&) {
  auto check = [&core = core_]() -> Result<> { return core.check_formattable(); };
  auto checking = core_.run_away(std::move(check));
  Result<> checked = co_await std::move(checking);
  co_return checked;
}

Task<Result<>> LocalDrive::format_anew(Ctx&, Uuid incarnation, std::vector<GroupState> groups,
                                       std::vector<SystemRecord> records) {
  FirstRecords first;
  for (std::size_t group = 0; group < groups.size() && group < kPlacementGroups; ++group) {
    const auto number = static_cast<std::uint16_t>(group);
    if (groups[group].birth == 0) {  // none of its own: who believes otherwise has not heard of a move
      first.emplace_back(place_record_name(number), encode_place({GroupPlace::away, Uuid{}}));
      continue;
    }
    first.emplace_back(GroupTable::record_name(number), GroupTable::encode(groups[group]));
  }
  for (const SystemRecord& record : records) first.emplace_back(record.name, seal(record.value));
  auto format = [&core = core_, incarnation, first = std::move(first)]() mutable -> Result<> {
    return core.format_anew(incarnation, std::move(first));
  };
  auto formatting = core_.run_away(std::move(format));
  Result<> done = co_await std::move(formatting);
  co_return done;
}

Task<Result<bool>> LocalDrive::begin_anew(Ctx& ctx, ObjectRef ref) {
  CO_TRY_VOID(check_ref(ref));
  auto op = std::make_unique<DriveOp>();
  op->kind = OpKind::begin_row;
  op->row = row_key(ref);
  op->ref = ref;
  auto submitting = submit(ctx, std::move(op));
  CO_TRY(answer, co_await std::move(submitting));
  if (answer.has) {
    log::warn(
        "a row of the index could not be read and is begun anew drive={} bucket={:016x} key={} epoch={}",
        core_.path, static_cast<std::uint64_t>(ref.bucket), ref.key, ref.epoch);
  }
  co_return answer.has;
}

Task<Result<Verdict>> LocalDrive::readmit_key(Ctx& ctx, ObjectRef ref, std::uint64_t birth) {
  CO_TRY_VOID(check_ref(ref));
  auto op = std::make_unique<DriveOp>();
  op->kind = OpKind::readmit_row;
  op->row = row_key(ref);
  op->birth = birth;
  op->ref = std::move(ref);
  auto submitting = submit(ctx, std::move(op));
  CO_TRY(answer, co_await std::move(submitting));
  co_return answer.verdict;
}

// The group is full again; with the last of them the drive is.
Task<Result<>> LocalDrive::readmit(Ctx& ctx, std::uint16_t group, std::uint64_t birth) {
  if (group >= kPlacementGroups) co_return fail(Errc::invalid_argument, "no such placement group");
  auto op = std::make_unique<DriveOp>();
  op->kind = OpKind::readmit;
  op->ref.group = group;
  op->birth = birth;
  auto submitting = submit(ctx, std::move(op));
  CO_TRY_VOID(co_await std::move(submitting));
  if (core_.groups.refilling()) co_return Result<>();
  CO_TRY(life, core_.use());
  auto job = [&core = core_](OpenDrive& drive) { return core.clear_refilling(drive); };
  auto running = core_.run(std::move(life), ctx.deadline, std::move(job));
  Result<> cleared = co_await std::move(running);
  co_return core_.noted(std::move(cleared));
}

}  // namespace ostraka::disk
