// A library to preload: syncs that say they are done and do nothing. It makes a server that must lose data at
// a power cut, to see that the tests notice. OSTRAKA_LYING_SYNCS says which: "all", "files" or "folders".
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace {

bool lies_about(int fd) {
  const char* which = std::getenv("OSTRAKA_LYING_SYNCS");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  if (which == nullptr) return false;
  struct stat info{};
  const bool is_folder = fstat(fd, &info) == 0 && S_ISDIR(info.st_mode);
  return which == std::string_view("all") || which == std::string_view(is_folder ? "folders" : "files");
}

}  // namespace

extern "C" int fsync(int fd) {
  return lies_about(fd) ? 0 : static_cast<int>(syscall(SYS_fsync, fd));
}
extern "C" int fdatasync(int fd) {
  return lies_about(fd) ? 0 : static_cast<int>(syscall(SYS_fdatasync, fd));
}
