// What goes wrong. Drives are harmed only as many as parity allows, and always the same ones until all is
// healed; processes may die at any call to a device, and the power may go.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/scenario.h"

namespace ostraka::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Bits, pages and files that rot where they lie.
void Scenario::damage_at_rest(Device& device) {
  SimRandom& random = world_.random;
  const auto files = device.disk.files();
  const auto indexes = device.disk.indexes();
  const std::uint64_t kind = random.below(4);
  if (kind == 0 && !indexes.empty()) {
    // A record of the drive itself that cannot be read stays so until the drive is filled anew.
    auto column = random.chance(0.5) ? disk::Column::rows : disk::Column::inline_data;
    if (anything_goes_) column = static_cast<disk::Column>(random.below(disk::kColumns));
    std::string* value = indexes.front()->nth(column, random.below(1000));
    if (value == nullptr || value->empty()) return;
    (*value)[random.below(value->size())] ^= static_cast<char>(1 << random.below(8));
    world_.probes.hit("fault: a bit of the index flipped");
    return;
  }
  if (files.empty()) return;
  Node& file = *files[random.below(files.size())];
  if (file.content.empty()) return;
  if (kind == 1) {
    file.content.resize(random.below(file.content.size()));
    world_.probes.hit("fault: a file cut short");
  } else {
    file.content[random.below(file.content.size())] ^= static_cast<char>(1 << random.below(8));
    world_.probes.hit("fault: a bit of a file flipped");
  }
}

// One drive, one kind of trouble, for a while.
void Scenario::harm(std::size_t slot) {
  SimRandom& random = world_.random;
  const std::shared_ptr<Device> device = world_.devices[slot];
  const Duration length = milliseconds(random.between(50, 20'000));
  well_again_[slot] = world_.clock.now() + length;
  DeviceFaults& faults = device->faults;
  const auto told = [&](const std::string& what) {
    world_.probes.hit("trouble: " + what);
    world_.note(fmt::format("drive {}: {} for {} ms", slot, what, length.count() / 1'000'000));
  };
  switch (random.below(13)) {
    case 0:
      faults.stalled_until = world_.clock.now() + length;
      return told("stalls");
    case 1:
      faults.pulled = true;
      world_.unplug(device);
      return told("is pulled out");
    case 2:  // open files go on working
      world_.unplug(device);
      return told("is not mounted");
    case 9:
      world_.replace_device(slot);
      return told("is replaced by an empty one");
    case 10:
      gone_[slot] = true;
      faults.pulled = true;
      world_.unplug(device);
      well_again_[slot] = TimePoint::max();
      world_.probes.hit("fault: a drive gone for good");
      world_.note(fmt::format("drive {} is gone for good", slot));
      return;
    case 3:
      faults.read_errors = random.chance(0.3) ? 1.0 : 0.2;
      return told("has read errors");
    case 4:
      faults.write_errors = random.chance(0.3) ? 1.0 : 0.2;
      return told("has write errors");
    case 5:
      faults.sync_errors = random.chance(0.3) ? 1.0 : 0.1;
      return told("fails to sync");
    case 6:
      faults.full = true;
      return told("is full");
    case 7:
      faults.misdirected = 0.1;
      return told("misdirects writes");
    case 8:
      faults.flipped = 0.1;
      return told("flips bits that it writes");
    default:
      for (std::uint64_t times = random.between(1, 4); times > 0; --times) damage_at_rest(*device);
      return told("rots");
  }
}

// While they serve. Which two: those that may be harmed.
void Scenario::swap_two() {
  const std::size_t one = weak_[0], other = weak_[1];
  const Duration length = milliseconds(world_.random.between(50, 20'000));
  well_again_[one] = well_again_[other] = world_.clock.now() + length;
  world_.swap_bays(one, other);
  swapped_ = {one, other};
  world_.probes.hit("fault: drives swapped while they serve");
  world_.note(fmt::format("drives {} and {} are swapped for {} ms", one, other, length.count() / 1'000'000));
}

// The device as it was bought, in its bay; what it has lost stays lost.
void Scenario::heal_hardware() {
  if (swapped_ && well(swapped_->first) && well(swapped_->second)) {
    world_.put_back(swapped_->first, swapped_->second);
    swapped_.reset();
  }
  for (std::size_t slot = 0; slot < world_.devices.size(); ++slot) {
    const std::shared_ptr<Device>& device = world_.devices[slot];
    if (!well(slot) || gone_[slot]) continue;
    device->faults = DeviceFaults{};
    world_.plug_in(device);
  }
}

Task<> Scenario::trouble_with_drives() {
  SimRandom& random = world_.random;
  // Then nothing else: a start while two are swapped makes the wrong bay the place of each, and an empty
  // drive in another than that is not taken for a new one, since the old one's file system may just not be
  // mounted.
  const bool only_swaps =
      weak_.size() > 1 && random.chance(0.1) && &world_.node_of(weak_[0]) == &world_.node_of(weak_[1]);
  while (!ended_) {
    const Duration pause = milliseconds(random.between(20, 3000));
    co_await sleep_for(world_.clock, pause);
    heal_hardware();
    if (ended_ || weak_.empty()) break;
    if (only_swaps) {
      if (well(weak_[0]) && well(weak_[1])) swap_two();
      continue;
    }
    const std::size_t slot = weak_[random.below(weak_.size())];
    if (well(slot)) harm(slot);
  }
  --working_;
}

Task<> Scenario::trouble_with_processes() {
  SimRandom& random = world_.random;
  while (!ended_) {
    const Duration pause = milliseconds(random.between(200, 6000));
    co_await sleep_for(world_.clock, pause);
    if (ended_) break;
    if (!world_.serving()) {
      co_await start_again(false);
      continue;
    }
    const std::uint64_t kind = random.below(10);
    if (kind < 2) {
      world_.probes.hit("trouble: stopped and started");
      co_await world_.stop();
      co_await start_again(false);
    } else if (kind < 7) {
      world_.arm_death(kind < 4 ? Death::killed : Death::power_cut, random.between(1, 300));
      for (int i = 0; i < 300 && !world_.dead(); ++i) co_await sleep_for(world_.clock, milliseconds(10));
      if (!world_.dead()) continue;
      const Duration down = milliseconds(random.below(3000));
      co_await sleep_for(world_.clock, down);
      co_await start_again(false);
    }
  }
  --working_;
}

// Between two lives somebody may plug drives into other bays. With `must` the node must come up: the control
// store needs a majority of the drives, and when too few are left an operator replaces those that are gone.
Task<> Scenario::start_again(bool must) {
  const bool tried = co_await try_to_start(must);
  if (tried || !must || world_.serving()) co_return;
  if (world_.devices.size() - weak_.size() > world_.devices.size() / 2) {
    given_up_ = true;
    world_.violation("the node does not start, although most drives are well");
    co_return;
  }
  world_.probes.hit("peace: too few drives are left to start");
  for (const std::size_t slot : weak_) replace(slot);
  const bool helped = co_await try_to_start(must);
  if (helped || world_.serving()) co_return;
  given_up_ = true;
  world_.violation("the node does not start, although what is gone was replaced");
}

void Scenario::replace(std::size_t slot) {
  world_.note(fmt::format("drive {} does not come back and is replaced", slot));
  world_.probes.hit("peace: a drive is replaced");
  world_.replace_device(slot);
  gone_[slot] = false;
}

Task<bool> Scenario::try_to_start(bool must) {
  SimRandom& random = world_.random;
  for (unsigned tries = 0; tries < 60 && !world_.serving() && (must || !ended_); ++tries) {
    if (!world_.dead()) {  // dying, or half way up
      co_await sleep_for(world_.clock, milliseconds(100));
      continue;
    }
    if (!must && random.chance(0.2)) {
      // Only drives that nothing else happens to: an empty one in an unknown place is not taken for granted.
      const std::size_t one = random.below(world_.devices.size()),
                        other = random.below(world_.devices.size());
      const auto is_weak = [&](std::size_t slot) {
        return std::find(weak_.begin(), weak_.end(), slot) != weak_.end();
      };
      if (one != other && !is_weak(one) && !is_weak(other)) {
        world_.swap_bays(one, other);
        world_.probes.hit("fault: drives start in each other's bays");
      }
    }
    if (!must && random.chance(0.15)) {
      world_.arm_death(random.chance(0.5) ? Death::killed : Death::power_cut, random.between(1, 60));
      world_.probes.hit("trouble: dies while it starts");
    }
    const Result<> started = co_await world_.start();
    if (started) co_return true;
    co_await sleep_for(world_.clock, milliseconds(500));
  }
  co_return false;
}

}  // namespace ostraka::sim
