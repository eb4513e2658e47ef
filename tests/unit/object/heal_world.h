// An object world with a heal service over it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "erasure/heal_queue.h"
#include "object/heal_service.h"
#include "tests/unit/object/object_world.h"

namespace ostraka::object {

struct HealWorld {
  explicit HealWorld(ObjectWorldSpec spec = {.geometry = {4, 2}}) : world(spec) { restart(); }
  ~HealWorld() { world.run(heal->close()); }

  // As after a restart of the process, but for the sets.
  void restart() {
    if (heal) world.run(heal->close());
    HealDeps deps{world.clock, world.metrics, *world.sets, *world.buckets, world.roster(), {&world.shard}};
    deps.tends = tends;
    heal = std::make_unique<HealService>(std::move(deps));
    heal->start();
  }
  void pass(Duration duration) { world.pass(duration); }
  disk::ObjectRef ref(const std::string& key) {
    return world.sets->object((*world.buckets->find(BucketName("bucket")))->info.id, ObjectKey(key));
  }
  erasure::MemoryDrive& drive(std::size_t i) { return *world.memory[i]; }
  bool has(std::size_t i, const std::string& key) {
    const disk::KeyState* state = drive(i).state(ref(key));
    return state != nullptr && !state->versions.empty();
  }
  // The index of the drive that is slot `slot` of the key's group.
  std::size_t drive_at(const std::string& key, unsigned slot) {
    const disk::Drive* wanted = world.sets->of(ref(key)).drives()[slot];
    std::size_t i = 0;
    while (world.faulty[i].get() != wanted) ++i;
    return i;
  }
  std::size_t queued() {
    std::size_t count = 0;
    for (const auto& one : world.memory)
      for (const auto& [name, value] : one->system()) count += name.starts_with(erasure::kHealPrefix) ? 1 : 0;
    return count;
  }
  unsigned refilling(std::size_t i) {
    unsigned count = 0;
    for (unsigned g = 0; g < kPlacementGroups; ++g)
      count += drive(i).refilling(static_cast<std::uint16_t>(g)) ? 1 : 0;
    return count;
  }
  // Every call of the drive answers only after so long.
  void slow_down(std::size_t i, Duration delay) {
    world.faulty[i]->follow([delay](std::string_view) {
      erasure::Fate fate;
      fate.delay = delay;
      return fate;
    });
  }

  ObjectWorld world;
  std::function<bool(std::uint16_t)> tends;  // from the next restart on
  std::unique_ptr<HealService> heal;
};

}  // namespace ostraka::object
