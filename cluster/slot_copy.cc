#include "cluster/slot_copy.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "cluster/limits.h"
#include "cluster/shard_copy.h"

namespace ostraka::cluster {
namespace {

// The cursor that is kept with the rows: the pass is over, or the row key up to which it came.
constexpr char kInPass = 'r';
constexpr char kPassOver = 'c';

std::uint64_t bytes_of(const std::vector<disk::MovedRow>& rows) {
  std::uint64_t bytes = 0;
  for (const disk::MovedRow& row : rows) {
    bytes += row.row_key.size() + row.row.size();
    for (const disk::MovedRow::Inline& one : row.inline_values) bytes += one.value.size();
  }
  return bytes;
}

bool is_lost(const Result<>& copied) {
  return copied.failed_with(Errc::not_found) || copied.failed_with(Errc::corrupt);
}

}  // namespace

void SlotCopy::go_on(const disk::MoveTicket& gives, const disk::MoveTicket& takes, std::uint64_t step,
                     const std::string& cursor) {
  gives_ = gives;
  takes_ = takes;
  step_ = step;
  if (cursor.empty()) return;
  pass_over_ = cursor.front() == kPassOver;
  if (!pass_over_) after_ = cursor.substr(1);
}

Task<Result<>> SlotCopy::all_rows(Ctx& ctx) {
  while (!pass_over_) {
    if (stop_()) co_return fail(Errc::closed, "told to stop");
    Ctx brief = briefly(deps_.clock, ctx);
    auto reading = from_.moves()->read_rows(brief, gives_, after_);
    CO_TRY(page, co_await std::move(reading));
    figures_.rows_seen.fetch_add(page.looked_at, std::memory_order_relaxed);
    if (!page.end && page.last == after_) co_return fail(Errc::internal, "a page of rows that leads nowhere");
    after_ = std::move(page.last);
    pass_over_ = page.end;
    disk::MoveImport import;
    import.cursor = pass_over_ ? std::string(1, kPassOver) : kInPass + after_;
    import.rows = std::move(page.rows);
    if (import.rows.empty() && !pass_over_) continue;
    auto bringing = bring(ctx, std::move(import));
    CO_TRY_VOID(co_await std::move(bringing));
  }
  co_return Result<>();
}

Task<Result<>> SlotCopy::changes_until_few(Ctx& ctx) {
  for (int rounds = 0; rounds < kMoveRounds; ++rounds) {
    const std::uint64_t before = figures_.bytes.load(std::memory_order_relaxed);
    auto copying = one_round(ctx);
    CO_TRY(rows, co_await std::move(copying));
    const std::uint64_t bytes = figures_.bytes.load(std::memory_order_relaxed) - before;
    if (rows <= kMoveFewRows && bytes <= kMoveFewBytes) break;
  }
  co_return Result<>();
}

Task<Result<>> SlotCopy::last_changes(Ctx& ctx) {
  for (;;) {
    auto copying = one_round(ctx);
    CO_TRY(rows, co_await std::move(copying));
    if (rows == 0) co_return Result<>();
  }
}

// Changes are forgotten only when all that they were about is durable on the other drive.
Task<Result<std::size_t>> SlotCopy::one_round(Ctx& ctx) {
  std::size_t rows = 0;
  std::uint64_t through = 0;
  std::string after;
  for (bool end = false, first = true; !end; first = false) {
    if (stop_()) co_return fail(Errc::closed, "told to stop");
    Ctx brief = briefly(deps_.clock, ctx);
    auto reading = from_.moves()->read_changes(brief, gives_, after);
    CO_TRY(page, co_await std::move(reading));
    if (first) through = page.through;
    end = page.end;
    after = std::move(page.last);
    rows += page.rows.size();
    if (page.rows.empty()) continue;
    disk::MoveImport import;
    import.cursor = std::string(1, kPassOver);
    import.rows = std::move(page.rows);
    auto bringing = bring(ctx, std::move(import));
    CO_TRY_VOID(co_await std::move(bringing));
  }
  if (rows == 0) co_return rows;
  Ctx brief = briefly(deps_.clock, ctx);
  auto forgetting = from_.moves()->forget_changes(brief, gives_, through);
  CO_TRY_VOID(co_await std::move(forgetting));
  co_return rows;
}

Task<Result<>> SlotCopy::bring(Ctx& ctx, disk::MoveImport page) {
  const std::uint64_t bytes = bytes_of(page.rows);
  const std::size_t rows = page.rows.size();
  for (int tries = 0; tries < kMoveImports; ++tries) {
    page.step = ++step_;
    disk::MoveImport copy = page;
    Ctx brief = briefly(deps_.clock, ctx);
    auto importing = to_.moves()->import(brief, takes_, std::move(copy));
    const auto lacking = co_await std::move(importing);
    if (lacking && lacking->empty()) {
      figures_.rows.fetch_add(rows, std::memory_order_relaxed);
      figures_.bytes.fetch_add(bytes, std::memory_order_relaxed);
      co_await keep_pace(bytes);
      co_return Result<>();
    }
    if (!lacking) co_return fail(lacking.code(), lacking.error().detail);
    auto copying = copy_files(ctx, *lacking, page.without);
    CO_TRY_VOID(co_await std::move(copying));
  }
  co_return fail(Errc::unavailable, "shard files that were copied are asked for again and again");
}

Task<Result<bool>> SlotCopy::copy_files(Ctx& ctx, const std::vector<disk::ShardRef>& files,
                                        std::vector<DataId>& without) {
  for (const disk::ShardRef& ref : files) {
    if (stop_()) co_return fail(Errc::closed, "told to stop");
    auto copying = copy_file(ctx, ref);
    const Result<> copied = co_await std::move(copying);
    if (is_lost(copied)) {
      log::warn("a shard file cannot be moved, since it is lost drive={} data={} reason=\"{}\"",
                to_string(spec_.from), to_string(ref.data), copied.error().detail);
      figures_.lost_files.fetch_add(1, std::memory_order_relaxed);
      without.push_back(ref.data);
    } else if (!copied) {
      co_return fail(copied.code(), copied.error().detail);
    }
  }
  co_return true;
}

Task<Result<>> SlotCopy::copy_file(Ctx& ctx, disk::ShardRef ref) {
  ShardCopy copy{std::move(ref), from_, to_, deps_.clock};
  copy.between = [this](std::uint64_t bytes) { return rest(bytes); };
  auto copying = copy_shard(ctx, std::move(copy));
  const Result<> copied = co_await std::move(copying);
  if (copied) figures_.files.fetch_add(1, std::memory_order_relaxed);
  co_return copied;
}

Task<bool> SlotCopy::rest(std::uint64_t bytes) {
  figures_.bytes.fetch_add(bytes, std::memory_order_relaxed);
  co_await keep_pace(bytes);
  co_return !stop_();
}

Task<> SlotCopy::keep_pace(std::uint64_t bytes) {
  if (!deps_.keep_pace || figures_.sealed.load(std::memory_order_relaxed)) co_return;
  auto resting = deps_.keep_pace(bytes);
  co_await std::move(resting);
}

Task<Result<>> SlotCopy::system_records(Ctx& ctx) {
  if (!deps_.group_of_record) co_return Result<>();
  std::string after;
  for (;;) {
    auto scanning = from_.scan_system_after(ctx, deps_.moving_records, after, kMoveRecords);
    CO_TRY(records, co_await std::move(scanning));
    for (const disk::Drive::SystemRecord& record : records) {
      after = record.name;
      const auto group = deps_.group_of_record(record);
      const auto moves = [&](const MoveSpec::Slot& slot) { return slot.group == group; };
      if (!group || std::none_of(spec_.slots.begin(), spec_.slots.end(), moves)) continue;
      auto putting = to_.put_system(ctx, record.name, record.value);
      CO_TRY_VOID(co_await std::move(putting));
      auto erasing = from_.erase_system_if(ctx, record.name, record.value);
      const Result<> erased = co_await std::move(erasing);
      if (!erased && !erased.failed_with(Errc::conflict)) co_return erased;
    }
    if (records.size() < kMoveRecords) co_return Result<>();
  }
}

}  // namespace ostraka::cluster
