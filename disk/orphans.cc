#include "disk/orphans.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "disk/row_key.h"

namespace ostraka::disk {
namespace {

// Of "<uuid>.<number>.new", or of "<uuid>.new" as older releases wrote it.
bool parse_leftover(std::string_view name, DataId& data) {
  if (!name.ends_with(kReplacementSuffix)) return false;
  name.remove_suffix(kReplacementSuffix.size());
  const std::size_t dot = name.find('.');
  if (dot != std::string_view::npos) {
    const std::string_view number = name.substr(dot + 1);
    if (number.empty() || number.find_first_not_of("0123456789") != std::string_view::npos) return false;
    name = name.substr(0, dot);
  }
  return parse_uuid(name, data);
}

// A cursor behind `after`.
std::unique_ptr<IndexCursor> go_on(MetaIndex& index, Column column, const std::string& after) {
  auto cursor = index.scan(column, after, {});
  cursor->seek(after);
  if (!after.empty() && cursor->valid() && cursor->key() == after) cursor->next();
  return cursor;
}

}  // namespace

void OrphanSearch::end() {
  if (!std::exchange(searching_, false)) return;
  if (phase_ == Phase::remove) core_.files->give_back(batch_);  // taken, and it did not come to removing them
  core_.files->end_search();
}

Result<OrphanSearch::Next> OrphanSearch::step(const std::shared_ptr<OpenDrive>& life) {
  if (phase_ != Phase::begin && life_.lock() != life)
    return fail(Errc::unavailable, core_.path + ": was away during the search for orphans");
  switch (phase_) {
    case Phase::begin:
      TRY_VOID(begin(life));
      break;
    case Phase::list:
      TRY_VOID(list_folders());
      break;
    case Phase::rows:
      TRY_VOID(read_rows(*life->index));
      break;
    case Phase::ages:
      TRY_VOID(look_at_ages());
      break;
    case Phase::take:
      return Next::change;
    case Phase::remove:
      remove_taken();
      break;
    case Phase::leftovers:
      TRY_VOID(look_at_leftovers());
      break;
    case Phase::inline_values:
      TRY_VOID(read_inline(*life->index));
      if (!inline_keys_.empty()) return Next::change;
      break;
    case Phase::done:
      return Next::done;
  }
  return Next::step;
}

Result<> OrphanSearch::begin(const std::shared_ptr<OpenDrive>& life) {
  if (!core_.files->begin_search())
    return fail(Errc::unavailable, core_.path + ": another search for orphans is under way");
  searching_ = true;
  life_ = life;
  phase_ = Phase::list;
  return {};
}

// As many folders as may be compared with the rows at a time.
Result<> OrphanSearch::list_folders() {
  TRY_VOID(list_folder(folder_));
  ++folder_;
  if (folder_ <= spec_.last && files_.size() < kOrphanFiles) return {};
  std::sort(files_.begin(), files_.end(), [](const File& a, const File& b) { return a.data < b.data; });
  last_row_.clear();
  doubtful_ = false;
  at_ = 0;
  phase_ = files_.empty() ? Phase::leftovers : Phase::rows;
  return {};
}

Result<> OrphanSearch::list_folder(unsigned first_byte) {
  auto names = core_.fs.list_dir(fmt::format("{}/data/{:02x}", core_.path, first_byte));
  if (names.failed_with(Errc::not_found)) return {};
  if (!names) return fail(names.code(), names.error().detail);
  for (const std::string& name : *names) {
    DataId data;
    const bool leftover = parse_leftover(name, data);
    if ((!leftover && !parse_uuid(name, data)) || data.bytes[0] != first_byte) continue;
    if (leftover) {
      leftovers_.push_back({data, name});
    } else {
      files_.push_back(File{.data = data});
    }
  }
  return {};
}

OrphanSearch::File* OrphanSearch::find(const DataId& data) {
  const auto at = std::lower_bound(files_.begin(), files_.end(), data,
                                   [](const File& file, const DataId& id) { return file.data < id; });
  return at != files_.end() && at->data == data ? &*at : nullptr;
}

Result<> OrphanSearch::read_rows(MetaIndex& index) {
  const auto cursor = go_on(index, Column::rows, last_row_);
  for (std::size_t rows = 0; cursor->valid() && rows < kScanStepRows; ++rows, cursor->next()) {
    last_row_.assign(cursor->key());
    mark_files_of(cursor->value());
  }
  TRY_VOID(cursor->status());
  if (cursor->valid()) return {};
  std::erase_if(files_, [](const File& file) { return file.named; });
  if (doubtful_ && spec_.remove && !files_.empty())
    log::warn("shard files that no row names are kept, since a row was lost and is not healed yet drive={}",
              core_.path);
  at_ = 0;
  phase_ = Phase::ages;
  return {};
}

void OrphanSearch::mark_files_of(std::string_view row) {
  const auto state = decode_key_row(row);
  if (!state) {
    std::string name;
    doubtful_ = doubtful_ || split_row_key(last_row_, name);  // otherwise no call ever leads to the row
    return;
  }
  doubtful_ = doubtful_ || state->refilling;  // it may be given the record that names the file
  for (const HeldVersion& version : state->versions) {
    if (!version.has_files) continue;
    const auto record = decode_version_record(as_bytes(*version.record));
    if (!record) {
      doubtful_ = true;
      continue;
    }
    for (const PartRecord& part : record->parts) {
      if (File* file = find(part.data)) file->named = true;
    }
  }
}

Result<std::optional<FileInfo>> OrphanSearch::old_file(const std::string& path) {
  const auto info = core_.fs.info(path);
  if (info.failed_with(Errc::not_found)) return std::optional<FileInfo>();
  if (!info) return fail(info.code(), info.error().detail);
  if (info->modified_ms >= spec_.older_than_ms) return std::optional<FileInfo>();
  return std::optional<FileInfo>(*info);
}

Result<> OrphanSearch::look_at_ages() {
  batch_.clear();
  for (; at_ < files_.size() && batch_.size() < kScanStepFiles; ++at_) {
    File& file = files_[at_];
    TRY(info, old_file(data_path(core_.path, file.data)));
    if (!info) continue;
    file.bytes = info->bytes;
    batch_.push_back(file.data);
    // A heal leaves what it has rebuilt to the next one when it cannot commit it; but that may never come.
    if (info->modified_ms < core_.clock.unix_ms() - kStagedForMs) core_.files->forget_staged(file.data);
  }
  if (batch_.empty()) {
    after_files();
  } else if (spec_.remove && !doubtful_) {
    phase_ = Phase::take;
  } else {
    return count_only();
  }
  return {};
}

void OrphanSearch::after_files() {
  files_.clear();
  at_ = 0;
  phase_ = Phase::leftovers;
}

Result<> OrphanSearch::count_only() {
  const auto orphans = core_.files->orphans(batch_, false);
  if (!orphans) return fail(Errc::overloaded, "too many commits during the search for orphans");
  for (const DataId& data : *orphans) found(data, false);
  return {};
}

void OrphanSearch::found(const DataId& data, bool removed) {
  if (spec_.remove && !removed) {
    ++report_.kept;
    return;
  }
  ++report_.files;
  if (const File* file = find(data)) report_.file_bytes += file->bytes;
  if (report_.some.size() < spec_.max) report_.some.push_back(data);
}

std::unique_ptr<DriveOp> OrphanSearch::make_change() {
  auto op = std::make_unique<DriveOp>();
  if (phase_ == Phase::take) {
    op->kind = OpKind::take_orphans;
    op->files = std::move(batch_);
  } else {
    op->kind = OpKind::drop_inline;
    op->inline_keys = std::move(inline_keys_);
  }
  return op;
}

void OrphanSearch::changed(OpAnswer answer) {
  if (phase_ == Phase::take) {
    batch_ = std::move(answer.orphans);
    phase_ = Phase::remove;
  } else {
    inline_keys_.clear();
    report_.inline_shards += answer.dropped;
    if (inline_ended_) phase_ = Phase::done;
  }
}

void OrphanSearch::remove_taken() {
  for (const DataId& data : batch_) {
    found(data, true);
    core_.remove_shard_file(data);
  }
  phase_ = Phase::ages;
}

Result<> OrphanSearch::look_at_leftovers() {
  for (std::size_t looked_at = 0; at_ < leftovers_.size() && looked_at < kScanStepFiles; ++looked_at, ++at_) {
    const auto& [data, name] = leftovers_[at_];
    const std::string path = data_folder(core_.path, data) + "/" + name;
    TRY(info, old_file(path));
    if (!info) continue;
    const auto remove = [&](const DataId&) {
      if (spec_.remove) static_cast<void>(core_.fs.remove(path));
    };
    if (!core_.files->remove_leftover(data, remove)) continue;
    ++report_.files;
    report_.file_bytes += info->bytes;
    if (report_.some.size() < spec_.max) report_.some.push_back(data);
  }
  if (at_ < leftovers_.size()) return {};
  leftovers_.clear();
  if (folder_ <= spec_.last) {
    phase_ = Phase::list;
  } else {
    phase_ = spec_.last == 0xff ? Phase::inline_values : Phase::done;
  }
  return {};
}

Result<> OrphanSearch::read_inline(MetaIndex& index) {
  const auto cursor = go_on(index, Column::inline_data, last_inline_);
  std::string row_key, row;
  KeyState state;
  bool readable = true;
  for (std::size_t values = 0; cursor->valid() && values < kScanStepInline; ++values, cursor->next()) {
    last_inline_.assign(cursor->key());
    const auto key = split_inline_key(last_inline_);
    if (!key) continue;
    if (key->row_key != row_key) {
      row_key.assign(key->row_key);
      TRY(lookup, index.get(Column::rows, row_key, row, Tier::all));
      Result<KeyState> decoded = lookup == Lookup::found ? decode_key_row(row) : Result<KeyState>(KeyState{});
      readable = decoded.has_value();
      if (readable) state = std::move(*decoded);
    }
    if (!readable) continue;  // it may name the value
    const HeldVersion* version = state.find(key->id);
    if (version != nullptr && version->has_inline) continue;
    if (spec_.remove) {
      inline_keys_.push_back(last_inline_);
    } else {
      ++report_.inline_shards;
    }
  }
  TRY_VOID(cursor->status());
  inline_ended_ = !cursor->valid();
  if (inline_ended_ && inline_keys_.empty()) phase_ = Phase::done;
  return {};
}

}  // namespace ostraka::disk
