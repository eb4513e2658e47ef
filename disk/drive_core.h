// What the parts of a LocalDrive share: the open folder and index (or why there is none), the tables in
// memory, space, metrics and the threads for calls that block. Thread safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "disk/drive_format.h"
#include "disk/drive_metrics.h"
#include "disk/file_table.h"
#include "disk/group_table.h"
#include "disk/limits.h"
#include "disk/meta_index.h"
#include "disk/space_gauge.h"
#include "disk/usage_table.h"
#include "runtime/clock.h"
#include "runtime/ctx.h"
#include "runtime/fs.h"
#include "runtime/workers.h"

namespace ostraka::disk {

struct DriveDeps {
  Fs& fs;
  Clock& clock;
  MetaIndexFactory& indexes;
  WorkersFactory& workers;
  MetricRegistry& metrics;
};

// One life of an open drive. Who holds it may use it, also after the drive went offline; the last one closes
// it, on a thread of the drive.
struct OpenDrive {
  mutable std::mutex folder_mutex;  // guards what of `folder` changes: format_file, format
  OpenFolder folder;
  std::unique_ptr<MetaIndex> index;
};

// What lies in a drive's folder, and on which file system.
struct FolderLook {
  Result<std::optional<DriveFormat>> format;  // of inspect_drive()
  std::string mount_point;  // the highest folder above it, or itself, that is on the same file system
};

class DriveCore {
 public:
  DriveCore(const DriveDeps& d, std::string path, DriveFormat expected);
  ~DriveCore();
  DriveCore(const DriveCore&) = delete;
  DriveCore& operator=(const DriveCore&) = delete;

  // nullptr while the drive is offline.
  std::shared_ptr<OpenDrive> open() const {
    const std::lock_guard lock(life_mutex_);
    return life_;
  }
  // The same, or the reason why not.
  Result<std::shared_ptr<OpenDrive>> use() const;
  // Opens folder and index. Blocks. unavailable while an earlier life is still being closed.
  Result<> try_open();
  // Ends this life of the drive, if it is still the current one.
  void go_offline(const std::shared_ptr<OpenDrive>& life, const std::string& reason);
  void close();
  // The folder is still the one that was opened. One look at the file system.
  Result<> check_folder(const OpenDrive& life) const;
  Result<> check_readable() const;

  // Only a folder of this incarnation is the drive from now on: one of another was replaced, and is out of
  // service at once.
  void require_incarnation(const Uuid& incarnation);
  bool is_replaced(const OpenDrive& life) const;
  // Says why an empty folder is not taken for a new drive; empty: nothing to say.
  void set_absence_note(std::string note);
  // These block.
  FolderLook look_at_folder() const;
  // Formats the folder for a new incarnation of the drive. unavailable: an earlier life is still being
  // closed.
  Result<> format_anew(const Uuid& incarnation, FirstRecords records);
  // When no group is refilling any more: takes the mark out of format.json, if it is there.
  Result<> clear_refilling(OpenDrive& life);
  void refresh_space();

  std::string problem() const;
  void set_problem(const std::string& problem);
  bool online() const noexcept;
  std::uint64_t heal_entries() const noexcept { return heal_entries_.load(std::memory_order_relaxed); }
  void add_heal_entries(std::int64_t n);

  // The committer says what it is at, so that a drive that does not answer any more is noticed.
  void batch_begins() noexcept;
  void batch_ended() noexcept { batch_since_.store(0, std::memory_order_relaxed); }
  // A call that blocks has been running for a while without any coming to its end: better not to touch the
  // drive from a shard's thread.
  bool hesitates() const noexcept;

  // co_await core.run(fn): runs fn(OpenDrive&) -> Result<T> on a thread of the drive.
  template <class F>
  auto run(std::shared_ptr<OpenDrive> life, TimePoint deadline, F fn) {
    using Answer = std::invoke_result_t<F, OpenDrive&>;
    return threads_->run([this, life = std::move(life), deadline, fn = std::move(fn)]() mutable -> Answer {
      const JobMark mark(*this);
      if (clock.now() > deadline) return fail(Errc::deadline);
      return fn(*life);
    });
  }
  // The same without a life.
  template <class F>
  auto run_away(F fn) {
    return threads_->run(std::move(fn));
  }
  void post(std::function<void()> job) { threads_->post(std::move(job)); }
  // Of a file that the table has given up; blocks.
  void remove_shard_file(const DataId& data);
  bool overloaded() const { return threads_->queued() > kMaxQueuedJobs; }

  // Counts failures that are the drive's, and passes the result on.
  template <class R>
  R noted(R result) {
    if (!result) note(result.error().code);
    return result;
  }
  void note(Errc code) noexcept;

  Fs& fs;
  Clock& clock;
  const std::string path;
  const DriveFormat expected;
  DriveMetrics metrics;
  GroupTable groups;
  SpaceGauge space;
  UsageTable usage;
  const std::shared_ptr<FileTable> files;

 private:
  class JobMark {
   public:
    explicit JobMark(DriveCore& core) noexcept;
    ~JobMark();
    JobMark(const JobMark&) = delete;
    JobMark& operator=(const JobMark&) = delete;

   private:
    DriveCore& core_;
  };
  std::int64_t now_ns() const noexcept { return clock.now().time_since_epoch().count(); }
  std::shared_ptr<OpenDrive> set_life(std::shared_ptr<OpenDrive> life);  // gives the earlier one
  Result<> check_index(MetaIndex& index, const DriveFormat& format);
  Result<std::uint64_t> count_heal_entries(MetaIndex& index);

  // Closes lives, on a thread of the drive as long as there are any: it may take long, and must not happen on
  // a shard's thread.
  struct Closer {
    std::mutex mutex;
    Workers* threads = nullptr;
    std::atomic<int> lives{0};  // opened and not yet closed
  };
  MetaIndexFactory& indexes_;
  const std::shared_ptr<Closer> closer_ = std::make_shared<Closer>();
  mutable std::mutex
      life_mutex_;  // not std::atomic<shared_ptr>: that of libstdc++ 12 has a data race of its own
  std::shared_ptr<OpenDrive> life_;
  std::atomic<bool> open_{false};      // life_ is not null
  std::atomic<bool> replaced_{false};  // is_replaced(*life_): not used until the committer has closed it
  mutable std::mutex mutex_;
  std::string problem_ = "not opened yet";
  std::optional<Uuid> required_incarnation_;
  std::string absence_note_;
  std::atomic<std::uint64_t> heal_entries_{0};
  std::atomic<std::int64_t> batch_since_{0};
  std::atomic<int> jobs_running_{0};
  std::atomic<std::int64_t> job_progress_{0};
  const std::unique_ptr<Workers> threads_;  // last: its threads use all of the above
};

}  // namespace ostraka::disk
