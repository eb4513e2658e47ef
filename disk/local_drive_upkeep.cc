// The calls of LocalDrive that healer and scanner make. Those that go through the whole index do it in many
// short jobs, so that the drive's threads stay free for requests.
#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "disk/local_drive.h"
#include "disk/orphans.h"
#include "disk/row_key.h"
#include "disk/row_read.h"
#include "disk/scan.h"

namespace ostraka::disk {
namespace {

// Counts the rows of a bucket.
class BucketCount {
 public:
  explicit BucketCount(BucketId bucket)
      : first_(row_key_prefix(bucket, KeySpace::object, {}).substr(0, kRowKeyHead - 1)), next_(first_) {
    usage.bucket = bucket;
  }
  // True: done.
  Result<bool> step(MetaIndex& index) {
    const auto cursor = index.scan(Column::rows, next_, after_prefix(first_));
    cursor->seek(next_);
    for (std::size_t rows = 0; cursor->valid() && rows < kScanStepRows; ++rows, cursor->next()) {
      if (cursor->key().size() < kRowKeyHead) continue;
      const auto state = decode_key_row(cursor->value());
      if (state) add(usage, count_row(space_of(cursor->key()), *state), RowCount{});
    }
    TRY_VOID(cursor->status());
    if (!cursor->valid()) return true;
    next_.assign(cursor->key());
    return false;
  }
  BucketUsage usage;

 private:
  const std::string first_;
  std::string next_;
};

}  // namespace

Task<Result<std::vector<GroupState>>> LocalDrive::groups(Ctx&) {
  CO_TRY_VOID(core_.use());
  co_return core_.groups.all();
}

Task<Result<RowPage>> LocalDrive::scan(Ctx& ctx, RowScanSpec spec) {
  const CallTimer timer(core_.metrics.list, core_.clock);
  if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core_.noted(core_.use()));
  auto scan = [spec = std::move(spec)](OpenDrive& drive) { return scan_all_rows(*drive.index, spec); };
  auto scanning = core_.run(std::move(life), ctx.deadline, std::move(scan), CallKind::upkeep);
  Result<RowPage> page = co_await std::move(scanning);
  if (page && page->nameless_rows > 0) core_.note(Errc::corrupt);
  co_return core_.noted(std::move(page));
}

Task<Result<std::vector<Result<Held>>>> LocalDrive::read_many(Ctx& ctx, std::vector<KeyRead> reads) {
  const CallTimer timer(core_.metrics.read_many, core_.clock);
  if (reads.size() > kMaxKeyReads) co_return fail(Errc::invalid_argument, "too many keys in one call");
  // Epochs of many groups are learnt in one batch: all but the last ride along.
  std::vector<const ObjectRef*> news;
  for (const KeyRead& one : reads) {
    CO_TRY_VOID(check_ref(one.ref));
    const bool first = news.empty() || news.back()->group != one.ref.group;
    if (first && knows_not(one.ref)) news.push_back(&one.ref);
  }
  for (std::size_t i = 0; i + 1 < news.size(); ++i) learn_epoch_lazily(*news[i]);
  if (!news.empty()) {
    auto learning = learn_epoch(ctx, *news.back());
    CO_TRY_VOID(co_await std::move(learning));
  }
  for (const KeyRead& one : reads) {
    if (!knows_not(one.ref)) continue;
    auto learning = learn_epoch(ctx, one.ref);
    CO_TRY_VOID(co_await std::move(learning));
  }
  if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core_.noted(core_.use()));
  auto look = [&core = core_, wanted = std::move(reads)](OpenDrive& drive) {
    return read_rows(core, drive, wanted);
  };
  auto looking = core_.run(std::move(life), ctx.deadline, std::move(look), CallKind::upkeep);
  Result<std::vector<Result<Held>>> answers = co_await std::move(looking);
  co_return core_.noted(std::move(answers));
}

Task<Result<std::vector<BucketUsage>>> LocalDrive::usage(Ctx&) {
  CO_TRY_VOID(core_.use());
  co_return core_.usage.all();
}

// nullopt: the bucket changed meanwhile.
Task<Result<std::optional<BucketUsage>>> LocalDrive::count_bucket(Ctx& ctx, BucketId bucket) {
  const std::uint64_t changes = core_.usage.of(bucket).changes;
  const auto count = std::make_shared<BucketCount>(bucket);
  for (bool done = false; !done;) {
    CO_TRY(life, core_.noted(core_.use()));
    auto job = [count](OpenDrive& drive) { return count->step(*drive.index); };
    auto running = core_.run(std::move(life), ctx.deadline, std::move(job), CallKind::upkeep);
    CO_TRY(ended, co_await std::move(running));
    done = ended;
    if (core_.usage.of(bucket).changes != changes) co_return std::nullopt;
  }
  count->usage.changes = changes;
  co_return std::optional<BucketUsage>(count->usage);
}

Task<Result<bool>> LocalDrive::recount_usage(Ctx& ctx, BucketId bucket) {
  for (int tries = 0; tries < kRecountTries; ++tries) {
    auto counting = count_bucket(ctx, bucket);
    CO_TRY(counted, co_await std::move(counting));
    if (!counted) continue;
    auto op = std::make_unique<DriveOp>();
    op->kind = OpKind::correct_usage;
    op->usage = *counted;
    auto submitting = submit(ctx, std::move(op));
    CO_TRY(answer, co_await std::move(submitting));
    if (answer.verdict != Verdict::ok) continue;
    if (answer.has) {
      log::error("usage of a bucket was wrong and is corrected drive={} bucket={} objects={} bytes={}",
                 core_.path, static_cast<std::uint64_t>(bucket), counted->objects, counted->object_bytes);
    }
    co_return answer.has;
  }
  co_return fail(Errc::unavailable, core_.path + ": the bucket changes faster than it can be counted");
}

Task<Result<>> LocalDrive::search_orphans(Ctx& ctx, std::shared_ptr<OrphanSearch> search) {
  for (bool begun = false;;) {
    CO_TRY(life, core_.noted(core_.use()));
    auto job = [search, life](OpenDrive&) { return search->step(life); };
    auto running = core_.run(life, ctx.deadline, std::move(job), CallKind::upkeep);
    CO_TRY(next, co_await std::move(running));
    if (!std::exchange(begun, true)) {
      // A batch that was being built when the search began may have named files unnoticed: it is written
      // first.
      auto nothing = std::make_unique<DriveOp>();
      nothing->kind = OpKind::take_orphans;
      auto waiting = submit(ctx, std::move(nothing));
      CO_TRY_VOID(co_await std::move(waiting));
    }
    if (next == OrphanSearch::Next::done) co_return Result<>();
    if (next == OrphanSearch::Next::step) continue;
    auto submitting = submit(ctx, search->make_change());
    CO_TRY(answer, co_await std::move(submitting));
    search->changed(std::move(answer));
  }
}

Task<Result<OrphanReport>> LocalDrive::find_orphans(Ctx& ctx, OrphanSpec spec) {
  const auto search = std::make_shared<OrphanSearch>(core_, spec);
  auto searching = search_orphans(ctx, search);
  const Result<> done = co_await std::move(searching);
  search->end();
  if (!done) co_return core_.noted(Result<OrphanReport>(fail(done.code(), done.error().detail)));
  co_return search->report();
}

}  // namespace ostraka::disk
