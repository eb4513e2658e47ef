#include "disk/row_read.h"

#include <algorithm>

#include "base/log.h"
#include "disk/inline_value.h"
#include "disk/limits.h"
#include "disk/row_key.h"

namespace ostraka::disk {
namespace {

constexpr int kPinTries = 3;

struct RowLook {
  bool in_memory = true;
  Result<> done;
};

RowLook look(MetaIndex& index, const std::string& key, Tier tier, KeyState& state) {
  thread_local std::string value;  // keeps its capacity
  const auto found = index.get(Column::rows, key, value, tier);
  if (!found) return {true, fail(found.code(), found.error().detail)};
  if (*found == Lookup::not_in_memory) return {false, {}};
  if (*found == Lookup::missing) {
    state = KeyState{};
    return {};
  }
  auto decoded = decode_key_row(value);
  if (!decoded) return {true, fail(decoded.code(), decoded.error().detail)};
  state = std::move(*decoded);
  return {};
}

std::vector<VersionId> owners_of_files(const KeyState& state) {
  std::vector<VersionId> owners;
  for (const HeldVersion& version : state.versions) {
    if (version.has_files) owners.push_back(version.id);
  }
  return owners;
}

enum class InlineShard : std::uint8_t { fine, lost, not_in_memory };  // fine: or there is none

InlineShard read_inline(MetaIndex& index, const std::string& key, const ReadSpec& spec, Tier tier, Held& held,
                        Error& why_lost) {
  const KeyState& state = held.state;
  const VersionId id = spec.inline_of == kAnyVersion ? state.newest() : spec.inline_of;
  const HeldVersion* version = state.find(id);
  if (version == nullptr || !version->has_inline) return InlineShard::fine;
  const auto found = index.get(Column::inline_data, inline_key(key, id), held.inline_shard, tier);
  if (found && *found == Lookup::not_in_memory) return InlineShard::not_in_memory;
  Result<> good = found ? Result<>() : Result<>(fail(found.code(), found.error().detail));
  if (good && *found == Lookup::missing) good = fail(Errc::corrupt, "inline shard: missing");
  if (good) good = check_inline(held.inline_shard, id);
  if (good) return InlineShard::fine;
  held.inline_shard.clear();
  why_lost = good.error();
  return InlineShard::lost;
}

std::size_t bytes_of(const Held& held) {
  std::size_t bytes = held.inline_shard.size();
  for (const HeldVersion& version : held.state.versions)
    if (version.record) bytes += version.record->size();
  return bytes;
}

}  // namespace

std::optional<Result<Held>> read_row(DriveCore& core, OpenDrive& life, const ObjectRef& ref,
                                     const ReadSpec& spec, Tier tier) {
  const std::string key = row_key(ref);
  Held held;
  if (!core.places.serves(ref.group)) return Result<Held>(moved_away());
  // Before the row: a group that is full by now need not have been so when the row was read.
  const GroupState group = core.groups.state(ref.group);
  for (int tries = 0;; ++tries) {
    const std::uint64_t drops = core.files->drops();
    RowLook row = look(*life.index, key, tier, held.state);
    if (!row.in_memory) return std::nullopt;
    if (!row.done) return Result<Held>(fail(row.done.code(), core.path + ": " + row.done.error().detail));
    auto owners = owners_of_files(held.state);
    if (owners.empty()) break;
    held.pin = core.files->pin(std::move(owners));
    // Files that were given up between the look and the pin may be gone: look again. In the end the pin holds
    // for what is read next.
    if (core.files->drops() == drops) break;
    if (tries == kPinTries) {
      if (tier == Tier::memory) return std::nullopt;
      break;  // others' files are dropped all the time; if these were, opening them says so
    }
  }
  held.group = group_of_key(group, held.state);
  if (!spec.with_inline) return Result<Held>(std::move(held));
  Error why_lost;
  const InlineShard shard = read_inline(*life.index, key, spec, tier, held, why_lost);
  if (shard == InlineShard::not_in_memory) return std::nullopt;
  if (shard == InlineShard::lost) {
    core.note(why_lost.code);
    log::warn("inline shard lost drive={} key={} reason=\"{}\"", core.path, ref.key, why_lost.detail);
  }
  return Result<Held>(std::move(held));
}

namespace {

// Rows as they are when it is made, by one walk through the index: that takes a fraction of looking each of
// them up. What has changed meanwhile, or is not as it should be, is read by itself.
class RowsWalk {
 public:
  RowsWalk(DriveCore& core, OpenDrive& life, const std::vector<KeyRead>& reads)
      : core_(core), life_(life), reads_(reads), drops_(core.files->drops()) {
    for (const KeyRead& one : reads) {
      groups_.push_back(core.groups.state(one.ref.group));  // before the rows
      keys_.push_back(row_key(one.ref));
    }
    const auto [first, last] = std::minmax_element(keys_.begin(), keys_.end());
    cursor_ = life.index->scan(Column::rows, *first, *last + '\0');
  }

  Result<Held> read(std::size_t i) {
    const KeyRead& one = reads_[i];
    const std::string& key = keys_[i];
    Held held;
    if (!core_.places.serves(one.ref.group)) return moved_away();
    if (!walk_to(key)) return alone(one);
    if (cursor_->valid() && cursor_->key() == key) {
      auto state = decode_key_row(cursor_->value());
      if (!state) return alone(one);
      held.state = std::move(*state);
    }
    auto owners = owners_of_files(held.state);
    if (!owners.empty()) {
      held.pin = core_.files->pin(std::move(owners));
      if (core_.files->drops() != drops_) return alone(one);
    }
    held.group = group_of_key(groups_[i], held.state);
    Error why_lost;
    if (!one.spec.with_inline ||
        read_inline(*life_.index, key, one.spec, Tier::all, held, why_lost) == InlineShard::fine)
      return held;
    return alone(one);  // replaced since the walk began, or lost
  }

 private:
  Result<Held> alone(const KeyRead& one) { return *read_row(core_, life_, one.ref, one.spec, Tier::all); }
  // To the key, or the first behind it. False: it cannot be told.
  bool walk_to(std::string_view key) {
    const bool onwards = begun_ && key > last_;
    const bool near = onwards && cursor_->valid();
    if (near && cursor_->key() < key) cursor_->next();
    if (!onwards || (near && cursor_->valid() && cursor_->key() < key)) cursor_->seek(key);
    begun_ = true;
    last_ = key;
    return cursor_->status().has_value();
  }

  DriveCore& core_;
  OpenDrive& life_;
  const std::vector<KeyRead>& reads_;
  const std::uint64_t drops_;
  std::vector<GroupState> groups_;  // of the reads
  std::vector<std::string> keys_;   // the same
  std::unique_ptr<IndexCursor> cursor_;
  std::string last_;  // key
  bool begun_ = false;
};

}  // namespace

Result<std::vector<Result<Held>>> read_rows(DriveCore& core, OpenDrive& life,
                                            const std::vector<KeyRead>& reads) {
  std::vector<Result<Held>> out;
  if (reads.empty()) return out;
  out.reserve(reads.size());
  RowsWalk walk(core, life, reads);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < reads.size(); ++i) {
    Result<Held> held = walk.read(i);
    core.job_progress();
    if (!held) core.note(held.code());
    if (held) bytes += bytes_of(*held);
    if (bytes > kMaxKeyReadBytes && !out.empty()) break;
    out.push_back(std::move(held));
  }
  return out;
}

Result<> check_ref(const ObjectRef& ref) {
  if (ref.key.size() > kMaxKeyBytes || ref.sub.size() > kMaxSubBytes || ref.group >= kPlacementGroups) {
    return fail(Errc::invalid_argument, "key, sub or group out of bounds");
  }
  return {};
}

}  // namespace ostraka::disk
