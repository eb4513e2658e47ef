// A wall clock that goes wrong, for a program started with LD_PRELOAD: OSTRAKA_SKEW_FILE names a file with
// the error in nanoseconds as 8 bytes, which may change at any time. Monotonic clocks stay right. (Debian's
// libfaketime does not get along with jemalloc, which asks for the time before libfaketime is ready.)
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <ctime>

namespace {

constexpr std::int64_t kNsPerSecond = 1'000'000'000;
const volatile std::int64_t* skew = nullptr;

__attribute__((constructor)) void map_skew() {
  const char* path = std::getenv("OSTRAKA_SKEW_FILE");
  if (path == nullptr) return;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) std::abort();
  void* mapped = ::mmap(nullptr, sizeof(std::int64_t), PROT_READ, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) std::abort();
  ::close(fd);
  skew = static_cast<const volatile std::int64_t*>(mapped);
}

}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const long failed = ::syscall(SYS_clock_gettime, clock, out);
  if (failed != 0) return -1;
  if (skew != nullptr && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
    const std::int64_t ns = out->tv_sec * kNsPerSecond + out->tv_nsec + *skew;
    out->tv_sec = ns / kNsPerSecond;
    out->tv_nsec = ns % kNsPerSecond;
  }
  return 0;
}

extern "C" int gettimeofday(timeval* out, void*) noexcept {
  timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  out->tv_sec = now.tv_sec;
  out->tv_usec = now.tv_nsec / 1000;
  return 0;
}

extern "C" time_t time(time_t* out) noexcept {
  timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}
