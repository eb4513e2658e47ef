// Looks once a second at what a drive's calls say about it (drive_health.h), on a thread of its own that
// never touches the drive: puts it aside, takes it out, sends probes, and says so in log and metrics.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "disk/committer.h"
#include "disk/drive_core.h"
#include "runtime/workers.h"

namespace ostraka::disk {

class HealthWatch {
 public:
  HealthWatch(DriveCore& core, Committer& committer, WorkersFactory& workers);
  HealthWatch(const HealthWatch&) = delete;
  HealthWatch& operator=(const HealthWatch&) = delete;
  ~HealthWatch();

  void start();

 private:
  void tick();
  void tell(const DriveHealth::Change& change) const;
  void probe();
  void arrange_next();

  DriveCore& core_;
  Committer& committer_;
  const std::shared_ptr<std::atomic<bool>> probing_ = std::make_shared<std::atomic<bool>>(false);
  std::mutex mutex_;
  bool stopping_ = false;
  std::unique_ptr<Workers> thread_;  // last
};

}  // namespace ostraka::disk
