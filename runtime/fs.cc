// The parts of Fs that need no operating system.
#include "runtime/fs.h"

#include <algorithm>

#include "base/fault_point.h"

namespace ostraka {
namespace {

std::string parent_of(const std::string& path) {
  const auto slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

}  // namespace

Result<std::unique_ptr<File>> Fs::open_now(const std::string&) {
  return fail(Errc::unavailable);
}

Result<std::string> Fs::read_file(const std::string& path, std::size_t limit) {
  TRY(file, open(path, OpenMode::read));
  TRY(bytes, file->size());
  if (bytes > limit) {
    return fail(Errc::too_large, path + ": " + std::to_string(bytes) + " bytes, at most " +
                                     std::to_string(limit) + " allowed");
  }
  // Files under /proc and /sys say 0, others may have grown: read until the end, however long it is.
  std::string content(std::max<std::size_t>(bytes, std::min<std::size_t>(limit, 4096)) + 1, '\0');
  std::size_t have = 0;
  for (;;) {
    auto* at = reinterpret_cast<std::uint8_t*>(content.data()) + have;
    const std::size_t room = content.size() - have;
    TRY(got, file->pread(MutableByteSpan(at, room), have));
    have += got;
    if (have > limit) {
      return fail(Errc::too_large, path + ": more than the " + std::to_string(limit) + " bytes allowed");
    }
    if (got < room) break;
    content.resize(std::min(content.size() * 2, limit + 1));
  }
  content.resize(have);
  return content;
}

Result<> Fs::write_file(const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  auto file = open(temporary, OpenMode::create_new);
  if (!file) {  // one that a crash left behind
    if (!remove(temporary)) return tl::unexpected<Error>(std::move(file).error());
    file = open(temporary, OpenMode::create_new);
    if (!file) return tl::unexpected<Error>(std::move(file).error());
  }
  const ByteSpan part = as_bytes(content);
  TRY_VOID((*file)->pwritev(std::span<const ByteSpan>(&part, 1), 0));
  TRY_VOID((*file)->sync());
  file->reset();
  fault_point("file.before_rename");
  TRY_VOID(rename(temporary, path));
  return sync_dir(parent_of(path));
}

}  // namespace ostraka
