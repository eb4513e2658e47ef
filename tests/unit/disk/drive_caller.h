// What the tests of drives share: calls on a drive that wait for their answer, and the records and ids that
// they use.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "base/limits.h"
#include "disk/drive.h"
#include "disk/limits.h"
#include "disk/shard_file.h"
#include "runtime/fan_out.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::disk {

inline Slice slice_of(std::string_view text) {
  Buffer buffer = Buffer::on_heap(std::max<std::size_t>(text.size(), 1));
  std::memcpy(buffer.data(), text.data(), text.size());
  const ByteSpan bytes = buffer.span().first(text.size());
  return Slice{std::move(buffer), bytes};
}

inline DataId data_id(std::uint8_t n) {
  DataId id;
  id.bytes.fill(n);
  return id;
}

// Makes calls on a drive and waits for them.
class DriveCaller {
 public:
  DriveCaller(Drive& drive, Shard& shard, Clock& clock)
      : drive_(drive), shard_(shard), ctx_{shard, kNoDeadline, "test"}, base_ms_(clock.unix_ms()) {}

  Drive& drive() { return drive_; }
  Ctx& ctx() { return ctx_; }
  template <class T>
  T wait(Task<T> task) {
    return run_to_end(shard_, std::move(task));
  }
  VersionId id(unsigned n) const { return {static_cast<std::uint64_t>(base_ms_) << 16 | n, 1}; }

  static ObjectRef ref(std::string key, KeySpace space = KeySpace::object, std::string sub = {}) {
    ObjectRef out;
    out.bucket = BucketId{77};
    out.space = space;
    out.key = std::move(key);
    out.sub = std::move(sub);
    out.group = 5;
    return out;
  }
  VersionRecord record(unsigned n, RecordKind kind = RecordKind::object) const {
    VersionRecord out;
    out.id = id(n);
    out.kind = kind;
    out.data_shards = 4;
    out.parity_shards = 2;
    out.write_quorum = 4;
    out.etag = "etag-" + std::to_string(n);
    return out;
  }
  VersionRecord inline_record(unsigned n) const {
    VersionRecord out = record(n);
    out.inline_data = true;
    out.size = 1000;
    return out;
  }
  VersionRecord file_record(unsigned n, std::vector<std::pair<std::uint8_t, std::uint64_t>> parts) const {
    VersionRecord out = record(n);
    for (const auto& [data, bytes] : parts) {
      PartRecord part;
      part.number = static_cast<std::uint32_t>(out.parts.size());
      part.size = bytes;
      part.data = data_id(data);
      out.size += bytes;
      out.parts.push_back(part);
    }
    return out;
  }
  static CommitRequest request(VersionRecord record, std::string_view shard = {},
                               CommitMode mode = CommitMode::commit) {
    CommitRequest out;
    out.mode = mode;
    out.encoded = std::make_shared<const std::string>(encode(record));
    out.record = std::make_shared<const VersionRecord>(std::move(record));
    out.shard_index = 3;
    if (!shard.empty()) out.inline_shard = slice_of(shard);
    return out;
  }

  Result<CommitAnswer> commit(const ObjectRef& ref, VersionRecord record, std::string_view shard = {},
                              CommitMode mode = CommitMode::commit) {
    return wait(drive_.commit(ctx_, ref, request(std::move(record), shard, mode)));
  }
  Verdict verdict(const ObjectRef& ref, VersionRecord record, std::string_view shard = {},
                  CommitMode mode = CommitMode::commit) {
    const auto answer = commit(ref, std::move(record), shard, mode);
    EXPECT_TRUE(answer) << answer.error().detail;
    return answer ? answer->verdict : Verdict::lacks;
  }
  Held read(const ObjectRef& ref, bool with_inline = true) {
    ReadSpec spec;
    spec.with_inline = with_inline;
    auto held = wait(drive_.read(ctx_, ref, spec));
    EXPECT_TRUE(held) << held.error().detail;
    if (!held) return {};
    if (const auto quick = drive_.try_read(ref, spec)) {
      EXPECT_TRUE(*quick);
      EXPECT_EQ(encode_key_row((*quick)->state), encode_key_row(held->state));
      EXPECT_EQ((*quick)->inline_shard, held->inline_shard);
    }
    return std::move(*held);
  }
  // Retires are lazy: they ride on a later batch, which this makes.
  void retire(const ObjectRef& ref, unsigned n) {
    drive_.retire(ref, id(n));
    flush();
  }
  void flush() {
    const auto done = wait(drive_.put_system(ctx_, "flush", "x"));
    EXPECT_TRUE(done) << done.error().detail;
  }

  // A staged file of `bytes` object bytes, shard 3 of 4+2, filled by its blocks' numbers.
  Result<> stage(std::uint8_t data, std::uint64_t bytes) {
    StageSpec spec;
    spec.data = data_id(data);
    spec.shard_index = 3;
    spec.data_shards = 4;
    spec.parity_shards = 2;
    spec.block_bytes = shard_block_bytes(kStripeBytes, 4);
    spec.expected_bytes = bytes;
    auto writer = wait(drive_.stage(ctx_, spec));
    if (!writer) return fail(writer.code(), writer.error().detail);
    const StripeLayout layout{.data_shards = 4, .part_bytes = bytes};
    for (std::uint64_t i = 0; i < layout.stripes(); ++i) {
      BufferChain chain;
      chain.push_back(slice_of(block(data, i, layout.block_bytes(i))));
      const Result<> appended = wait((*writer)->append(ctx_, std::move(chain)));
      if (!appended) return appended;
    }
    return wait((*writer)->finish(ctx_));
  }
  static std::string block(std::uint8_t data, std::uint64_t number, std::size_t bytes) {
    return std::string(bytes, static_cast<char>(data * 16 + number));
  }
  static ShardRef shard_ref(std::uint8_t data, std::uint64_t bytes) {
    ShardRef ref;
    ref.data = data_id(data);
    ref.shard_index = 3;
    ref.part_bytes = bytes;
    ref.data_shards = 4;
    ref.parity_shards = 2;
    return ref;
  }
  Result<std::unique_ptr<ShardReader>> open(std::uint8_t data, std::uint64_t bytes) {
    return wait(drive_.open_shard(ctx_, shard_ref(data, bytes)));
  }
  bool has_file(std::uint8_t data, std::uint64_t bytes) {
    const auto reader = open(data, bytes);
    EXPECT_TRUE(reader || reader.failed_with(Errc::not_found)) << reader.error().detail;
    return reader.has_value();
  }
  // Unlinking runs behind the answers, in the order it was asked for.
  bool file_goes(std::uint8_t data, std::uint64_t bytes) {
    for (int i = 0; i < 2000; ++i) {
      if (!has_file(data, bytes)) return true;
      flush();
    }
    return false;
  }
  Result<std::string> read_block(ShardReader& reader, std::uint64_t number, std::size_t bytes) {
    Buffer buffer = Buffer::on_heap(bytes);
    std::vector<BlockTarget> targets;
    targets.push_back(BlockTarget{buffer, buffer.span().first(bytes)});
    const Result<> done = wait(reader.read_blocks(ctx_, number, std::move(targets)));
    if (!done) return fail(done.code(), done.error().detail);
    return std::string(as_text(buffer.span().first(bytes)));
  }
  std::vector<std::string> list(ListSpec spec, bool* end = nullptr) {
    spec.bucket = BucketId{77};
    const auto page = wait(drive_.list(ctx_, spec));
    EXPECT_TRUE(page) << page.error().detail;
    std::vector<std::string> out;
    if (!page) return out;
    for (const ListRow& row : page->rows) {
      EXPECT_TRUE(decode_key_row(row.row));
      out.push_back(std::string(row.key) + (row.sub.empty() ? "" : "|" + std::string(row.sub)));
    }
    if (end != nullptr) *end = page->end;
    return out;
  }

 private:
  Drive& drive_;
  Shard& shard_;
  Ctx ctx_;
  const std::int64_t base_ms_;
};

inline const std::string kShard = std::string(256, 's');
inline constexpr std::uint64_t kBody = 2 * kStripeBytes + 1000;  // three blocks, the last one short

}  // namespace ostraka::disk
