// Two drives of a deployment of six, its control documents, and moves of groups between the two.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <mutex>

#include "cluster/move_runner.h"
#include "runtime/random.h"
#include "tests/unit/disk/move_caller.h"

namespace ostraka::cluster {

// Documents in memory. Before each put somebody else may come first.
class MemoryControlStore final : public control::ControlStore {
 public:
  control::DocumentPtr get(std::string_view name) const override {
    const auto at = documents_.find(name);
    return at == documents_.end() ? nullptr : at->second;
  }
  std::vector<control::DocumentPtr> list(std::string_view) const override { return {}; }
  Task<Result<control::DocumentPtr>> put(Ctx&, std::string name, std::string content,
                                         std::optional<std::uint64_t> expected) override {
    if (before_put) std::exchange(before_put, nullptr)();
    if (on_put) on_put(name, content);
    if (fails) co_return fail(Errc::unavailable, "the control store is away");
    const auto now = get(name);
    if (expected && *expected != (now ? now->revision : 0))
      co_return fail(Errc::conflict, "somebody was faster");
    set(name, std::move(content));
    co_return get(name);
  }
  Task<Result<>> erase(Ctx&, std::string, std::optional<std::uint64_t>) override { co_return Result<>(); }
  void watch(std::string, Watcher) override {}
  void set(const std::string& name, std::string content) {
    auto next = std::make_shared<control::Document>();
    next->name = name;
    next->content = std::move(content);
    next->revision = ++revision_;
    documents_[name] = std::move(next);
  }

  std::function<void()> before_put;                                                 // once
  std::function<void(const std::string& name, const std::string& content)> on_put;  // before each
  bool fails = false;

 private:
  std::map<std::string, control::DocumentPtr, std::less<>> documents_;
  std::uint64_t revision_ = 0;
};

// The kernel's, and what the test adds to it.
class HurriedClock final : public Clock {
 public:
  TimePoint now() const noexcept override { return real_.now() + ahead_; }
  std::int64_t unix_ms() const noexcept override { return real_.unix_ms(); }
  std::unique_ptr<Timer> arm(IoExecutor executor, TimePoint at, std::function<void()> wake) override {
    return real_.arm(executor, at == kNoDeadline ? at : at - ahead_, std::move(wake));
  }
  void advance(Duration duration) { ahead_ += duration; }

 private:
  SystemClock real_;
  Duration ahead_{};
};

class MoveWorld : public testing::Test {
 protected:
  static constexpr std::string_view kTable = "cluster/placement";

  MoveWorld() {
    std::vector<PlacementDrive> placed;
    for (const DriveId& id : disk::test_format().drives) placed.push_back({id});
    save(Placement::make(deployment(), placed, 3, 1));
    for (disk::DriveWorld* world : {&a_, &b_}) {
      EXPECT_TRUE(world->format());
      EXPECT_TRUE(world->start());
    }
    meet();
    deps_.wait_until_known = [this](Ctx&, std::uint64_t revision) { return known(this, revision); };
    deps_.moving_records = "heal/";
    deps_.group_of_record = [](const disk::Drive::SystemRecord& record) -> std::optional<std::uint16_t> {
      return static_cast<std::uint16_t>(std::stoul(record.value));
    };
  }

  static DeploymentId deployment() { return disk::test_format().deployment; }
  static Task<Result<>> known(MoveWorld* self, std::uint64_t revision) {
    self->told_ = revision;
    co_return Result<>();
  }
  void meet() {
    from_.emplace(*a_.drive, a_.shard, a_.clock);
    to_.emplace(*b_.drive, a_.shard, a_.clock);
  }
  void crash(disk::DriveWorld& world) {
    world.stop();
    world.memory.store(disk::index_folder(world.folder()))->lose_unsynced(1000);
    ASSERT_TRUE(world.start());
    meet();
  }
  // Until it is started anew.
  static void go_away(disk::DriveWorld& world) { world.drive->require_incarnation(Uuid{{0xee}}); }
  void empty(disk::DriveWorld& world) {
    world.stop();
    ASSERT_NE(world.memory.exchange(disk::index_folder(world.folder()), nullptr), nullptr);
    std::filesystem::remove_all(world.folder());
    ASSERT_TRUE(world.format());
    ASSERT_TRUE(world.start());
    meet();
  }
  const Placement& table() const {
    const control::DocumentPtr now = control_.get(kTable);
    if (now != read_) table_ = *Placement::from_json(deployment(), now->content);
    read_ = now;
    return *table_;
  }
  void save(const Placement& placement) { control_.set(std::string(kTable), placement.to_json()); }
  DriveId from_id() const { return a_.drive->id(); }
  DriveId to_id() const { return b_.drive->id(); }

  // A key that is on the one drive and not on the other; each call gives another one.
  std::string moving_key() {
    for (;;) {
      const std::string key = "key" + std::to_string(next_key_++);
      const auto drives = table().group(disk::MoveCaller::ref(key).group).drives;
      const bool on_from = std::count(drives.begin(), drives.end(), from_id()) > 0;
      if (on_from && std::count(drives.begin(), drives.end(), to_id()) == 0) return key;
    }
  }
  SlotMove slot_of(const std::string& key) const {
    SlotMove slot;
    slot.group = disk::MoveCaller::ref(key).group;
    const auto drives = table().group(slot.group).drives;
    slot.slot =
        static_cast<std::uint16_t>(std::find(drives.begin(), drives.end(), from_id()) - drives.begin());
    slot.from = from_id();
    slot.to = to_id();
    return slot;
  }
  MoveSpec spec_of(const std::vector<std::string>& keys) {
    std::map<std::uint16_t, SlotMove> slots;
    for (const std::string& key : keys) slots[disk::MoveCaller::ref(key).group] = slot_of(key);
    std::vector<SlotMove> all;
    for (const auto& [group, slot] : slots) all.push_back(slot);
    return gather(all, random_).at(0);
  }
  bool is_placed_on(const std::string& key, const DriveId& drive) const {
    const auto drives = table().group(disk::MoveCaller::ref(key).group).drives;
    return std::count(drives.begin(), drives.end(), drive) > 0;
  }
  disk::ObjectRef ref_of(const std::string& key) const {
    disk::ObjectRef ref = disk::MoveCaller::ref(key);
    ref.epoch = table().group(ref.group).epoch;
    return ref;
  }
  // False: the drive does not answer for the key.
  bool write(disk::DriveCaller& on, const std::string& key) {
    const unsigned n = ++next_version_;
    const auto answer = on.commit(ref_of(key), on.inline_record(n), disk::kShard);
    if (answer && answer->verdict == disk::Verdict::ok) written_[key] = answer->newest;
    return answer.has_value();
  }
  bool write_file(const std::string& key) {
    const auto n = static_cast<std::uint8_t>(++next_version_);
    if (!from_->stage(n, disk::kBody)) return false;
    const auto answer = from_->commit(ref_of(key), from_->file_record(n, {{n, disk::kBody}}));
    if (answer) written_[key] = answer->newest;
    return answer.has_value();
  }
  void expect_all_on(disk::DriveCaller& drive) {
    for (const auto& [key, id] : written_)
      EXPECT_EQ(drive.read(disk::MoveCaller::ref(key)).state.newest(), id) << key;
  }
  // Stops before the n-th step that may be the last; negative: never.
  Result<MoveEnd> carry(const MoveSpec& spec, int stop_after = -1) {
    std::function<bool()> stop = [left = stop_after]() mutable { return left >= 0 && left-- == 0; };
    return from_->wait(carry_out(deps_, from_->ctx(), spec, ++term_, *a_.drive, *b_.drive, figures_, stop));
  }
  Result<> back(const MoveSpec& spec) {
    return from_->wait(give_up(deps_, from_->ctx(), spec, ++term_, *a_.drive, *b_.drive));
  }

  MemoryControlStore control_;
  disk::DriveWorld a_{true, 1}, b_{true, 2};
  std::optional<disk::DriveCaller> from_, to_;
  SystemRandom random_;
  HurriedClock clock_;
  SlotMoveDeps deps_{clock_, random_, control_, deployment(), std::string(kTable), {}, {}, {}, {}};
  MoveFigures figures_;
  std::map<std::string, VersionId> written_;
  mutable control::DocumentPtr read_;  // and what it says: reading it takes long
  mutable std::optional<Placement> table_;
  std::uint64_t told_ = 0, term_ = 0;
  unsigned next_key_ = 0, next_version_ = 0;
};

}  // namespace ostraka::cluster
