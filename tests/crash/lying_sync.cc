// A library to preload: syncs that say they are done and do nothing. It makes a server that must lose data at
// a power cut, to see that the tests notice. OSTRAKA_LYING_SYNCS says about what: "files PART" or "folders
// PART", those with PART in their path.
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

bool lies_about(int fd) {
  const char* which = std::getenv("OSTRAKA_LYING_SYNCS");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  struct stat info{};
  if (which == nullptr || fstat(fd, &info) != 0) return false;
  const std::string_view kind = S_ISDIR(info.st_mode) ? "folders " : "files ";
  if (!std::string_view(which).starts_with(kind)) return false;
  std::array<char, PATH_MAX> path{};
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  const ssize_t length = readlink(link.c_str(), path.data(), path.size());
  if (length < 0) return false;
  const std::string_view part = std::string_view(which).substr(kind.size());
  return std::string_view(path.data(), static_cast<std::size_t>(length)).find(part) != std::string_view::npos;
}

}  // namespace

extern "C" int fsync(int fd) {
  return lies_about(fd) ? 0 : static_cast<int>(syscall(SYS_fsync, fd));
}
extern "C" int fdatasync(int fd) {
  return lies_about(fd) ? 0 : static_cast<int>(syscall(SYS_fdatasync, fd));
}
