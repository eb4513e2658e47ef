#include "tests/sim/sim_machine.h"

namespace ostraka::sim {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr Duration kStallSlice = milliseconds(50);

}  // namespace

void SimMachine::end_incarnation() {
  incarnation = 0;
  calls_to_live.reset();
  calls_to_pause.reset();
}

Result<> SimMachine::call(std::uint64_t caller, const std::shared_ptr<Device>& device, Access access) {
  if (!alive(caller)) return fail(Errc::io, "the process is dead");
  if (calls_to_live && --*calls_to_live == 0) {
    on_death();
    return fail(Errc::io, "the process is dead");
  }
  if (calls_to_pause && --*calls_to_pause == 0) {
    calls_to_pause.reset();
    on_pause();
  }
  if (!device) return {};
  const DeviceFaults& faults = device->faults;
  const bool waits = Fiber::current() != nullptr;
  if (waits && random().chance(slow_calls)) {
    scheduler.wait(microseconds(random().between(5, access == Access::sync ? 2000 : 200)));
  }
  if (waits && faults.stalled_until > scheduler.clock().now()) probes.hit("fault: a call that stalls");
  while (waits && scheduler.may_wait() && alive(caller) && faults.stalled_until > scheduler.clock().now()) {
    scheduler.wait(std::min<Duration>(kStallSlice, faults.stalled_until - scheduler.clock().now()));
  }
  if (!alive(caller)) return fail(Errc::io, "the process is dead");
  if (faults.pulled) {
    probes.hit("fault: a call to a drive that is gone");
    return fail(Errc::io, "no such device");
  }
  const double errors = access == Access::read    ? faults.read_errors
                        : access == Access::write ? faults.write_errors
                                                  : 0;
  if (errors > 0 && random().chance(errors)) {
    probes.hit(access == Access::read ? "fault: a read error" : "fault: a write error");
    return fail(Errc::io, "input/output error");
  }
  return {};
}

}  // namespace ostraka::sim
