#include "disk/drive_core.h"

#include <fmt/format.h>

#include "base/log.h"
#include "disk/row_key.h"
#include "disk/write_probe.h"

namespace ostraka::disk {
namespace {}  // namespace

DriveCore::DriveCore(const DriveDeps& d, std::string folder, DriveFormat format)
    : fs(d.fs),
      clock(d.clock),
      path(std::move(folder)),
      expected(std::move(format)),
      metrics(d.metrics, expected.slot),
      health(clock.now(), d.health),
      quota(d.quota),
      files(std::make_shared<FileTable>([this](std::vector<DataId> doomed) {
        post([this, doomed = std::move(doomed)] {
          for (const DataId& data : doomed) remove_shard_file(data);
        });
      })),
      indexes_(d.indexes),
      threads_(d.workers.make("drive-" + std::to_string(expected.slot), kDriveThreads)) {
  closer_->threads = threads_.get();
}

DriveCore::~DriveCore() {
  close();
}

void DriveCore::remove_shard_file(const DataId& data) {
  const auto remove = [this](const DataId& file) {
    if (auto gone = fs.remove(data_path(path, file)); !gone && !gone.failed_with(Errc::not_found)) {
      log::warn("shard file left behind drive={} reason={}", path, gone.error().detail);
    }
  };
  files->remove_file(data, remove);
}

void DriveCore::close() {
  files->close();
  {
    const std::lock_guard lock(closer_->mutex);
    closer_->threads = nullptr;
  }
  set_life(nullptr);
}

std::shared_ptr<OpenDrive> DriveCore::set_life(std::shared_ptr<OpenDrive> life) {
  const std::lock_guard lock(life_mutex_);
  open_.store(life != nullptr, std::memory_order_release);
  replaced_.store(false, std::memory_order_release);
  life_.swap(life);
  return life;  // the earlier one ends outside of the lock
}

Result<std::shared_ptr<OpenDrive>> DriveCore::use() const {
  auto life = open();
  if (life == nullptr || !online()) return fail(Errc::unavailable, fmt::format("{}: {}", path, problem()));
  if (overloaded())
    return fail(Errc::unavailable, fmt::format("{}: too many calls wait for this drive", path));
  return life;
}

bool DriveCore::online() const noexcept {
  if (!open_.load(std::memory_order_acquire) || replaced_.load(std::memory_order_acquire)) return false;
  return health.in_service(clock.now());
}

DriveState DriveCore::state() const {
  const DriveState seen = health.state(clock.now());
  if (seen != DriveState::ok) return seen;
  return online() ? DriveState::ok : DriveState::away;
}

void DriveCore::set_smart(SmartReport report) {
  metrics.show(report);
  const std::lock_guard lock(mutex_);
  smart_ = std::move(report);
}

std::optional<SmartReport> DriveCore::smart() const {
  const std::lock_guard lock(mutex_);
  return smart_;
}

std::string DriveCore::problem() const {
  const std::string seen = health.problem(clock.now());
  const std::lock_guard lock(mutex_);
  if (seen.empty() || problem_.empty()) return problem_ + seen;
  return seen + "; " + problem_;
}

void DriveCore::set_problem(const std::string& problem) {
  const std::lock_guard lock(mutex_);
  problem_ = problem;
}

void DriveCore::note(Errc code) noexcept {
  switch (code) {
    case Errc::io:
    case Errc::corrupt:
    case Errc::no_space:
    case Errc::unavailable:
    case Errc::unsupported_version:
      metrics.errors.add();
      break;
    default:
      break;
  }
}

void DriveCore::add_heal_entries(std::int64_t n, std::uint64_t recorded) {
  if (recorded > 0) heal_recorded_.fetch_add(recorded, std::memory_order_relaxed);
  if (n == 0) return;
  heal_entries_.fetch_add(static_cast<std::uint64_t>(n), std::memory_order_relaxed);
  metrics.heal_queue.add(n);
}

Result<> DriveCore::check_folder(const OpenDrive& life) const {
  auto now = fs.identity(format_path(path));
  if (!now) {
    return fail(
        Errc::unavailable,
        fmt::format("the folder is gone ({}); it comes back into service by itself once it is there again",
                    now.error().detail));
  }
  if (is_replaced(life)) return fail(Errc::wrong_drive, "another drive has taken its place meanwhile");
  const std::lock_guard lock(life.folder_mutex);
  if (*now == life.folder.format_file) return {};
  now = fs.identity(format_path(path));  // its own mark may have been changed between the look and the lock
  if (now && *now == life.folder.format_file) return {};
  return fail(Errc::unavailable, "the folder was replaced by another while it was in use");
}

Result<> DriveCore::check_readable() const {
  auto text = fs.read_file(format_path(path), 64U << 10);
  if (!text && !text.failed_with(Errc::overloaded))  // too many open files say nothing about this drive
    return fail(Errc::unavailable, fmt::format("the folder cannot be read ({})", text.error().detail));
  return {};
}

void DriveCore::refresh_space() {
  if (const auto info = fs.space(path)) space.set(*info);
}

Result<> DriveCore::check_index(MetaIndex& index, const DriveFormat& format) {
  std::string stored;
  TRY(found, index.get(Column::system, kIdentityRecord, stored, Tier::all));
  const std::string mine = index_identity(format);
  if (found == Lookup::found) {
    TRY(value, unseal(stored));
    if (value != mine) {
      return fail(Errc::wrong_drive,
                  fmt::format("{}: its index belongs to another drive ({}); put the right index folder back",
                              path, value));
    }
    return {};
  }
  const auto batch = index.make_batch();
  const std::string sealed = seal(mine);
  const std::string_view part = sealed;
  batch->put(Column::system, kIdentityRecord, std::span<const std::string_view>(&part, 1));
  return index.write(*batch, Sync::yes);
}

Result<std::uint64_t> DriveCore::count_heal_entries(MetaIndex& index) {
  std::uint64_t entries = 0;
  const auto cursor = index.scan(Column::system, kHealQueue, after_prefix(kHealQueue));
  for (cursor->seek(kHealQueue); cursor->valid(); cursor->next()) ++entries;
  TRY_VOID(cursor->status());
  return entries;
}

Result<> DriveCore::try_open() {
  if (closer_->lives.load(std::memory_order_acquire) > 0) {
    return fail(Errc::unavailable, fmt::format("{}: its index is still being closed", path));
  }
  auto life = std::make_unique<OpenDrive>();
  auto folder = open_drive_folder(fs, path, expected);
  if (!folder) {
    const std::lock_guard lock(mutex_);
    if (!folder.failed_with(Errc::not_found) || absence_note_.empty())
      return fail(folder.code(), folder.error().detail);
    return fail(Errc::not_found, absence_note_);
  }
  life->folder = std::move(*folder);
  if (is_replaced(*life)) {
    return fail(
        Errc::wrong_drive,
        fmt::format("{}: this drive was away when another was formatted in its place: what it promised is "
                    "out of date, and it is not used again. Nothing on it is needed: empty the folder, and "
                    "it becomes a new drive",
                    path));
  }
  auto index = indexes_.open(index_folder(path), IndexMode::existing);
  if (!index) {
    if (index.failed_with(Errc::not_found)) {
      return fail(Errc::corrupt,
                  fmt::format("{0}: format.json is there, but the index in {0}/index is missing ({1}): the "
                              "drive lost its data. Bring the "
                              "index back, or give this slot an empty folder and let it be healed",
                              path, index.error().detail));
    }
    return fail(index.code(), fmt::format("{}: the index does not open ({})", path, index.error().detail));
  }
  life->index = std::move(*index);
  TRY_VOID(check_index(*life->index, life->folder.format));
  TRY_VOID(groups.load(*life->index));
  TRY_VOID(places.load(*life->index));
  TRY_VOID(usage.load(*life->index, clock.unix_ms()));
  if (const auto cleared = clear_refilling(*life); !cleared)
    log::warn("drive keeps its mark as being refilled drive={} reason=\"{}\"", path, cleared.error().detail);
  TRY(entries, count_heal_entries(*life->index));
  TRY(room, fs.space(path));
  space.set(room);
  heal_entries_.store(entries, std::memory_order_relaxed);
  metrics.heal_queue.set(static_cast<std::int64_t>(entries));
  metrics.online.set(1);
  closer_->lives.fetch_add(1, std::memory_order_acq_rel);
  std::shared_ptr<OpenDrive> shared(life.release(), [closer = closer_](OpenDrive* closing) {
    auto end = [closer, closing] {
      delete closing;
      closer->lives.fetch_sub(1, std::memory_order_acq_rel);
    };
    {
      const std::lock_guard lock(closer->mutex);
      if (closer->threads != nullptr) {
        closer->threads->post(end);
        return;
      }
    }
    end();
  });
  static_cast<void>(fs.remove(probe_path(path)));  // of a process that died while it probed
  set_problem({});
  set_life(std::move(shared));
  return {};
}

void DriveCore::go_offline(const std::shared_ptr<OpenDrive>& life, const std::string& reason) {
  if (open() != life) return;  // only the committer opens and ends lives, so it stays the current one
  set_problem(reason);
  set_life(nullptr);
  metrics.online.set(0);
  files->forget_staged();
  log::error("drive went offline drive={} slot={} reason=\"{}\"", path, expected.slot, reason);
}

}  // namespace ostraka::disk
