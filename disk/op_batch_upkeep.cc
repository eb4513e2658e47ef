// The changes of an OpBatch that concern the drive as a whole, and the count that every batch keeps.
#include <algorithm>

#include "disk/op_batch.h"
#include "disk/row_key.h"
#include "disk/row_rules.h"

namespace ostraka::disk {

Result<OpAnswer> OpBatch::readmit(DriveOp& op) {
  if (!serves(op.ref.group)) return moved_away();
  GroupState group = group_of(op.ref.group);
  if (!group.refilling) return OpAnswer{};
  if (group.birth != op.birth) {
    return fail(Errc::stale_epoch, "the group was emptied again, in epoch " + std::to_string(group.birth));
  }
  group.refilling = false;
  groups_[op.ref.group] = group;
  needs_sync_ = true;
  return OpAnswer{};
}

// The rules for an emptied drive, for one row. What it knew is of no newer epoch than the drive ever heard
// of; and what is remembered of a row is as good as what lies in the index.
Result<OpAnswer> OpBatch::begin_row(DriveOp& op) {
  if (!serves(op.ref.group)) return moved_away();
  OpAnswer answer;
  TRY(readable, p_.rows.readable(p_.index, op.row));
  needs_sync_ = true;
  if (readable) {
    TRY(row, p_.rows.load(p_.index, op.row));
    if (!row->second.state.empty()) changed(*row);
    return answer;
  }
  GroupState group = group_of(op.ref.group);
  auto begun = disk::begin_row(group, op.ref.epoch);
  if (!begun) {
    return fail(Errc::stale_epoch, "epoch " + std::to_string(op.ref.epoch) +
                                       ", what the row held may be as new: the drive knows " +
                                       std::to_string(group.epoch));
  }
  group.epoch = op.ref.epoch;
  groups_[op.ref.group] = group;
  Row* const row = p_.rows.begin_anew(op.row);
  row->second.state = std::move(*begun);
  changed(*row);
  answer.has = true;
  return answer;
}

BucketUsage& OpBatch::usage_of(BucketId bucket) {
  const auto at = usage_.find(bucket);
  if (at != usage_.end()) return at->second;
  BucketUsage usage = p_.usage.of(bucket);
  usage.changes = next_change(usage.changes, now_ms_);
  return usage_.emplace(bucket, usage).first->second;
}

void OpBatch::count_usage() {
  for (Row* row : dirty_) {
    const RowCount now = count_row(space_of(row->first), row->second.state);
    if (now == row->second.count) continue;
    add(usage_of(bucket_of(row->first)), now, row->second.count);
    row->second.count = now;
  }
  for (const auto& [bucket, usage] : usage_) UsageTable::put(p_.batch, usage);
}

// Taken only when nothing has changed since the count began: the rows that were counted are those that are
// there.
Result<OpAnswer> OpBatch::correct_usage(DriveOp& op) {
  OpAnswer answer;
  const BucketId bucket = op.usage.bucket;
  const auto of_bucket = [&](const Row* row) { return bucket_of(row->first) == bucket; };
  const bool changing = usage_.contains(bucket) || std::any_of(dirty_.begin(), dirty_.end(), of_bucket);
  const BucketUsage kept = p_.usage.of(bucket);
  if (changing || kept.changes != op.usage.changes) {
    answer.verdict = Verdict::refused;
    return answer;
  }
  answer.has = kept.objects != op.usage.objects || kept.object_bytes != op.usage.object_bytes ||
               kept.uploads != op.usage.uploads || kept.part_bytes != op.usage.part_bytes;
  if (!answer.has) return answer;
  BucketUsage& usage = usage_of(bucket);
  const std::uint64_t changes = usage.changes;
  usage = op.usage;
  usage.changes = changes;
  needs_sync_ = true;
  return answer;
}

Result<OpAnswer> OpBatch::take_orphans(DriveOp& op) {
  OpAnswer answer;
  auto orphans = p_.files.orphans(op.files, true);
  if (!orphans) return fail(Errc::overloaded, "too many commits during the search for orphans");
  orphans_.insert(orphans_.end(), orphans->begin(), orphans->end());
  answer.orphans = std::move(*orphans);
  return answer;
}

Result<OpAnswer> OpBatch::drop_inline(DriveOp& op) {
  OpAnswer answer;
  for (const std::string& key : op.inline_keys) {
    const auto parts = split_inline_key(key);
    if (!parts) continue;
    const auto state = p_.rows.peek(p_.index, std::string(parts->row_key));
    if (state.failed_with(Errc::corrupt)) continue;  // it may name the value
    if (!state) return fail(state.code(), state.error().detail);
    const HeldVersion* version = state->find(parts->id);
    if (version != nullptr && version->has_inline) continue;
    p_.batch.erase(Column::inline_data, key);
    ++answer.dropped;
    needs_sync_ = true;
  }
  return answer;
}

}  // namespace ostraka::disk
