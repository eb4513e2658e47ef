// Drives that lose their data while a node serves, or while it is down: over real LocalDrives in folders,
// with indexes in memory.
#include "cmd/drive_replacer.h"

#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <memory>

#include "cluster/placement.h"
#include "tests/unit/cmd/node_fixture.h"

namespace ostraka::cmd {
namespace {

using ::testing::HasSubstr;
namespace stdfs = std::filesystem;

class DriveReplacerTest : public NodeFixture {
 protected:
  DriveReplacerTest() {
    config_.root_user = "root-user";
    config_.root_password = "root-password";
  }
  ~DriveReplacerTest() override { stop(); }

  void start(std::optional<erasure::Geometry> wanted = std::nullopt,
             std::optional<std::size_t> removed = std::nullopt) {
    auto drives = open(wanted);
    ASSERT_TRUE(drives.has_value()) << drives.error().detail;
    if (removed) drives->removed[*removed] = true;
    for (const auto& drive : drives->drives) drives_.push_back(drive.get());
    ids_ = drives->ids;
    deployment_ = drives->deployment;
    auto node = run_to_end(shard_, build_in(this, std::move(*drives)));
    ASSERT_TRUE(node.has_value()) << node.error().detail;
    node_ = std::move(*node);
  }
  void stop() {
    if (node_) run_to_end(shard_, node_->close());
    node_.reset();
    drives_.clear();
  }
  static Task<Result<std::unique_ptr<Node>>> build_in(DriveReplacerTest* self, NodeDrives drives) {
    Ctx ctx{self->shard_, self->clock_.now() + std::chrono::seconds(30), "test"};
    const Deps deps{self->clock_, self->random_, self->fs_, self->metrics_};
    co_return co_await build_node(ctx, deps, std::move(drives), self->config_);
  }
  // Lets the node work until the condition holds.
  template <class Condition>
  bool soon(Condition condition, Duration patience = std::chrono::seconds(30)) {
    const TimePoint end = clock_.now() + patience;
    while (!condition()) {
      if (clock_.now() > end) return false;
      work();
    }
    return true;
  }
  void work() { run_to_end(shard_, pause(&clock_)); }
  static Task<bool> pause(Clock* clock) {
    co_await sleep_for(*clock, std::chrono::milliseconds(20));
    co_return true;
  }
  template <class T>
  T wait(Task<T> task) {
    return run_to_end(shard_, std::move(task));
  }
  Ctx ctx() { return Ctx{shard_, clock_.now() + std::chrono::seconds(10), "test"}; }
  disk::DriveInfo info(std::size_t slot) {
    Ctx c = ctx();
    return *wait(drives_[slot]->info(c));
  }
  std::vector<disk::GroupState> groups(std::size_t slot) {
    Ctx c = ctx();
    const auto groups = wait(drives_[slot]->groups(c));
    EXPECT_TRUE(groups.has_value()) << groups.error().detail;
    return groups.value_or(std::vector<disk::GroupState>{});
  }
  std::size_t system_records(std::size_t slot, const std::string& prefix) {
    Ctx c = ctx();
    const auto found = wait(drives_[slot]->scan_system(c, prefix, 1000));
    EXPECT_TRUE(found.has_value());
    return found ? found->size() : 0;
  }
  std::uint64_t epoch(std::uint16_t group) {
    const auto document = node_->control_store().get("cluster/placement");
    return cluster::Placement::from_json(deployment_, document->content)->group(group).epoch;
  }
  disk::DriveFormat format(std::size_t slot) {
    const auto found = disk::inspect_drive(fs_, folders_[slot]);
    EXPECT_TRUE(found.has_value() && found->has_value());
    return found && *found ? **found : disk::DriveFormat{};
  }
  static Task<bool> replace_if_lost(DriveReplacer* replacer, Ctx* ctx) {
    co_await replacer->replace_if_lost(*ctx, 1);
    co_return true;
  }
  static Task<bool> note_place(DriveReplacer* replacer, Ctx* ctx) {
    co_await replacer->note_place(*ctx, 1);
    co_return true;
  }
  void empty_folder(std::size_t slot) {
    wipe(slot);
    stdfs::create_directories(folders_[slot]);
  }
  bool back_and_known(std::size_t slot) {
    return drives_[slot]->online() && system_records(slot, "doc-behind") == 0;
  }

  ServerConfig config_;
  std::vector<disk::Drive*> drives_;
  std::vector<DriveId> ids_;
  DeploymentId deployment_;
  std::unique_ptr<Node> node_;
};

TEST_F(DriveReplacerTest, AnEmptiedFolderBecomesTheDriveAgainWhileTheNodeServes) {
  start();
  EXPECT_EQ(epoch(0), 1U);
  empty_folder(2);
  ASSERT_TRUE(soon([&] { return !drives_[2]->online(); }));
  ASSERT_TRUE(soon([&] { return back_and_known(2); })) << info(2).problem;
  EXPECT_TRUE(info(2).refilling);
  EXPECT_FALSE(info(1).refilling);
  EXPECT_EQ(epoch(0), 2U);
  for (const disk::GroupState& group : groups(2)) {
    EXPECT_TRUE(group.refilling);
    EXPECT_EQ(group.birth, 2U);
    EXPECT_EQ(group.epoch, 2U);
  }
  const disk::DriveFormat anew = format(2);
  EXPECT_EQ(anew.drive(), ids_[2]) << "the placement names it";
  EXPECT_TRUE(anew.refilling);
  EXPECT_FALSE(anew.incarnation.is_nil());
  EXPECT_EQ(system_records(2, "doc/"), system_records(1, "doc/")) << "it has all documents";
}

TEST_F(DriveReplacerTest, AFolderThatIsGoneIsMadeAgain) {
  start();
  wipe(4);
  ASSERT_TRUE(soon([&] { return !drives_[4]->online(); }));
  ASSERT_TRUE(soon([&] { return back_and_known(4); })) << info(4).problem;
  EXPECT_TRUE(format(4).refilling);
}

TEST_F(DriveReplacerTest, AFormatThatFailsIsTriedAgainWithTheSameEpoch) {
  start();
  failing_indexes_.failures = 2;
  empty_folder(2);
  ASSERT_TRUE(soon([&] { return info(2).problem.find("could not be formatted") != std::string::npos; }))
      << info(2).problem;
  ASSERT_TRUE(soon([&] { return back_and_known(2); })) << info(2).problem;
  EXPECT_EQ(failing_indexes_.failures, 0);
  EXPECT_EQ(epoch(0), 2U) << "raised once";
  EXPECT_EQ(groups(2)[0].birth, 2U);
  empty_folder(2);  // what was prepared for the first one is not used again
  ASSERT_TRUE(soon([&] { return !drives_[2]->online(); }));
  ASSERT_TRUE(soon([&] { return back_and_known(2); })) << info(2).problem;
  EXPECT_EQ(groups(2)[0].birth, 3U);
}

TEST_F(DriveReplacerTest, WhereNothingCanBeFormattedNoEpochIsRaised) {
  start();
  empty_folder(2);
  const auto other = fs_.lock(folders_[2] + "/lock");  // another process has it
  ASSERT_TRUE(other.has_value());
  ASSERT_TRUE(soon([&] { return info(2).problem.find("could not be formatted") != std::string::npos; }))
      << info(2).problem;
  EXPECT_EQ(epoch(0), 1U);
}

TEST_F(DriveReplacerTest, WithTheLastGroupTheMarkGoes) {
  start();
  empty_folder(3);
  ASSERT_TRUE(soon([&] { return !drives_[3]->online(); }));
  ASSERT_TRUE(soon([&] { return back_and_known(3); })) << info(3).problem;
  Ctx c = ctx();
  EXPECT_TRUE(wait(drives_[3]->readmit(c, 7, 1)).failed_with(Errc::stale_epoch)) << "of another life";
  for (unsigned group = 0; group < kPlacementGroups; ++group) {
    Ctx each = ctx();
    ASSERT_TRUE(wait(drives_[3]->readmit(each, static_cast<std::uint16_t>(group), 2)).has_value());
    if (group + 1 < kPlacementGroups) continue;
    EXPECT_FALSE(groups(3)[group].refilling);
    EXPECT_EQ(groups(3)[group].birth, 2U);
  }
  EXPECT_FALSE(format(3).refilling);
  EXPECT_FALSE(info(3).refilling);
  const Uuid incarnation = format(3).incarnation;
  for (int i = 0; i < 30; ++i) work();  // a few looks at the folder
  EXPECT_TRUE(drives_[3]->online()) << info(3).problem;
  stop();
  start();
  EXPECT_TRUE(drives_[3]->online()) << info(3).problem;
  EXPECT_EQ(format(3).incarnation, incarnation);
}

TEST_F(DriveReplacerTest, ADriveEmptiedWhileTheNodeWasDownIsRefilledAfterTheStart) {
  start();
  stop();
  empty_folder(1);
  start();
  EXPECT_FALSE(drives_[1]->online());
  ASSERT_TRUE(soon([&] { return drives_[1]->online() && back_and_known(1); })) << info(1).problem;
  EXPECT_TRUE(format(1).refilling);
  EXPECT_EQ(epoch(9), 2U);
}

TEST_F(DriveReplacerTest, AReplacedDriveThatReturnsIsRefusedAndNotTouched) {
  start();
  const std::string old = folders_[2] + ".old";
  stdfs::rename(folders_[2], old);
  const std::string index = disk::index_folder(folders_[2]);
  const auto old_index = indexes_.exchange(index, nullptr);
  ASSERT_TRUE(soon([&] { return !drives_[2]->online(); }));
  ASSERT_TRUE(soon([&] { return back_and_known(2); })) << info(2).problem;
  stop();
  stdfs::rename(folders_[2], folders_[2] + ".new");
  stdfs::rename(old, folders_[2]);
  const auto new_index = indexes_.exchange(index, old_index);
  start();
  EXPECT_FALSE(drives_[2]->online());
  ASSERT_TRUE(soon([&] {
    return info(2).problem.find("was away when another was formatted") != std::string::npos;
  })) << info(2).problem;
  for (int i = 0; i < 120; ++i) work();
  EXPECT_FALSE(drives_[2]->online());
  EXPECT_TRUE(format(2).incarnation.is_nil()) << "left as it is";
  stdfs::rename(folders_[2], old);
  indexes_.exchange(index, new_index);
  stdfs::rename(folders_[2] + ".new", folders_[2]);
  EXPECT_TRUE(soon([&] { return drives_[2]->online(); })) << "the right one is welcome: " << info(2).problem;
}

TEST_F(DriveReplacerTest, AFolderWithoutItsFileSystemIsNotFormatted) {
  start();
  const auto document = node_->control_store().get(cluster::kDriveRegister);
  ASSERT_NE(document, nullptr);
  auto known = cluster::decode_drive_register(document->content);
  ASSERT_TRUE(known.has_value());
  ASSERT_TRUE((*known)[5].has_value());
  EXPECT_FALSE((*known)[5]->mount_point.empty());
  (*known)[5]->mount_point = folders_[5];  // as if it had been a mount point of its own
  Ctx c = ctx();
  ASSERT_TRUE(wait(node_->control_store().put(c, std::string(cluster::kDriveRegister),
                                              cluster::encode_drive_register(*known), document->revision))
                  .has_value());
  empty_folder(5);
  ASSERT_TRUE(soon([&] { return info(5).problem.find("may just not be mounted") != std::string::npos; }))
      << info(5).problem;
  EXPECT_THAT(info(5).problem, HasSubstr(folders_[5]));
  for (int i = 0; i < 150; ++i) work();
  EXPECT_TRUE(stdfs::is_empty(folders_[5]));
  EXPECT_EQ(epoch(0), 1U);
}

// It takes a while to write down that there is another drive now.
TEST_F(DriveReplacerTest, WhatIsUnmountedWhileItIsRegisteredIsNotFormatted) {
  fs_.mount(folders_[2]);
  start();
  const auto mounted = std::make_shared<std::atomic<bool>>(true);
  node_->control_store().watch(std::string(cluster::kDriveRegister),
                               [this, mounted](const std::string&, const control::DocumentPtr&) {
                                 if (mounted->exchange(false)) fs_.unmount(folders_[2]);
                               });
  empty_folder(2);
  ASSERT_TRUE(soon([&] { return info(2).problem.find("may just not be mounted") != std::string::npos; }))
      << info(2).problem;
  EXPECT_FALSE(*mounted);
  EXPECT_FALSE(stdfs::exists(disk::format_path(folders_[2])));
  fs_.mount(folders_[2]);
  EXPECT_TRUE(soon([&] { return back_and_known(2); })) << info(2).problem;
}

TEST_F(DriveReplacerTest, AFolderWithSomethingInItIsLeftAlone) {
  start();
  empty_folder(0);
  std::ofstream(folders_[0] + "/holiday.jpg") << "x";
  ASSERT_TRUE(soon([&] { return info(0).problem.find("holiday.jpg") != std::string::npos; }))
      << info(0).problem;
  for (int i = 0; i < 150; ++i) work();
  EXPECT_FALSE(stdfs::exists(folders_[0] + "/format.json"));
  EXPECT_EQ(epoch(0), 1U);
}

TEST_F(DriveReplacerTest, FoldersThatChangePlacesAreNotFormatted) {
  start();
  const std::string aside = folders_[1] + ".aside";
  stdfs::rename(folders_[1], aside);
  stdfs::rename(folders_[4], folders_[1]);  // slot 4's is at slot 1, and slot 4 has none
  ASSERT_TRUE(soon([&] { return !drives_[1]->online() && !drives_[4]->online(); }));
  ASSERT_TRUE(soon([&] { return info(4).problem.find("restart the server") != std::string::npos; }))
      << info(4).problem;
  EXPECT_THAT(info(1).problem, HasSubstr("folders were swapped"));
  for (int i = 0; i < 120; ++i) work();
  EXPECT_FALSE(stdfs::exists(folders_[4] + "/format.json"));
  stdfs::rename(folders_[1], folders_[4]);
  stdfs::rename(aside, folders_[1]);
  EXPECT_TRUE(soon([&] { return drives_[1]->online() && drives_[4]->online(); }));
  EXPECT_EQ(epoch(0), 1U);
}

// Its place may be given to another drive, with the folder empty.
TEST_F(DriveReplacerTest, ADriveThatWasRemovedIsNotMadeAnew) {
  start(erasure::make_geometry(2, 1).value(), 4);
  empty_folder(4);
  ASSERT_TRUE(soon([&] { return !drives_[4]->online(); }));
  empty_folder(5);
  ASSERT_TRUE(soon([&] { return !drives_[5]->online(); }));
  ASSERT_TRUE(soon([&] { return back_and_known(5); })) << "one that was not is: " << info(5).problem;
  EXPECT_TRUE(stdfs::is_empty(folders_[4]));
}

TEST_F(DriveReplacerTest, WithoutAMajorityNothingIsFormatted) {
  start();
  for (const std::size_t slot : {0U, 1U, 2U}) empty_folder(slot);
  ASSERT_TRUE(soon([&] { return !drives_[0]->online() && !drives_[1]->online() && !drives_[2]->online(); }));
  ASSERT_TRUE(
      soon([&] { return info(0).problem.find("at least 4 of the other drives") != std::string::npos; },
           std::chrono::seconds(30)))
      << info(0).problem;
  EXPECT_TRUE(stdfs::is_empty(folders_[0]));
  EXPECT_TRUE(stdfs::is_empty(folders_[1]));
  EXPECT_EQ(epoch(0), 1U);
}

TEST_F(DriveReplacerTest, TheLostHalfOfAMirrorIsFormattedAnew) {
  folders_.resize(2);
  start();
  empty_folder(1);
  ASSERT_TRUE(soon([&] { return !drives_[1]->online(); }));
  ASSERT_TRUE(soon([&] { return back_and_known(1); })) << info(1).problem;
  EXPECT_EQ(epoch(0), 2U);
  EXPECT_EQ(groups(1)[0].birth, 2U);
  EXPECT_EQ(system_records(1, "doc/"), system_records(0, "doc/"));
}

TEST_F(DriveReplacerTest, BothLostDrivesOfFourAreFormattedAnew) {
  folders_.resize(4);
  start();
  empty_folder(1);
  empty_folder(3);
  ASSERT_TRUE(soon([&] { return !drives_[1]->online() && !drives_[3]->online(); }));
  ASSERT_TRUE(soon([&] { return back_and_known(1) && back_and_known(3); }, std::chrono::seconds(60)))
      << info(1).problem << info(3).problem;
  EXPECT_TRUE(format(1).refilling);
  EXPECT_TRUE(format(3).refilling);
  EXPECT_EQ(system_records(1, "doc/"), system_records(0, "doc/"));
  EXPECT_EQ(system_records(3, "doc/"), system_records(0, "doc/"));
}

TEST_F(DriveReplacerTest, AMirrorThatLostADriveWhileTheNodeWasDownStarts) {
  folders_.resize(2);
  start();
  stop();
  empty_folder(0);
  start();
  ASSERT_NE(node_, nullptr);
  ASSERT_TRUE(soon([&] { return drives_[0]->online() && back_and_known(0); })) << info(0).problem;
  EXPECT_EQ(epoch(9), 2U);
  EXPECT_TRUE(format(0).refilling);
}

// The drive has come into service, and its file system goes again before it was looked at: it has not
// noticed.
TEST_F(DriveReplacerTest, AProcessThatMayNotBeTheNodeFormatsNothing) {
  start(*erasure::make_geometry(2, 1), 1);  // the node leaves the slot to the test
  std::vector<disk::LocalDrive*> drives;
  for (disk::Drive* drive : drives_) drives.push_back(dynamic_cast<disk::LocalDrive*>(drive));
  bool is_this_node = false;
  DriveReplacer replacer({.clock = clock_,
                          .random = random_,
                          .control = node_->control_store(),
                          .embedded = nullptr,
                          .deployment = deployment_,
                          .placement_document = "cluster/placement",
                          .is_this_node = [&] { return is_this_node; },
                          .drives = drives,
                          .raise_epoch = [](std::uint16_t, std::uint64_t) {}});
  empty_folder(1);
  ASSERT_TRUE(soon([&] { return drives[1]->closed(); }));
  const auto formatted = [&] {
    Ctx c = ctx();
    wait(replace_if_lost(&replacer, &c));
    return stdfs::exists(disk::format_path(folders_[1]));
  };
  const auto says_why = [&] {
    return info(1).problem.find("another process runs as this node") != std::string::npos;
  };
  EXPECT_TRUE(soon([&] { return formatted() || says_why(); }));
  EXPECT_FALSE(formatted()) << info(1).problem;
  is_this_node = true;
  EXPECT_TRUE(soon(formatted)) << info(1).problem;
}

TEST_F(DriveReplacerTest, OfAFolderThatIsNotMountedNoPlaceIsLearnt) {
  folders_.resize(2);
  fs_.mount(folders_[1]);
  start();
  const auto place = [&] {
    const auto document = node_->control_store().get(cluster::kDriveRegister);
    return cluster::decode_drive_register(document->content)->at(1)->mount_point;
  };
  ASSERT_EQ(place(), folders_[1]);
  fs_.hold_identity(disk::format_path(folders_[1]));
  stdfs::rename(folders_[1], folders_[1] + ".away");
  stdfs::create_directories(folders_[1]);
  fs_.unmount(folders_[1]);
  std::vector<disk::LocalDrive*> drives;
  for (disk::Drive* drive : drives_) drives.push_back(dynamic_cast<disk::LocalDrive*>(drive));
  DriveReplacer replacer({.clock = clock_,
                          .random = random_,
                          .control = node_->control_store(),
                          .embedded = nullptr,
                          .deployment = deployment_,
                          .placement_document = "cluster/placement",
                          .drives = drives,
                          .raise_epoch = {}});
  ASSERT_TRUE(drives[1]->online()) << info(1).problem;
  Ctx c = ctx();
  wait(note_place(&replacer, &c));
  EXPECT_EQ(place(), folders_[1]) << "or the bare mount point would be taken for an emptied drive";
}

TEST_F(DriveReplacerTest, ALookDuringWhichSomethingIsMountedTellsNoPlace) {
  ASSERT_TRUE(open().has_value());
  empty_folder(1);
  const auto drives = open();
  ASSERT_TRUE(drives.has_value());
  Ctx c = ctx();
  const auto still = wait(drives->local[1]->look_at_folder(c));
  ASSERT_TRUE(still.has_value() && still->format.has_value());
  EXPECT_FALSE(still->format->has_value());
  EXPECT_NE(still->mount_point, "");
  fs_.mount_after_each_listing(folders_[1]);
  const auto look = wait(drives->local[1]->look_at_folder(c));
  ASSERT_TRUE(look.has_value());
  EXPECT_EQ(look->mount_point, "") << "what was empty may be what it was mounted on";
}

TEST_F(DriveReplacerTest, OfAMirrorNothingIsFormattedThatMayNotBeMounted) {
  folders_.resize(2);
  start();
  const auto document = node_->control_store().get(cluster::kDriveRegister);
  ASSERT_NE(document, nullptr);
  auto known = cluster::decode_drive_register(document->content);
  ASSERT_TRUE(known.has_value() && (*known)[1].has_value());
  (*known)[1]->mount_point = folders_[1];  // as if it had been a mount point of its own
  Ctx c = ctx();
  ASSERT_TRUE(wait(node_->control_store().put(c, std::string(cluster::kDriveRegister),
                                              cluster::encode_drive_register(*known), document->revision))
                  .has_value());
  stop();
  empty_folder(1);
  auto drives = open();
  ASSERT_TRUE(drives.has_value());
  auto node = run_to_end(shard_, build_in(this, std::move(*drives)));
  EXPECT_TRUE(node.failed_with(Errc::unavailable)) << "what it held may be all there";
  EXPECT_TRUE(stdfs::is_empty(folders_[1]));
}

}  // namespace
}  // namespace ostraka::cmd
