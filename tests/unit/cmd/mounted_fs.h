// The real file system, where folders are mount points when the test says so.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "runtime/fs.h"

namespace ostraka::cmd {

// Thread safe.
class MountedFs final : public Fs {
 public:
  void mount(const std::string& folder) {
    const std::lock_guard lock(mutex_);
    devices_[folder] = ++last_device_;
  }
  void unmount(const std::string& folder) {
    const std::lock_guard lock(mutex_);
    devices_.erase(folder);
  }
  // From now on the path has the identity that it has now: who looks for changes notices none.
  void hold_identity(const std::string& path) {
    const auto id = identity(path);
    const std::lock_guard lock(mutex_);
    if (id) held_.emplace(path, *id);
  }
  // Whenever the folder has been listed, another file system is mounted there.
  void mount_after_each_listing(const std::string& folder) {
    const std::lock_guard lock(mutex_);
    restless_ = folder;
  }

  Result<FileId> identity(const std::string& path) override {
    {
      const std::lock_guard lock(mutex_);
      if (const auto held = held_.find(path); held != held_.end()) return held->second;
    }
    auto id = fs_.identity(path);
    const std::lock_guard lock(mutex_);
    for (const auto& [folder, device] : devices_) {
      if (id && (path == folder || path.starts_with(folder + "/"))) id->device = device;
    }
    return id;
  }
  Result<std::vector<std::string>> list_dir(const std::string& path) override {
    auto names = fs_.list_dir(path);
    const std::lock_guard lock(mutex_);
    if (path == restless_) devices_[path] = ++last_device_;
    return names;
  }
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    return fs_.open(path, mode);
  }
  Result<std::unique_ptr<File>> open_now(const std::string& path) override { return fs_.open_now(path); }
  Result<> remove(const std::string& path) override { return fs_.remove(path); }
  Result<> rename(const std::string& from, const std::string& to) override { return fs_.rename(from, to); }
  Result<> make_dirs(const std::string& path) override { return fs_.make_dirs(path); }
  Result<> sync_dir(const std::string& path) override { return fs_.sync_dir(path); }
  Result<bool> exists(const std::string& path) override { return fs_.exists(path); }
  Result<FileInfo> info(const std::string& path) override { return fs_.info(path); }
  Result<SpaceInfo> space(const std::string& path) override { return fs_.space(path); }
  Result<std::unique_ptr<Lock>> lock(const std::string& path) override { return fs_.lock(path); }

 private:
  PosixFs fs_;
  std::mutex mutex_;
  std::map<std::string, std::uint64_t> devices_;  // by mount point
  std::map<std::string, FileId> held_;
  std::uint64_t last_device_ = 0x10000;
  std::string restless_;
};

}  // namespace ostraka::cmd
