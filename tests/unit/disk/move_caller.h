// Moves groups between two drives as disk/group_move.h says, step by step.
#pragma once

#include <algorithm>

#include "base/placement_group.h"
#include "disk/group_move.h"
#include "tests/unit/disk/drive_caller.h"
#include "tests/unit/disk/drive_world.h"

namespace ostraka::disk {

// Moves the groups of some keys by the book.
class MoveCaller {
 public:
  MoveCaller(DriveCaller& from, DriveCaller& to) : from_(from), to_(to) {
    ticket.move.bytes.fill(0x77);
    ticket.term = 1;
    ticket.life = 99;
  }

  static ObjectRef ref(std::string key, KeySpace space = KeySpace::object, std::string sub = {}) {
    ObjectRef out = DriveCaller::ref(std::move(key), space, std::move(sub));
    out.group = placement_group(test_format().deployment, out.bucket, out.key);
    return out;
  }
  void add(const std::string& key) {
    const std::uint16_t group = ref(key).group;
    const auto at = std::lower_bound(groups.begin(), groups.end(), group);
    if (at == groups.end() || *at != group) groups.insert(at, group);
  }

  Result<> begin() {
    TRY_VOID(from_.wait(out().begin_leaving(from_.ctx(), ticket, groups)));
    TRY(leaving, from_.wait(out().status(from_.ctx(), ticket.move)));
    TRY_VOID(from_.wait(in().begin_arriving(from_.ctx(), ticket, groups, leaving.life)));
    TRY(arriving, from_.wait(in().status(from_.ctx(), ticket.move)));
    EXPECT_EQ(arriving.other, leaving.life);
    ticket.life = leaving.life;
    EXPECT_EQ(arriving.life, leaving.life) << "the tests use one number for both";
    return {};
  }
  // Copies pages until there is none; gives the number of rows.
  Result<std::size_t> copy(bool changes) {
    std::size_t rows = 0;
    std::string after;
    for (bool end = false; !end;) {
      TRY(page, changes ? from_.wait(out().read_changes(from_.ctx(), ticket, after))
                        : from_.wait(out().read_rows(from_.ctx(), ticket, after)));
      rows += page.rows.size();
      after = page.last;
      end = page.end;
      MoveImport import;
      import.cursor = page.last;
      import.rows = std::move(page.rows);
      TRY_VOID(bring(std::move(import)));
      if (end && changes) TRY_VOID(from_.wait(out().forget_changes(from_.ctx(), ticket, page.through)));
    }
    return rows;
  }
  Result<> bring(MoveImport import) {
    for (int tries = 0; tries < 3; ++tries) {
      import.step = ++step;
      TRY(lacking, from_.wait(in().import(from_.ctx(), ticket, import)));
      if (lacking.empty()) return {};
      for (const ShardRef& ref : lacking) {
        const auto copied = copy_file(ref);
        if (copied.failed_with(Errc::not_found) || copied.failed_with(Errc::corrupt)) {
          import.without.push_back(ref.data);
        } else {
          TRY_VOID(copied);
        }
        ++files;
      }
    }
    return fail(Errc::internal, "files are asked for again and again");
  }
  Result<> copy_file(const ShardRef& ref) {
    TRY(reader, from_.wait(from_.drive().open_shard(from_.ctx(), ref)));
    StageSpec spec;
    spec.data = ref.data;
    spec.shard_index = ref.shard_index;
    spec.data_shards = ref.data_shards;
    spec.parity_shards = ref.parity_shards;
    spec.block_bytes = shard_block_bytes(kStripeBytes, ref.data_shards);
    TRY(writer, from_.wait(to_.drive().stage(from_.ctx(), spec)));
    const StripeLayout layout{.data_shards = ref.data_shards, .part_bytes = ref.part_bytes};
    for (std::uint64_t i = 0; i < layout.stripes(); ++i) {
      Buffer buffer = Buffer::on_heap(layout.block_bytes(i));
      std::vector<BlockTarget> targets;
      targets.push_back({buffer, buffer.span().first(layout.block_bytes(i))});
      TRY_VOID(from_.wait(reader->read_blocks(from_.ctx(), i, targets)));
      BufferChain chain;
      chain.push_back(Slice{buffer, buffer.span().first(layout.block_bytes(i))});
      TRY_VOID(from_.wait(writer->append(from_.ctx(), std::move(chain))));
    }
    return from_.wait(writer->finish(from_.ctx()));
  }
  Result<std::vector<GroupState>> seal() { return from_.wait(out().seal(from_.ctx(), ticket)); }
  Result<> own(std::vector<GroupState> states) {
    return from_.wait(in().own(from_.ctx(), ticket, std::move(states)));
  }
  Result<> finish() {
    TRY(states, seal());
    TRY_VOID(copy(true));
    return own(std::move(states));
  }
  Result<> drop_old() { return from_.wait(out().drop(from_.ctx(), ticket)); }
  GroupMoves& out() { return *from_.drive().moves(); }
  GroupMoves& in() { return *to_.drive().moves(); }

  MoveTicket ticket;
  std::vector<std::uint16_t> groups;
  std::uint64_t step = 0;
  unsigned files = 0;

 private:
  DriveCaller& from_;
  DriveCaller& to_;
};

}  // namespace ostraka::disk
