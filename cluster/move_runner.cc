#include "cluster/move_runner.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/log.h"
#include "cluster/limits.h"
#include "cluster/placement.h"
#include "cluster/shard_copy.h"

namespace ostraka::cluster {
namespace {

// Whether the table says so, which names the new drive for all groups of a move at once.
bool has_moved(const Placement& table, const MoveSpec& spec) {
  const auto& drives = table.group(spec.slots.front().group).drives;
  return std::find(drives.begin(), drives.end(), spec.from) == drives.end();
}

}  // namespace

Result<MoveDocument> MoveRunner::document(std::uint64_t* revision) const {
  const control::DocumentPtr now = deps_.control.get(kMovesDocument);
  if (revision != nullptr) *revision = now ? now->revision : 0;
  return now ? decode_moves(now->content) : Result<MoveDocument>(MoveDocument{});
}

Task<Result<>> MoveRunner::change(Ctx& ctx, Change change) {
  for (int tries = 0;; ++tries) {
    std::uint64_t revision = 0;
    CO_TRY(now, document(&revision));
    change(now);
    std::string json = encode_moves(now);
    auto putting = deps_.control.put(ctx, std::string(kMovesDocument), std::move(json), revision);
    const auto put = co_await std::move(putting);
    if (put) co_return Result<>();
    if (!put.failed_with(Errc::conflict) || tries == kPlacementPuts)
      co_return fail(put.code(), put.error().detail);
  }
}

// What clients have stored on the drive, shared out over its groups.
Task<std::uint64_t> MoveRunner::expected_bytes(Ctx& ctx, const MoveSpec& spec) {
  disk::Drive* const from = find_(spec.from);
  const control::DocumentPtr table = deps_.control.get(deps_.placement_document);
  if (from == nullptr || !table) co_return 0;
  auto asking = from->usage(ctx);
  const auto usage = co_await std::move(asking);
  const auto placement = Placement::from_json(deps_.deployment, table->content);
  if (!usage || !placement) co_return 0;
  std::int64_t bytes = 0;
  for (const disk::BucketUsage& bucket : *usage) bytes += bucket.object_bytes + bucket.part_bytes;
  std::uint64_t groups = 0;
  for (unsigned g = 0; g < kPlacementGroups; ++g) {
    const auto& drives = placement->group(static_cast<std::uint16_t>(g)).drives;
    groups += static_cast<std::uint64_t>(std::count(drives.begin(), drives.end(), spec.from));
  }
  if (groups == 0 || bytes <= 0) co_return 0;
  const double share = static_cast<double>(spec.slots.size()) / static_cast<double>(groups);
  co_return static_cast<std::uint64_t>(static_cast<double>(bytes) / deps_.data_shards * share);
}

Task<Result<std::size_t>> MoveRunner::add(Ctx& ctx, std::vector<SlotMove> slots, bool goes_on) {
  CO_TRY(before, document());
  std::vector<SlotMove> taken;
  std::vector<bool> moving(kPlacementGroups);
  for (const SlotMove& one : slots) {
    if (before.moves_group(one.group) || moving[one.group]) continue;
    moving[one.group] = true;
    taken.push_back(one);
  }
  if (taken.empty()) co_return std::size_t{0};
  const bool anew = before.moves.empty() && !goes_on;
  if (anew) {
    const std::lock_guard lock(mutex_);
    bytes_before_ = 0;
  }
  std::vector<MoveDocument::Move> moves;
  for (MoveSpec& spec : gather(taken, deps_.random)) {
    MoveDocument::Move& move = moves.emplace_back();
    auto asking = expected_bytes(ctx, spec);
    move.bytes = co_await std::move(asking);
    move.spec = std::move(spec);
  }
  std::size_t added = 0;
  const std::int64_t now_ms = deps_.clock.unix_ms();
  Change add_to = [&moves, &added, now_ms, anew](MoveDocument& now) {
    if (anew && now.moves.empty()) {
      now.slots_done = now.bytes_done = 0;
      now.since_ms = now_ms;
    }
    added = 0;
    for (const MoveDocument::Move& move : moves) {
      const auto busy = [&now](const MoveSpec::Slot& slot) { return now.moves_group(slot.group); };
      if (now.moves.size() >= kMaxMoves || std::any_of(move.spec.slots.begin(), move.spec.slots.end(), busy))
        continue;
      now.moves.push_back(move);
      added += move.spec.slots.size();
    }
  };
  auto changing = change(ctx, std::move(add_to));
  CO_TRY_VOID(co_await std::move(changing));
  co_return added;
}

Task<Result<>> MoveRunner::cancel(Ctx& ctx, Unwanted unwanted) {
  CO_TRY(before, document());
  std::erase_if(before.moves, [&unwanted](const MoveDocument::Move& move) {
    return move.giving_up || !unwanted(move.spec);
  });
  if (before.moves.empty()) co_return Result<>();
  // Read here and not kept: operators cancel on other threads than the one that carries out.
  const control::DocumentPtr document = deps_.control.get(deps_.placement_document);
  if (!document) co_return fail(Errc::unavailable, "there is no placement table");
  CO_TRY(table, Placement::from_json(deps_.deployment, document->content));
  std::set<Uuid> marked;
  for (const MoveDocument::Move& move : before.moves)
    if (!has_moved(table, move.spec)) marked.insert(move.spec.id);
  if (marked.empty()) co_return Result<>();
  Change give_up = [marked](MoveDocument& now) {
    for (MoveDocument::Move& move : now.moves)
      move.giving_up = move.giving_up || marked.contains(move.spec.id);
  };
  co_return co_await change(ctx, std::move(give_up));
}

Task<Result<>> MoveRunner::pause(Ctx& ctx, bool paused) {
  Change set = [paused](MoveDocument& now) { now.paused = paused; };
  return change(ctx, std::move(set));
}

// Somebody paused the moves or gave this one up, unless that has to wait for its hand-over.
std::function<bool()> MoveRunner::halt_of(const Uuid& move, std::uint64_t revision,
                                          std::shared_ptr<MoveFigures> figures,
                                          const std::function<bool()>& stop) const {
  return [this, move, figures = std::move(figures), &stop, seen = revision, halted = false]() mutable {
    if (stop()) return true;
    const control::DocumentPtr now = deps_.control.get(kMovesDocument);
    if (now && now->revision != seen) {
      seen = now->revision;
      const auto decoded = decode_moves(now->content);
      halted = decoded && (decoded->paused || decoded->is_given_up(move));
    }
    return halted && !figures->sealed.load(std::memory_order_relaxed);
  };
}

const Placement* MoveRunner::table() {
  const control::DocumentPtr document = deps_.control.get(deps_.placement_document);
  if (!document) return nullptr;
  if (table_revision_ != document->revision) {
    auto table = Placement::from_json(deps_.deployment, document->content);
    if (!table) return nullptr;
    table_ = std::move(*table);
    table_revision_ = document->revision;
  }
  return &*table_;
}

// Whether no drive answers for its groups: sealed, and still there as the table says.
Task<bool> MoveRunner::is_handing_over(Ctx& ctx, MoveSpec spec) {
  const Placement* const now = table();
  if (now == nullptr || has_moved(*now, spec)) co_return false;
  disk::Drive* const from = find_(spec.from);
  if (from == nullptr || from->moves() == nullptr || !from->online()) co_return false;
  Ctx brief = briefly(deps_.clock, ctx);
  auto asking = from->moves()->status(brief, spec.id);
  const auto status = co_await std::move(asking);
  if (!status) co_return false;
  co_return std::any_of(status->groups.begin(), status->groups.end(),
                        [](const auto& one) { return one.second == disk::GroupPlace::left; });
}

Task<std::size_t> MoveRunner::urgent_first(Ctx& ctx, std::vector<MoveDocument::Move>& moves) {
  std::vector<MoveDocument::Move> in_turn, others;
  for (MoveDocument::Move& move : moves) {
    auto asking = is_handing_over(ctx, move.spec);
    const bool handing_over = co_await std::move(asking);
    (handing_over ? in_turn : others).push_back(std::move(move));
  }
  const std::size_t urgent = in_turn.size();
  for (MoveDocument::Move& move : others) in_turn.push_back(std::move(move));
  moves = std::move(in_turn);
  co_return urgent;
}

// Whether the drive that takes has been away for long, while the groups answer nowhere.
Task<bool> MoveRunner::is_stranded(Ctx& ctx, MoveSpec spec, disk::Drive& to) {
  if (to.online()) co_return false;
  auto asking = is_handing_over(ctx, spec);
  const bool handing_over = co_await std::move(asking);
  if (!handing_over) co_return false;
  const TimePoint now = deps_.clock.now();
  if (!stranded_ || stranded_->first != spec.id) stranded_ = {spec.id, now};
  co_return now - stranded_->second >= kMoveStranded;
}

std::string MoveRunner::describe(const MoveDocument::Move& move) const {
  const auto name = [this](const DriveId& id) { return name_ ? name_(id) : to_string(id); };
  return fmt::format("{} groups from {} to {}{}", move.spec.slots.size(), name(move.spec.from),
                     name(move.spec.to), move.giving_up ? " (taken back)" : "");
}

Task<Result<bool>> MoveRunner::run(Ctx& ctx, std::uint64_t term, std::function<bool()> stop) {
  CO_TRY(decided, document());
  std::string problem;
  auto sorting = urgent_first(ctx, decided.moves);
  const std::size_t urgent = co_await std::move(sorting);
  for (std::size_t turn = 0; turn < decided.moves.size(); ++turn) {
    const MoveDocument::Move& planned = decided.moves[turn];
    left_sealed_ = false;
    if (stop()) co_return fail(Errc::closed, "told to stop");
    std::uint64_t revision = 0;
    CO_TRY(now, document(&revision));  // it may have been cancelled
    const auto at = std::find_if(now.moves.begin(), now.moves.end(), [&](const MoveDocument::Move& move) {
      return move.spec.id == planned.spec.id;
    });
    if (at == now.moves.end()) continue;
    MoveDocument::Move move = *at;
    if (now.paused && !move.giving_up) {
      auto asking = is_handing_over(ctx, move.spec);
      const bool handing_over = co_await std::move(asking);
      if (!handing_over) continue;
    }
    tell_now(describe(move));
    auto trying = try_one(ctx, term, std::move(move), revision, stop);
    const Result<Tried> ran = co_await std::move(trying);
    if (ran && *ran == Tried::over) continue;
    tell_now({});
    if (ran && (left_sealed_ || stop())) co_return fail(Errc::closed, "told to stop");
    if (ran) continue;  // paused, or given up
    problem = fmt::format("{}: {}", describe(planned), ran.error().detail);
    tell_problem(problem);
    left_sealed_ = left_sealed_ || turn < urgent;
    if (ran.failed_with(Errc::stale_epoch) || left_sealed_ || stop())
      co_return fail(ran.code(), ran.error().detail);
    log::warn("a move waits: {}", problem);
  }
  CO_TRY(left, document());
  tell_now({});
  tell_problem(std::move(problem));
  co_return left.moves.empty();
}

Task<Result<MoveRunner::Tried>> MoveRunner::try_one(Ctx& ctx, std::uint64_t term, MoveDocument::Move move,
                                                    std::uint64_t revision,
                                                    const std::function<bool()>& stop) {
  if (!move.giving_up) co_return co_await run_one(ctx, term, std::move(move), revision, stop);
  auto taking = take_back(ctx, term, std::move(move));
  CO_TRY_VOID(co_await std::move(taking));
  co_return Tried::over;
}

Task<Result<MoveRunner::Tried>> MoveRunner::run_one(Ctx& ctx, std::uint64_t term, MoveDocument::Move move,
                                                    std::uint64_t revision,
                                                    const std::function<bool()>& stop) {
  disk::Drive* const from = find_(move.spec.from);
  disk::Drive* const to = find_(move.spec.to);
  if (from == nullptr || to == nullptr) co_return fail(Errc::unavailable, "a drive of a move is not there");
  const auto figures = std::make_shared<MoveFigures>();
  {
    const std::lock_guard lock(mutex_);
    figures_ = figures;
    if (bytes_before_ == 0) began_ = deps_.clock.now();
  }
  bool halted = false;  // a connection that broke says `closed` as well
  std::function<bool()> asked = halt_of(move.spec.id, revision, figures, stop);
  const std::function<bool()> halt = [asked = std::move(asked), &halted] { return halted = asked(); };
  auto carrying = carry_out(deps_, ctx, move.spec, term, *from, *to, *figures, halt);
  const Result<MoveEnd> end = co_await std::move(carrying);
  {
    const std::lock_guard lock(mutex_);
    bytes_before_ += figures->bytes.load(std::memory_order_relaxed);
    figures_.reset();
  }
  if (!end) {
    left_sealed_ = figures->sealed.load(std::memory_order_relaxed);
    if (halted && end.failed_with(Errc::closed)) co_return Tried::halted;
    auto asking = is_stranded(ctx, move.spec, *to);
    const bool stranded = co_await std::move(asking);
    if (!stranded) co_return fail(end.code(), end.error().detail);
    left_sealed_ = false;
    log::warn("a drive went while groups were handed over to it, which are taken back: {}", describe(move));
  } else if (*end == MoveEnd::done) {
    auto ending = over(ctx, std::move(move), true);
    CO_TRY_VOID(co_await std::move(ending));
    co_return Tried::over;
  }
  Change mark = [id = move.spec.id](MoveDocument& now) {
    for (MoveDocument::Move& one : now.moves) one.giving_up = one.giving_up || one.spec.id == id;
  };
  auto marking = change(ctx, std::move(mark));  // first: from here on nobody carries it out any more
  CO_TRY_VOID(co_await std::move(marking));
  auto taking = take_back(ctx, term, std::move(move));
  CO_TRY_VOID(co_await std::move(taking));
  co_return Tried::over;
}

Task<Result<>> MoveRunner::take_back(Ctx& ctx, std::uint64_t term, MoveDocument::Move move) {
  disk::Drive* const from = find_(move.spec.from);
  disk::Drive* const to = find_(move.spec.to);
  if (from == nullptr || to == nullptr) co_return fail(Errc::unavailable, "a drive of a move is not there");
  auto giving_up = give_up(deps_, ctx, move.spec, term, *from, *to);
  const Result<> given_up = co_await std::move(giving_up);
  if (given_up) co_return co_await over(ctx, std::move(move), false);
  if (!given_up.failed_with(Errc::conflict)) co_return given_up;
  Change go_on = [id = move.spec.id](MoveDocument& now) {  // too late: it has moved, and is to be cleaned up
    for (MoveDocument::Move& one : now.moves) one.giving_up = one.giving_up && one.spec.id != id;
  };
  auto changing = change(ctx, std::move(go_on));
  CO_TRY_VOID(co_await std::move(changing));
  co_return fail(Errc::unavailable, "the groups have moved already");
}

Task<Result<>> MoveRunner::over(Ctx& ctx, MoveDocument::Move move, bool done) {
  Change remove = [move = std::move(move), done](MoveDocument& now) {
    const auto erased =
        std::erase_if(now.moves, [&](const MoveDocument::Move& one) { return one.spec.id == move.spec.id; });
    if (erased == 0 || !done) return;
    now.slots_done += move.spec.slots.size();
    now.bytes_done += move.bytes;
  };
  return change(ctx, std::move(remove));
}

void MoveRunner::tell_now(std::string now) {
  const std::lock_guard lock(mutex_);
  now_ = std::move(now);
}

void MoveRunner::tell_problem(std::string problem) {
  const std::lock_guard lock(mutex_);
  problem_ = std::move(problem);
}

MoveProgress MoveRunner::progress() const {
  MoveProgress out;
  if (const auto now = document()) {
    out.slots_done = now->slots_done;
    out.slots_left = now->slots_left();
    out.bytes_done = now->bytes_done;
    out.bytes_left = now->bytes_left();
    out.since_ms = now->since_ms;
    out.paused = now->paused;
  }
  const std::lock_guard lock(mutex_);
  out.now = now_;
  out.problem = problem_;
  std::uint64_t copied = bytes_before_;
  if (figures_) {
    if (figures_->sealed.load(std::memory_order_relaxed)) out.now += ", being handed over";
    const std::uint64_t bytes = std::min(figures_->bytes.load(std::memory_order_relaxed), out.bytes_left);
    copied += bytes;
    out.bytes_done += bytes;
    out.bytes_left -= bytes;
  }
  const std::chrono::duration<double> took = deps_.clock.now() - began_;
  if (copied > 0 && took.count() > 0) out.bytes_per_second = static_cast<double>(copied) / took.count();
  if (out.slots_left > 0 && out.bytes_per_second > 0)
    out.seconds_left = static_cast<std::int64_t>(static_cast<double>(out.bytes_left) / out.bytes_per_second);
  return out;
}

}  // namespace ostraka::cluster
