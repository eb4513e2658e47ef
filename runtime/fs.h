// Fs and File: the seam to the file system. Calls block; run them on Workers. Every failure names the
// path and the reason. Errors: not_found (ENOENT), no_space (ENOSPC, EDQUOT), wrong_drive (locked by another
// process), io (all else).
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace ostraka {

// An open file. Closing is the destructor. pread and pwritev may be called from several threads.
class File {
 public:
  virtual ~File() = default;
  virtual Result<std::size_t> pread(MutableByteSpan out,
                                    std::uint64_t offset) = 0;  // short only at the end of the file
  // The same without waiting for a device: unavailable (without detail) when not all of it lies in memory.
  virtual Result<std::size_t> pread_now(MutableByteSpan out, std::uint64_t offset) = 0;
  virtual Result<> pwritev(std::span<const ByteSpan> parts, std::uint64_t offset) = 0;  // all or error
  virtual Result<> sync() = 0;                                                          // fdatasync
  virtual Result<std::uint64_t> size() = 0;
};

struct SpaceInfo {
  std::uint64_t total_bytes = 0;
  std::uint64_t free_bytes = 0;  // for us, without the file system's own reserve
};

// Names a file or folder among all that exist now: the same path with another FileId is another file.
struct FileId {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  bool operator==(const FileId&) const = default;
};

struct FileInfo {
  std::uint64_t bytes = 0;
  std::int64_t modified_ms = 0;  // unix time
};

enum class OpenMode : std::uint8_t {
  read,        // there must be a file
  create_new,  // there must be none; read and write
  read_write,  // there must be a file
};

class Fs {
 public:
  class Lock {  // released by the destructor
   public:
    virtual ~Lock() = default;
  };
  virtual ~Fs() = default;
  virtual Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) = 0;
  // For reading, without waiting for a device: unavailable (without detail) when that cannot be had, whatever
  // the reason.
  virtual Result<std::unique_ptr<File>> open_now(const std::string& path);
  virtual Result<> remove(const std::string& path) = 0;  // a file, or an empty folder
  virtual Result<> rename(const std::string& from,
                          const std::string& to) = 0;       // replaces; durable after sync_dir
  virtual Result<> make_dirs(const std::string& path) = 0;  // like mkdir -p
  virtual Result<> sync_dir(const std::string& path) = 0;
  virtual Result<std::vector<std::string>> list_dir(
      const std::string& path) = 0;  // names, without . and .., unsorted
  virtual Result<bool> exists(const std::string& path) = 0;
  virtual Result<FileId> identity(const std::string& path) = 0;
  virtual Result<FileInfo> info(const std::string& path) = 0;
  virtual Result<SpaceInfo> space(const std::string& path) = 0;
  virtual Result<std::unique_ptr<Lock>> lock(
      const std::string& path) = 0;  // created when missing; exclusive between processes

  // Reads at most limit bytes; a larger file is Errc::too_large.
  Result<std::string> read_file(const std::string& path, std::size_t limit);
  // Durable and atomic: temporary file (path + ".tmp"), sync, rename, sync of the directory. One writer a
  // path at a time.
  Result<> write_file(const std::string& path, std::string_view content);
};

// Linux. Thread safe.
class PosixFs final : public Fs {
 public:
  Result<std::unique_ptr<File>> open(const std::string& path, OpenMode mode) override;
  Result<std::unique_ptr<File>> open_now(const std::string& path) override;
  Result<> remove(const std::string& path) override;
  Result<> rename(const std::string& from, const std::string& to) override;
  Result<> make_dirs(const std::string& path) override;
  Result<> sync_dir(const std::string& path) override;
  Result<std::vector<std::string>> list_dir(const std::string& path) override;
  Result<bool> exists(const std::string& path) override;
  Result<FileId> identity(const std::string& path) override;
  Result<FileInfo> info(const std::string& path) override;
  Result<SpaceInfo> space(const std::string& path) override;
  Result<std::unique_ptr<Lock>> lock(const std::string& path) override;
};

}  // namespace ostraka
