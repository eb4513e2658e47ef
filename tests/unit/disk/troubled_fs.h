// A real file system whose shard files are in trouble when the test says so: calls fail, or do not come back.
#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>

#include "runtime/fs.h"

namespace ostraka::disk {

// Thread safe.
class Trouble {
 public:
  void fail_with(std::optional<Errc> code) {
    const std::lock_guard lock(mutex_);
    code_ = code;
  }
  void flip_reads(bool flip) {
    const std::lock_guard lock(mutex_);
    flips_ = flip;
  }
  void hang() {
    const std::lock_guard lock(mutex_);
    hangs_ = true;
  }
  void go_on() {
    const std::lock_guard lock(mutex_);
    hangs_ = false;
    changed_.notify_all();
  }
  // What a call meets.
  Result<> meet() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !hangs_; });
    --waiting_;
    if (code_) return fail(*code_, "in trouble");
    return {};
  }
  bool flips() {
    const std::lock_guard lock(mutex_);
    return flips_;
  }
  int waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Errc> code_;
  bool hangs_ = false, flips_ = false;
  int waiting_ = 0;
};

class TroubledFile final : public File {
 public:
  TroubledFile(std::unique_ptr<File> file, Trouble& trouble) : file_(std::move(file)), trouble_(trouble) {}
  Result<std::size_t> pread(MutableByteSpan out, std::uint64_t offset) override {
    TRY_VOID(trouble_.meet());
    auto got = file_->pread(out, offset);
    if (trouble_.flips() && !out.empty()) out[0] ^= 1;
    return got;
  }
  Result<std::size_t> pread_now(MutableByteSpan, std::uint64_t) override {
    return fail(Errc::unavailable);  // nothing lies in memory
  }
  Result<> pwritev(std::span<const ByteSpan> parts, std::uint64_t offset) override {
    TRY_VOID(trouble_.meet());
    return file_->pwritev(parts, offset);
  }
  Result<> sync() override {
    TRY_VOID(trouble_.meet());
    return file_->sync();
  }
  Result<std::uint64_t> size() override { return file_->size(); }

 private:
  const std::unique_ptr<File> file_;
  Trouble& trouble_;
};

class TroubledFs final : public Fs {
 public:
  Trouble trouble;

  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override {
    if (path.find("/data/") == std::string::npos) return real_.open(path, mode);
    TRY_VOID(trouble.meet());
    TRY(file, real_.open(path, mode));
    return std::make_unique<TroubledFile>(std::move(file), trouble);
  }
  Result<> remove(const std::string& path) override { return real_.remove(path); }
  Result<> rename(const std::string& from, const std::string& to) override { return real_.rename(from, to); }
  Result<> make_dirs(const std::string& path) override { return real_.make_dirs(path); }
  Result<> sync_dir(const std::string& path) override { return real_.sync_dir(path); }
  Result<std::vector<std::string>> list_dir(const std::string& path) override { return real_.list_dir(path); }
  Result<bool> exists(const std::string& path) override { return real_.exists(path); }
  Result<FileId> identity(const std::string& path) override { return real_.identity(path); }
  Result<FileInfo> info(const std::string& path) override { return real_.info(path); }
  Result<SpaceInfo> space(const std::string& path) override { return real_.space(path); }
  Result<std::unique_ptr<Lock>> lock(const std::string& path) override { return real_.lock(path); }

 private:
  PosixFs real_;
};

}  // namespace ostraka::disk
