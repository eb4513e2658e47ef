#include "tests/unit/erasure/memory_drive.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "disk/limits.h"
#include "disk/row_key.h"
#include "disk/row_rules.h"

namespace ostraka::erasure {

using disk::CommitAnswer;
using disk::CommitRequest;
using disk::FenceAnswer;
using disk::Held;
using disk::HeldVersion;
using disk::KeyState;
using disk::ObjectRef;
using disk::ReadSpec;
using disk::ShardHealth;
using disk::ShardReader;
using disk::ShardRef;
using disk::ShardWriter;
using disk::StageSpec;
using disk::Verdict;
using disk::VersionRecord;

class MemoryDrive::Writer final : public ShardWriter {
 public:
  Writer(MemoryDrive& drive, StageSpec spec)
      : drive_(drive), data_(spec.data), block_bytes_(spec.block_bytes), file_(std::make_shared<File>()) {
    file_->shard_index = spec.shard_index;
    drive_.files_.try_emplace(data_, file_);  // or it takes the other's place when it is finished
  }
  ~Writer() override {
    const auto file = drive_.files_.find(data_);
    if (!file_->finished && file != drive_.files_.end() && file->second == file_) drive_.files_.erase(file);
  }
  Task<Result<>> append(Ctx&, BufferChain blocks) override {
    if (!drive_.online_) co_return fail(Errc::unavailable, "offline");
    if (drive_.full_) co_return fail(Errc::no_space, "full");
    for (const Slice& block : blocks) {
      CHECK(block.bytes.size() <= block_bytes_ && block.bytes.size() % 64 == 0);
      file_->blocks.emplace_back(as_text(block.bytes));
      file_->corrupt.push_back(false);
    }
    co_return Result<>();
  }
  void cancel() noexcept override {}  // nothing waits here
  Task<Result<>> finish(Ctx&) override {
    if (!drive_.online_) co_return fail(Errc::unavailable, "offline");
    file_->finished = true;
    drive_.files_[data_] = file_;
    co_return Result<>();
  }

 private:
  MemoryDrive& drive_;
  const DataId data_;
  const std::uint32_t block_bytes_;
  const std::shared_ptr<File> file_;
};

class MemoryDrive::Reader final : public ShardReader {
 public:
  Reader(MemoryDrive& drive, std::shared_ptr<File> file) : drive_(drive), file_(std::move(file)) {}
  Task<Result<>> read_blocks(Ctx&, std::uint64_t first, std::vector<disk::BlockTarget> targets) override {
    ++drive_.block_reads;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const std::size_t block = first + i;
      if (block >= file_->blocks.size() || file_->blocks[block].size() != targets[i].bytes.size())
        co_return fail(Errc::corrupt, "block of another size");
      std::memcpy(targets[i].bytes.data(), file_->blocks[block].data(), targets[i].bytes.size());
      if (!file_->corrupt[block]) continue;
      targets[i].bytes[0] ^= 0xff;  // what a drive leaves behind when the checksum fails
      co_return fail(Errc::corrupt, "block fails its checksum");
    }
    co_return Result<>();
  }

 private:
  MemoryDrive& drive_;
  std::shared_ptr<File> file_;
};

MemoryDrive::MemoryDrive(Clock& clock, std::uint8_t number) : clock_(clock) {
  id_.bytes[0] = number;
}

MemoryDrive::~MemoryDrive() = default;

MemoryDrive::RowKey MemoryDrive::row_key(const ObjectRef& ref) {
  return {static_cast<std::uint64_t>(ref.bucket), static_cast<char>(ref.space), ref.key, ref.sub};
}

const KeyState* MemoryDrive::state(const ObjectRef& ref) const {
  const auto row = rows_.find(row_key(ref));
  return row == rows_.end() ? nullptr : &row->second;
}

void MemoryDrive::lose_inline(const ObjectRef& ref) {
  std::erase_if(inline_, [key = row_key(ref)](const auto& entry) { return entry.first.first == key; });
}

void MemoryDrive::lose_row(const ObjectRef& ref) {
  lose_inline(ref);
  rows_.erase(row_key(ref));
}

void MemoryDrive::damage_row(const ObjectRef& ref) {
  if (state(ref) == nullptr) return;
  rows_[row_key(ref)] = KeyState();
  lost_rows_.insert(row_key(ref));
}

std::string MemoryDrive::row_bytes(const RowKey& key) const {
  return lost_rows_.contains(key) ? "a row that fails its checksum" : disk::encode_key_row(rows_.at(key));
}

Result<> MemoryDrive::admit(const ObjectRef& ref, Epochs which) {
  if (!online_) return fail(Errc::unavailable, "offline");
  if (away_[ref.group]) return fail(Errc::unavailable, "the group is elsewhere");
  group_of_[row_key(ref)] = ref.group;
  disk::GroupState& state = group(ref);
  if (which == Epochs::current && !disk::epoch_is_current(state, ref.epoch)) return fail(Errc::stale_epoch);
  state.epoch = std::max(state.epoch, ref.epoch);
  if (row_lost(ref)) return fail(Errc::corrupt, "key row: checksum mismatch");
  return {};
}

Task<Result<disk::DriveInfo>> MemoryDrive::info(Ctx&) {
  disk::DriveInfo out;
  out.id = id_;
  out.online = online_;
  for (const auto& [name, value] : system_) out.heal_queue += name.starts_with(disk::kHealQueue) ? 1 : 0;
  out.heal_recorded = heal_recorded_;
  co_return out;
}

Task<Result<std::unique_ptr<ShardWriter>>> MemoryDrive::stage(Ctx&, StageSpec spec) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  if (full_) co_return fail(Errc::no_space, "full");
  std::unique_ptr<ShardWriter> writer = std::make_unique<Writer>(*this, spec);
  co_return writer;
}

Task<Result<>> MemoryDrive::discard(Ctx&, DataId data) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  if (!named(data)) files_.erase(data);
  co_return Result<>();
}

bool MemoryDrive::named(DataId data) const {
  for (const auto& [key, state] : rows_) {
    for (const HeldVersion& version : state.versions) {
      const auto record = disk::decode_version_record(as_bytes(*version.record));
      CHECK(record.has_value());
      for (const disk::PartRecord& part : record->parts)
        if (part.data == data) return true;
    }
  }
  return false;
}

bool MemoryDrive::staged(const ObjectRef& ref, const VersionRecord& record) const {
  for (const disk::PartRecord& part : record.parts) {
    if (part.data.is_nil()) continue;
    const auto file = files_.find(part.data);
    if (file != files_.end() && file->second->finished) continue;
    if (record.upload_id.empty() || !missed_part(ref, record, part)) return false;
  }
  return true;
}

// As in disk/op_batch.cc: the upload is open here, and this drive knows nothing of the part.
bool MemoryDrive::missed_part(ObjectRef ref, const VersionRecord& record,
                              const disk::PartRecord& part) const {
  ref.space = disk::KeySpace::part;
  ref.sub = disk::part_sub(record.upload_id, part.number);
  if (const KeyState* row = state(ref); row != nullptr && !row->versions.empty()) return false;
  ref.space = disk::KeySpace::upload;
  ref.sub = record.upload_id;
  const KeyState* upload = state(ref);
  return upload != nullptr && !upload->versions.empty() && !upload->versions.front().tombstone;
}

void MemoryDrive::clean_up(const RowKey& key, const disk::Dropped& dropped) {
  for (const HeldVersion& version : dropped.versions) {
    inline_.erase({key, version.id});
    const auto record = disk::decode_version_record(as_bytes(*version.record));
    CHECK(record.has_value());
    for (const disk::PartRecord& part : record->parts)
      if (!part.data.is_nil() && !named(part.data)) files_.erase(part.data);
  }
  const auto row = rows_.find(key);
  if (row != rows_.end() && row->second.empty() && !lost_rows_.contains(key)) rows_.erase(row);
}

Task<Result<CommitAnswer>> MemoryDrive::commit(Ctx&, ObjectRef ref, CommitRequest request) {
  const bool heals = request.mode == disk::CommitMode::heal;
  CO_TRY_VOID(admit(ref, heals ? Epochs::any : Epochs::current));
  const VersionRecord& record = *request.record;
  const bool frees =
      heals || record.kind == disk::RecordKind::tombstone || record.kind == disk::RecordKind::delete_marker;
  if (full_ && !frees) co_return fail(Errc::no_space, "full");
  CommitAnswer answer;
  const RowKey key = row_key(ref);
  if (!staged(ref, record)) {
    const auto row = rows_.find(key);
    if (row != rows_.end()) answer.newest = row->second.newest();
    co_return answer;
  }
  HeldVersion version;
  version.id = record.id;
  version.expect = record.expect;
  version.epoch = record.epoch;
  version.tombstone = record.kind == disk::RecordKind::tombstone;
  version.data_shards = record.data_shards;
  version.write_quorum = record.write_quorum;
  version.shard_index = request.shard_index;
  version.has_inline = record.inline_data && record.size > 0;
  version.has_files = !record.inline_data && record.size > 0;
  version.from_upload = ref.space == disk::KeySpace::object && !record.upload_id.empty();
  version.record = request.encoded;
  KeyState& state = rows_[key];
  const bool held_before = state.find(record.id) != nullptr && request.mode != disk::CommitMode::heal;
  switch (request.mode) {
    case disk::CommitMode::commit:
      answer.verdict = apply_commit(state, group_of_key(ref), version);
      break;
    case disk::CommitMode::roll_forward:
      answer.verdict = apply_roll_forward(state, group_of_key(ref), version);
      break;
    case disk::CommitMode::heal:
      answer.verdict = apply_heal(state, version);
      break;
  }
  if (answer.verdict == Verdict::ok && !held_before && version.has_inline) {
    inline_[{key, record.id}] = std::string(as_text(request.inline_shard.bytes));
    damaged_inline_.erase(key);
  }
  answer.newest = state.newest();
  answer.final_id = state.final_id;
  clean_up(key, {});
  if (answer.verdict != Verdict::ok || !request.retire) co_return answer;
  retire(ref, record.id);
  answer.final_id = std::max(answer.final_id, record.id);
  co_return answer;
}

Task<Result<FenceAnswer>> MemoryDrive::fence(Ctx&, ObjectRef ref, VersionId id) {
  CO_TRY_VOID(admit(ref, Epochs::current));
  const disk::FenceVerdict verdict = apply_fence(rows_[row_key(ref)], id);
  FenceAnswer answer;
  answer.has = verdict.has;
  answer.final_id = verdict.final_id;
  const disk::GroupState now = group_of_key(ref);
  if (now.refilling) answer.birth = now.birth;
  clean_up(row_key(ref), {});
  co_return answer;
}

Task<Result<Verdict>> MemoryDrive::withdraw(Ctx&, ObjectRef ref, VersionId id) {
  CO_TRY_VOID(admit(ref, Epochs::current));
  disk::Dropped dropped;
  const RowKey key = row_key(ref);
  const Verdict verdict = apply_withdraw(rows_[key], id, dropped);
  clean_up(key, dropped);
  co_return verdict;
}

void MemoryDrive::retire(ObjectRef ref, VersionId id) {
  if (!online_ || row_lost(ref)) return;
  disk::Dropped dropped;
  const RowKey key = row_key(ref);
  const Verdict verdict = apply_retire(rows_[key], id, clock_.unix_ms(), dropped);
  clean_up(key, dropped);
  const KeyState* left = state(ref);
  const HeldVersion* held = verdict == Verdict::ok && left != nullptr ? left->find(id) : nullptr;
  if (held == nullptr || !held->from_upload) return;
  const HeldVersion version = *held;
  end_upload(ref, version, *disk::decode_version_record(as_bytes(*version.record)));
}

// As in disk/op_batch.cc: the upload's row says that it has ended; those of the parts go, and the files of
// parts that the version does not name.
void MemoryDrive::end_upload(const ObjectRef& ref, const HeldVersion& held, const VersionRecord& completed) {
  for (auto row = rows_.begin(); row != rows_.end();) {
    const auto& [bucket, space, key, sub] = row->first;
    const bool of_key = bucket == static_cast<std::uint64_t>(ref.bucket) && key == ref.key;
    const bool upload = space == 'u' && sub == completed.upload_id;
    const bool part = space == 'p' && sub.starts_with(completed.upload_id);
    if (of_key && upload && !lost_rows_.contains(row->first))
      apply_upload_end(row->second, held, completed, clock_.unix_ms());
    const bool stays = upload && !row->second.empty() && !lost_rows_.contains(row->first);
    if (!of_key || (!upload && !part) || stays) {
      ++row;
      continue;
    }
    disk::Dropped dropped;
    dropped.versions = std::move(row->second.versions);
    const RowKey gone = row->first;
    row = rows_.erase(row);
    lost_rows_.erase(gone);
    clean_up(gone, dropped);
  }
}

Task<Result<Verdict>> MemoryDrive::purge(Ctx&, ObjectRef ref, VersionId id) {
  CO_TRY_VOID(admit(ref, Epochs::any));
  disk::Dropped dropped;
  const RowKey key = row_key(ref);
  const Verdict verdict = apply_purge(rows_[key], id, dropped);
  clean_up(key, dropped);
  co_return verdict;
}

Result<Held> MemoryDrive::held(const ObjectRef& ref, ReadSpec spec) {
  if (!online_) return fail(Errc::unavailable, "offline");
  if (away_[ref.group]) return fail(Errc::unavailable, "the group is elsewhere");
  ++reads;
  Held out;
  disk::GroupState& group_state = group(ref);
  group_state.epoch = std::max(group_state.epoch, ref.epoch);
  if (row_lost(ref)) return fail(Errc::corrupt, "key row: checksum mismatch");
  out.group = group_state;
  const RowKey key = row_key(ref);
  const auto row = rows_.find(key);
  if (row == rows_.end()) return out;
  out.state = row->second;
  out.group = disk::group_of_key(group_state, out.state);
  if (spec.with_inline) {
    const VersionId wanted = spec.inline_of == kAnyVersion ? out.state.newest() : spec.inline_of;
    const auto shard = inline_.find({key, wanted});
    if (shard != inline_.end() && !damaged_inline_.contains(key)) out.inline_shard = shard->second;
  }
  auto pins = std::make_shared<std::vector<std::shared_ptr<File>>>();
  for (const HeldVersion& version : out.state.versions) {
    const auto record = disk::decode_version_record(as_bytes(*version.record));
    for (const disk::PartRecord& part : record->parts) {
      const auto file = files_.find(part.data);
      if (file == files_.end()) continue;
      pins->push_back(file->second);
      pinned_[part.data] = file->second;
    }
  }
  out.pin = std::move(pins);
  return out;
}

Task<Result<Held>> MemoryDrive::read(Ctx&, ObjectRef ref, ReadSpec spec) {
  co_return held(ref, spec);
}

Task<Result<std::vector<Result<Held>>>> MemoryDrive::read_many(Ctx&, std::vector<disk::KeyRead> all) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  if (all.size() > disk::kMaxKeyReads) co_return fail(Errc::invalid_argument, "too many keys in one call");
  std::vector<Result<Held>> out;
  std::size_t bytes = 0;
  for (const disk::KeyRead& one : all) {
    Result<Held> answer = held(one.ref, one.spec);
    if (answer) bytes += answer->inline_shard.size();
    if (bytes > disk::kMaxKeyReadBytes && !out.empty()) break;
    out.push_back(std::move(answer));
  }
  co_return out;
}

std::optional<Result<Held>> MemoryDrive::try_read(const ObjectRef& ref, ReadSpec spec) {
  if (!memory_reads_) return std::nullopt;
  return held(ref, spec);
}

Task<Result<std::unique_ptr<ShardReader>>> MemoryDrive::open_shard(Ctx&, ShardRef ref) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  std::shared_ptr<File> file;
  if (const auto live = files_.find(ref.data); live != files_.end()) file = live->second;
  if (const auto kept = pinned_.find(ref.data); !file && kept != pinned_.end()) file = kept->second.lock();
  if (!file || !file->finished || file->shard_index != ref.shard_index)
    co_return fail(Errc::not_found, "no such file");
  const disk::StripeLayout layout{.data_shards = ref.data_shards, .part_bytes = ref.part_bytes};
  if (file->blocks.size() != layout.stripes()) co_return fail(Errc::corrupt, "a file of another size");
  std::unique_ptr<ShardReader> reader = std::make_unique<Reader>(*this, std::move(file));
  co_return reader;
}

void MemoryDrive::move_group(std::uint16_t group, MemoryDrive& to) {
  const auto here = [this, group](const RowKey& key) {
    const auto known = group_of_.find(key);
    return known != group_of_.end() && known->second == group;
  };
  for (const auto& [key, state] : rows_) {
    if (!here(key)) continue;
    to.rows_[key] = state;
    to.group_of_[key] = group;
    for (const HeldVersion& version : state.versions)
      if (const auto shard = inline_.find({key, version.id}); shard != inline_.end())
        to.inline_.insert_or_assign(shard->first, shard->second);
  }
  to.groups_[group] = groups_[group];
  std::erase_if(rows_, [&here](const auto& row) { return here(row.first); });
}

Task<Result<ShardHealth>> MemoryDrive::verify(Ctx&, ShardRef ref) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  ShardHealth health;
  if (const auto file = files_.find(ref.data); file != files_.end()) {
    health.present = true;
    health.blocks = file->second->blocks.size();
    for (std::size_t block = 0; block < file->second->corrupt.size(); ++block)
      if (file->second->corrupt[block]) health.corrupt_blocks.push_back(block);
  }
  co_return health;
}

Task<Result<bool>> MemoryDrive::recount_usage(Ctx&, BucketId) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  co_return false;  // usage() counts each time
}

Task<Result<disk::OrphanReport>> MemoryDrive::find_orphans(Ctx&, disk::OrphanSpec spec) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  disk::OrphanReport report;
  for (auto file = files_.begin(); file != files_.end();) {
    const std::uint8_t first = file->first.bytes[0];
    if (first < spec.first || first > spec.last || !file->second->finished || named(file->first)) {
      ++file;
      continue;
    }
    ++report.files;
    for (const std::string& block : file->second->blocks) report.file_bytes += block.size();
    if (report.some.size() < spec.max) report.some.push_back(file->first);
    file = spec.remove ? files_.erase(file) : std::next(file);
  }
  co_return report;
}

Task<Result<>> MemoryDrive::put_system(Ctx&, std::string name, std::string value) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  heal_recorded_ += name.starts_with(disk::kHealQueue) && !system_.contains(name) ? 1 : 0;
  system_[std::move(name)] = std::move(value);
  co_return Result<>();
}

Task<Result<>> MemoryDrive::erase_system(Ctx&, std::string name) {
  system_.erase(name);
  co_return Result<>();
}

Task<Result<std::vector<disk::Drive::SystemRecord>>> MemoryDrive::scan_system(Ctx& ctx, std::string prefix,
                                                                              std::size_t max) {
  auto scanning = scan_system_after(ctx, std::move(prefix), std::string(), max);
  Result<std::vector<SystemRecord>> out = co_await std::move(scanning);
  co_return out;
}

Task<Result<std::vector<disk::Drive::SystemRecord>>> MemoryDrive::scan_system_after(Ctx&, std::string prefix,
                                                                                    std::string after,
                                                                                    std::size_t max) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  ++system_scans;
  std::vector<SystemRecord> out;
  for (auto at = system_.upper_bound(after); at != system_.end() && out.size() < max; ++at)
    if (at->first.starts_with(prefix)) out.push_back({at->first, at->second});
  co_return out;
}

Task<Result<>> MemoryDrive::erase_system_if(Ctx&, std::string name, std::string value) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  const auto found = system_.find(name);
  if (found == system_.end()) co_return Result<>();
  if (found->second != value) co_return fail(Errc::conflict, "another value");
  system_.erase(found);
  co_return Result<>();
}

void MemoryDrive::lose_everything(std::uint64_t birth, std::vector<std::uint16_t> groups) {
  rows_.clear();
  lost_rows_.clear();
  inline_.clear();
  damaged_inline_.clear();
  files_.clear();
  system_.clear();
  if (groups.empty())
    for (unsigned i = 0; i < kPlacementGroups; ++i) groups.push_back(static_cast<std::uint16_t>(i));
  for (const std::uint16_t lost : groups) {
    disk::GroupState& state = groups_[lost];
    state.epoch = std::max(state.epoch, birth);
    state.birth = birth;
    state.refilling = true;
  }
}

Task<Result<bool>> MemoryDrive::begin_anew(Ctx&, ObjectRef ref) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  const RowKey key = row_key(ref);
  if (!lost_rows_.contains(key)) co_return false;
  disk::GroupState& now = group(ref);
  auto begun = disk::begin_row(now, ref.epoch);
  if (!begun) co_return fail(Errc::stale_epoch);
  now.epoch = ref.epoch;
  lost_rows_.erase(key);
  rows_[key] = std::move(*begun);
  clean_up(key, {});
  co_return true;
}

Task<Result<Verdict>> MemoryDrive::readmit_key(Ctx&, ObjectRef ref, std::uint64_t birth) {
  CO_TRY_VOID(admit(ref, Epochs::any));
  const Verdict verdict = apply_readmit(rows_[row_key(ref)], birth, clock_.unix_ms());
  clean_up(row_key(ref), {});
  co_return verdict;
}

Task<Result<>> MemoryDrive::readmit(Ctx&, std::uint16_t group, std::uint64_t birth) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  if (groups_[group].birth == birth) groups_[group].refilling = false;
  co_return Result<>();
}

Task<Result<std::vector<disk::GroupState>>> MemoryDrive::groups(Ctx&) {
  if (!online_) co_return fail(Errc::unavailable, "offline");
  std::vector<disk::GroupState> out(kPlacementGroups);
  for (const auto& [group, state] : groups_) out[group] = state;
  co_return out;
}

}  // namespace ostraka::erasure
