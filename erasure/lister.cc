#include "erasure/lister.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "disk/row_key.h"
#include "erasure/commit_coordinator.h"
#include "erasure/drive_round.h"
#include "erasure/limits.h"

namespace ostraka::erasure {
namespace {

using disk::ListPage;
using disk::ListRow;
using disk::ListSpec;
using ListRound = DriveRound<Result<ListPage>, ListField>;

Task<Result<ListPage>> call_list(ListFieldPtr field, unsigned drive, Ctx ctx, ListSpec spec) {
  co_return co_await field->drives[drive]->list(ctx, std::move(spec));
}

// A place between the rows of a listing: before the row of this name and all behind it.
struct Place {
  std::string key, sub;
};
bool operator<(const Place& a, const Place& b) noexcept {
  return std::tie(a.key, a.sub) < std::tie(b.key, b.sub);
}

// One drive's scan.
struct Scan {
  unsigned drive = 0;
  GroupBits groups;  // that it was asked about; none: it is not needed any more
  ListPage page;
  std::size_t at = 0;
  Place next;  // unless page.end: it has been looked at up to here
  bool fetched = false;
  unsigned pages = 0;

  bool has_row() const noexcept { return at < page.rows.size(); }
  const ListRow& row() const noexcept { return page.rows[at]; }
  bool waits() const noexcept { return groups.any() && !has_row() && (!fetched || !page.end); }
  void forget() {
    page = ListPage();
    at = 0;
    fetched = false;
  }
};

// By key, then sub.
int order_of(const ListRow& a, const ListRow& b) noexcept {
  const int keys = a.key.compare(b.key);
  return keys != 0 ? keys : a.sub.compare(b.sub);
}

// So much of `rows` as falls to a share of the keys, with something to spare.
std::size_t part_of(std::size_t rows, const GroupBits& groups) noexcept {
  return rows * groups.count() * 5 / 4 / kPlacementGroups + kListSpareRows;
}

class Lister {
 public:
  Lister(ListFieldPtr field, Ctx& ctx, ListSpec spec, KeyReader reader)
      : field_(std::move(field)),
        ctx_(ctx),
        spec_(std::move(spec)),
        reader_(std::move(reader)),
        plan_(field_),
        place_{spec_.start, spec_.start_sub} {
    if (spec_.after_start) step_over(place_);
  }

  Task<Result<SetListPage>> run() {
    SetListPage out;
    std::size_t merged = 0;
    CO_TRY_VOID(follow_plan());
    while (out.entries.size() < spec_.max_rows) {
      found_ = out.entries.size();
      CO_TRY_VOID(co_await refill());
      if (order_.empty()) {
        out.end = true;
        co_return out;
      }
      const std::string prefix = common_prefix(scans_[order_.back()].row().key);
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
    out.resume_key = out.entries.back().key;
    out.resume_sub = out.entries.back().sub;
    out.resume_skips_prefix = out.entries.back().common_prefix;
    co_return out;
  }

 private:
  static void step_over(Place& row) { row.sub.push_back('\0'); }

  // The common prefix that the key belongs to; empty: none.
  std::string common_prefix(std::string_view key) const {
    if (spec_.delimiter.empty()) return {};
    const std::size_t found = key.find(spec_.delimiter, spec_.prefix.size());
    if (found == std::string_view::npos) return {};
    return std::string(key.substr(0, found + spec_.delimiter.size()));
  }

  // --- scans in the order of their rows, the least one last
  void put_in_order(std::uint32_t scan) {
    const auto later = [this](std::uint32_t a, std::uint32_t b) {
      return order_of(scans_[a].row(), scans_[b].row()) > 0;
    };
    order_.insert(std::upper_bound(order_.begin(), order_.end(), scan, later), scan);
  }
  void take_out_of_order(std::uint32_t scan) { std::erase(order_, scan); }

  // Asks the drives that the plan names about the groups that it names.
  Result<> follow_plan() {
    if (!plan_.fill()) return fail(Errc::unavailable, "too few drives can list");
    std::vector<bool> known(field_->drives.size());
    all_alike_ = true;
    for (std::uint32_t i = 0; i < scans_.size(); ++i) {
      Scan& scan = scans_[i];
      known[scan.drive] = true;
      const GroupBits& asked = plan_.asked(scan.drive);
      // What it has told about others is still good, but rows of these may be missing from it.
      if ((asked & ~scan.groups).any() || asked.none()) {
        if (scan.has_row()) take_out_of_order(i);
        scan.forget();
      }
      scan.groups = asked;
      all_alike_ = all_alike_ && (asked.none() || asked == field_->groups);
    }
    for (unsigned drive = 0; drive < known.size(); ++drive) {
      const GroupBits& asked = plan_.asked(drive);
      if (known[drive] || asked.none()) continue;
      Scan& scan = scans_.emplace_back();
      scan.drive = drive;
      scan.groups = asked;
      all_alike_ = all_alike_ && asked == field_->groups;
    }
    return {};
  }

  ListSpec next_page(const Scan& scan) const {
    ListSpec spec = spec_;
    const Place& from = scan.fetched ? std::max(place_, scan.next) : place_;
    spec.start = from.key;
    spec.start_sub = from.sub;
    spec.after_start = false;
    const unsigned more = std::min(scan.pages, kListMostDoublings);
    std::size_t wanted = spec_.max_rows - found_;
    if (scan.pages > 0) wanted = std::max(wanted, kListSpareRows << more);
    wanted = std::min(wanted, kMaxListRows);
    spec.max_rows = wanted;
    spec.max_looked = 0;
    spec.groups.reset();
    if (!scan.groups.all()) spec.groups = scan.groups;
    if (scan.groups == field_->groups) return spec;
    // Each drive has a part of the keys, so about as many of its rows go as far as the others' do.
    spec.max_rows = std::min(wanted, part_of(wanted, scan.groups) << more);
    spec.max_looked = part_of(wanted, field_->holds[scan.drive]) << more;
    return spec;
  }

  // Whether the merge has to hear more of it before it can go on.
  bool dry(const Scan& scan) const {
    if (!scan.waits()) return false;
    if (order_.empty() || !scan.fetched) return true;
    const ListRow& least = scans_[order_.back()].row();
    return std::tie(scan.next.key, scan.next.sub) <= std::tie(least.key, least.sub);
  }

  // Sees to it that every scan has a row, has been looked at behind the least one of them, or is at its end.
  // A drive that fails, stalls or cannot tell about some groups is replaced by others.
  Task<Result<>> refill() {
    for (;;) {
      std::vector<std::uint32_t> thirsty;
      for (std::uint32_t i = 0; i < scans_.size(); ++i)
        if (dry(scans_[i])) thirsty.push_back(i);
      if (thirsty.empty()) co_return Result<>();
      if (field_->context.clock.now() >= ctx_.deadline) co_return fail(Errc::deadline, "listing");
      CO_TRY_VOID(co_await fetch_pages(std::move(thirsty)));
    }
  }

  Task<Result<>> fetch_pages(std::vector<std::uint32_t> dry_scans) {
    ListRound round(field_, ctx_, field_->drives.size());
    for (const std::uint32_t i : dry_scans) {
      const Scan& scan = scans_[i];
      round.start(scan.drive, call_list(field_, scan.drive, ctx_, next_page(scan)));
    }
    const std::function<bool()> never = [] { return false; };
    const TimePoint patience =
        std::min(ctx_.deadline, field_->context.clock.now() + field_->context.write_grace);
    const bool all_here = co_await round.wait(patience, never);
    // with nobody to take over, a slow drive is waited for as long as it takes
    if (!all_here && !others_can_take_over(round, dry_scans)) co_await round.wait(ctx_.deadline, never);
    bool as_planned = true;
    for (const std::uint32_t i : dry_scans) {
      auto& answer = round.answers()[scans_[i].drive];
      const bool good = answer && *answer && take_page(i, std::move(**answer));
      if (!good) plan_.leave_out(scans_[i].drive);
      as_planned = as_planned && plan_.asked(scans_[i].drive) == scans_[i].groups;
    }
    if (!as_planned) co_return follow_plan();
    co_return Result<>();
  }

  bool others_can_take_over(const ListRound& round, const std::vector<std::uint32_t>& asked) const {
    ListPlan without = plan_;
    for (const std::uint32_t i : asked)
      if (round.out(scans_[i].drive)) without.leave_out(scans_[i].drive);
    return without.fill();
  }

  // False: it does not get on.
  bool take_page(std::uint32_t i, ListPage page) {
    Scan& scan = scans_[i];
    if ((page.silent & scan.groups).any()) plan_.leave_out(scan.drive, page.silent & scan.groups);
    Place next{std::move(page.next_key), std::move(page.next_sub)};
    if (!page.end && next.key.empty()) {
      if (page.rows.empty()) return false;
      next.key = page.rows.back().key;
      next.sub = page.rows.back().sub;
      step_over(next);
    }
    const Place& before = scan.fetched ? std::max(place_, scan.next) : place_;
    if (!page.end && !(before < next)) return false;
    scan.next = std::move(next);
    scan.page = std::move(page);
    scan.at = 0;
    scan.fetched = true;
    ++scan.pages;
    if (scan.has_row()) put_in_order(i);
    return true;
  }

  struct Candidate {
    std::string key, sub;
    std::shared_ptr<const disk::VersionRecord> record;  // when agreed, and not a tombstone
    bool agreed = false;
    bool told = false;  // by a drive that was asked about it
  };
  // Takes the least key off all scans that have it.
  Candidate take_candidate() {
    const ListRow sample = scans_[order_.back()].row();
    Candidate out;
    out.key = std::string(sample.key);
    out.sub = std::string(sample.sub);
    const std::uint16_t group = all_alike_ ? 0 : field_->group_of(spec_.bucket, sample.key);
    disk::HeldVersion newest;
    VersionId final_id;
    std::size_t same = 0;
    std::size_t first = order_.size() - 1;
    while (first > 0 && order_of(scans_[order_[first - 1]].row(), sample) == 0) --first;
    taken_.assign(order_.begin() + static_cast<std::ptrdiff_t>(first), order_.end());
    order_.resize(first);
    for (const std::uint32_t i : taken_) {
      Scan& scan = scans_[i];
      const std::string_view row = scan.row().row;
      ++scan.at;
      if (!all_alike_ && !scan.groups[group]) continue;  // another drive was asked about it
      out.told = true;
      auto state = disk::decode_key_row(row);
      if (!state || state->versions.empty() || state->refilling) continue;  // all drives decide
      final_id = std::max(final_id, state->final_id);
      if (same == 0 && newest.id.is_none()) newest = std::move(state->versions.front());
      if (state->newest() == newest.id) ++same;
    }
    for (const std::uint32_t i : taken_)
      if (scans_[i].has_row()) put_in_order(i);
    place_.key = out.key;
    place_.sub = out.sub;
    step_over(place_);
    if (same < field_->read_quorum || final_id != newest.id) return out;
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
    if (candidate.agreed || !candidate.told) co_return candidate.record;
    disk::ObjectRef ref;
    ref.bucket = spec_.bucket;
    ref.space = spec_.space;
    ref.key = candidate.key;
    ref.sub = candidate.sub;
    co_return co_await reader_(ctx_, std::move(ref));
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
      CO_TRY(page, co_await list_keys(field_, ctx_, std::move(inside), reader_));
      live = !page.entries.empty();
    }
    skip(prefix);
    if (!live) co_return Result<>();
    ListEntry entry;
    entry.key = std::move(prefix);
    entry.common_prefix = true;
    out.entries.push_back(std::move(entry));
    co_return Result<>();
  }

  // Goes on behind all keys of the prefix.
  void skip(const std::string& prefix) {
    while (!order_.empty() && scans_[order_.back()].row().key.starts_with(prefix)) {
      const std::uint32_t i = order_.back();
      order_.pop_back();
      Scan& scan = scans_[i];
      while (scan.has_row() && scan.row().key.starts_with(prefix)) ++scan.at;
      if (scan.has_row()) put_in_order(i);
    }
    place_.key = disk::after_prefix(prefix);
    place_.sub.clear();
    exhausted_ = place_.key.empty();
  }

  const ListFieldPtr field_;
  Ctx& ctx_;
  const ListSpec spec_;
  const KeyReader reader_;
  ListPlan plan_;
  std::vector<Scan> scans_;
  std::vector<std::uint32_t> order_;  // scans that have a row, the least row last
  std::vector<std::uint32_t> taken_;
  Place place_;             // all before it has been merged
  std::size_t found_ = 0;   // entries
  bool all_alike_ = false;  // every scan is of all groups
  bool exhausted_ = false;
};

}  // namespace

Task<Result<SetListPage>> list_keys(ListFieldPtr field, Ctx& ctx, disk::ListSpec spec, KeyReader reader) {
  SetListPage nothing;
  nothing.end = spec.max_rows == 0;
  if (spec.max_rows == 0) co_return nothing;
  purge_due_tombstones(field->some, ctx);
  Lister lister(std::move(field), ctx, std::move(spec), std::move(reader));
  co_return co_await lister.run();
}

}  // namespace ostraka::erasure
