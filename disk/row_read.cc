#include "disk/row_read.h"

#include <algorithm>

#include "base/log.h"
#include "disk/inline_value.h"
#include "disk/limits.h"
#include "disk/row_key.h"

namespace ostraka::disk {
namespace {

constexpr int kPinTries = 3;
constexpr std::size_t kKeysReadAtOnce = 32;  // as RocksDB does

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

// The version whose inline shard is asked for; none: nothing is to be read.
const HeldVersion* inline_version(const KeyState& state, const ReadSpec& spec) {
  if (!spec.with_inline) return nullptr;
  const HeldVersion* version = state.find(spec.inline_of == kAnyVersion ? state.newest() : spec.inline_of);
  return version != nullptr && version->has_inline ? version : nullptr;
}

InlineShard read_inline(MetaIndex& index, const std::string& key, const ReadSpec& spec, Tier tier, Held& held,
                        Error& why_lost) {
  const HeldVersion* version = inline_version(held.state, spec);
  if (version == nullptr) return InlineShard::fine;
  const VersionId id = version->id;
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

  // So many of them, from the i-th.
  std::vector<Result<Held>> read(std::size_t i, std::size_t count) {
    std::vector<Result<Held>> out;
    std::vector<std::size_t> with_inline;  // of out
    std::vector<std::string> keys;
    for (std::size_t at = 0; at < count; ++at) {
      out.push_back(read_state(i + at));
      const HeldVersion* version = out[at] ? inline_version(out[at]->state, reads_[i + at].spec) : nullptr;
      if (version == nullptr || !out[at]->inline_shard.empty()) continue;
      with_inline.push_back(at);
      keys.push_back(inline_key(keys_[i + at], version->id));
    }
    if (keys.empty()) return out;
    std::vector<IndexValue> values = life_.index->get_many(Column::inline_data, keys);
    for (std::size_t v = 0; v < values.size(); ++v) {
      const std::size_t at = with_inline[v];
      Held& held = *out[at];
      const VersionId id = inline_version(held.state, reads_[i + at].spec)->id;
      const bool found = values[v].found && *values[v].found == Lookup::found;
      if (found && check_inline(values[v].value, id))
        held.inline_shard = std::move(values[v].value);
      else
        out[at] = alone(reads_[i + at]);  // replaced since the walk began, or lost
    }
    return out;
  }

 private:
  // Without the inline shard, unless it is read by itself.
  Result<Held> read_state(std::size_t i) {
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
    return held;
  }
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
  while (out.size() < reads.size()) {
    std::vector<Result<Held>> some =
        walk.read(out.size(), std::min(kKeysReadAtOnce, reads.size() - out.size()));
    core.job_progress();
    for (Result<Held>& held : some) {
      if (!held) core.note(held.code());
      if (held) bytes += bytes_of(*held);
      if (bytes > kMaxKeyReadBytes && !out.empty()) return out;
      out.push_back(std::move(held));
    }
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
