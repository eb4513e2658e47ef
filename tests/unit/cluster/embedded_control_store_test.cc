#include "cluster/embedded_control_store.h"

#include <gtest/gtest.h>

#include <optional>

#include "system_drive.h"

namespace ostraka::cluster {
namespace {

using Fault = SystemDrive::Fault;

// One change at a time is the tests' own doing.
class NoLocks final : public control::LockService {
 public:
  Task<Result<std::unique_ptr<control::Lease>>> acquire(Ctx&, std::string) override {
    co_return std::make_unique<control::Lease>();
  }
};

class EmbeddedControlStoreTest : public testing::Test {
 protected:
  EmbeddedControlStoreTest() {
    for (std::uint8_t i = 0; i < 5; ++i)
      drives_.push_back(std::make_unique<SystemDrive>(static_cast<std::uint8_t>(i + 1)));
    start();
  }
  ~EmbeddedControlStoreTest() override { run_to_end(shard_, gate_.close()); }

  // A new process over the same drives.
  void start() {
    std::vector<disk::Drive*> all;
    for (auto& drive : drives_) all.push_back(drive.get());
    store_ = std::make_unique<EmbeddedControlStore>(clock_, gate_, locks_, all);
  }
  Result<> load() { return run_to_end(shard_, store_->load(ctx_)); }
  Result<control::DocumentPtr> put(std::string name, std::string content,
                                   std::optional<std::uint64_t> expected = {}) {
    return run_to_end(shard_, store_->put(ctx_, std::move(name), std::move(content), expected));
  }
  Result<> erase(std::string name, std::optional<std::uint64_t> expected = {}) {
    return run_to_end(shard_, store_->erase(ctx_, std::move(name), expected));
  }
  std::string content(std::string_view name) {
    const auto document = store_->get(name);
    return document ? document->content : "(none)";
  }
  void faults(std::initializer_list<Fault> list) {
    std::size_t i = 0;
    for (const Fault fault : list) drives_[i++]->fault = fault;
  }
  void all_well() {
    for (auto& drive : drives_) drive->fault = Fault::none;
  }

  SystemClock clock_;
  ShardSpec small_{1U << 20, 2, 0};
  Shard shard_{0, clock_, small_};
  Ctx ctx_{shard_, kNoDeadline, "test"};
  Gate gate_;
  NoLocks locks_;
  std::vector<std::unique_ptr<SystemDrive>> drives_;
  std::unique_ptr<EmbeddedControlStore> store_;
};

TEST_F(EmbeddedControlStoreTest, NeedsALoadFirst) {
  EXPECT_TRUE(put("bucket/a", "{}").failed_with(Errc::unavailable));
  ASSERT_TRUE(load().has_value());
  EXPECT_TRUE(put("bucket/a", "{}").has_value());
}

TEST_F(EmbeddedControlStoreTest, ComparesRevisions) {
  ASSERT_TRUE(load().has_value());
  const auto made = put("bucket/a", "1", 0);
  ASSERT_TRUE(made.has_value());
  EXPECT_TRUE(put("bucket/a", "2", 0).failed_with(Errc::conflict));
  EXPECT_TRUE(put("bucket/a", "2", (*made)->revision + 1).failed_with(Errc::conflict));
  const auto changed = put("bucket/a", "2", (*made)->revision);
  ASSERT_TRUE(changed.has_value());
  EXPECT_GT((*changed)->revision, (*made)->revision);
  EXPECT_TRUE(erase("bucket/a", (*made)->revision).failed_with(Errc::conflict));
  EXPECT_EQ(content("bucket/a"), "2");
  EXPECT_TRUE(erase("bucket/a", (*changed)->revision).has_value());
  EXPECT_EQ(store_->get("bucket/a"), nullptr);
  EXPECT_TRUE(erase("bucket/a").has_value());  // absent already
  const auto again = put("bucket/a", "3", 0);
  ASSERT_TRUE(again.has_value());
  EXPECT_GT((*again)->revision, (*changed)->revision);
}

TEST_F(EmbeddedControlStoreTest, ListsAPrefixInOrder) {
  ASSERT_TRUE(load().has_value());
  for (const char* name : {"bucket/b", "bucket/a", "buckets", "settings/x", "bucket/c"})
    ASSERT_TRUE(put(name, name).has_value());
  ASSERT_TRUE(erase("bucket/b").has_value());
  std::vector<std::string> names;
  for (const auto& document : store_->list("bucket/")) names.push_back(document->name);
  EXPECT_EQ(names, (std::vector<std::string>{"bucket/a", "bucket/c"}));
}

TEST_F(EmbeddedControlStoreTest, SurvivesARestartWithAnyMajority) {
  ASSERT_TRUE(load().has_value());
  faults({Fault::away, Fault::away});
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  faults({Fault::none, Fault::none, Fault::away, Fault::away});
  start();
  ASSERT_TRUE(load().has_value());  // drive 4 alone knows it
  EXPECT_EQ(content("bucket/a"), "1");
  EXPECT_EQ(drives_[0]->records.count("doc/bucket/a"), 1U);  // rolled forward
  EXPECT_EQ(drives_[1]->records.count("doc/bucket/a"), 1U);
  drives_[4]->records.clear();
  start();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "1");
}

TEST_F(EmbeddedControlStoreTest, LoadNeedsAMajority) {
  faults({Fault::away, Fault::away, Fault::away});
  EXPECT_TRUE(load().failed_with(Errc::unavailable));
  EXPECT_FALSE(store_->loaded());
  all_well();
  EXPECT_TRUE(load().has_value());
}

TEST_F(EmbeddedControlStoreTest, UnderAMajorityNothingChanges) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  for (auto& drive : drives_) drive->fault = Fault::away;
  EXPECT_TRUE(put("bucket/a", "2").failed_with(Errc::unavailable));
  all_well();
  EXPECT_EQ(content("bucket/a"), "1");
  EXPECT_TRUE(put("bucket/b", "3").has_value());
  EXPECT_EQ(content("bucket/a"), "1");
}

TEST_F(EmbeddedControlStoreTest, AChangeInDoubtIsDecidedBeforeTheNext) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  faults({Fault::none, Fault::none, Fault::away, Fault::away, Fault::away});
  EXPECT_TRUE(put("bucket/a", "2").failed_with(Errc::in_doubt));
  EXPECT_EQ(content("bucket/a"), "1");
  EXPECT_TRUE(put("bucket/b", "x").failed_with(Errc::unavailable));
  all_well();
  EXPECT_TRUE(put("bucket/b", "x").has_value());
  EXPECT_EQ(content("bucket/a"), "2");
  EXPECT_EQ(content("bucket/b"), "x");
}

TEST_F(EmbeddedControlStoreTest, AChangeInDoubtIsDecidedByARestart) {
  ASSERT_TRUE(load().has_value());
  faults({Fault::lost_answer, Fault::hangs, Fault::away, Fault::away, Fault::away});
  EXPECT_TRUE(put("bucket/a", "2").failed_with(Errc::in_doubt));
  all_well();
  start();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "2");
  for (auto& drive : drives_) EXPECT_EQ(drive->records.count("doc/bucket/a"), 1U);
}

TEST_F(EmbeddedControlStoreTest, RevisionsAreNotGivenOutTwice) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  faults({Fault::none, Fault::away, Fault::away, Fault::away, Fault::away});
  EXPECT_TRUE(put("bucket/a", "lost").failed_with(Errc::in_doubt));
  faults({Fault::away, Fault::none, Fault::none, Fault::none, Fault::none});
  start();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "1");
  ASSERT_TRUE(put("bucket/a", "later").has_value());
  all_well();
  start();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "later");
}

TEST_F(EmbeddedControlStoreTest, AStaleDriveDoesNotBringBackWhatWasErased) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  drives_[0]->fault = Fault::away;
  ASSERT_TRUE(erase("bucket/a").has_value());
  all_well();
  start();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(store_->get("bucket/a"), nullptr);
  start();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(store_->get("bucket/a"), nullptr);
}

TEST_F(EmbeddedControlStoreTest, TombstonesGoOnceEveryDriveHasThem) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  ASSERT_TRUE(erase("bucket/a").has_value());
  for (auto& drive : drives_) EXPECT_EQ(drive->records.count("doc/bucket/a"), 0U);
}

TEST_F(EmbeddedControlStoreTest, SyncBringsAReturnedDriveUpToDate) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/gone", "1").has_value());
  drives_[2]->fault = Fault::away;
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  ASSERT_TRUE(erase("bucket/gone").has_value());
  drives_[2]->fault = Fault::none;
  drives_[2]->records["doc/bucket/unknown"] = "rubbish";
  ASSERT_TRUE(run_to_end(shard_, store_->sync_drive(ctx_, *drives_[2])).has_value());
  EXPECT_EQ(drives_[2]->records, drives_[3]->records);
  SystemDrive stranger(99);
  EXPECT_TRUE(run_to_end(shard_, store_->sync_drive(ctx_, stranger)).failed_with(Errc::invalid_argument));
}

TEST_F(EmbeddedControlStoreTest, AReturnedDriveIsBroughtUpToDateByTheNextPut) {
  ASSERT_TRUE(load().has_value());
  drives_[2]->fault = Fault::away;
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  drives_[2]->fault = Fault::none;
  ASSERT_TRUE(put("bucket/b", "1").has_value());
  EXPECT_EQ(drives_[2]->records, drives_[3]->records);
}

TEST_F(EmbeddedControlStoreTest, ACorruptCopyIsReplaced) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  const std::string good = drives_[1]->records["doc/bucket/a"];
  drives_[1]->records["doc/bucket/a"][3] ^= 1;
  start();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "1");
  EXPECT_EQ(drives_[1]->records["doc/bucket/a"], good);
}

TEST_F(EmbeddedControlStoreTest, ANewerFormatIsRefusedByName) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  drives_[1]->records["doc/bucket/a"][0] = 2;
  start();
  EXPECT_TRUE(load().failed_with(Errc::unsupported_version));
}

TEST_F(EmbeddedControlStoreTest, WatchersSeeChangesInOrder) {
  std::vector<std::string> seen;
  store_->watch("bucket/", [&](const std::string& name, const control::DocumentPtr& now) {
    seen.push_back(name + "=" + (now ? now->content : "(none)"));
  });
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  ASSERT_TRUE(put("settings", "x").has_value());
  ASSERT_TRUE(put("bucket/a", "2").has_value());
  ASSERT_TRUE(erase("bucket/a").has_value());
  EXPECT_EQ(seen, (std::vector<std::string>{"bucket/a=1", "bucket/a=2", "bucket/a=(none)"}));
  seen.clear();
  ASSERT_TRUE(put("bucket/z", "1").has_value());
  ASSERT_TRUE(put("bucket/y", "2").has_value());
  start();
  store_->watch("bucket/",
                [&](const std::string& name, const control::DocumentPtr&) { seen.push_back(name); });
  seen.clear();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(seen, (std::vector<std::string>{"bucket/z", "bucket/y"}));
}

TEST_F(EmbeddedControlStoreTest, ExportAndImport) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "{\"x\":\"\\u00e9\"}").has_value());
  ASSERT_TRUE(put("settings", "{}").has_value());
  const std::string text = store_->export_json();
  EXPECT_EQ(text.find("control/"), std::string::npos);
  for (auto& drive : drives_) drive->records.clear();
  start();
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("other", "kept").has_value());
  ASSERT_TRUE(run_to_end(shard_, store_->import_json(ctx_, text)).has_value());
  EXPECT_EQ(content("bucket/a"), "{\"x\":\"\\u00e9\"}");
  EXPECT_EQ(content("settings"), "{}");
  EXPECT_EQ(content("other"), "kept");
  for (const char* bad :
       {"", "[]", "{\"version\":1}", "{\"version\":1,\"documents\":[{\"name\":\"a\"}]}", "{\"version\":"})
    EXPECT_TRUE(run_to_end(shard_, store_->import_json(ctx_, bad)).failed_with(Errc::malformed)) << bad;
  EXPECT_TRUE(run_to_end(shard_, store_->import_json(ctx_, "{\"version\":2,\"documents\":[]}"))
                  .failed_with(Errc::unsupported_version));
}

TEST_F(EmbeddedControlStoreTest, AnImportDoesNotMoveTheData) {
  const std::string text = R"({"version":1,"documents":[{"name":"cluster/placement","content":"imported"}]})";
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(run_to_end(shard_, store_->import_json(ctx_, text)).has_value());
  EXPECT_EQ(content("cluster/placement"), "imported");
  ASSERT_TRUE(put("cluster/placement", "mine").has_value());
  ASSERT_TRUE(run_to_end(shard_, store_->import_json(ctx_, text)).has_value());
  EXPECT_EQ(content("cluster/placement"), "mine");
}

TEST_F(EmbeddedControlStoreTest, TooLargeIsRefused) {
  ASSERT_TRUE(load().has_value());
  EXPECT_TRUE(put("a", std::string(2U << 20, 'x')).failed_with(Errc::too_large));
  EXPECT_TRUE(put(std::string(1000, 'n'), "{}").failed_with(Errc::too_large));
  EXPECT_TRUE(put("", "{}").failed_with(Errc::too_large));
}

TEST_F(EmbeddedControlStoreTest, ADriveFormattedAnewDoesNotCountUntilItKnowsTheDocuments) {
  faults({Fault::none, Fault::none, Fault::none, Fault::away, Fault::away});
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  const std::string mark(kBehindRecord);
  for (std::size_t slot = 0; slot < 2; ++slot) {  // two lose what they had
    drives_[slot]->records.clear();
    drives_[slot]->records[mark] = "";
  }
  faults({Fault::none, Fault::none, Fault::away, Fault::none, Fault::none});
  start();
  EXPECT_TRUE(load().failed_with(Errc::unavailable)) << "four answer, and two of them know nothing";
  faults({Fault::none, Fault::none, Fault::none, Fault::none, Fault::none});
  start();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "1");
  for (const auto& drive : drives_) {
    EXPECT_FALSE(drive->records.contains(mark));
    EXPECT_TRUE(drive->records.contains("doc/bucket/a"));
  }
}

TEST_F(EmbeddedControlStoreTest, ASyncTakesTheMarkAway) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  const std::string mark(kBehindRecord);
  drives_[2]->records.clear();
  drives_[2]->records[mark] = "";
  ASSERT_TRUE(run_to_end(shard_, store_->sync_drive(ctx_, *drives_[2])).has_value());
  EXPECT_FALSE(drives_[2]->records.contains(mark));
  EXPECT_EQ(drives_[2]->records, drives_[1]->records);
}

TEST_F(EmbeddedControlStoreTest, AReplacedDriveIsNotHeard) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("control/drives", "all are as they were").has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  faults({Fault::away, Fault::none, Fault::none, Fault::none, Fault::none});
  ASSERT_TRUE(put("control/drives", "0 is replaced").has_value());
  ASSERT_TRUE(put("bucket/a", "2").has_value());
  const auto replaced = [](const std::string* content) {
    std::vector<bool> out(5, false);
    out[0] = content != nullptr && *content == "0 is replaced";
    return out;
  };
  faults({Fault::none, Fault::away, Fault::away, Fault::none, Fault::none});
  start();
  store_->set_replaced_drives("control/drives", replaced);
  EXPECT_TRUE(load().failed_with(Errc::unavailable)) << "two that count";
  all_well();
  start();
  store_->set_replaced_drives("control/drives", replaced);
  const auto before = drives_[0]->records.at("doc/bucket/a");
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "2");
  EXPECT_EQ(drives_[0]->records.at("doc/bucket/a"), before) << "nor written to when it is read";
}

TEST_F(EmbeddedControlStoreTest, TombstonesGoWhenEveryDriveHasThem) {
  ASSERT_TRUE(load().has_value());
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  faults({Fault::none, Fault::none, Fault::none, Fault::none, Fault::away});
  ASSERT_TRUE(erase("bucket/a").has_value());
  EXPECT_TRUE(drives_[0]->records.contains("doc/bucket/a")) << "the drive that is away would bring it back";
  all_well();
  ASSERT_TRUE(run_to_end(shard_, store_->sync_drive(ctx_, *drives_[4])).has_value());
  for (const auto& drive : drives_) EXPECT_FALSE(drive->records.contains("doc/bucket/a"));
  EXPECT_EQ(content("bucket/a"), "(none)");
}

// Two and four drives: half of them may lose everything, and no majority is left.
class LostDrivesTest : public EmbeddedControlStoreTest {
 protected:
  void begin(std::size_t drives) {
    drives_.resize(drives);
    lost_.assign(drives, false);
    restart();
    ASSERT_TRUE(load().has_value());
  }
  void restart() {
    start();
    store_->set_lost_drives([this](Ctx, std::optional<std::string>) { return told(this); });
  }
  static Task<std::vector<bool>> told(LostDrivesTest* self) {
    ++self->asked_;
    co_return self->lost_;
  }
  void lose(std::size_t slot) {
    drives_[slot]->fault = Fault::away;
    drives_[slot]->records.clear();
    lost_[slot] = true;
  }
  void format(std::size_t slot) {
    drives_[slot]->fault = Fault::none;
    drives_[slot]->records[std::string(kBehindRecord)] = "";
    lost_[slot] = false;
  }
  bool others_are_lost() { return run_to_end(shard_, store_->others_are_lost(ctx_)); }

  std::vector<bool> lost_;
  int asked_ = 0;
};

TEST_F(LostDrivesTest, TheLastOfTwoIsEnoughWhenTheOtherLostEverything) {
  begin(2);
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  EXPECT_EQ(asked_, 0) << "with a majority nobody looks";
  lose(1);
  EXPECT_TRUE(others_are_lost());
  ASSERT_TRUE(put("bucket/a", "2").has_value());
  restart();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "2");
  format(1);
  ASSERT_TRUE(run_to_end(shard_, store_->sync_drive(ctx_, *drives_[1])).has_value());
  EXPECT_EQ(drives_[1]->records, drives_[0]->records);
  lose(0);  // and the other way round
  restart();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "2");
}

TEST_F(LostDrivesTest, ADriveThatIsOnlyAwayIsNotLost) {
  begin(2);
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  drives_[1]->fault = Fault::away;
  EXPECT_FALSE(others_are_lost());
  EXPECT_TRUE(put("bucket/a", "2").failed_with(Errc::in_doubt));
  restart();
  EXPECT_TRUE(load().failed_with(Errc::unavailable));
  EXPECT_GT(asked_, 2);
}

TEST_F(LostDrivesTest, AllOfFourMustBeAccountedFor) {
  begin(4);
  drives_[0]->fault = Fault::away;  // so that drives 1, 2 and 3 alone know it
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  lose(2);
  lose(3);
  restart();
  EXPECT_TRUE(load().failed_with(Errc::unavailable)) << "drive 0 is just away";
  drives_[0]->fault = Fault::none;
  drives_[1]->fault = Fault::away;
  restart();
  EXPECT_TRUE(load().failed_with(Errc::unavailable)) << "drive 1 is just away";
  drives_[1]->fault = Fault::none;
  restart();
  ASSERT_TRUE(load().has_value());
  EXPECT_EQ(content("bucket/a"), "1");
  EXPECT_EQ(drives_[0]->records, drives_[1]->records) << "rolled forward";
  lose(1);
  restart();
  EXPECT_TRUE(load().failed_with(Errc::unavailable)) << "one of four may not know all";
}

TEST_F(LostDrivesTest, ADriveThatStartsAnewIsNoSurvivor) {
  begin(4);
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  for (const std::size_t slot : {1U, 2U, 3U}) lose(slot);
  format(1);
  EXPECT_FALSE(others_are_lost());
  restart();
  EXPECT_TRUE(load().failed_with(Errc::unavailable)) << "one survivor, and one that knows nothing";
}

TEST_F(LostDrivesTest, ADriveFormattedAnewIsAccountedFor) {
  begin(4);
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  lose(2);
  lose(3);
  format(3);
  restart();
  ASSERT_TRUE(load().has_value()) << "two survivors, one that starts anew, one that is empty";
  EXPECT_EQ(content("bucket/a"), "1");
  EXPECT_EQ(drives_[3]->records, drives_[0]->records);
}

TEST_F(LostDrivesTest, ALoadWithAllThatAreLeftMustReachThemAll) {
  begin(4);
  drives_[0]->fault = Fault::away;
  ASSERT_TRUE(put("bucket/a", "1").has_value());
  lose(2);
  lose(3);
  drives_[0]->fault = Fault::fails;  // answers, and does not take what it lacks
  restart();
  EXPECT_TRUE(load().failed_with(Errc::unavailable));
}

TEST_F(LostDrivesTest, AnOddNumberOfDrivesNeedsItsMajority) {
  begin(3);
  lose(1);
  lose(2);
  EXPECT_FALSE(others_are_lost());
  restart();
  EXPECT_TRUE(load().failed_with(Errc::unavailable));
}

}  // namespace
}  // namespace ostraka::cluster
