// SimMachine: the hardware of one node. Drives sit in bays, a process (an incarnation) runs on it, and every
// call to a device is a moment in which it may wait, fail, or be the last one before the process dies.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "tests/sim/probes.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_workers.h"

namespace ostraka::sim {

// What is wrong with a device now.
struct DeviceFaults {
  bool pulled = false;  // all calls fail, also those of open files
  bool full = false;
  TimePoint stalled_until{};                                  // calls wait
  double read_errors = 0, write_errors = 0, sync_errors = 0;  // chance of each call
  double misdirected = 0;                                     // chance of a write to go elsewhere
  double flipped = 0;                                         // chance of a write to lose a bit on its way
};

struct Device {
  explicit Device(std::uint64_t number) : disk(number) {}
  SimDisk disk;
  DeviceFaults faults;
  std::string unplugged_from;  // the bay it goes back into
};

enum class Access : std::uint8_t { read, write, sync, look };  // look: names and attributes

class SimMachine {
 public:
  SimMachine(FiberScheduler& s, Probes& p) : scheduler(s), probes(p) {}
  // Says that this call may go on, after the time it takes. The device may be nullptr.
  Result<> call(std::uint64_t caller, const std::shared_ptr<Device>& device, Access access);
  // From now on calls of the present incarnation fail and change nothing.
  void end_incarnation();
  std::uint64_t begin_incarnation() noexcept { return incarnation = ++incarnations_; }
  bool alive(std::uint64_t caller) const noexcept { return caller == incarnation; }
  // The caller's next call is the one in which it dies.
  bool dying(std::uint64_t caller) const noexcept { return alive(caller) && calls_to_live == 1U; }
  SimRandom& random() noexcept { return scheduler.random(); }

  FiberScheduler& scheduler;
  Probes& probes;
  // By the name of the mount point; nullptr: nothing is mounted there, and the folder of the root is seen.
  std::map<std::string, std::shared_ptr<Device>> bays;
  const std::shared_ptr<Device> root = std::make_shared<Device>(1);
  std::uint64_t incarnation = 0;                // 0: nobody runs
  std::optional<std::uint64_t> calls_to_live;   // the process dies in the call in which it gets 0
  std::function<void()> on_death;               // within that call
  std::optional<std::uint64_t> calls_to_pause;  // it is stopped in the call in which this gets 0
  std::function<void()> on_pause;
  double slow_calls = 0.3;  // chance of a call to take any time at all

 private:
  std::uint64_t incarnations_ = 0;
};

}  // namespace ostraka::sim
