#include "disk/meta_index.h"

#include <gtest/gtest.h>

#include "disk/memory_index.h"
#include "disk/rocks_index.h"
#include "tests/unit/disk/temp_dir.h"

namespace ostraka::disk {
namespace {

enum class Backend { memory, rocks };

class MetaIndexTest : public testing::TestWithParam<Backend> {
 protected:
  MetaIndexFactory& factory() {
    if (GetParam() == Backend::memory) return memory_;
    return rocks_;
  }
  std::unique_ptr<MetaIndex> open(IndexMode mode) {
    auto index = factory().open(dir_ / "index", mode);
    EXPECT_TRUE(index) << index.error().detail;
    return index ? std::move(*index) : nullptr;
  }
  static void put(IndexBatch& batch, Column column, std::string_view key, std::string_view value) {
    batch.put(column, key, std::span<const std::string_view>(&value, 1));
  }
  static std::string get(MetaIndex& index, Column column, std::string_view key) {
    std::string value;
    const auto found = index.get(column, key, value, Tier::all);
    EXPECT_TRUE(found);
    return found && *found == Lookup::found ? value : "(missing)";
  }
  TempDir dir_;
  PosixFs fs_;
  MemoryIndexFactory memory_;
  IndexBudget budget_{{.memory_bytes = 8U << 20, .memtable_bytes = 2U << 20, .drives = 1}};
  RocksIndexFactory rocks_{budget_, fs_};
};

TEST_P(MetaIndexTest, KeepsColumnsApartAndAppliesABatchInOrder) {
  const auto index = open(IndexMode::create);
  const auto batch = index->make_batch();
  EXPECT_TRUE(batch->empty());
  put(*batch, Column::rows, "k", "row");
  put(*batch, Column::inline_data, "k", std::string(1000, 'i'));
  const std::string_view parts[] = {"a", "", "bc"};
  batch->put(Column::system, "k", parts);
  put(*batch, Column::rows, "gone", "x");
  batch->erase(Column::rows, "gone");
  EXPECT_GT(batch->bytes(), 1000U);
  ASSERT_TRUE(index->write(*batch, Sync::yes));
  EXPECT_EQ(get(*index, Column::rows, "k"), "row");
  EXPECT_EQ(get(*index, Column::inline_data, "k"), std::string(1000, 'i'));
  EXPECT_EQ(get(*index, Column::system, "k"), "abc");
  EXPECT_EQ(get(*index, Column::rows, "gone"), "(missing)");
  batch->clear();
  EXPECT_TRUE(batch->empty());
}

TEST_P(MetaIndexTest, ScansARangeInByteOrder) {
  const auto index = open(IndexMode::create);
  const auto batch = index->make_batch();
  for (const char* key : {"b", "a", "c\xff", "c", "d"}) put(*batch, Column::rows, key, key);
  put(*batch, Column::system, "bb", "other column");
  ASSERT_TRUE(index->write(*batch, Sync::no));
  const auto cursor = index->scan(Column::rows, "b", "d");
  std::string seen;
  for (cursor->seek(""); cursor->valid(); cursor->next()) {
    EXPECT_EQ(cursor->key(), cursor->value());
    seen += std::string(cursor->key()) + " ";
  }
  EXPECT_TRUE(cursor->status());
  EXPECT_EQ(seen, "b c c\xff ");
  cursor->seek("bz");
  ASSERT_TRUE(cursor->valid());
  EXPECT_EQ(cursor->key(), "c");
  const auto open_end = index->scan(Column::rows, "d", "");
  open_end->seek("");
  ASSERT_TRUE(open_end->valid());
  EXPECT_EQ(open_end->key(), "d");
}

TEST_P(MetaIndexTest, ReadsManyKeysAsOneByOne) {
  const auto index = open(IndexMode::create);
  std::vector<std::string> keys;
  const auto batch = index->make_batch();
  for (int i = 0; i < 100; ++i) {  // more than RocksDB looks up together, small values and blobs
    keys.push_back("k" + std::to_string(1000 + i));
    if (i % 7 != 3)
      put(*batch, Column::inline_data, keys.back(), std::string(static_cast<std::size_t>(i) * 40, 'v'));
  }
  ASSERT_TRUE(index->write(*batch, Sync::yes));
  const auto check = [&] {
    const std::vector<IndexValue> values = index->get_many(Column::inline_data, keys);
    ASSERT_EQ(values.size(), keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      ASSERT_TRUE(values[i].found);
      EXPECT_EQ(*values[i].found == Lookup::found ? values[i].value : "(missing)",
                get(*index, Column::inline_data, keys[i]));
    }
  };
  check();
  index->prepare_close();  // blobs lie in files now
  check();
  std::swap(keys[10], keys[60]);
  check();
  EXPECT_TRUE(index->get_many(Column::inline_data, {}).empty());
}

TEST_P(MetaIndexTest, OpensAgainWithAllThatWasSyncedAndNeverCreatesByAccident) {
  EXPECT_TRUE(factory().open(dir_ / "nowhere", IndexMode::existing).failed_with(Errc::not_found));
  {
    const auto index = open(IndexMode::create);
    const auto batch = index->make_batch();
    put(*batch, Column::rows, "k", "v");
    put(*batch, Column::inline_data, "k", std::string(5000, 'z'));
    ASSERT_TRUE(index->write(*batch, Sync::yes));
  }
  const auto index = open(IndexMode::existing);
  EXPECT_EQ(get(*index, Column::rows, "k"), "v");
  EXPECT_EQ(get(*index, Column::inline_data, "k"), std::string(5000, 'z'));
}

INSTANTIATE_TEST_SUITE_P(Backends, MetaIndexTest, testing::Values(Backend::memory, Backend::rocks),
                         [](const auto& test) { return test.param == Backend::memory ? "Memory" : "Rocks"; });

TEST(MemoryIndex, LosesOnlyWhatWasNotSynced) {
  MemoryIndexFactory factory;
  auto index = factory.open("x", IndexMode::create);
  ASSERT_TRUE(index);
  const auto write = [&](std::string_view key, std::string_view value, Sync sync) {
    const auto batch = (*index)->make_batch();
    batch->put(Column::rows, key, std::span<const std::string_view>(&value, 1));
    ASSERT_TRUE((*index)->write(*batch, sync));
  };
  write("a", "1", Sync::yes);
  write("a", "2", Sync::no);
  write("b", "3", Sync::no);
  EXPECT_EQ(factory.store("x")->lose_unsynced(1), 2U);
  std::string value;
  EXPECT_EQ((*index)->get(Column::rows, "b", value, Tier::all).value(), Lookup::missing);
  EXPECT_EQ(factory.store("x")->lose_unsynced(5), 1U);
  EXPECT_EQ((*index)->get(Column::rows, "a", value, Tier::all).value(), Lookup::found);
  EXPECT_EQ(value, "1");
}

class RocksIndexTest : public testing::Test {
 protected:
  TempDir dir_;
  PosixFs fs_;
  IndexBudget budget_{{.memory_bytes = 4U << 20, .memtable_bytes = 1U << 20, .drives = 1}};
  RocksIndexFactory factory_{budget_, fs_};
};

// Enough to flush and compact several times: values of many ages in memtables, tables and blob files.
TEST_F(RocksIndexTest, FindsEverythingAfterFlushesAndInMemoryOnceItWasRead) {
  auto index = factory_.open(dir_ / "index", IndexMode::create);
  ASSERT_TRUE(index);
  const std::string pad(700, 'p');
  for (int i = 0; i < 20000; i += 100) {
    const auto batch = (*index)->make_batch();
    for (int j = i; j < i + 100; ++j) {
      const std::string key = "key " + std::to_string(j);
      const std::string_view parts[] = {key, pad};
      batch->put(Column::rows, key, parts);
      batch->put(Column::inline_data, key, parts);
    }
    ASSERT_TRUE((*index)->write(*batch, Sync::no));
  }
  int in_memory = 0;
  for (int i = 0; i < 20000; i += 7) {
    const std::string key = "key " + std::to_string(i);
    for (const Column column : {Column::rows, Column::inline_data}) {
      std::string value;
      const auto found = (*index)->get(column, key, value, Tier::all);
      ASSERT_TRUE(found);
      ASSERT_EQ(*found, Lookup::found);
      EXPECT_EQ(value, key + pad);
      value.clear();
      const auto again = (*index)->get(column, key, value, Tier::memory);
      ASSERT_TRUE(again);
      if (*again == Lookup::not_in_memory) continue;
      ++in_memory;
      EXPECT_EQ(value, key + pad);
    }
  }
  EXPECT_GT(in_memory, 5000) << "just read, so it lies in the page cache";
  EXPECT_TRUE((*index)->health());
}

TEST_F(RocksIndexTest, ATornLogTailIsNoObstacle) {
  {
    auto index = factory_.open(dir_ / "index", IndexMode::create);
    ASSERT_TRUE(index);
    const auto batch = (*index)->make_batch();
    const std::string_view value = "v";
    batch->put(Column::rows, "k", std::span<const std::string_view>(&value, 1));
    ASSERT_TRUE((*index)->write(*batch, Sync::yes));
  }
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "index")) {
    if (entry.path().extension() == ".log") {
      std::ofstream(entry.path(), std::ios::app | std::ios::binary) << "garbage of a write that was cut off";
    }
  }
  auto index = factory_.open(dir_ / "index", IndexMode::existing);
  ASSERT_TRUE(index) << index.error().detail;
  std::string value;
  EXPECT_EQ((*index)->get(Column::rows, "k", value, Tier::all).value(), Lookup::found);
}

}  // namespace
}  // namespace ostraka::disk
