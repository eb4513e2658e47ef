#include "base/fault_point.h"

#include <csignal>

#include "base/check.h"
#include "base/encoding.h"
#include "base/log.h"

namespace ostraka {

Result<std::unique_ptr<FaultPoints>> FaultPoints::arm(std::string_view spec) {
  std::unique_ptr<FaultPoints> points;
  if (spec.empty()) return points;
  points.reset(new FaultPoints());  // NOLINT(cppcoreguidelines-owning-memory): the constructor is private
  for (std::string_view rest = spec; spec != "count" && !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    constexpr std::string_view kKill = "=kill:";
    const auto action = item.find(kKill);
    const auto number =
        action == std::string_view::npos ? std::nullopt : parse_u64(item.substr(action + kKill.size()));
    if (action == 0 || !number || *number == 0)
      return fail(Errc::invalid_argument, fmt::format("fault points: '{}' is not NAME=kill:N", item));
    points->kill_at_.emplace(item.substr(0, action), *number);
  }
  log::warn("FAULT POINTS ARE ARMED: this process is under test and may kill itself points={}", spec);
  FaultPoints* before = armed_.exchange(points.get());
  CHECK(before == nullptr);
  return points;
}

FaultPoints::~FaultPoints() {
  armed_.store(nullptr);
  for (const auto& [name, count] : hits_) log::warn("fault point name={} hits={}", name, count);
}

void FaultPoints::hit(std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto at = hits_.try_emplace(std::string(name), 0).first;
  const std::uint64_t count = ++at->second;
  const auto kill = kill_at_.find(name);
  if (kill == kill_at_.end() || kill->second != count) return;
  log::error("fault point kills the process name={} hits={}", name, count);
  static_cast<void>(std::raise(SIGKILL));
}

std::map<std::string, std::uint64_t, std::less<>> FaultPoints::hits() const {
  const std::lock_guard lock(mutex_);
  return hits_;
}

}  // namespace ostraka
