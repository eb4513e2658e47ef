#include "cluster/drive_message.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <utility>

#include "cluster/limits.h"
#include "disk/limits.h"
#include "disk/row_key.h"

namespace ostraka::cluster {
namespace {

struct CodeName {
  Errc code;
  std::uint32_t wire;
};
constexpr std::array<CodeName, 19> kCodes{{
    {Errc::not_found, 1},
    {Errc::corrupt, 2},
    {Errc::io, 3},
    {Errc::no_space, 4},
    {Errc::unavailable, 5},
    {Errc::refused, 6},
    {Errc::stale_epoch, 7},
    {Errc::deadline, 8},
    {Errc::closed, 9},
    {Errc::wrong_drive, 10},
    {Errc::unsupported_version, 11},
    {Errc::overloaded, 12},
    {Errc::invalid_argument, 13},
    {Errc::malformed, 14},
    {Errc::too_large, 15},
    {Errc::conflict, 16},
    {Errc::in_doubt, 17},
    {Errc::internal, 18},
    {Errc::access_denied, 19},
}};
constexpr std::size_t kMaxDetail = 512;

tl::unexpected<Error> malformed(const char* what) {
  return fail(Errc::malformed, std::string("drive call: ") + what);
}

template <class Byte>
Result<std::uint8_t> take_byte(Byte in, const char* what) {
  if (in > 0xff) return malformed(what);
  return static_cast<std::uint8_t>(in);
}

Slice slice_of(const std::string& bytes) {
  Slice slice;
  slice.owner = Buffer::on_heap(bytes.size());
  std::memcpy(slice.owner.data(), bytes.data(), bytes.size());
  slice.bytes = slice.owner.span().first(bytes.size());
  return slice;
}

}  // namespace

std::uint32_t wire_code(Errc code) noexcept {
  for (const CodeName& known : kCodes)
    if (known.code == code) return known.wire;
  return wire_code(Errc::internal);
}

Errc code_of(std::uint32_t wire) noexcept {
  for (const CodeName& known : kCodes)
    if (known.wire == wire) return known.code;
  return Errc::closed;
}

void put_status(pb::Status& out, const Error& error) {
  out.set_code(wire_code(error.code));
  out.set_detail(error.detail.substr(0, kMaxDetail));
}

Result<> take_status(const pb::Status& in) {
  if (in.code() == 0) return {};
  std::string detail = in.detail().substr(0, kMaxDetail);
  for (char& c : detail)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return fail(code_of(in.code()), std::move(detail));
}

void put_version(pb::Version& out, VersionId id) {
  out.set_time(id.time);
  out.set_origin(id.origin);
}

VersionId take_version(const pb::Version& in) noexcept {
  return {in.time(), in.origin()};
}

void put_key(pb::Key& out, const disk::ObjectRef& ref) {
  out.set_bucket(static_cast<std::uint64_t>(ref.bucket));
  out.set_space(static_cast<std::uint32_t>(ref.space));
  out.set_key(ref.key);
  out.set_sub(ref.sub);
  out.set_group(ref.group);
  out.set_epoch(ref.epoch);
}

Result<disk::ObjectRef> take_key(pb::Key& in) {
  disk::ObjectRef ref;
  ref.bucket = BucketId{in.bucket()};
  TRY(space, take_space(in.space()));
  ref.space = space;
  // lengths and group are looked at by the drive, which says invalid_argument
  if (in.group() > 0xffff) return malformed("group");
  ref.key = std::move(*in.mutable_key());
  ref.sub = std::move(*in.mutable_sub());
  ref.group = static_cast<std::uint16_t>(in.group());
  ref.epoch = in.epoch();
  return ref;
}

void put_shard(pb::Shard& out, const disk::ShardRef& ref) {
  out.set_data(put_uuid(ref.data));
  out.set_index(ref.shard_index);
  out.set_part_bytes(ref.part_bytes);
  out.set_data_shards(ref.data_shards);
  out.set_parity_shards(ref.parity_shards);
}

Result<disk::ShardRef> take_shard(const pb::Shard& in) {
  disk::ShardRef ref;
  TRY_VOID(take_uuid(in.data(), ref.data));
  TRY(index, take_byte(in.index(), "shard index"));
  ref.shard_index = index;
  if (in.part_bytes() > kMaxPartBytes) return malformed("size of a part");
  ref.part_bytes = in.part_bytes();
  if (in.data_shards() < 1 || in.data_shards() > kMaxDataShards || in.parity_shards() > kMaxParityShards)
    return malformed("geometry");
  ref.data_shards = static_cast<std::uint8_t>(in.data_shards());
  ref.parity_shards = static_cast<std::uint8_t>(in.parity_shards());
  return ref;
}

std::string put_uuid(const Uuid& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.bytes.size()};
}

Result<> take_uuid(const std::string& in, Uuid& out) {
  if (in.size() != out.bytes.size()) return malformed("an id of another length");
  std::memcpy(out.bytes.data(), in.data(), in.size());
  return {};
}

Result<disk::KeySpace> take_space(std::uint32_t in) {
  for (const auto space : {disk::KeySpace::object, disk::KeySpace::part, disk::KeySpace::upload})
    if (in == static_cast<std::uint32_t>(space)) return space;
  return malformed("key space");
}

std::uint32_t wire_verdict(disk::Verdict verdict) noexcept {
  switch (verdict) {
    case disk::Verdict::ok:
      return 1;
    case disk::Verdict::refused:
      return 2;
    case disk::Verdict::newer:
      return 3;
    case disk::Verdict::lacks:
      return 4;
    case disk::Verdict::final:
      return 5;
  }
  return 0;
}

Result<disk::Verdict> take_verdict(std::uint32_t in) {
  for (const auto verdict : {disk::Verdict::ok, disk::Verdict::refused, disk::Verdict::newer,
                             disk::Verdict::lacks, disk::Verdict::final})
    if (in == wire_verdict(verdict)) return verdict;
  return malformed("verdict");
}

std::uint32_t wire_mode(disk::CommitMode mode) noexcept {
  switch (mode) {
    case disk::CommitMode::commit:
      return 1;
    case disk::CommitMode::roll_forward:
      return 2;
    case disk::CommitMode::heal:
      return 3;
  }
  return 0;
}

Result<disk::CommitMode> take_mode(std::uint32_t in) {
  for (const auto mode : {disk::CommitMode::commit, disk::CommitMode::roll_forward, disk::CommitMode::heal})
    if (in == wire_mode(mode)) return mode;
  return malformed("commit mode");
}

void put_read_spec(pb::ReadSpec& out, const disk::ReadSpec& spec) {
  out.set_with_inline(spec.with_inline);
  if (spec.inline_of != kAnyVersion) put_version(*out.mutable_inline_of(), spec.inline_of);
}

disk::ReadSpec take_read_spec(const pb::ReadSpec& in) noexcept {
  disk::ReadSpec spec;
  spec.with_inline = in.with_inline();
  if (in.has_inline_of()) spec.inline_of = take_version(in.inline_of());
  return spec;
}

void put_held(pb::Held& out, const disk::Held& held) {
  if (!held.state.empty()) out.set_row(disk::encode_key_row(held.state));
  out.set_epoch(held.group.epoch);
  out.set_birth(held.group.birth);
  out.set_refilling(held.group.refilling);
  if (held.inline_shard.empty()) return;
  out.set_inline_shard(held.inline_shard);
  out.set_inline_hash(xxh3_64(as_bytes(held.inline_shard)));
}

Result<disk::Held> take_held(pb::Held& in) {
  disk::Held held;
  if (!in.row().empty()) {
    auto state = disk::decode_key_row(in.row());
    if (!state) return fail(Errc::malformed, "drive call: " + state.error().detail);
    held.state = std::move(*state);
  }
  held.group.epoch = in.epoch();
  held.group.birth = in.birth();
  held.group.refilling = in.refilling();
  if (in.inline_shard().size() > disk::kMaxInlineShardBytes) return malformed("size of an inline shard");
  held.inline_shard = std::move(*in.mutable_inline_shard());
  if (!held.inline_shard.empty() && xxh3_64(as_bytes(held.inline_shard)) != in.inline_hash())
    return malformed("an inline shard that is not what the drive sent");
  return held;
}

void put_commit(pb::CommitRequest& out, const disk::ObjectRef& ref, const disk::CommitRequest& request) {
  put_key(*out.mutable_key(), ref);
  out.set_mode(wire_mode(request.mode));
  if (request.encoded) out.set_record(*request.encoded);
  out.set_shard_index(request.shard_index);
  out.set_retire(request.retire);
  const ByteSpan shard = request.inline_shard.bytes;
  if (shard.empty()) return;
  out.set_inline_shard(shard.data(), shard.size());
  out.set_inline_hash(xxh3_64(shard));
}

Result<disk::CommitRequest> take_commit(pb::CommitRequest& in) {
  disk::CommitRequest request;
  TRY(mode, take_mode(in.mode()));
  request.mode = mode;
  request.retire = in.retire();
  auto record = disk::decode_version_record(as_bytes(in.record()));
  if (!record) {
    const bool newer = record.failed_with(Errc::unsupported_version);
    return fail(newer ? Errc::unsupported_version : Errc::malformed, record.error().detail);
  }
  request.record = std::make_shared<const disk::VersionRecord>(std::move(*record));
  request.encoded = std::make_shared<const std::string>(std::move(*in.mutable_record()));
  TRY(index, take_byte(in.shard_index(), "shard index"));
  request.shard_index = index;
  const std::string& shard = in.inline_shard();
  if (shard.empty()) return request;
  if (shard.size() > disk::kMaxInlineShardBytes) return malformed("size of an inline shard");
  if (xxh3_64(as_bytes(shard)) != in.inline_hash())
    return malformed("an inline shard that is not what the caller sent");
  request.inline_shard = slice_of(shard);
  return request;
}

void put_stage(pb::StageRequest& out, const disk::StageSpec& spec) {
  out.set_data(put_uuid(spec.data));
  out.set_shard_index(spec.shard_index);
  out.set_data_shards(spec.data_shards);
  out.set_parity_shards(spec.parity_shards);
  out.set_block_bytes(spec.block_bytes);
  out.set_expected_bytes(spec.expected_bytes);
}

Result<disk::StageSpec> take_stage(const pb::StageRequest& in) {
  disk::StageSpec spec;
  TRY_VOID(take_uuid(in.data(), spec.data));
  TRY(index, take_byte(in.shard_index(), "shard index"));
  TRY(data_shards, take_byte(in.data_shards(), "geometry"));
  TRY(parity_shards, take_byte(in.parity_shards(), "geometry"));
  spec.shard_index = index;
  spec.data_shards = data_shards;
  spec.parity_shards = parity_shards;
  spec.block_bytes = in.block_bytes();
  spec.expected_bytes = in.expected_bytes();
  return spec;
}

void put_groups(pb::GroupsAnswer& out, const std::vector<disk::GroupState>& groups) {
  for (const disk::GroupState& group : groups) {
    out.add_epochs(group.epoch);
    out.add_births(group.birth);
    out.add_refilling(group.refilling);
  }
}

Result<std::vector<disk::GroupState>> take_groups(const pb::GroupsAnswer& in) {
  const int count = static_cast<int>(kPlacementGroups);
  if (in.epochs_size() != count || in.births_size() != count || in.refilling_size() != count)
    return malformed("number of groups");
  std::vector<disk::GroupState> groups(kPlacementGroups);
  for (int i = 0; i < count; ++i) {
    disk::GroupState& group = groups[static_cast<std::size_t>(i)];
    group.epoch = in.epochs(i);
    group.birth = in.births(i);
    group.refilling = in.refilling(i);
  }
  return groups;
}

void put_usage(pb::UsageAnswer& out, const std::vector<disk::BucketUsage>& usage) {
  out.mutable_buckets()->Reserve(static_cast<int>(usage.size()));
  for (const disk::BucketUsage& bucket : usage) {
    pb::UsageAnswer::Bucket& row = *out.add_buckets();
    row.set_bucket(static_cast<std::uint64_t>(bucket.bucket));
    row.set_objects(bucket.objects);
    row.set_object_bytes(bucket.object_bytes);
    row.set_uploads(bucket.uploads);
    row.set_part_bytes(bucket.part_bytes);
    row.set_changes(bucket.changes);
  }
}

Result<std::vector<disk::BucketUsage>> take_usage(const pb::UsageAnswer& in) {
  std::vector<disk::BucketUsage> usage;
  usage.reserve(static_cast<std::size_t>(in.buckets_size()));
  for (const pb::UsageAnswer::Bucket& row : in.buckets()) {
    disk::BucketUsage& bucket = usage.emplace_back();
    bucket.bucket = BucketId{row.bucket()};
    bucket.objects = row.objects();
    bucket.object_bytes = row.object_bytes();
    bucket.uploads = row.uploads();
    bucket.part_bytes = row.part_bytes();
    bucket.changes = row.changes();
    if (usage.size() > 1 && usage[usage.size() - 2].bucket >= bucket.bucket)
      return malformed("buckets out of order");
  }
  return usage;
}

void put_health(pb::HealthAnswer& out, const disk::ShardHealth& health) {
  out.set_present(health.present);
  out.set_blocks(health.blocks);
  for (const std::uint64_t block : health.corrupt_blocks) out.add_corrupt_blocks(block);
}

Result<disk::ShardHealth> take_health(const pb::HealthAnswer& in, const disk::ShardRef& asked) {
  const disk::StripeLayout layout{.data_shards = asked.data_shards, .part_bytes = asked.part_bytes};
  disk::ShardHealth health;
  health.present = in.present();
  health.blocks = in.blocks();
  if (health.blocks != (health.present ? layout.stripes() : 0)) return malformed("number of blocks");
  for (const std::uint64_t block : in.corrupt_blocks()) {
    if (block >= health.blocks) return malformed("number of a corrupt block");
    health.corrupt_blocks.push_back(block);
  }
  return health;
}

void put_orphan_spec(pb::OrphansRequest& out, const disk::OrphanSpec& spec) {
  out.set_first(spec.first);
  out.set_last(spec.last);
  out.set_older_than_ms(spec.older_than_ms);
  out.set_remove(spec.remove);
  out.set_max(spec.max);
}

Result<disk::OrphanSpec> take_orphan_spec(const pb::OrphansRequest& in) {
  disk::OrphanSpec spec;
  TRY(first, take_byte(in.first(), "range of ids"));
  TRY(last, take_byte(in.last(), "range of ids"));
  spec.first = first;
  spec.last = last;
  spec.older_than_ms = in.older_than_ms();
  spec.remove = in.remove();
  spec.max = std::min<std::uint64_t>(in.max(), kMaxPeerIds);
  return spec;
}

void put_orphans(pb::OrphansAnswer& out, const disk::OrphanReport& report) {
  out.set_files(report.files);
  out.set_file_bytes(report.file_bytes);
  out.set_kept(report.kept);
  out.set_inline_shards(report.inline_shards);
  for (const DataId& id : report.some) out.mutable_some()->append(put_uuid(id));
}

Result<disk::OrphanReport> take_orphans(const pb::OrphansAnswer& in, const disk::OrphanSpec& asked) {
  disk::OrphanReport report;
  report.files = in.files();
  report.file_bytes = in.file_bytes();
  report.kept = in.kept();
  report.inline_shards = in.inline_shards();
  constexpr std::size_t kIdBytes = sizeof(DataId::bytes);
  const std::string& some = in.some();
  if (some.size() % kIdBytes != 0 || some.size() / kIdBytes > asked.max) return malformed("ids of orphans");
  for (std::size_t at = 0; at < some.size(); at += kIdBytes)
    std::memcpy(report.some.emplace_back().bytes.data(), some.data() + at, kIdBytes);
  return report;
}

Result<> check_blocks(const google::protobuf::RepeatedField<std::uint32_t>& block_bytes) {
  if (block_bytes.empty() || block_bytes.size() > static_cast<int>(kMaxPeerBlocks))
    return malformed("number of blocks");
  std::size_t total = 0;
  for (const std::uint32_t bytes : block_bytes) {
    if (bytes == 0 || bytes > disk::kMaxBlockBytes) return malformed("size of a block");
    total += bytes;
  }
  if (total > kMaxPeerBody) return malformed("size of all blocks");
  return {};
}

}  // namespace ostraka::cluster
