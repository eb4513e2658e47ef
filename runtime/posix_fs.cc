#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <system_error>

#include "runtime/fs.h"

namespace ostraka {
namespace {

Errc code_of(int error) noexcept {
  switch (error) {
    case ENOENT:
      return Errc::not_found;
    case ENOSPC:
    case EDQUOT:
      return Errc::no_space;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return Errc::overloaded;  // this process has too many files open, or no memory; the file may be well
    default:
      return Errc::io;
  }
}

tl::unexpected<Error> failed(const char* what, const std::string& path, int error) {
  return fail(code_of(error), path + ": cannot " + what + ": " + std::generic_category().message(error));
}

// Calls until the answer is not EINTR.
template <class Call>
auto retried(Call call) {
  for (;;) {
    const auto answer = call();
    if (answer != -1 || errno != EINTR) return answer;
  }
}

class Descriptor {
 public:
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const noexcept { return fd_; }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(std::string path, Descriptor fd) : path_(std::move(path)), fd_(std::move(fd)) {}

  Result<std::size_t> pread(MutableByteSpan out, std::uint64_t offset) override {
    std::size_t have = 0;
    while (have < out.size()) {
      const auto at = static_cast<off_t>(offset + have);
      const ssize_t got =
          retried([&] { return ::pread(fd_.get(), out.data() + have, out.size() - have, at); });
      if (got < 0) return failed("read", path_, errno);
      if (got == 0) break;
      have += static_cast<std::size_t>(got);
    }
    return have;
  }

  Result<std::size_t> pread_now(MutableByteSpan out, std::uint64_t offset) override {
    if (in_memory()) return pread(out, offset);
    iovec part{out.data(), out.size()};
    const auto at = static_cast<off_t>(offset);
    const ssize_t got = retried([&] { return ::preadv2(fd_.get(), &part, 1, at, RWF_NOWAIT); });
    if (got == static_cast<ssize_t>(out.size())) return out.size();
    // Short: the rest waits for the device, or the file ends here.
    if (got >= 0 && offset + static_cast<std::uint64_t>(got) == size().value_or(0)) {
      return static_cast<std::size_t>(got);
    }
    return fail(Errc::unavailable);
  }

  Result<> pwritev(std::span<const ByteSpan> parts, std::uint64_t offset) override {
    std::array<iovec, 64> batch;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
    std::size_t part = 0;
    std::size_t skip = 0;  // bytes of parts[part] already written
    for (;;) {
      int count = 0;
      for (std::size_t i = part; i < parts.size() && count < static_cast<int>(batch.size()); ++i) {
        const ByteSpan rest = i == part ? parts[i].subspan(skip) : parts[i];
        if (rest.empty()) continue;
        batch[static_cast<std::size_t>(count++)] = {const_cast<std::uint8_t*>(rest.data()), rest.size()};
      }
      if (count == 0) return {};
      const ssize_t wrote =
          retried([&] { return ::pwritev(fd_.get(), batch.data(), count, static_cast<off_t>(offset)); });
      if (wrote < 0) return failed("write", path_, errno);
      if (wrote == 0) return failed("write", path_, EIO);
      offset += static_cast<std::uint64_t>(wrote);
      auto left = static_cast<std::size_t>(wrote);
      while (part < parts.size() && left >= parts[part].size() - skip) {
        left -= parts[part].size() - skip;
        ++part;
        skip = 0;
      }
      skip += left;
    }
  }

  Result<> sync() override {
    if (retried([&] { return ::fdatasync(fd_.get()); }) != 0) return failed("sync", path_, errno);
    return {};
  }

  Result<std::uint64_t> size() override {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return failed("ask the size of", path_, errno);
    return static_cast<std::uint64_t>(info.st_size);
  }

 private:
  // tmpfs has no device to wait for, and does not know RWF_NOWAIT.
  bool in_memory() {
    int known = in_memory_.load(std::memory_order_relaxed);
    if (known < 0) {
      struct statfs info{};
      known = ::fstatfs(fd_.get(), &info) == 0 && info.f_type == TMPFS_MAGIC ? 1 : 0;
      in_memory_.store(known, std::memory_order_relaxed);
    }
    return known == 1;
  }

  const std::string path_;
  const Descriptor fd_;
  std::atomic<int> in_memory_{-1};  // -1: not asked yet
};

class FlockLock final : public Fs::Lock {
 public:
  explicit FlockLock(Descriptor fd) : fd_(std::move(fd)) {}  // closing releases

 private:
  Descriptor fd_;
};

}  // namespace

Result<std::unique_ptr<File>> PosixFs::open(const std::string& path, OpenMode mode) {
  int flags = O_CLOEXEC;
  switch (mode) {
    case OpenMode::read:
      flags |= O_RDONLY;
      break;
    case OpenMode::create_new:
      flags |= O_RDWR | O_CREAT | O_EXCL;
      break;
    case OpenMode::read_write:
      flags |= O_RDWR;
      break;
  }
  Descriptor fd(retried([&] { return ::open(path.c_str(), flags, 0644); }));
  if (fd.get() < 0) return failed(mode == OpenMode::create_new ? "create" : "open", path, errno);
  return std::make_unique<PosixFile>(path, std::move(fd));
}

// The folders and the file have to be in the kernel's cache of names (Linux 5.12).
Result<std::unique_ptr<File>> PosixFs::open_now(const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC;
  how.resolve = RESOLVE_CACHED;
  Descriptor fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof how)));
  if (fd.get() < 0) return fail(Errc::unavailable);
  return std::make_unique<PosixFile>(path, std::move(fd));
}

Result<> PosixFs::remove(const std::string& path) {
  if (std::remove(path.c_str()) != 0) return failed("remove", path, errno);
  return {};
}

Result<> PosixFs::rename(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return failed(("rename to " + to).c_str(), from, errno);
  return {};
}

Result<> PosixFs::make_dirs(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return failed("create the folder", path, error.value());
  return {};
}

Result<> PosixFs::sync_dir(const std::string& path) {
  const Descriptor fd(retried([&] { return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (fd.get() < 0) return failed("open the folder", path, errno);
  if (retried([&] { return ::fsync(fd.get()); }) != 0) return failed("sync the folder", path, errno);
  return {};
}

Result<std::vector<std::string>> PosixFs::list_dir(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  if (!dir) return failed("list the folder", path, errno);
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());  // NOLINT(concurrency-mt-unsafe): the stream is ours alone
    if (entry == nullptr) {
      if (errno != 0) return failed("list the folder", path, errno);
      return names;
    }
    const std::string_view name = static_cast<const char*>(entry->d_name);
    if (name != "." && name != "..") names.emplace_back(name);
  }
}

Result<bool> PosixFs::exists(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return failed("look at", path, errno);
}

Result<FileId> PosixFs::identity(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return failed("look at", path, errno);
  return FileId{.device = info.st_dev, .inode = info.st_ino};
}

Result<FileInfo> PosixFs::info(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return failed("look at", path, errno);
  return FileInfo{.bytes = static_cast<std::uint64_t>(info.st_size),
                  .modified_ms = std::int64_t{info.st_mtim.tv_sec} * 1000 + info.st_mtim.tv_nsec / 1'000'000};
}

Result<SpaceInfo> PosixFs::space(const std::string& path) {
  struct statvfs info{};
  if (retried([&] { return ::statvfs(path.c_str(), &info); }) != 0) {
    return failed("ask the free space of", path, errno);
  }
  return SpaceInfo{.total_bytes = info.f_blocks * info.f_frsize, .free_bytes = info.f_bavail * info.f_frsize};
}

Result<std::unique_ptr<Fs::Lock>> PosixFs::lock(const std::string& path) {
  Descriptor fd(retried([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644); }));
  if (fd.get() < 0) return failed("open the lock", path, errno);
  if (retried([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return failed("lock", path, errno);
    std::array<char, 16> owner{};  // the holder leaves its process id, to help whoever reads the message
    const ssize_t got = ::pread(fd.get(), owner.data(), owner.size() - 1, 0);
    const std::string pid = got > 0 ? " (pid " + std::string(owner.data()) + ")" : "";
    return fail(Errc::wrong_drive, path + ": another process" + pid + " uses this folder");
  }
  const std::string pid = std::to_string(::getpid());
  if (::ftruncate(fd.get(), 0) != 0 || ::pwrite(fd.get(), pid.data(), pid.size(), 0) < 0) {
    // A full or read-only drive: the lock itself holds all the same.
  }
  return std::make_unique<FlockLock>(std::move(fd));
}

}  // namespace ostraka
