#include "disk/row_read.h"

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

// False: not in memory.
bool read_inline(DriveCore& core, MetaIndex& index, const std::string& key, const ReadSpec& spec, Tier tier,
                 Held& held) {
  const KeyState& state = held.state;
  const VersionId id = spec.inline_of == kAnyVersion ? state.newest() : spec.inline_of;
  const HeldVersion* version = state.find(id);
  if (version == nullptr || !version->has_inline) return true;
  const auto found = index.get(Column::inline_data, inline_key(key, id), held.inline_shard, tier);
  if (found && *found == Lookup::not_in_memory) return false;
  Result<> good = found ? Result<>() : Result<>(fail(found.code(), found.error().detail));
  if (good && *found == Lookup::missing) good = fail(Errc::corrupt, "inline shard: missing");
  if (good) good = check_inline(held.inline_shard, id);
  if (good) return true;
  held.inline_shard.clear();
  core.note(good.code());
  log::warn("inline shard lost drive={} version={} reason=\"{}\"", core.path, to_string(id),
            good.error().detail);
  return true;
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
  held.group = group_of_key(core.groups.state(ref.group), held.state);
  if (spec.with_inline && !read_inline(core, *life.index, key, spec, tier, held)) return std::nullopt;
  return Result<Held>(std::move(held));
}

Result<std::vector<Result<Held>>> read_rows(DriveCore& core, OpenDrive& life,
                                            const std::vector<KeyRead>& reads) {
  std::vector<Result<Held>> out;
  out.reserve(reads.size());
  std::size_t bytes = 0;
  for (const KeyRead& one : reads) {
    Result<Held> held = *read_row(core, life, one.ref, one.spec, Tier::all);
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
