// Asks the devices under the drives once an hour what they tell of themselves (SMART), one after the other on
// a thread of its own, and passes it on to the drives. Without smartctl, or without the right to ask, nothing
// happens.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "disk/local_drive.h"
#include "runtime/fs.h"
#include "runtime/workers.h"

namespace ostraka::cmd {

// The program of this machine; empty: there is none where it is usually installed.
std::string find_smartctl(Fs& fs);

class SmartWatch {
 public:
  // The drives outlive it. smartctl: of find_smartctl(); when it is empty nothing is ever asked.
  SmartWatch(Fs& fs, WorkersFactory& workers, std::string smartctl, std::vector<disk::LocalDrive*> drives);
  SmartWatch(const SmartWatch&) = delete;
  SmartWatch& operator=(const SmartWatch&) = delete;
  ~SmartWatch();  // waits for the program that runs, a quarter of a minute at most

 private:
  void look();
  bool stopping();

  Fs& fs_;
  const std::string smartctl_;
  const std::vector<disk::LocalDrive*> drives_;
  std::vector<bool> warned_;  // by slot: of a device that expects to fail
  std::mutex mutex_;
  bool stopping_ = false;
  std::unique_ptr<Workers> thread_;  // last; none without smartctl
};

}  // namespace ostraka::cmd
