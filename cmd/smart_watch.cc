#include "cmd/smart_watch.h"

#include <array>
#include <map>

#include "base/log.h"
#include "disk/smart.h"
#include "runtime/block_device.h"

namespace ostraka::cmd {
namespace {

constexpr Duration kFirstLook =
    std::chrono::seconds(20);  // after the start, which has more urgent things to do
constexpr Duration kPeriod = std::chrono::hours(1);
constexpr std::array<const char*, 4> kPlaces{"/usr/sbin/smartctl", "/usr/local/sbin/smartctl",
                                             "/usr/bin/smartctl", "/sbin/smartctl"};

}  // namespace

std::string find_smartctl(Fs& fs) {
  for (const char* place : kPlaces)
    if (fs.exists(place).value_or(false)) return place;
  return {};
}

SmartWatch::SmartWatch(Fs& fs, WorkersFactory& workers, std::string smartctl,
                       std::vector<disk::LocalDrive*> drives)
    : fs_(fs), smartctl_(std::move(smartctl)), drives_(std::move(drives)), warned_(drives_.size()) {
  if (smartctl_.empty()) return;
  thread_ = workers.make("smart", 1);
  thread_->post_after(kFirstLook, [this] { look(); });
}

SmartWatch::~SmartWatch() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  thread_.reset();
}

bool SmartWatch::stopping() {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void SmartWatch::look() {
  std::map<std::string, Result<disk::SmartReport>> asked;  // drives may share a disk
  for (std::size_t slot = 0; slot < drives_.size() && !stopping(); ++slot) {
    disk::LocalDrive& drive = *drives_[slot];
    if (!drive.online()) continue;  // looking at a folder that hangs would hang here
    const auto folder = fs_.identity(drive.folder());
    if (!folder) continue;
    const auto disk = whole_disk_of(folder->device);
    if (!disk) continue;
    auto known = asked.find(*disk);
    if (known == asked.end()) known = asked.emplace(*disk, disk::read_smart(smartctl_, *disk)).first;
    const Result<disk::SmartReport>& report = known->second;
    if (!report) continue;
    const bool fails = report->passed == false;
    if (fails && !warned_[slot]) {
      log::warn(
          "a device expects to fail soon (SMART) drive={} device={} model=\"{}\" serial={} next=\"replace it "
          "in time; it stays in service until it does fail\"",
          drive.folder(), report->device, report->model, report->serial);
    }
    warned_[slot] = fails;
    drive.set_smart(*report);
  }
  const std::lock_guard lock(mutex_);
  if (!stopping_) thread_->post_after(kPeriod, [this] { look(); });
}

}  // namespace ostraka::cmd
