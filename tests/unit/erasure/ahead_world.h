// A World of 4+2 whose keys are looked at before they are healed.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "erasure/heal_look.h"
#include "erasure/look_ahead.h"
#include "tests/unit/erasure/heal_world.h"

namespace ostraka::erasure {

inline constexpr std::size_t kMiB = 1U << 20;

struct AheadWorld : World {
  AheadWorld() : World({4, 2}) {}

  disk::ObjectRef key(unsigned i) const {
    disk::ObjectRef out = ref;
    out.key = "key" + std::to_string(i);
    return out;
  }
  std::string put(unsigned i, std::size_t size) {
    std::string body = random_text(random, size);
    const bool done = size <= kMaxInlineBytes ? run(put_small(this, key(i), body)).has_value()
                                              : run(put_large(this, key(i), body, {4, 2})).has_value();
    EXPECT_TRUE(done);
    return body;
  }
  // A small and a large one, which slot 3 lacks.
  void put_two() {
    bodies = {put(0, 50'000), put(1, 2 * kMiB + 77)};
    pass(std::chrono::seconds(1));
    for (unsigned i = 0; i < 2; ++i) memory[3]->lose_row(key(i));
    memory[3]->files().clear();
  }
  std::vector<KeyLookPtr> look(std::vector<KeyAhead> keys) {
    auto looks = run(look_ahead(ctx(), keys));
    EXPECT_EQ(looks.size(), keys.size());
    return looks;
  }
  KeyAhead ahead(unsigned i, std::uint32_t inline_of = 0b010111) { return {set.get(), key(i), inline_of}; }
  std::vector<KeyLookPtr> look_at_two() { return look({ahead(0), ahead(1)}); }
  HealReport heal_by(unsigned i, KeyLookPtr look) {
    Ctx heal_ctx{shard, deadline_after(clock.now(), std::chrono::seconds(600)), "heal"};
    auto report = run(set->heal(heal_ctx, key(i), HealSpec(), std::move(look)));
    EXPECT_TRUE(report.has_value()) << report.error().detail;
    return report.value_or(HealReport());
  }
  unsigned long reads() const {
    unsigned long sum = 0;
    for (const auto& drive : memory) sum += drive->reads;
    return sum;
  }
  // Where as many others are away as may be.
  void expect_whole_on(std::vector<unsigned> away) {
    for (const unsigned slot : away) memory[slot]->set_online(false);
    for (unsigned i = 0; i < bodies.size(); ++i) {
      const auto back = run(get(this, key(i)));
      ASSERT_TRUE(back.has_value()) << i << " " << back.error().detail;
      EXPECT_TRUE(*back == bodies[i]) << i;
    }
    for (const unsigned slot : away) memory[slot]->set_online(true);
  }
  std::vector<std::string> bodies;
};

}  // namespace ostraka::erasure
