#include "disk/rocks_env.h"

#include <rocksdb/file_system.h>
#include <rocksdb/threadpool.h>

namespace ostraka::disk {
namespace {

thread_local unsigned no_wait_depth = 0;

rocksdb::IOStatus to_io_status(const Error& error) {
  switch (error.code) {
    case Errc::unavailable:
      return rocksdb::IOStatus::Busy("not in memory");
    case Errc::not_found:
      return rocksdb::IOStatus::PathNotFound(error.detail);
    case Errc::no_space:
      return rocksdb::IOStatus::NoSpace(error.detail);
    default:
      return rocksdb::IOStatus::IOError(error.detail);
  }
}

class DriveReadFile final : public rocksdb::FSRandomAccessFile {
 public:
  explicit DriveReadFile(std::unique_ptr<File> file) : file_(std::move(file)) {}
  rocksdb::IOStatus Read(std::uint64_t offset, std::size_t n, const rocksdb::IOOptions&,
                         rocksdb::Slice* result, char* scratch, rocksdb::IODebugContext*) const override {
    const MutableByteSpan out(reinterpret_cast<std::uint8_t*>(scratch), n);
    const auto got = no_wait_depth > 0 ? file_->pread_now(out, offset) : file_->pread(out, offset);
    if (!got) {
      *result = rocksdb::Slice();
      return to_io_status(got.error());
    }
    *result = rocksdb::Slice(scratch, *got);
    return rocksdb::IOStatus::OK();
  }

 private:
  const std::unique_ptr<File> file_;
};

class DriveFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  DriveFileSystem(Fs& fs, std::shared_ptr<rocksdb::FileSystem> below)
      : FileSystemWrapper(std::move(below)), fs_(fs) {}
  const char* Name() const override { return "OstrakaDriveFileSystem"; }
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path, const rocksdb::FileOptions&,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* out,
                                        rocksdb::IODebugContext*) override {
    if (no_wait_depth > 0) return rocksdb::IOStatus::Busy("not open");
    auto file = fs_.open(path, OpenMode::read);
    if (!file) return to_io_status(file.error());
    *out = std::make_unique<DriveReadFile>(std::move(*file));
    return rocksdb::IOStatus::OK();
  }
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options,
                                std::uint64_t* bytes, rocksdb::IODebugContext* context) override {
    if (no_wait_depth > 0) return rocksdb::IOStatus::Busy("not open");
    return FileSystemWrapper::GetFileSize(path, options, bytes, context);
  }

 private:
  Fs& fs_;
};

class DriveEnv final : public rocksdb::EnvWrapper {
 public:
  DriveEnv(Fs& fs, Env& below)
      : EnvWrapper(rocksdb::NewCompositeEnv(std::make_shared<DriveFileSystem>(fs, below.GetFileSystem()))),
        flushes_(rocksdb::NewThreadPool(1)),
        compactions_(rocksdb::NewThreadPool(1)) {
    file_system_ = target()->GetFileSystem();
    system_clock_ = below.GetSystemClock();
  }
  ~DriveEnv() override {
    flushes_->JoinAllThreads();
    compactions_->JoinAllThreads();
  }
  const char* Name() const override { return "OstrakaDriveEnv"; }

  void Schedule(void (*function)(void*), void* argument, Priority priority, void*, void (*)(void*)) override {
    pool(priority).SubmitJob([function, argument] { function(argument); });
  }
  int UnSchedule(void*, Priority) override {
    return 0;
  }  // queued jobs run, and find the database shutting down
  unsigned int GetThreadPoolQueueLen(Priority priority) const override {
    return pool(priority).GetQueueLen();
  }
  void SetBackgroundThreads(int, Priority) override {}
  int GetBackgroundThreads(Priority) override { return 1; }
  void IncBackgroundThreadsIfNeeded(int, Priority) override {}
  int ReserveThreads(int, Priority) override { return 0; }
  int ReleaseThreads(int, Priority) override { return 0; }

 private:
  rocksdb::ThreadPool& pool(Priority priority) const {
    return priority == Priority::HIGH ? *flushes_ : *compactions_;
  }
  const std::unique_ptr<rocksdb::ThreadPool> flushes_, compactions_;
};

}  // namespace

NoWaitScope::NoWaitScope() noexcept {
  ++no_wait_depth;
}
NoWaitScope::~NoWaitScope() {
  --no_wait_depth;
}

std::unique_ptr<rocksdb::Env> make_drive_env(Fs& fs, rocksdb::Env& below) {
  return std::make_unique<DriveEnv>(fs, below);
}

}  // namespace ostraka::disk
