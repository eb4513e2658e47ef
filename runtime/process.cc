#include "runtime/process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <system_error>

namespace ostraka {
namespace {

constexpr Duration kDeathTime = std::chrono::seconds(2);  // for a process that was killed
constexpr int kLookMs = 20;

std::string reason(int error) {
  return std::generic_category().message(error);
}

class Pipe {
 public:
  Pipe() { good_ = ::pipe2(ends_.data(), O_CLOEXEC) == 0; }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  bool good() const noexcept { return good_; }
  int reader() const noexcept { return ends_[0]; }
  int writer() const noexcept { return ends_[1]; }
  void close_writer() noexcept { close_end(1); }

 private:
  void close_end(std::size_t which) noexcept {
    if (ends_[which] >= 0) ::close(std::exchange(ends_[which], -1));
  }
  std::array<int, 2> ends_{-1, -1};
  bool good_ = false;
};

// The program with default signals and these three files.
class Launch {
 public:
  explicit Launch(int output) {
    posix_spawn_file_actions_init(&files_);
    posix_spawn_file_actions_addopen(&files_, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files_, output, 1);
    posix_spawn_file_actions_addopen(&files_, 2, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes_);
    sigset_t none, ignored;
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);  // we ignore it, and it would inherit that
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &ignored);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  Launch(const Launch&) = delete;
  Launch& operator=(const Launch&) = delete;
  ~Launch() {
    posix_spawnattr_destroy(&attributes_);
    posix_spawn_file_actions_destroy(&files_);
  }
  // 0, or an error number.
  int start(const std::vector<std::string>& words, pid_t& pid) {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    return ::posix_spawnp(&pid, arguments[0], &files_, &attributes_, arguments.data(), ::environ);
  }

 private:
  posix_spawn_file_actions_t files_{};
  posix_spawnattr_t attributes_{};
};

TimePoint now() {
  return std::chrono::steady_clock::now();
}

// Reads to the end of what it prints.
Result<> collect(int fd, const ProcessSpec& spec, TimePoint deadline, std::string& output) {
  std::array<char, 16384> chunk;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled by read
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - now()).count();
    if (left <= 0) return fail(Errc::deadline, spec.words[0] + " takes too long");
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    const int ready = ::poll(&wait, 1, static_cast<int>(std::min<std::int64_t>(left, 1000)));
    if (ready < 0 && errno != EINTR) return fail(Errc::io, spec.words[0] + ": " + reason(errno));
    if (ready <= 0) continue;
    const ssize_t got = ::read(fd, chunk.data(), chunk.size());
    if (got == 0) return {};
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Errc::io, spec.words[0] + ": " + reason(errno));
    if (output.size() + static_cast<std::size_t>(got) > spec.max_output_bytes)
      return fail(Errc::too_large, spec.words[0] + " prints too much");
    output.append(chunk.data(), static_cast<std::size_t>(got));
  }
}

// One that waits for a device does not even die of SIGKILL, so nobody waits for it for good.
Result<int> wait_for(pid_t pid, const std::string& name, TimePoint deadline) {
  for (;;) {
    int status = 0;
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) {
      if (WIFEXITED(status)) return WEXITSTATUS(status);
      return fail(Errc::io, name + " died of a signal");
    }
    if (ended < 0 && errno != EINTR) return fail(Errc::io, name + ": " + reason(errno));
    if (now() >= deadline) return fail(Errc::deadline, name + " does not end");
    ::poll(nullptr, 0, kLookMs);
  }
}

}  // namespace

Result<ProcessOutput> run_process(const ProcessSpec& spec) {
  if (spec.words.empty()) return fail(Errc::invalid_argument, "no program named");
  Pipe pipe;
  if (!pipe.good()) return fail(Errc::io, "no pipe for " + spec.words[0] + ": " + reason(errno));
  Launch launch(pipe.writer());
  pid_t pid = 0;
  if (const int error = launch.start(spec.words, pid); error != 0) {
    return fail(error == ENOENT ? Errc::not_found : Errc::io,
                spec.words[0] + " cannot be started: " + reason(error));
  }
  pipe.close_writer();
  const TimePoint deadline = now() + spec.time_limit;
  ProcessOutput out;
  const Result<> collected = collect(pipe.reader(), spec, deadline, out.output);
  Result<int> status = fail(Errc::deadline, {});
  if (collected) status = wait_for(pid, spec.words[0], deadline);
  if (!collected || status.failed_with(Errc::deadline)) {
    ::kill(pid, SIGKILL);
    static_cast<void>(wait_for(pid, spec.words[0], now() + kDeathTime));
  }
  if (!collected) return fail(collected.code(), collected.error().detail);
  TRY(ended, std::move(status));
  out.status = ended;
  return out;
}

}  // namespace ostraka
