// What the parts of a LocalDrive share: the open folder and index (or why there is none), the tables in
// memory, space, metrics and the threads for calls that block. Thread safe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "disk/drive_format.h"
#include "disk/drive_health.h"
#include "disk/drive_metrics.h"
#include "disk/file_table.h"
#include "disk/group_places.h"
#include "disk/group_table.h"
#include "disk/limits.h"
#include "disk/meta_index.h"
#include "disk/space_gauge.h"
#include "disk/usage_table.h"
#include "disk/waiting_jobs.h"
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
  std::shared_ptr<FailingQuota> quota = {};  // of the node; none: errors may take out any number of drives
  HealthPolicy health = {};
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
  // The highest folder above it, or itself, that is on the same file system; empty: unknown, or something was
  // mounted or unmounted during the look.
  std::string mount_point;
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
  Result<> check_formattable() const;
  // Formats the folder for a new incarnation of the drive. unavailable: an earlier life is still being
  // closed.
  Result<> format_anew(const Uuid& incarnation, FirstRecords records);
  // When no group is refilling any more: takes the mark out of format.json, if it is there.
  Result<> clear_refilling(OpenDrive& life);
  void refresh_space();

  std::string problem() const;
  void set_problem(const std::string& problem);
  bool online() const noexcept;
  DriveState state() const;
  // What the device tells of itself.
  void set_smart(SmartReport report);
  std::optional<SmartReport> smart() const;
  std::uint64_t heal_entries() const noexcept { return heal_entries_.load(std::memory_order_relaxed); }
  std::uint64_t heal_recorded() const noexcept { return heal_recorded_.load(std::memory_order_relaxed); }
  void add_heal_entries(std::int64_t n, std::uint64_t recorded);

  // Groups that are being refilled here, have left or have not arrived: that a row of theirs is not here says
  // nothing, and that one is here as little.
  GroupBits silent_groups() const { return groups.refilling_groups() | places.unserved(); }

  bool hesitates() const noexcept { return health.hesitates(clock.now()); }
  // A long job is not stuck.
  void job_progress() noexcept { health.progress(Lane::jobs, clock.now()); }

  // co_await core.run(fn): runs fn(OpenDrive&) -> Result<T> on a thread of the drive, and tells the drive's
  // health what came of it. unavailable: the drive hangs, and fn did not run.
  template <class F>
  auto run(std::shared_ptr<OpenDrive> life, TimePoint deadline, F fn, CallKind kind = CallKind::read) {
    using Answer = std::invoke_result_t<F, OpenDrive&>;
    return suspend<Answer>([this, life = std::move(life), deadline, fn = std::move(fn),
                            kind](Completion<Answer> done) mutable {
      auto job =
          std::make_shared<Job<F>>(*this, std::move(life), deadline, std::move(fn), kind, std::move(done));
      waiting_.add(job);
      threads_->post([job = std::move(job)] { job->begin(); });
    });
  }
  // The drive hangs: jobs that have not begun are answered with unavailable.
  void give_up_waiting() { waiting_.give_up_all(); }
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
  DriveHealth health;
  const std::shared_ptr<FailingQuota> quota;
  GroupTable groups;
  GroupPlaces places;
  SpaceGauge space;
  UsageTable usage;
  const std::shared_ptr<FileTable> files;

 private:
  template <class F>
  class Job final : public WaitingJob {
   public:
    using Answer = std::invoke_result_t<F, OpenDrive&>;
    Job(DriveCore& core, std::shared_ptr<OpenDrive> life, TimePoint deadline, F fn, CallKind kind,
        Completion<Answer> done)
        : core_(core), life_(std::move(life)), deadline_(deadline), kind_(kind), done_(std::move(done)) {
      fn_.emplace(std::move(fn));
    }

   private:
    void run() override {
      Answer answer = work();
      free();
      done_(std::move(answer));
    }
    Answer work() {
      const LaneMark mark(core_.health, Lane::jobs, core_.clock);
      if (mark.begun() > deadline_) return fail(Errc::deadline);
      Answer answer = (*fn_)(*life_);
      std::optional<Errc> code;
      if (!answer) code = answer.error().code;
      const TimePoint now = core_.clock.now();
      core_.health.told(kind_, now - mark.begun(), code, now);
      return answer;
    }
    void refuse() override {
      free();
      done_(fail(Errc::unavailable, core_.path + ": does not answer"));
    }
    // What fn holds must not wait for the thread that this job would have run on.
    void free() {
      fn_.reset();
      life_.reset();
    }
    DriveCore& core_;
    std::shared_ptr<OpenDrive> life_;
    const TimePoint deadline_;
    const CallKind kind_;
    std::optional<F> fn_;
    Completion<Answer> done_;
  };
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
  std::optional<SmartReport> smart_;
  std::atomic<std::uint64_t> heal_entries_{0};
  std::atomic<std::uint64_t> heal_recorded_{0};
  WaitingJobs waiting_;
  const std::unique_ptr<Workers> threads_;  // last: its threads use all of the above
};

}  // namespace ostraka::disk
