#include "disk/usage_table.h"

#include <algorithm>

#include "disk/group_table.h"
#include "disk/row_key.h"
#include "disk/wire.h"

namespace ostraka::disk {
namespace {

constexpr std::uint8_t kVersion = 1;
constexpr std::string_view kCounted{"\0usage", 6};  // the records are kept
constexpr std::string_view kUsageRecords{"\0usage/", 7};

std::uint64_t bits(std::int64_t value) noexcept {
  return static_cast<std::uint64_t>(value);
}

Result<BucketUsage> decode(std::string_view name, std::string_view sealed) {
  TRY(value, unseal(sealed));
  WireReader in(value);
  if (in.take_int<std::uint8_t>() > kVersion)
    return fail(Errc::unsupported_version, "usage record of a newer release");
  BucketUsage usage;
  usage.objects = static_cast<std::int64_t>(in.take_int<std::uint64_t>());
  usage.object_bytes = static_cast<std::int64_t>(in.take_int<std::uint64_t>());
  usage.uploads = static_cast<std::int64_t>(in.take_int<std::uint64_t>());
  usage.part_bytes = static_cast<std::int64_t>(in.take_int<std::uint64_t>());
  usage.changes = in.take_int<std::uint64_t>();
  if (name.size() != kUsageRecords.size() + 8 || !in.ok() || in.left() != 0)
    return fail(Errc::corrupt, "usage record does not decode");
  usage.bucket = bucket_of(name.substr(kUsageRecords.size()));
  return usage;
}

}  // namespace

RowCount count_row(KeySpace space, const KeyState& state) {
  RowCount count;
  if (state.versions.empty() || state.versions.front().tombstone) return count;
  const auto gist = decode_record_gist(*state.versions.front().record);
  if (!gist) return count;
  const auto size = static_cast<std::int64_t>(gist->size);
  if (space == KeySpace::object && gist->kind == RecordKind::object) {
    count.objects = 1;
    count.object_bytes = size;
  } else if (space == KeySpace::upload && gist->kind == RecordKind::upload) {
    count.uploads = 1;
  } else if (space == KeySpace::part && gist->kind == RecordKind::part) {
    count.part_bytes = size;
  }
  return count;
}

void add(BucketUsage& usage, const RowCount& now, const RowCount& before) {
  usage.objects += now.objects - before.objects;
  usage.object_bytes += now.object_bytes - before.object_bytes;
  usage.uploads += now.uploads - before.uploads;
  usage.part_bytes += now.part_bytes - before.part_bytes;
}

std::uint64_t next_change(std::uint64_t before, std::int64_t now_ms) noexcept {
  return std::max(before + 1, bits(now_ms) << 10);
}

std::string UsageTable::record_name(BucketId bucket) {
  std::string name(kUsageRecords);
  name += row_key_prefix(bucket, KeySpace::object, {}).substr(0, 8);
  return name;
}

std::string UsageTable::encode(const BucketUsage& usage) {
  std::string out;
  put_int(out, kVersion);
  put_int(out, bits(usage.objects));
  put_int(out, bits(usage.object_bytes));
  put_int(out, bits(usage.uploads));
  put_int(out, bits(usage.part_bytes));
  put_int(out, usage.changes);
  return seal(out);
}

void UsageTable::put(IndexBatch& batch, const BucketUsage& usage) {
  const std::string name = record_name(usage.bucket);
  if (counts_nothing(usage)) {
    batch.erase(Column::system, name);
    return;
  }
  const std::string encoded = encode(usage);
  const std::string_view part = encoded;
  batch.put(Column::system, name, std::span<const std::string_view>(&part, 1));
}

Result<UsageTable::Map> UsageTable::read(MetaIndex& index) {
  Map buckets;
  const auto cursor = index.scan(Column::system, kUsageRecords, after_prefix(kUsageRecords));
  for (cursor->seek(kUsageRecords); cursor->valid(); cursor->next()) {
    TRY(usage, decode(cursor->key(), cursor->value()));
    buckets[usage.bucket] = usage;
  }
  TRY_VOID(cursor->status());
  return buckets;
}

Result<UsageTable::Map> UsageTable::count(MetaIndex& index, std::int64_t now_ms) {
  Map buckets;
  const auto cursor = index.scan(Column::rows, {}, {});
  for (cursor->seek({}); cursor->valid(); cursor->next()) {
    if (cursor->key().size() < kRowKeyHead) continue;
    const auto state = decode_key_row(cursor->value());
    if (!state) continue;  // whoever heals the row counts it
    const RowCount row = count_row(space_of(cursor->key()), *state);
    if (row == RowCount{}) continue;
    BucketUsage& usage = buckets[bucket_of(cursor->key())];
    usage.bucket = bucket_of(cursor->key());
    usage.changes = next_change(0, now_ms);
    add(usage, row, RowCount{});
  }
  TRY_VOID(cursor->status());
  return buckets;
}

Result<> UsageTable::load(MetaIndex& index, std::int64_t now_ms) {
  std::string counted;
  TRY(found, index.get(Column::system, kCounted, counted, Tier::all));
  Map buckets;
  if (found == Lookup::found) {
    TRY(kept, read(index));
    buckets = std::move(kept);
  } else {
    TRY(made, count(index, now_ms));
    buckets = std::move(made);
    const auto batch = index.make_batch();
    for (const auto& [bucket, usage] : buckets) put(*batch, usage);
    const std::string sealed = seal(std::string(1, static_cast<char>(kVersion)));
    const std::string_view part = sealed;
    batch->put(Column::system, kCounted, std::span<const std::string_view>(&part, 1));
    TRY_VOID(index.write(*batch, Sync::yes));
  }
  const std::lock_guard lock(mutex_);
  buckets_ = std::move(buckets);
  return {};
}

std::vector<BucketUsage> UsageTable::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<BucketUsage> out;
  out.reserve(buckets_.size());
  for (const auto& [bucket, usage] : buckets_) out.push_back(usage);
  return out;
}

BucketUsage UsageTable::of(BucketId bucket) const {
  const std::lock_guard lock(mutex_);
  const auto at = buckets_.find(bucket);
  if (at != buckets_.end()) return at->second;
  BucketUsage none;
  none.bucket = bucket;
  none.changes = last_emptied_;
  return none;
}

void UsageTable::set(const BucketUsage& usage) {
  const std::lock_guard lock(mutex_);
  if (counts_nothing(usage)) {
    buckets_.erase(usage.bucket);
    last_emptied_ = std::max(last_emptied_, usage.changes);
  } else {
    buckets_[usage.bucket] = usage;
  }
}

}  // namespace ostraka::disk
