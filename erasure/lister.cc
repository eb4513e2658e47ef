#include "erasure/lister.h"

#include <algorithm>
#include <utility>

#include "erasure/drive_round.h"
#include "erasure/limits.h"
#include "erasure/quorum_read.h"

namespace ostraka::erasure {
namespace {

using disk::ListPage;
using disk::ListRow;
using disk::ListSpec;
using ListRound = DriveRound<Result<ListPage>>;

Task<Result<ListPage>> call_list(CorePtr core, unsigned slot, Ctx ctx, ListSpec spec) {
  co_return co_await core->drives[slot]->list(ctx, std::move(spec));
}

// The first key after all that start with `prefix`; empty when there is none.
std::string after_prefix(std::string prefix) {
  while (!prefix.empty() && static_cast<unsigned char>(prefix.back()) == 0xff) prefix.pop_back();
  if (!prefix.empty()) prefix.back() = static_cast<char>(static_cast<unsigned char>(prefix.back()) + 1);
  return prefix;
}

// One drive's scan.
struct Scan {
  unsigned slot = 0;
  ListPage page;
  std::size_t at = 0;
  bool fetched = false;

  bool has_row() const noexcept { return at < page.rows.size(); }
  const ListRow& row() const noexcept { return page.rows[at]; }
  bool dry() const noexcept { return !has_row() && (!fetched || !page.end); }
};

bool before(const ListRow& a, const ListRow& b) noexcept {
  return a.key != b.key ? a.key < b.key : a.sub < b.sub;
}

class Lister {
 public:
  Lister(CorePtr core, Ctx& ctx, ListSpec spec, KeyReader reader)
      : core_(std::move(core)), ctx_(ctx), spec_(std::move(spec)), reader_(std::move(reader)) {
    spares_ = core_->preference();
    std::reverse(spares_.begin(), spares_.end());  // the best is taken from the back
    wanted_ = spec_.max_rows;
    position_.start = spec_.start;
    position_.start_sub = spec_.start_sub;
    position_.after_start = spec_.after_start;
  }

  Task<Result<SetListPage>> run() {
    SetListPage out;
    while (scans_.size() < core_->read_quorum && !spares_.empty()) add_scan();
    std::size_t merged = 0;
    while (out.entries.size() < wanted_) {
      CO_TRY_VOID(co_await refill());
      const Scan* first = nullptr;
      for (const Scan& scan : scans_)
        if (scan.has_row() && (first == nullptr || before(scan.row(), first->row()))) first = &scan;
      if (first == nullptr) {
        out.end = true;
        co_return out;
      }
      const std::string prefix = common_prefix(first->row().key);
      if (prefix.empty()) {
        CO_TRY_VOID(co_await merge_key(out));
      } else {
        CO_TRY_VOID(co_await merge_prefix(out, prefix));
      }
      if (++merged % kListYieldKeys == 0) co_await boost::asio::post(ctx_.shard.executor(), kAwait);
      if (exhausted_) {
        out.end = true;
        co_return out;
      }
    }
    out.resume_key = out.entries.empty() ? spec_.start : out.entries.back().key;
    out.resume_sub = out.entries.empty() ? spec_.start_sub : out.entries.back().sub;
    out.resume_skips_prefix = !out.entries.empty() && out.entries.back().common_prefix;
    co_return out;
  }

 private:
  struct Position {
    std::string start, start_sub;
    bool after_start = false;
  };

  // The common prefix that the key belongs to; empty: none.
  std::string common_prefix(std::string_view key) const {
    if (spec_.delimiter.empty()) return {};
    const std::size_t found = key.find(spec_.delimiter, spec_.prefix.size());
    if (found == std::string_view::npos) return {};
    return std::string(key.substr(0, found + spec_.delimiter.size()));
  }

  void add_scan() {
    Scan scan;
    scan.slot = spares_.back();
    spares_.pop_back();
    scans_.push_back(std::move(scan));
  }

  ListSpec next_page() const {
    ListSpec spec = spec_;
    spec.start = position_.start;
    spec.start_sub = position_.start_sub;
    spec.after_start = position_.after_start;
    spec.max_rows = std::clamp<std::size_t>(wanted_, 1, kMaxListRows);
    return spec;
  }

  // Sees to it that every scan has a row or is at its end. A drive that fails or stalls is replaced by
  // another one.
  Task<Result<>> refill() {
    for (;;) {
      bool all_wet = true;
      for (const Scan& scan : scans_) all_wet = all_wet && !scan.dry();
      if (all_wet && scans_.size() >= core_->read_quorum) co_return Result<>();
      while (scans_.size() < core_->read_quorum && !spares_.empty()) add_scan();
      if (scans_.size() < core_->read_quorum) co_return fail(Errc::unavailable, "too few drives can list");
      if (core_->context.clock.now() >= ctx_.deadline) co_return fail(Errc::deadline, "listing");
      co_await fetch_pages();
    }
  }

  Task<> fetch_pages() {
    ListRound round(core_, ctx_, core_->size());
    for (const Scan& scan : scans_)
      if (scan.dry()) round.start(scan.slot, call_list(core_, scan.slot, ctx_, next_page()));
    const std::function<bool()> never = [] { return false; };
    // with nobody to take over, a slow drive is waited for as long as it takes
    TimePoint patience = ctx_.deadline;
    if (!spares_.empty())
      patience = std::min(patience, core_->context.clock.now() + core_->context.write_grace);
    co_await round.wait(patience, never);
    std::vector<Scan> kept;
    for (Scan& scan : scans_) {
      if (scan.dry()) {
        auto& answer = round.answers()[scan.slot];
        if (!answer || !*answer || (**answer).refilling) continue;
        scan.page = std::move(**answer);
        scan.at = 0;
        scan.fetched = true;
        if (scan.page.rows.empty()) scan.page.end = true;
      }
      kept.push_back(std::move(scan));
    }
    scans_ = std::move(kept);
  }

  // Takes the smallest key off all scans that have it.
  struct Candidate {
    std::string key, sub;
    std::shared_ptr<const disk::VersionRecord> record;  // when agreed, and not a tombstone
    bool agreed = false;
  };
  Candidate take_candidate() {
    const Scan* first = nullptr;
    for (const Scan& scan : scans_)
      if (scan.has_row() && (first == nullptr || before(scan.row(), first->row()))) first = &scan;
    Candidate out;
    out.key = std::string(first->row().key);
    out.sub = std::string(first->row().sub);
    const ListRow sample = first->row();
    disk::HeldVersion newest;
    VersionId final_id;
    std::size_t same = 0;
    for (Scan& scan : scans_) {
      if (!scan.has_row() || scan.row().key != sample.key || scan.row().sub != sample.sub) continue;
      auto state = disk::decode_key_row(scan.row().row);
      ++scan.at;
      if (!state || state->versions.empty() || state->refilling) continue;  // all drives decide
      final_id = std::max(final_id, state->final_id);
      if (same == 0 && newest.id.is_none()) newest = std::move(state->versions.front());
      if (state->newest() == newest.id) ++same;
    }
    position_.start = out.key;
    position_.start_sub = out.sub;
    position_.after_start = true;
    if (same < core_->read_quorum || final_id != newest.id) return out;
    if (newest.tombstone) {
      out.agreed = true;
      return out;
    }
    if (!newest.record) return out;
    auto record = disk::decode_version_record(as_bytes(*newest.record));
    if (!record) return out;
    out.agreed = true;
    out.record = std::make_shared<const disk::VersionRecord>(std::move(*record));
    return out;
  }

  // The candidate's record as all drives see it: null when the key is absent.
  Task<Result<std::shared_ptr<const disk::VersionRecord>>> decide(const Candidate& candidate) {
    if (candidate.agreed) co_return candidate.record;
    disk::ObjectRef ref;
    ref.bucket = spec_.bucket;
    ref.space = spec_.space;
    ref.key = candidate.key;
    ref.sub = candidate.sub;
    if (reader_) co_return co_await reader_(ctx_, std::move(ref));
    ref = core_->stamped(std::move(ref));
    CO_TRY(reading, co_await read_newest(core_, ctx_, ref, Want::metadata));
    if (reading.outcome == Outcome::unknown) co_return fail(Errc::unavailable, "a key cannot be decided");
    std::shared_ptr<const disk::VersionRecord> record;
    if (!reading.is_absent()) record = reading.record;
    co_return record;
  }

  Task<Result<>> merge_key(SetListPage& out) {
    Candidate candidate = take_candidate();
    CO_TRY(record, co_await decide(candidate));
    if (record == nullptr) co_return Result<>();
    ListEntry entry;
    entry.key = std::move(candidate.key);
    entry.sub = std::move(candidate.sub);
    entry.record = std::move(record);
    out.entries.push_back(std::move(entry));
    co_return Result<>();
  }

  // A common prefix counts when a live key is in it. Each scan has shown its first row of it and gone on
  // behind it, so when that key turns out to be absent, a listing of the prefix itself finds the next.
  Task<Result<>> merge_prefix(SetListPage& out, std::string prefix) {
    const Candidate candidate = take_candidate();
    CO_TRY(record, co_await decide(candidate));
    bool live = record != nullptr;
    if (!live) {
      ListSpec inside = spec_;
      inside.prefix = prefix;
      inside.delimiter.clear();
      inside.start = candidate.key;
      inside.start_sub = candidate.sub;
      inside.after_start = true;
      inside.max_rows = 1;
      CO_TRY(page, co_await list_keys(core_, ctx_, std::move(inside), reader_));
      live = !page.entries.empty();
    }
    for (Scan& scan : scans_)
      while (scan.has_row() && scan.row().key.starts_with(prefix)) ++scan.at;
    position_.start = after_prefix(prefix);
    position_.start_sub.clear();
    position_.after_start = false;
    exhausted_ = position_.start.empty();
    if (!live) co_return Result<>();
    ListEntry entry;
    entry.key = std::move(prefix);
    entry.common_prefix = true;
    out.entries.push_back(std::move(entry));
    co_return Result<>();
  }

  CorePtr core_;
  Ctx& ctx_;
  const ListSpec spec_;
  const KeyReader reader_;
  std::size_t wanted_ = 0;
  std::vector<Scan> scans_;
  std::vector<std::uint8_t> spares_;
  Position position_;  // all before it has been merged
  bool exhausted_ = false;
};

}  // namespace

Task<Result<SetListPage>> list_keys(CorePtr core, Ctx& ctx, disk::ListSpec spec, KeyReader reader) {
  SetListPage nothing;
  nothing.end = spec.max_rows == 0;
  if (spec.max_rows == 0) co_return nothing;
  Lister lister(core, ctx, std::move(spec), std::move(reader));
  co_return co_await lister.run();
}

}  // namespace ostraka::erasure
