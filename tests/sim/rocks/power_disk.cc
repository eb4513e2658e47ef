#include "tests/sim/rocks/power_disk.h"

#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <algorithm>
#include <functional>

namespace ostraka::sim {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

namespace {

std::vector<std::string> steps_of(const std::string& path) {
  std::vector<std::string> steps;
  for (std::size_t at = 0; at < path.size();) {
    const std::size_t begin = path.find_first_not_of('/', at);
    if (begin == std::string::npos) break;
    at = std::min(path.find('/', begin), path.size());
    steps.push_back(path.substr(begin, at - begin));
  }
  return steps;
}

ByteSpan bytes_of(const rocksdb::Slice& slice) {
  return {reinterpret_cast<const std::uint8_t*>(slice.data()), slice.size()};
}

std::size_t copy_out(const Node& node, std::uint64_t offset, char* out, std::size_t most) {
  if (offset >= node.content.size()) return 0;
  const std::size_t count = std::min<std::size_t>(most, node.content.size() - offset);
  std::copy_n(node.content.data() + offset, count, out);
  return count;
}

}  // namespace

std::shared_ptr<Node> PowerDisk::find(const std::string& path) const {
  std::shared_ptr<Node> node = disk_.root();
  for (const std::string& step : steps_of(path)) {
    const auto next = node->names.find(step);
    if (!node->folder || next == node->names.end()) return nullptr;
    node = next->second;
  }
  return node;
}

std::shared_ptr<Node> PowerDisk::folder_of(const std::string& path, std::string& name) const {
  const std::size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return nullptr;
  name = path.substr(slash + 1);
  return find(path.substr(0, slash));
}

void PowerDisk::cut_power_at(std::uint64_t calls) {
  const std::lock_guard lock(mutex_);
  calls_left_ = calls;
}

// All its files only grow. Of what was appended a part survives, up to some byte, as on file systems that
// write what a file grows by before they let it grow (ext4, XFS). A hole with more behind it would be too
// much for RocksDB: it skips zeros in a log, and a torn record in a manifest is not the end of it.
void PowerDisk::cut_tails() {
  const std::shared_ptr<Node> folder = find(kIndexFolder);
  if (!folder) return;
  const bool all_lost = random_.chance(0.2);
  for (const auto& [name, node] : folder->names) {
    const std::size_t size = node->content.size();
    if (size <= node->durable_size) continue;
    const std::uint64_t kept = all_lost ? node->durable_size : random_.between(node->durable_size, size);
    lost_bytes_ += size - kept;
    node->content.resize(static_cast<std::size_t>(kept));
    SimDisk::sync(*node);
  }
}

void PowerDisk::lose() {
  cut_tails();
  lost_names_ += disk_.cut_power(random_, random_.chance(0.2)).names;
  ended_ = true;
}

void PowerDisk::cut_power() {
  const std::lock_guard lock(mutex_);
  if (!ended_) lose();
}

void PowerDisk::kill() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
}

void PowerDisk::sync_root() {
  const std::lock_guard lock(mutex_);
  disk_.root()->durable_names = disk_.root()->names;
}

bool PowerDisk::ended() const {
  const std::lock_guard lock(mutex_);
  return ended_;
}

void PowerDisk::begin() {
  const std::lock_guard lock(mutex_);
  ++life_;
  ended_ = false;
  calls_left_.reset();
}

std::uint64_t PowerDisk::lost_bytes() const {
  const std::lock_guard lock(mutex_);
  return lost_bytes_;
}

std::uint64_t PowerDisk::lost_names() const {
  const std::lock_guard lock(mutex_);
  return lost_names_;
}

bool PowerDisk::may(std::uint64_t life, Change change) {
  if (life != life_ || ended_) return false;
  if (change == Change::no || !calls_left_ || --*calls_left_ > 0) return true;
  lose();
  return false;
}

// The calls of one process.
class PowerCalls {
 public:
  using Job = std::function<IOStatus(SimDisk&)>;
  explicit PowerCalls(PowerDisk& disk) : disk_(disk), life_(disk.life_) {}

  // Once the process has ended nothing changes any more, and nobody hears what its calls are told: RocksDB is
  // told that they succeeded, since as Debian builds it it may abort when a log fails while it is flushed.
  IOStatus change(const Job& job) const {
    const std::lock_guard lock(disk_.mutex_);
    return disk_.may(life_, PowerDisk::Change::yes) ? job(disk_.disk_) : IOStatus::OK();
  }
  IOStatus look(const Job& job) const {
    const std::lock_guard lock(disk_.mutex_);
    if (!disk_.may(life_, PowerDisk::Change::no)) return IOStatus::IOError("the power is off");
    return job(disk_.disk_);
  }
  std::shared_ptr<Node> find(const std::string& path) const { return disk_.find(path); }
  std::shared_ptr<Node> folder_of(const std::string& path, std::string& name) const {
    return disk_.folder_of(path, name);
  }
  static IOStatus missing(const std::string& path) { return IOStatus::PathNotFound(path); }

 private:
  PowerDisk& disk_;
  const std::uint64_t life_;
};

namespace {

class PowerSequentialFile final : public rocksdb::FSSequentialFile {
 public:
  PowerSequentialFile(PowerCalls calls, std::shared_ptr<Node> node) : calls_(calls), node_(std::move(node)) {}
  IOStatus Read(std::size_t most, const IOOptions&, rocksdb::Slice* result, char* scratch,
                IODebugContext*) override {
    return calls_.look([&](SimDisk&) {
      const std::size_t count = copy_out(*node_, at_, scratch, most);
      at_ += count;
      *result = rocksdb::Slice(scratch, count);
      return IOStatus::OK();
    });
  }
  IOStatus Skip(std::uint64_t count) override {
    at_ += count;
    return IOStatus::OK();
  }

 private:
  const PowerCalls calls_;
  const std::shared_ptr<Node> node_;
  std::uint64_t at_ = 0;
};

class PowerWritableFile final : public rocksdb::FSWritableFile {
 public:
  PowerWritableFile(PowerCalls calls, std::shared_ptr<Node> node) : calls_(calls), node_(std::move(node)) {}
  using FSWritableFile::Append;
  IOStatus Append(const rocksdb::Slice& data, const IOOptions&, IODebugContext*) override {
    return calls_.change([&](SimDisk&) {
      SimDisk::write(*node_, bytes_of(data), node_->content.size());
      return IOStatus::OK();
    });
  }
  IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
    return calls_.change([&](SimDisk&) {
      if (size < node_->content.size()) node_->content.resize(static_cast<std::size_t>(size));
      return IOStatus::OK();
    });
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return calls_.change([&](SimDisk&) {
      SimDisk::sync(*node_);
      return IOStatus::OK();
    });
  }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override {
    std::uint64_t bytes = 0;
    calls_
        .look([&](SimDisk&) {
          bytes = node_->content.size();
          return IOStatus::OK();
        })
        .PermitUncheckedError();
    return bytes;
  }

 private:
  const PowerCalls calls_;
  const std::shared_ptr<Node> node_;
};

class PowerDirectory final : public rocksdb::FSDirectory {
 public:
  PowerDirectory(PowerCalls calls, std::shared_ptr<Node> node) : calls_(calls), node_(std::move(node)) {}
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return calls_.change([&](SimDisk&) {
      node_->durable_names = node_->names;
      return IOStatus::OK();
    });
  }
  IOStatus Close(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }

 private:
  const PowerCalls calls_;
  const std::shared_ptr<Node> node_;
};

// What it does not have, RocksDB does not use: files are read through Fs (disk/rocks_env.h).
class PowerFileSystem final : public rocksdb::FileSystem {
 public:
  explicit PowerFileSystem(PowerDisk& disk) : calls_(disk) {}
  const char* Name() const override { return "OstrakaPowerFileSystem"; }

  IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions&,
                             std::unique_ptr<rocksdb::FSSequentialFile>* out, IODebugContext*) override {
    return calls_.look([&](SimDisk&) {
      auto node = calls_.find(path);
      if (!node || node->folder) return PowerCalls::missing(path);
      *out = std::make_unique<PowerSequentialFile>(calls_, std::move(node));
      return IOStatus::OK();
    });
  }
  IOStatus NewRandomAccessFile(const std::string&, const rocksdb::FileOptions&,
                               std::unique_ptr<rocksdb::FSRandomAccessFile>*, IODebugContext*) override {
    return IOStatus::NotSupported("files are read through Fs");
  }
  IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions&,
                           std::unique_ptr<rocksdb::FSWritableFile>* out, IODebugContext*) override {
    auto node = std::make_shared<Node>(0, false);  // of a process that has ended: nowhere
    IOStatus status = calls_.change([&](SimDisk& disk) {
      std::string name;
      const auto folder = calls_.folder_of(path, name);
      if (!folder) return PowerCalls::missing(path);
      node = disk.make(false);
      folder->names[name] = node;
      return IOStatus::OK();
    });
    if (status.ok()) *out = std::make_unique<PowerWritableFile>(calls_, std::move(node));
    return status;
  }
  IOStatus NewDirectory(const std::string& path, const IOOptions&, std::unique_ptr<rocksdb::FSDirectory>* out,
                        IODebugContext*) override {
    return calls_.look([&](SimDisk&) {
      auto node = calls_.find(path);
      if (!node || !node->folder) return PowerCalls::missing(path);
      *out = std::make_unique<PowerDirectory>(calls_, std::move(node));
      return IOStatus::OK();
    });
  }
  IOStatus FileExists(const std::string& path, const IOOptions&, IODebugContext*) override {
    return calls_.look(
        [&](SimDisk&) { return calls_.find(path) ? IOStatus::OK() : IOStatus::NotFound(path); });
  }
  IOStatus GetChildren(const std::string& path, const IOOptions&, std::vector<std::string>* out,
                       IODebugContext*) override {
    return calls_.look([&](SimDisk&) {
      out->clear();
      const auto node = calls_.find(path);
      if (!node || !node->folder) return PowerCalls::missing(path);
      for (const auto& [name, child] : node->names) out->push_back(name);
      return IOStatus::OK();
    });
  }
  IOStatus DeleteFile(const std::string& path, const IOOptions&, IODebugContext*) override {
    return calls_.change([&](SimDisk&) {
      std::string name;
      const auto folder = calls_.folder_of(path, name);
      return folder && folder->names.erase(name) > 0 ? IOStatus::OK() : PowerCalls::missing(path);
    });
  }
  IOStatus CreateDir(const std::string& path, const IOOptions& options, IODebugContext* context) override {
    return CreateDirIfMissing(path, options, context);
  }
  IOStatus CreateDirIfMissing(const std::string& path, const IOOptions&, IODebugContext*) override {
    return calls_.change([&](SimDisk& disk) {
      if (calls_.find(path)) return IOStatus::OK();
      std::string name;
      const auto folder = calls_.folder_of(path, name);
      if (!folder) return PowerCalls::missing(path);
      folder->names[name] = disk.make(true);
      return IOStatus::OK();
    });
  }
  IOStatus DeleteDir(const std::string& path, const IOOptions& options, IODebugContext* context) override {
    return DeleteFile(path, options, context);
  }
  IOStatus GetFileSize(const std::string& path, const IOOptions&, std::uint64_t* bytes,
                       IODebugContext*) override {
    return calls_.look([&](SimDisk&) {
      const auto node = calls_.find(path);
      if (!node) return PowerCalls::missing(path);
      *bytes = node->content.size();
      return IOStatus::OK();
    });
  }
  IOStatus GetFileModificationTime(const std::string&, const IOOptions&, std::uint64_t* time,
                                   IODebugContext*) override {
    *time = 0;
    return IOStatus::OK();
  }
  IOStatus RenameFile(const std::string& from, const std::string& to, const IOOptions&,
                      IODebugContext*) override {
    return calls_.change([&](SimDisk&) {
      std::string old_name, new_name;
      const auto source = calls_.folder_of(from, old_name), target = calls_.folder_of(to, new_name);
      if (!source || !target || !source->names.contains(old_name)) return PowerCalls::missing(from);
      target->names[new_name] = source->names[old_name];
      source->names.erase(old_name);
      return IOStatus::OK();
    });
  }
  IOStatus LockFile(const std::string&, const IOOptions&, rocksdb::FileLock** lock,
                    IODebugContext*) override {
    *lock = new rocksdb::FileLock;  // RocksDB gives it back to UnlockFile
    return IOStatus::OK();
  }
  IOStatus UnlockFile(rocksdb::FileLock* lock, const IOOptions&, IODebugContext*) override {
    delete lock;
    return IOStatus::OK();
  }
  IOStatus GetTestDirectory(const IOOptions&, std::string* path, IODebugContext*) override {
    *path = "/";
    return IOStatus::OK();
  }
  IOStatus NewLogger(const std::string&, const IOOptions&, std::shared_ptr<rocksdb::Logger>*,
                     IODebugContext*) override {
    return IOStatus::NotSupported("no log files");
  }
  IOStatus GetAbsolutePath(const std::string& path, const IOOptions&, std::string* out,
                           IODebugContext*) override {
    *out = path;
    return IOStatus::OK();
  }
  IOStatus IsDirectory(const std::string& path, const IOOptions&, bool* folder, IODebugContext*) override {
    return calls_.look([&](SimDisk&) {
      const auto node = calls_.find(path);
      if (!node) return PowerCalls::missing(path);
      *folder = node->folder;
      return IOStatus::OK();
    });
  }

 private:
  const PowerCalls calls_;
};

// RocksDB waits a second before it tries again what failed; here it fails because the process has ended.
class HastyClock final : public rocksdb::SystemClockWrapper {
 public:
  HastyClock() : SystemClockWrapper(rocksdb::SystemClock::Default()) {}
  const char* Name() const override { return "OstrakaHastyClock"; }
  void SleepForMicroseconds(int us) override { SystemClockWrapper::SleepForMicroseconds(std::min(us, 200)); }
};

class PowerEnv final : public rocksdb::EnvWrapper {
 public:
  explicit PowerEnv(PowerDisk& disk)
      : EnvWrapper(rocksdb::NewCompositeEnv(std::make_shared<PowerFileSystem>(disk))) {
    file_system_ = target()->GetFileSystem();
    system_clock_ = std::make_shared<HastyClock>();
  }
  const char* Name() const override { return "OstrakaPowerEnv"; }
};

Result<> result_of(const IOStatus& status) {
  if (status.ok()) return {};
  return fail(status.IsPathNotFound() ? Errc::not_found : Errc::io, status.ToString());
}

class PowerFile final : public File {
 public:
  PowerFile(PowerCalls calls, std::shared_ptr<Node> node) : calls_(calls), node_(std::move(node)) {}
  Result<std::size_t> pread(MutableByteSpan out, std::uint64_t offset) override {
    std::size_t count = 0;
    const IOStatus status = calls_.look([&](SimDisk&) {
      count = copy_out(*node_, offset, reinterpret_cast<char*>(out.data()), out.size());
      return IOStatus::OK();
    });
    TRY_VOID(result_of(status));
    return count;
  }
  Result<std::size_t> pread_now(MutableByteSpan out, std::uint64_t offset) override {
    return pread(out, offset);
  }
  Result<> pwritev(std::span<const ByteSpan>, std::uint64_t) override { return fail(Errc::io, "read only"); }
  Result<> sync() override {
    return result_of(calls_.change([&](SimDisk&) {
      SimDisk::sync(*node_);
      return IOStatus::OK();
    }));
  }
  Result<std::uint64_t> size() override { return node_->content.size(); }

 private:
  const PowerCalls calls_;
  const std::shared_ptr<Node> node_;
};

// As much of Fs as an index needs.
class PowerFs final : public Fs {
 public:
  explicit PowerFs(PowerDisk& disk) : calls_(disk), files_(disk) {}
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode) override {
    std::unique_ptr<File> file;
    const IOStatus status = calls_.look([&](SimDisk&) {
      auto node = calls_.find(path);
      if (!node || node->folder) return PowerCalls::missing(path);
      file = std::make_unique<PowerFile>(calls_, std::move(node));
      return IOStatus::OK();
    });
    TRY_VOID(result_of(status));
    return file;
  }
  Result<> make_dirs(const std::string& path) override {
    return result_of(files_.CreateDirIfMissing(path, IOOptions(), nullptr));
  }
  Result<> remove(const std::string&) override { return nothing(); }
  Result<> rename(const std::string&, const std::string&) override { return nothing(); }
  Result<> sync_dir(const std::string& path) override {
    return result_of(calls_.change([&](SimDisk&) {
      const auto node = calls_.find(path);
      if (!node) return PowerCalls::missing(path);
      node->durable_names = node->names;
      return IOStatus::OK();
    }));
  }
  Result<std::vector<std::string>> list_dir(const std::string& path) override {
    std::vector<std::string> names;
    TRY_VOID(result_of(files_.GetChildren(path, IOOptions(), &names, nullptr)));
    return names;
  }
  Result<bool> exists(const std::string& path) override {
    const IOStatus status = files_.FileExists(path, IOOptions(), nullptr);
    if (status.IsNotFound()) return false;
    TRY_VOID(result_of(status));
    return true;
  }
  Result<FileId> identity(const std::string&) override { return nothing(); }
  Result<FileInfo> info(const std::string&) override { return nothing(); }
  Result<SpaceInfo> space(const std::string&) override { return nothing(); }
  Result<std::unique_ptr<Lock>> lock(const std::string&) override { return nothing(); }

 private:
  static tl::unexpected<Error> nothing() { return fail(Errc::io, "an index does not do that"); }
  const PowerCalls calls_;
  PowerFileSystem files_;
};

}  // namespace

std::unique_ptr<rocksdb::Env> PowerDisk::env(PowerDisk& disk) {
  return std::make_unique<PowerEnv>(disk);
}

std::unique_ptr<Fs> PowerDisk::fs(PowerDisk& disk) {
  return std::make_unique<PowerFs>(disk);
}

}  // namespace ostraka::sim
