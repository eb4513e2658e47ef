// What the tests of healing do with a World, on one line.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "disk/row_key.h"
#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {

using Out = HealReport::Outcome;

inline constexpr HealSpec kDeep{.deep = true};
inline constexpr HealSpec kLookOnly{.deep = true, .dry_run = true};

inline HealReport heal(World& world, disk::ObjectRef ref, HealSpec spec = {}) {
  Ctx ctx{world.shard, deadline_after(world.clock.now(), std::chrono::seconds(600)), "heal"};
  auto report = world.run(world.set->heal(ctx, std::move(ref), spec));
  EXPECT_TRUE(report.has_value()) << report.error().detail;
  return report ? std::move(*report) : HealReport();
}
inline HealReport heal(World& world) {
  return heal(world, world.ref);
}

// Reads with only these drives, and as few as decide: every shard that they hold is needed.
inline void expect_readable_without(World& world, std::vector<unsigned> away, const std::string& body) {
  for (const unsigned slot : away) world.memory[slot]->set_online(false);
  const auto back = world.run(get(&world, world.ref));
  ASSERT_TRUE(back.has_value()) << back.error().detail;
  EXPECT_TRUE(*back == body);
  for (const unsigned slot : away) world.memory[slot]->set_online(true);
}

// A writer that dies when only these drives have its version.
inline void leave_behind(World& world, std::vector<unsigned> on, const std::string& body) {
  for (unsigned slot = 0; slot < world.faulty.size(); ++slot) {
    const bool takes = std::find(on.begin(), on.end(), slot) != on.end();
    world.faulty[slot]->follow([takes](std::string_view call) {
      Fate fate;
      fate.request_lost = (call == "commit" && !takes) || call == "fence" || call == "withdraw";
      return fate;
    });
  }
  EXPECT_TRUE(world.run(put_small(&world, world.ref, body)).failed_with(Errc::in_doubt));
  for (const auto& drive : world.faulty) drive->follow({});
}

// Loses requests of one kind.
inline FaultyDrive::Script losing(std::string call) {
  return [call = std::move(call)](std::string_view name) {
    Fate fate;
    fate.request_lost = name == call;
    return fate;
  };
}

// A multipart upload, as object/multipart_store.cc makes one.
class Upload {
 public:
  Upload(World& world, std::string id) : world_(world), id_(std::move(id)) {
    CommitSpec spec;
    spec.ref = row();
    spec.record = record(disk::RecordKind::upload);
    EXPECT_TRUE(commit(std::move(spec)).has_value());
  }
  disk::ObjectRef row() const {
    disk::ObjectRef ref = world_.ref;
    ref.space = disk::KeySpace::upload;
    ref.sub = id_;
    return ref;
  }
  disk::ObjectRef part_row(std::uint32_t number) const {
    disk::ObjectRef ref = world_.ref;
    ref.space = disk::KeySpace::part;
    ref.sub = disk::part_sub(id_, number);
    return ref;
  }
  void put_part(std::uint32_t number, std::size_t size) {
    const std::string bytes = random_text(world_.random, size);
    auto staged = world_.run(stage_body(&world_, bytes, world_.set->geometry()));
    ASSERT_TRUE(staged.has_value());
    CommitSpec spec;
    spec.ref = part_row(number);
    spec.record = record(disk::RecordKind::part);
    spec.record.parts.emplace_back();
    spec.record.parts[0].number = number;
    spec.body = std::move(*staged);
    const auto committed = commit(std::move(spec));
    ASSERT_TRUE(committed.has_value());
    parts_.push_back(committed->record.parts[0]);
    body += bytes;
  }
  Result<Committed> complete() {
    CommitSpec spec;
    spec.ref = world_.ref;
    spec.record = record(disk::RecordKind::object);
    spec.record.parts = parts_;
    spec.record.size = body.size();
    return commit(std::move(spec));
  }
  void erase(const disk::ObjectRef& ref) {
    Ctx ctx = world_.ctx();
    EXPECT_TRUE(world_.run(world_.set->erase(ctx, ref, false, nullptr)).has_value());
  }
  std::string body;

 private:
  disk::VersionRecord record(disk::RecordKind kind) const {
    disk::VersionRecord out;
    out.kind = kind;
    out.upload_id = id_;
    out.data_shards = world_.set->geometry().data_shards;
    out.parity_shards = world_.set->geometry().parity_shards;
    return out;
  }
  Result<Committed> commit(CommitSpec spec) {
    Ctx ctx = world_.ctx();
    return world_.run(world_.set->commit(ctx, std::move(spec)));
  }
  World& world_;
  const std::string id_;
  std::vector<disk::PartRecord> parts_;
};

}  // namespace ostraka::erasure
