// What every Drive must do, whatever it is made of: instantiate DriveSuite with a backend type that has
//   Drive& drive();  Shard& shard();  Clock& clock();
#pragma once

#include <map>

#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {

template <class Backend>
class DriveSuite : public testing::Test {
 protected:
  Backend backend_;
  DriveCaller call_{backend_.drive(), backend_.shard(), backend_.clock()};
};
TYPED_TEST_SUITE_P(DriveSuite);

TYPED_TEST_P(DriveSuite, CommittedVersionsAreReadBackWithTheirInlineShard) {
  auto& c = this->call_;
  const auto ref = c.ref("a/b");
  EXPECT_TRUE(c.read(ref).state.empty());
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), kShard), Verdict::ok);
  const Held held = c.read(ref);
  ASSERT_EQ(held.state.versions.size(), 1U);
  EXPECT_EQ(held.state.newest(), c.id(1));
  EXPECT_EQ(held.state.versions[0].shard_index, 3);
  EXPECT_TRUE(held.state.versions[0].has_inline);
  EXPECT_EQ(held.inline_shard, kShard);
  const auto record = decode_version_record(as_bytes(*held.state.versions[0].record));
  ASSERT_TRUE(record);
  EXPECT_EQ(record->etag, "etag-1");
  EXPECT_TRUE(c.read(ref, false).inline_shard.empty());
  EXPECT_TRUE(c.read(c.ref("a")).state.empty());
  EXPECT_TRUE(c.read(c.ref("a/b", KeySpace::upload, "x")).state.empty());
}

TYPED_TEST_P(DriveSuite, ReadsTheInlineShardOfTheVersionThatIsNamed) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), "old"), Verdict::ok);
  ASSERT_EQ(c.verdict(ref, c.inline_record(2), "new"), Verdict::ok);
  ReadSpec spec;
  spec.with_inline = true;
  spec.inline_of = c.id(1);
  const auto held = c.wait(c.drive().read(c.ctx(), ref, spec));
  ASSERT_TRUE(held);
  EXPECT_EQ(held->inline_shard, "old");
  EXPECT_EQ(c.read(ref).inline_shard, "new");
}

TYPED_TEST_P(DriveSuite, CommitRefusesWhatTheProtocolRefuses) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_EQ(c.verdict(ref, c.inline_record(5), kShard), Verdict::ok);
  EXPECT_EQ(c.verdict(ref, c.inline_record(5), kShard), Verdict::ok) << "held already";
  EXPECT_EQ(c.verdict(ref, c.inline_record(4), kShard), Verdict::refused) << "older";
  VersionRecord create = c.inline_record(6);
  create.expect = kNoVersion;
  EXPECT_EQ(c.verdict(ref, create, kShard), Verdict::refused) << "expects an absent key";
  VersionRecord match = c.inline_record(7);
  match.expect = c.id(5);
  const auto answer = c.commit(ref, match, kShard);
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->verdict, Verdict::ok);
  EXPECT_EQ(answer->newest, c.id(7));
  EXPECT_TRUE(answer->final_id.is_none());
}

TYPED_TEST_P(DriveSuite, FencesHoldUntilAHeal) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  const auto fenced = c.wait(c.drive().fence(c.ctx(), ref, c.id(3)));
  ASSERT_TRUE(fenced);
  EXPECT_FALSE(fenced->has);
  EXPECT_EQ(fenced->birth, 0U);
  EXPECT_EQ(c.verdict(ref, c.inline_record(3), kShard), Verdict::refused);
  EXPECT_EQ(c.verdict(ref, c.inline_record(3), kShard, CommitMode::roll_forward), Verdict::refused);
  EXPECT_EQ(c.verdict(ref, c.inline_record(3), kShard, CommitMode::heal), Verdict::ok);
  const auto has = c.wait(c.drive().fence(c.ctx(), ref, c.id(3)));
  ASSERT_TRUE(has);
  EXPECT_TRUE(has->has);
  EXPECT_EQ(c.read(ref).inline_shard, kShard);
}

TYPED_TEST_P(DriveSuite, WithdrawTakesAwayAllButTheFinalVersion) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), kShard), Verdict::ok);
  c.retire(ref, 1);
  ASSERT_EQ(c.verdict(ref, c.inline_record(2), "two"), Verdict::ok);
  const auto gone = c.wait(c.drive().withdraw(c.ctx(), ref, c.id(2)));
  ASSERT_TRUE(gone);
  EXPECT_EQ(*gone, Verdict::ok);
  EXPECT_EQ(c.read(ref).inline_shard, kShard);
  EXPECT_EQ(c.verdict(ref, c.inline_record(2), "two"), Verdict::refused) << "withdrawn is fenced";
  const auto kept = c.wait(c.drive().withdraw(c.ctx(), ref, c.id(1)));
  ASSERT_TRUE(kept);
  EXPECT_EQ(*kept, Verdict::final);
}

TYPED_TEST_P(DriveSuite, RetireMakesFinalAndDropsWhatWasReplaced) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), "one"), Verdict::ok);
  ASSERT_EQ(c.verdict(ref, c.inline_record(2), "two"), Verdict::ok);
  EXPECT_EQ(c.read(ref).state.versions.size(), 2U) << "not before it is retired";
  c.retire(ref, 2);
  const Held held = c.read(ref);
  EXPECT_EQ(held.state.versions.size(), 1U);
  EXPECT_EQ(held.state.final_id, c.id(2));
  EXPECT_GT(held.state.final_at_ms, 0);
  EXPECT_EQ(held.inline_shard, "two");
}

TYPED_TEST_P(DriveSuite, AHealMayRetireAtOnce) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), "one"), Verdict::ok);
  ASSERT_TRUE(c.wait(c.drive().fence(c.ctx(), ref, c.id(2))));
  const auto heal = [&](VersionRecord record, std::string_view shard) {
    auto request = c.request(std::move(record), shard, CommitMode::heal);
    request.retire = true;
    return c.wait(c.drive().commit(c.ctx(), ref, request));
  };
  const auto three = heal(c.inline_record(3), "three");
  ASSERT_TRUE(three);
  EXPECT_EQ(three->verdict, Verdict::ok);
  EXPECT_EQ(three->newest, c.id(3));
  EXPECT_EQ(three->final_id, c.id(3));
  const Held held = c.read(ref);
  EXPECT_EQ(held.state.versions.size(), 1U) << "what it replaced is gone";
  EXPECT_TRUE(held.state.fences.empty());
  EXPECT_EQ(held.state.final_id, c.id(3));
  EXPECT_EQ(held.inline_shard, "three");

  const auto late = heal(c.inline_record(1), "one");
  ASSERT_TRUE(late);
  EXPECT_EQ(late->verdict, Verdict::newer);
  EXPECT_EQ(c.read(ref).state.final_id, c.id(3));

  const auto deleted = heal(c.record(4, RecordKind::tombstone), {});
  ASSERT_TRUE(deleted);
  EXPECT_EQ(deleted->final_id, c.id(4));
  const auto purged = c.wait(c.drive().purge(c.ctx(), ref, c.id(4)));
  ASSERT_TRUE(purged);
  EXPECT_EQ(*purged, Verdict::ok);
}

TYPED_TEST_P(DriveSuite, ARetireWithoutCompanyIsWrittenByItself) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), "one"), Verdict::ok);
  c.drive().retire(ref, c.id(1));
  bool final = false;
  const TimePoint end = this->backend_.clock().now() + std::chrono::seconds(20);
  while (!final && this->backend_.clock().now() < end) {
    const auto held = c.wait(c.drive().read(c.ctx(), ref, {}));
    ASSERT_TRUE(held);
    final = held->state.final_id == c.id(1);
  }
  EXPECT_TRUE(final);
}

TYPED_TEST_P(DriveSuite, TombstonesArePurgedOnlyWhenFinalAndNewest) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  c.retire(ref, 9);
  EXPECT_TRUE(c.read(ref).state.final_id.is_none()) << "a time needs its version";
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), "one"), Verdict::ok);
  ASSERT_EQ(c.verdict(ref, c.record(2, RecordKind::tombstone)), Verdict::ok);
  const auto early = c.wait(c.drive().purge(c.ctx(), ref, c.id(2)));
  ASSERT_TRUE(early);
  EXPECT_EQ(*early, Verdict::refused);
  c.retire(ref, 2);
  EXPECT_EQ(c.read(ref).state.versions.size(), 1U);
  const auto purged = c.wait(c.drive().purge(c.ctx(), ref, c.id(2)));
  ASSERT_TRUE(purged);
  EXPECT_EQ(*purged, Verdict::ok);
  EXPECT_TRUE(c.read(ref).state.empty());
  c.retire(ref, 1);
  EXPECT_TRUE(c.read(ref).state.empty()) << "told late, by somebody who had stopped for long";
}

TYPED_TEST_P(DriveSuite, ShardFilesAreWrittenReadAndVerified) {
  auto& c = this->call_;
  ASSERT_TRUE(c.stage(1, kBody));
  ASSERT_EQ(c.verdict(c.ref("big"), c.file_record(1, {{1, kBody}})), Verdict::ok);
  EXPECT_TRUE(c.read(c.ref("big")).state.versions.at(0).has_files);
  const auto reader = c.open(1, kBody);
  ASSERT_TRUE(reader) << reader.error().detail;
  const StripeLayout layout{.data_shards = 4, .part_bytes = kBody};
  std::vector<BlockTarget> targets;
  std::vector<Buffer> buffers;
  for (std::uint64_t i = 0; i < 3; ++i) {
    const Buffer& buffer = buffers.emplace_back(Buffer::on_heap(layout.block_bytes(i)));
    targets.push_back(BlockTarget{buffer, buffer.span()});
  }
  ASSERT_TRUE(c.wait((*reader)->read_blocks(c.ctx(), 0, std::move(targets))));
  for (std::uint64_t i = 0; i < 3; ++i) {
    EXPECT_EQ(as_text(buffers[i].span()), c.block(1, i, layout.block_bytes(i)));
  }
  EXPECT_TRUE(c.read_block(**reader, 2, layout.block_bytes(2)));
  EXPECT_TRUE(c.read_block(**reader, 2, layout.block_bytes(2) - 64).failed_with(Errc::invalid_argument));
  EXPECT_TRUE(c.read_block(**reader, 3, 64).failed_with(Errc::invalid_argument));
  const auto health = c.wait(c.drive().verify(c.ctx(), c.shard_ref(1, kBody)));
  ASSERT_TRUE(health);
  EXPECT_TRUE(health->present);
  EXPECT_EQ(health->blocks, 3U);
  EXPECT_TRUE(health->corrupt_blocks.empty());
  EXPECT_TRUE(c.open(1, kBody + kStripeBytes).failed_with(Errc::corrupt)) << "another body under this id";
  const auto absent = c.wait(c.drive().verify(c.ctx(), c.shard_ref(2, kBody)));
  ASSERT_TRUE(absent);
  EXPECT_FALSE(absent->present);
}

TYPED_TEST_P(DriveSuite, WritersTakeOnlyWholeBlocksInOrder) {
  auto& c = this->call_;
  StageSpec spec;
  spec.data = data_id(1);
  spec.data_shards = 4;
  spec.block_bytes = 4096;
  const auto append = [&](ShardWriter& writer, std::size_t bytes) {
    BufferChain chain;
    chain.push_back(slice_of(std::string(bytes, 'x')));
    return c.wait(writer.append(c.ctx(), std::move(chain)));
  };
  auto writer = c.wait(c.drive().stage(c.ctx(), spec));
  ASSERT_TRUE(writer);
  EXPECT_TRUE(append(**writer, 4096));
  EXPECT_TRUE(append(**writer, 100));
  EXPECT_TRUE(append(**writer, 4096).failed_with(Errc::invalid_argument));
  writer = c.wait(c.drive().stage(c.ctx(), spec));
  ASSERT_TRUE(writer);
  EXPECT_TRUE(append(**writer, 4097).failed_with(Errc::invalid_argument));
  spec.block_bytes = 4000;
  EXPECT_TRUE(c.wait(c.drive().stage(c.ctx(), spec)).failed_with(Errc::invalid_argument));
}

TYPED_TEST_P(DriveSuite, CommitRefusesFilesThatAreNotThere) {
  auto& c = this->call_;
  EXPECT_EQ(c.verdict(c.ref("k"), c.file_record(1, {{1, kBody}})), Verdict::refused);
  ASSERT_TRUE(c.stage(1, kBody));
  EXPECT_EQ(c.verdict(c.ref("k"), c.file_record(2, {{1, kBody}, {2, kBody}})), Verdict::refused)
      << "one of two";
  EXPECT_TRUE(c.read(c.ref("k")).state.empty());
  EXPECT_EQ(c.verdict(c.ref("k"), c.file_record(3, {{1, kBody}})), Verdict::ok);
}

TYPED_TEST_P(DriveSuite, DiscardRemovesStagedFilesButNoCommittedOnes) {
  auto& c = this->call_;
  ASSERT_TRUE(c.stage(1, kBody));
  EXPECT_TRUE(c.has_file(1, kBody));
  EXPECT_TRUE(c.wait(c.drive().discard(c.ctx(), data_id(1))));
  EXPECT_TRUE(c.file_goes(1, kBody));
  EXPECT_EQ(c.verdict(c.ref("k"), c.file_record(1, {{1, kBody}})), Verdict::refused);
  EXPECT_TRUE(c.wait(c.drive().discard(c.ctx(), data_id(1)))) << "idempotent";
  ASSERT_TRUE(c.stage(2, kBody));
  ASSERT_EQ(c.verdict(c.ref("k"), c.file_record(2, {{2, kBody}})), Verdict::ok);
  EXPECT_TRUE(c.wait(c.drive().discard(c.ctx(), data_id(2))));
  c.flush();
  EXPECT_TRUE(c.has_file(2, kBody));
}

TYPED_TEST_P(DriveSuite, ReplacedFilesGoWithTheLastPin) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_TRUE(c.stage(1, kBody));
  ASSERT_EQ(c.verdict(ref, c.file_record(1, {{1, kBody}})), Verdict::ok);
  auto held = std::make_unique<Held>(c.read(ref));
  EXPECT_NE(held->pin, nullptr);
  ASSERT_EQ(c.verdict(ref, c.inline_record(2), kShard), Verdict::ok);
  c.retire(ref, 2);
  c.flush();
  EXPECT_TRUE(c.has_file(1, kBody)) << "a reader holds it";
  EXPECT_EQ(c.read(ref).pin, nullptr) << "no files, no pin";
  held.reset();
  EXPECT_TRUE(c.file_goes(1, kBody));
}

TYPED_TEST_P(DriveSuite, AWithdrawnVersionTakesItsFilesAlong) {
  auto& c = this->call_;
  ASSERT_TRUE(c.stage(1, kBody));
  ASSERT_EQ(c.verdict(c.ref("k"), c.file_record(1, {{1, kBody}})), Verdict::ok);
  ASSERT_TRUE(c.wait(c.drive().withdraw(c.ctx(), c.ref("k"), c.id(1))));
  EXPECT_TRUE(c.file_goes(1, kBody));
  ASSERT_TRUE(c.stage(1, kBody)) << "a heal brings it back";
  EXPECT_EQ(c.verdict(c.ref("k"), c.file_record(1, {{1, kBody}}), {}, CommitMode::heal), Verdict::ok);
  EXPECT_TRUE(c.has_file(1, kBody));
}

TYPED_TEST_P(DriveSuite, AFileThatTwoVersionsNameGoesWithTheLast) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_TRUE(c.stage(1, kBody));
  ASSERT_EQ(c.verdict(ref, c.file_record(1, {{1, kBody}})), Verdict::ok) << "whose answer was lost";
  ASSERT_EQ(c.verdict(ref, c.file_record(2, {{1, kBody}})), Verdict::ok) << "the same write, tried again";
  c.retire(ref, 2);
  for (int i = 0; i < 50; ++i) c.flush();
  EXPECT_TRUE(c.has_file(1, kBody));
  ASSERT_EQ(c.verdict(ref, c.inline_record(3), kShard), Verdict::ok);
  c.retire(ref, 3);
  EXPECT_TRUE(c.file_goes(1, kBody));
}

TYPED_TEST_P(DriveSuite, ARowTakesNoMoreFencesThanItCanKeep) {
  auto& c = this->call_;
  const auto ref = c.ref("k");
  ASSERT_EQ(c.verdict(ref, c.inline_record(1), kShard), Verdict::ok);
  unsigned n = 2;
  for (; n < 2 + kFencesTaken; ++n) ASSERT_TRUE(c.wait(c.drive().fence(c.ctx(), ref, c.id(n)))) << n;
  EXPECT_TRUE(c.wait(c.drive().fence(c.ctx(), ref, c.id(n))).failed_with(Errc::unavailable));
  EXPECT_TRUE(c.wait(c.drive().withdraw(c.ctx(), ref, c.id(n))).failed_with(Errc::unavailable));
  EXPECT_TRUE(c.wait(c.drive().fence(c.ctx(), ref, c.id(n - 1)))) << "promised already";
  EXPECT_EQ(c.read(ref).inline_shard, kShard);
  ASSERT_EQ(c.verdict(ref, c.inline_record(n), kShard), Verdict::ok) << "a success";
  c.retire(ref, n);
  EXPECT_TRUE(c.read(ref).state.fences.empty()) << "clears them";
  EXPECT_TRUE(c.wait(c.drive().fence(c.ctx(), ref, c.id(n + 1))));
}

TYPED_TEST_P(DriveSuite, AHealMayReplaceAFileInUse) {
  auto& c = this->call_;
  ASSERT_TRUE(c.stage(1, kBody));
  ASSERT_EQ(c.verdict(c.ref("k"), c.file_record(1, {{1, kBody}})), Verdict::ok);
  const auto reader = c.open(1, kBody);
  ASSERT_TRUE(reader);
  ASSERT_TRUE(c.stage(1, kBody));
  EXPECT_TRUE(c.wait(c.drive().discard(c.ctx(), data_id(1))));
  EXPECT_TRUE(c.has_file(1, kBody)) << "a record names it";
  EXPECT_EQ(c.verdict(c.ref("k"), c.file_record(1, {{1, kBody}}), {}, CommitMode::heal), Verdict::ok);
  EXPECT_TRUE(c.read_block(**reader, 0, shard_block_bytes(kStripeBytes, 4)));
  EXPECT_TRUE(c.open(1, kBody));
}

TYPED_TEST_P(DriveSuite, ListsInOrderWithPrefixStartAndPages) {
  auto& c = this->call_;
  using Keys = std::vector<std::string>;
  unsigned n = 0;
  for (const char* key : {"b", "a/1", "a", "a/2", "c/x/1", "c/x/2", "c/y", "\xc3\xa9"}) {
    ASSERT_EQ(c.verdict(c.ref(key), c.inline_record(++n), kShard), Verdict::ok);
  }
  ListSpec spec;
  bool end = false;
  EXPECT_EQ(c.list(spec, &end), (Keys{"a", "a/1", "a/2", "b", "c/x/1", "c/x/2", "c/y", "\xc3\xa9"}));
  EXPECT_TRUE(end);
  spec.prefix = "a/";
  EXPECT_EQ(c.list(spec), (Keys{"a/1", "a/2"}));
  spec.prefix.clear();
  spec.max_rows = 3;
  EXPECT_EQ(c.list(spec, &end), (Keys{"a", "a/1", "a/2"}));
  EXPECT_FALSE(end);
  spec.start = "a/2";
  EXPECT_EQ(c.list(spec), (Keys{"a/2", "b", "c/x/1"}));
  spec.after_start = true;
  EXPECT_EQ(c.list(spec), (Keys{"b", "c/x/1", "c/x/2"}));
  spec = {};
  spec.delimiter = "/";
  EXPECT_EQ(c.list(spec), (Keys{"a", "a/1", "b", "c/x/1", "\xc3\xa9"})) << "one row of each common prefix";
  spec.prefix = "c/";
  EXPECT_EQ(c.list(spec), (Keys{"c/x/1", "c/y"}));
  spec.prefix = "zzz";
  EXPECT_TRUE(c.list(spec, &end).empty());
  EXPECT_TRUE(end);
}

TYPED_TEST_P(DriveSuite, ListsSomeGroupsAndSaysHowFarItHasLooked) {
  auto& c = this->call_;
  const auto group_of = [](const std::string& key) {
    return placement_group(test_format().deployment, BucketId{77}, key);
  };
  std::map<std::string, std::uint16_t> keys;
  for (unsigned n = 0; n < 40; ++n) {
    const std::string key = (n % 2 == 0 ? "a/" : "b/") + std::to_string(100 + n);
    ObjectRef ref = c.ref(key);
    ref.group = keys[key] = group_of(key);
    ASSERT_EQ(c.verdict(ref, c.inline_record(n + 1), kShard), Verdict::ok);
  }
  ListSpec spec;
  spec.bucket = BucketId{77};
  spec.groups.emplace();
  std::vector<std::string> wanted;
  for (const auto& [key, group] : keys)
    if (group % 3 == 0) spec.groups->set(group);
  for (const auto& [key, group] : keys)
    if ((*spec.groups)[group]) wanted.push_back(key);
  ASSERT_FALSE(wanted.empty());
  EXPECT_EQ(c.list(spec), wanted);
  ListSpec folders = spec;
  folders.delimiter = "/";
  std::vector<std::string> first_of_each;
  for (const std::string& key : wanted)
    if (first_of_each.empty() || first_of_each.back()[0] != key[0]) first_of_each.push_back(key);
  EXPECT_EQ(c.list(folders), first_of_each);

  // In small steps; those without a row get on, too.
  std::vector<std::string> got;
  spec.max_looked = 7;
  for (int pages = 0;; ++pages) {
    ASSERT_LT(pages, 10);
    const auto page = c.wait(c.drive().list(c.ctx(), spec));
    ASSERT_TRUE(page) << page.error().detail;
    EXPECT_TRUE(page->silent.none());
    for (const ListRow& row : page->rows) got.emplace_back(row.key);
    if (page->end) break;
    ASSERT_GT(page->next_key, spec.start);
    EXPECT_TRUE(keys.contains(page->next_key));
    EXPECT_EQ(std::distance(keys.lower_bound(spec.start), keys.find(page->next_key)), 7);
    spec.start = page->next_key;
  }
  EXPECT_EQ(got, wanted);
}

TYPED_TEST_P(DriveSuite, ACommonPrefixIsShownByARowThatMayBeLive) {
  auto& c = this->call_;
  using Keys = std::vector<std::string>;
  ASSERT_EQ(c.verdict(c.ref("p/1"), c.record(1, RecordKind::tombstone)), Verdict::ok);
  ASSERT_EQ(c.verdict(c.ref("p/2"), c.inline_record(2), kShard), Verdict::ok);
  ASSERT_EQ(c.verdict(c.ref("q/1"), c.record(3, RecordKind::tombstone)), Verdict::ok);
  c.retire(c.ref("p/1"), 1);
  c.retire(c.ref("q/1"), 3);
  ListSpec spec;
  spec.delimiter = "/";
  EXPECT_EQ(c.list(spec), (Keys{"p/2"})) << "final tombstones do not count";
  spec.delimiter.clear();
  EXPECT_EQ(c.list(spec), (Keys{"p/1", "p/2", "q/1"})) << "but they are rows, which the merge has to see";
  ASSERT_EQ(c.verdict(c.ref("p/2"), c.record(4, RecordKind::tombstone)), Verdict::ok);
  spec.delimiter = "/";
  EXPECT_EQ(c.list(spec), (Keys{"p/2"})) << "a tombstone that is not final may never have been committed";
}

TYPED_TEST_P(DriveSuite, ListsUploadsAndPartsWithTheirSubs) {
  auto& c = this->call_;
  using Keys = std::vector<std::string>;
  unsigned n = 0;
  for (const char* sub : {"U2", "U1"}) {
    ASSERT_EQ(c.verdict(c.ref("k", KeySpace::upload, sub), c.record(++n, RecordKind::upload)), Verdict::ok);
  }
  ASSERT_EQ(c.verdict(c.ref("k2", KeySpace::upload, "U0"), c.record(++n, RecordKind::upload)), Verdict::ok);
  ListSpec spec;
  spec.space = KeySpace::upload;
  EXPECT_EQ(c.list(spec), (Keys{"k|U1", "k|U2", "k2|U0"}));
  spec.start = "k";
  spec.start_sub = "U1";
  spec.after_start = true;
  EXPECT_EQ(c.list(spec), (Keys{"k|U2", "k2|U0"}));
  spec.space = KeySpace::object;
  EXPECT_TRUE(c.list(spec).empty());
}

TYPED_TEST_P(DriveSuite, SystemRecordsAreKeptInOrderAndCounted) {
  auto& c = this->call_;
  auto& drive = c.drive();
  EXPECT_TRUE(c.wait(drive.put_system(c.ctx(), "doc/b", "2")));
  EXPECT_TRUE(c.wait(drive.put_system(c.ctx(), "doc/a", std::string("\0\xff", 2))));
  EXPECT_TRUE(c.wait(drive.put_system(c.ctx(), "doc/a", "1")));
  EXPECT_TRUE(c.wait(drive.put_system(c.ctx(), "docs", "")));
  const auto two = c.wait(drive.scan_system(c.ctx(), "doc/", 10));
  ASSERT_TRUE(two);
  ASSERT_EQ(two->size(), 2U);
  EXPECT_EQ((*two)[0].name, "doc/a");
  EXPECT_EQ((*two)[0].value, "1");
  EXPECT_EQ((*two)[1].name, "doc/b");
  EXPECT_EQ(c.wait(drive.scan_system(c.ctx(), "doc", 1))->size(), 1U);
  EXPECT_EQ(c.wait(drive.scan_system(c.ctx(), "", 10))->size(), 3U);
  const auto behind = c.wait(drive.scan_system_after(c.ctx(), "doc/", "doc/a", 10));
  ASSERT_TRUE(behind);
  ASSERT_EQ(behind->size(), 1U);
  EXPECT_EQ(behind->front().name, "doc/b");
  EXPECT_TRUE(c.wait(drive.scan_system_after(c.ctx(), "doc/", "doc/b", 10))->empty());
  EXPECT_TRUE(c.wait(drive.erase_system_if(c.ctx(), "docs", "x")).failed_with(Errc::conflict));
  EXPECT_EQ(c.wait(drive.scan_system(c.ctx(), "docs", 10))->size(), 1U);
  EXPECT_TRUE(c.wait(drive.erase_system_if(c.ctx(), "docs", "")));
  EXPECT_TRUE(c.wait(drive.erase_system_if(c.ctx(), "docs", "")));
  EXPECT_TRUE(c.wait(drive.scan_system(c.ctx(), "docs", 10))->empty());
  EXPECT_TRUE(c.wait(drive.erase_system(c.ctx(), "doc/a")));
  EXPECT_TRUE(c.wait(drive.erase_system(c.ctx(), "doc/a")));
  EXPECT_EQ(c.wait(drive.scan_system(c.ctx(), "doc/", 10))->size(), 1U);
  EXPECT_TRUE(c.wait(drive.put_system(c.ctx(), "", "x")).failed_with(Errc::invalid_argument));

  EXPECT_EQ(c.wait(drive.info(c.ctx()))->heal_queue, 0U);
  for (const char* name : {"heal/1", "heal/2", "heal/1"})
    EXPECT_TRUE(c.wait(drive.put_system(c.ctx(), name, "entry")));
  EXPECT_EQ(c.wait(drive.info(c.ctx()))->heal_queue, 2U);
  EXPECT_EQ(c.wait(drive.info(c.ctx()))->heal_recorded, 2U);
  EXPECT_TRUE(c.wait(drive.erase_system_if(c.ctx(), "heal/2", "another")).failed_with(Errc::conflict));
  EXPECT_EQ(c.wait(drive.info(c.ctx()))->heal_queue, 2U);
  EXPECT_TRUE(c.wait(drive.erase_system(c.ctx(), "heal/1")));
  EXPECT_TRUE(c.wait(drive.erase_system(c.ctx(), "heal/9")));
  EXPECT_EQ(c.wait(drive.info(c.ctx()))->heal_queue, 1U);
  EXPECT_TRUE(c.wait(drive.erase_system_if(c.ctx(), "heal/2", "entry")));
  EXPECT_EQ(c.wait(drive.info(c.ctx()))->heal_queue, 0U);
  EXPECT_TRUE(c.wait(drive.put_system(c.ctx(), "heal/3", "entry")));
  EXPECT_EQ(c.wait(drive.info(c.ctx()))->heal_recorded, 3U);
}

TYPED_TEST_P(DriveSuite, OlderEpochsAreRefusedAndReadsTeachNewerOnes) {
  auto& c = this->call_;
  auto ref = c.ref("k");
  ref.epoch = 3;
  EXPECT_EQ(c.read(ref).group.epoch, 3U);
  ref.epoch = 2;
  EXPECT_TRUE(c.commit(ref, c.inline_record(1), kShard).failed_with(Errc::stale_epoch));
  EXPECT_TRUE(c.wait(c.drive().fence(c.ctx(), ref, c.id(1))).failed_with(Errc::stale_epoch));
  EXPECT_TRUE(c.wait(c.drive().withdraw(c.ctx(), ref, c.id(1))).failed_with(Errc::stale_epoch));
  EXPECT_EQ(c.verdict(ref, c.inline_record(1), kShard, CommitMode::heal), Verdict::ok)
      << "heals know it is committed";
  EXPECT_EQ(c.read(ref).group.epoch, 3U);
  ref.group = 6;
  EXPECT_EQ(c.read(ref).group.epoch, 2U) << "each group for itself";
}

TYPED_TEST_P(DriveSuite, PastDeadlinesStartNothing) {
  auto& c = this->call_;
  Ctx late{this->backend_.shard(), this->backend_.clock().now() - std::chrono::seconds(1), "late"};
  EXPECT_TRUE(c.wait(c.drive().commit(late, c.ref("k"), c.request(c.inline_record(1), kShard)))
                  .failed_with(Errc::deadline));
  EXPECT_TRUE(c.wait(c.drive().read(late, c.ref("k"), {})).failed_with(Errc::deadline));
  EXPECT_TRUE(c.wait(c.drive().list(late, {})).failed_with(Errc::deadline));
  EXPECT_TRUE(c.wait(c.drive().stage(late, {})).failed_with(Errc::deadline));
  EXPECT_TRUE(c.read(c.ref("k")).state.empty());
}

TYPED_TEST_P(DriveSuite, WhatIsOutOfBoundsIsRefused) {
  auto& c = this->call_;
  EXPECT_TRUE(c.commit(c.ref(std::string(kMaxKeyBytes + 1, 'k')), c.inline_record(1), kShard)
                  .failed_with(Errc::invalid_argument));
  EXPECT_EQ(c.verdict(c.ref(std::string(kMaxKeyBytes, '\0')), c.inline_record(1), kShard), Verdict::ok);
  auto ref = c.ref("k");
  ref.group = kPlacementGroups;
  EXPECT_TRUE(c.commit(ref, c.inline_record(1), kShard).failed_with(Errc::invalid_argument));
  VersionRecord future = c.inline_record(1);
  future.id.time += std::uint64_t{10 * 60 * 1000} << 16;
  EXPECT_TRUE(c.commit(c.ref("k"), future, kShard).failed_with(Errc::refused)) << "its clock is ahead";
  EXPECT_TRUE(c.commit(c.ref("k"), c.inline_record(1), "").failed_with(Errc::invalid_argument)) << "no shard";
  auto undecided = c.request(c.inline_record(1), kShard, CommitMode::roll_forward);
  undecided.retire = true;
  EXPECT_TRUE(c.wait(c.drive().commit(c.ctx(), c.ref("k"), undecided)).failed_with(Errc::invalid_argument))
      << "it may not be committed";
}

inline Task<int> commit_one(Drive* drive, Ctx ctx, ObjectRef ref, CommitRequest request) {
  Result<CommitAnswer> answer = co_await drive->commit(ctx, std::move(ref), std::move(request));
  co_return answer ? static_cast<int>(answer->verdict) : -1;
}
inline Task<std::map<int, int>> commit_all(Drive* drive, Ctx ctx,
                                           std::vector<std::pair<ObjectRef, CommitRequest>> work) {
  Gate gate;
  auto fan = std::make_shared<FanOut<int>>(work.size());
  for (std::size_t i = 0; i < work.size(); ++i) {
    auto task = commit_one(drive, ctx, work[i].first, work[i].second);
    fan->start(ctx.shard.executor(), gate, i, std::move(task));
  }
  co_await fan->wait_all(ctx.shard.clock(), kNoDeadline);
  std::map<int, int> verdicts;
  for (const auto& answer : fan->answers()) ++verdicts[answer.value_or(-2)];
  co_await gate.close();
  co_return verdicts;
}

TYPED_TEST_P(DriveSuite, ManyCommitsAtOnceAreEachAnswered) {
  auto& c = this->call_;
  std::vector<std::pair<ObjectRef, CommitRequest>> work;
  for (unsigned i = 0; i < 300; ++i) {
    work.emplace_back(c.ref("key " + std::to_string(i)),
                      c.request(c.inline_record(i + 1), "shard " + std::to_string(i)));
  }
  for (unsigned i = 0; i < 50; ++i) {  // and a race for one key: exactly one creates it
    VersionRecord record = c.inline_record(1000 + i);
    record.expect = kNoVersion;
    work.emplace_back(c.ref("raced"), c.request(record, "racer"));
  }
  auto verdicts = c.wait(commit_all(&c.drive(), c.ctx(), work));
  EXPECT_EQ(verdicts[static_cast<int>(Verdict::ok)], 301);
  EXPECT_EQ(verdicts[static_cast<int>(Verdict::refused)], 49);
  for (unsigned i = 0; i < 300; ++i) {
    EXPECT_EQ(c.read(c.ref("key " + std::to_string(i))).inline_shard, "shard " + std::to_string(i));
  }
}

REGISTER_TYPED_TEST_SUITE_P(DriveSuite, CommittedVersionsAreReadBackWithTheirInlineShard,
                            ReadsTheInlineShardOfTheVersionThatIsNamed, CommitRefusesWhatTheProtocolRefuses,
                            FencesHoldUntilAHeal, WithdrawTakesAwayAllButTheFinalVersion,
                            RetireMakesFinalAndDropsWhatWasReplaced, AHealMayRetireAtOnce,
                            ARetireWithoutCompanyIsWrittenByItself, TombstonesArePurgedOnlyWhenFinalAndNewest,
                            ShardFilesAreWrittenReadAndVerified, WritersTakeOnlyWholeBlocksInOrder,
                            CommitRefusesFilesThatAreNotThere, DiscardRemovesStagedFilesButNoCommittedOnes,
                            ReplacedFilesGoWithTheLastPin, AWithdrawnVersionTakesItsFilesAlong,
                            AFileThatTwoVersionsNameGoesWithTheLast, ARowTakesNoMoreFencesThanItCanKeep,
                            AHealMayReplaceAFileInUse, ListsInOrderWithPrefixStartAndPages,
                            ListsSomeGroupsAndSaysHowFarItHasLooked, ACommonPrefixIsShownByARowThatMayBeLive,
                            ListsUploadsAndPartsWithTheirSubs, SystemRecordsAreKeptInOrderAndCounted,
                            OlderEpochsAreRefusedAndReadsTeachNewerOnes, PastDeadlinesStartNothing,
                            WhatIsOutOfBoundsIsRefused, ManyCommitsAtOnceAreEachAnswered);

}  // namespace ostraka::disk
