#include "disk/scan.h"

#include <algorithm>
#include <cstring>

#include "disk/limits.h"
#include "disk/row_key.h"
#include "disk/wire.h"

namespace ostraka::disk {
namespace {

// Bytes that stay where they are, in chunks.
class Arena {
 public:
  std::string_view copy(std::string_view bytes) {
    if (bytes.size() > left_) grow(bytes.size());
    char* const at = next_;
    std::memcpy(at, bytes.data(), bytes.size());
    next_ += bytes.size();
    left_ -= bytes.size();
    used_ += bytes.size();
    return {at, bytes.size()};
  }
  std::size_t used() const { return used_; }

 private:
  void grow(std::size_t at_least) {
    left_ = std::max<std::size_t>(chunks_.empty() ? 8U << 10 : 128U << 10, at_least);
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(left_));
    next_ = chunks_.back().get();
  }
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* next_ = nullptr;
  std::size_t left_ = 0;
  std::size_t used_ = 0;
};

// Not: nothing held, or a tombstone that is known to be committed.
bool may_be_live(std::string_view row) {
  const auto state = decode_key_row(row);
  if (!state || state->refilling) return true;
  if (state->versions.empty()) return false;
  const HeldVersion& newest = state->versions.front();
  return !newest.tombstone || newest.id != state->final_id;
}

class RowScan {
 public:
  RowScan(MetaIndex& index, const ListSpec& spec, const GroupFilter* filter)
      : spec_(spec),
        filter_(filter),
        prefix_(row_key_prefix(spec.bucket, spec.space, spec.prefix)),
        arena_(std::make_shared<Arena>()),
        max_rows_(std::min(spec.max_rows, kMaxListRows)),
        max_looked_(spec.max_looked == 0 ? kMaxListLooked : std::min(spec.max_looked, kMaxListLooked)),
        cursor_(index.scan(Column::rows, prefix_, after_prefix(prefix_))) {}

  Result<ScannedPage> run() {
    begin();
    for (std::size_t looked = 0; looked < max_looked_ && cursor_->valid() &&
                                 out_.page.rows.size() < max_rows_ && arena_->used() < kMaxListBytes;
         ++looked)
      step();
    tell_next();
    TRY_VOID(cursor_->status());
    out_.page.end = !cursor_->valid();
    out_.page.storage = arena_;
    return std::move(out_);
  }

 private:
  void begin() {
    if (spec_.start.empty() && spec_.start_sub.empty() && !spec_.after_start) {
      cursor_->seek(prefix_);
      return;
    }
    const std::string start = row_key(spec_.bucket, spec_.space, spec_.start, spec_.start_sub);
    cursor_->seek(start);
    if (spec_.after_start && cursor_->valid() && cursor_->key() == start) cursor_->next();
  }

  void tell_next() {
    for (; cursor_->valid(); cursor_->next()) {
      key_.clear();
      const auto sub = split_row_key(cursor_->key(), key_);
      if (!sub) {
        ++out_.nameless_rows;
        continue;
      }
      out_.page.next_key = key_;
      out_.page.next_sub = *sub;
      return;
    }
  }

  void step() {
    key_.clear();
    const auto sub = split_row_key(cursor_->key(), key_);
    const std::string_view row = cursor_->value();
    if (!sub) {
      ++out_.nameless_rows;
      cursor_->next();
      return;
    }
    if (filter_ != nullptr && !filter_->groups[placement_group(filter_->deployment, spec_.bucket, key_)]) {
      cursor_->next();
      return;
    }
    if (!spec_.delimiter.empty()) {
      const std::size_t at = key_.find(spec_.delimiter, spec_.prefix.size());
      if (at != std::string::npos) {
        if (!may_be_live(row)) {
          cursor_->next();
          return;
        }
        take(*sub, row);
        key_.resize(at + spec_.delimiter.size());
        cursor_->seek(after_prefix(row_key_prefix(spec_.bucket, spec_.space, key_)));
        return;
      }
    }
    take(*sub, row);
    cursor_->next();
  }

  void take(std::string_view sub, std::string_view row) {
    ListRow& out = out_.page.rows.emplace_back();
    out.key = arena_->copy(key_);
    out.sub = arena_->copy(sub);
    out.row = arena_->copy(row);
  }

  const ListSpec& spec_;
  const GroupFilter* const filter_;
  const std::string prefix_;
  const std::shared_ptr<Arena> arena_;
  const std::size_t max_rows_, max_looked_;
  const std::unique_ptr<IndexCursor> cursor_;
  std::string key_;
  ScannedPage out_;
};

// Row and its names, copied. False: its key is none.
bool take_row(const IndexCursor& cursor, Arena& arena, std::string& scratch, ScannedRow& out) {
  scratch.clear();
  const auto sub = split_row_key(cursor.key(), scratch);
  if (!sub) return false;
  out.row_key = arena.copy(cursor.key());
  out.bucket = bucket_of(out.row_key);
  out.space = space_of(out.row_key);
  out.sub = out.row_key.substr(out.row_key.size() - sub->size());
  const std::string_view unescaped = out.row_key.substr(kRowKeyHead, scratch.size());
  out.key = unescaped == scratch ? unescaped : arena.copy(scratch);
  out.row = arena.copy(cursor.value());
  return true;
}

}  // namespace

Result<RowPage> scan_all_rows(MetaIndex& index, const RowScanSpec& spec) {
  const auto arena = std::make_shared<Arena>();
  const std::size_t max_rows = std::min(spec.max_rows, kMaxListRows);
  const auto cursor = index.scan(Column::rows, spec.after, spec.until);
  cursor->seek(spec.after);
  if (!spec.after.empty() && cursor->valid() && cursor->key() == spec.after) cursor->next();
  RowPage page;
  page.last = spec.after;
  std::string scratch;
  std::size_t looked_at = 0;
  for (; cursor->valid() && looked_at < max_rows && arena->used() < kMaxListBytes; cursor->next()) {
    ++looked_at;
    ScannedRow row;
    if (take_row(*cursor, *arena, scratch, row)) {
      page.rows.push_back(row);
    } else {
      ++page.nameless_rows;
    }
    page.last.assign(cursor->key());
  }
  TRY_VOID(cursor->status());
  page.end = !cursor->valid();
  page.storage = arena;
  return page;
}

Result<ScannedPage> scan_rows(MetaIndex& index, const ListSpec& spec, const GroupFilter* filter) {
  return RowScan(index, spec, filter).run();
}

}  // namespace ostraka::disk
