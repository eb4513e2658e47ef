#include "disk/local_group_moves.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "base/placement_group.h"
#include "disk/found_files.h"
#include "disk/limits.h"
#include "disk/move_pages.h"
#include "disk/row_key.h"

namespace ostraka::disk {
namespace {

using Kind = MoveChange::Kind;

// A page of rows as the committer takes it, and the files that it names.
struct Arrival {
  MoveChange change;
  std::vector<std::pair<ShardRef, bool>> files;  // and whether it is lost on the other drive, too
  std::vector<DataId> data;                      // of the files
};

void add_files(const KeyState& state, const std::vector<DataId>& without, MoveChange::Row& row,
               Arrival& out) {
  for (const HeldVersion& version : state.versions) {
    if (!version.has_files) continue;
    const auto record = decode_version_record(as_bytes(*version.record));
    if (!record) continue;  // nobody can read it, here or there
    for (const PartRecord& part : record->parts) {
      if (part.data.is_nil()) continue;
      ShardRef ref;
      ref.data = part.data;
      ref.shard_index = version.shard_index;
      ref.part_bytes = part.size;
      ref.data_shards = record->data_shards;
      ref.parity_shards = record->parity_shards;
      const bool lost = std::find(without.begin(), without.end(), part.data) != without.end();
      out.files.emplace_back(ref, lost);
      row.files.push_back(part.data);
      out.data.push_back(part.data);
    }
  }
}

Result<Arrival> prepare(const DeploymentId& deployment, const MoveTicket& ticket, MoveImport&& page) {
  Arrival out;
  out.change.kind = Kind::import;
  out.change.ticket = ticket;
  out.change.step = page.step;
  out.change.cursor = std::move(page.cursor);
  for (MovedRow& moved : page.rows) {
    std::string key;
    if (!split_row_key(moved.row_key, key) || key.size() > kMaxKeyBytes)
      return fail(Errc::invalid_argument, "a row key that is none");
    MoveChange::Row& row = out.change.rows.emplace_back();
    row.group = placement_group(deployment, bucket_of(moved.row_key), key);
    row.key = std::move(moved.row_key);
    row.raw = std::move(moved.row);
    row.inline_values = std::move(moved.inline_values);
    if (row.raw.empty()) continue;
    auto state = decode_key_row(row.raw);
    if (state.failed_with(Errc::unsupported_version)) return fail(state.code(), state.error().detail);
    row.readable = state.has_value();
    if (!state) continue;
    row.state = std::move(*state);
    add_files(row.state, page.without, row, out);
  }
  return out;
}

// Walks through the index and collects the rows of some groups.
class GroupRows {
 public:
  GroupRows(const DeploymentId& deployment, const GroupBits& groups)
      : deployment_(deployment), groups_(groups) {}
  // Rows behind those of the step before. True: that was the last of them.
  Result<bool> step(MetaIndex& index) {
    rows.clear();
    const auto cursor = index.scan(Column::rows, after_, {});
    cursor->seek(after_);
    if (!after_.empty() && cursor->valid() && cursor->key() == after_) cursor->next();
    for (std::size_t seen = 0; cursor->valid() && seen < kScanStepRows; ++seen, cursor->next()) {
      after_.assign(cursor->key());
      key_.clear();
      if (!split_row_key(after_, key_)) continue;
      const std::uint16_t group = placement_group(deployment_, bucket_of(after_), key_);
      if (!groups_[group]) continue;
      MoveChange::Row& row = rows.emplace_back();
      row.key = after_;
      row.group = group;
    }
    TRY_VOID(cursor->status());
    return !cursor->valid();
  }
  std::vector<MoveChange::Row> rows;

 private:
  const DeploymentId& deployment_;
  const GroupBits groups_;
  std::string after_, key_;
};

}  // namespace

Task<Result<>> LocalGroupMoves::change(Ctx& ctx, MoveChange change) {
  auto op = std::make_unique<DriveOp>();
  op->kind = OpKind::move;
  op->move = std::make_shared<MoveChange>(std::move(change));
  auto submitting = submit_change(core_, committer_, ctx, std::move(op));
  CO_TRY(answer, co_await std::move(submitting));
  if (answer.verdict != Verdict::ok)
    co_return fail(Errc::unavailable, core_.path + ": a file of the rows is just being removed");
  co_return Result<>();
}

Task<Result<>> LocalGroupMoves::begin(Ctx& ctx, MoveChange::Kind kind, MoveTicket ticket,
                                      std::vector<std::uint16_t> groups, std::uint64_t other) {
  const bool ascending =
      std::adjacent_find(groups.begin(), groups.end(), std::greater_equal<>()) == groups.end();
  if (groups.empty() || !ascending || groups.back() >= kPlacementGroups || ticket.move.is_nil() ||
      ticket.term == 0 || ticket.life == 0)
    co_return fail(Errc::invalid_argument, "a move of groups: which, ascending, and a ticket");
  MoveChange beginning;
  beginning.kind = kind;
  beginning.ticket = ticket;
  beginning.groups = std::move(groups);
  beginning.other = other;
  auto changing = change(ctx, std::move(beginning));
  Result<> begun = co_await std::move(changing);
  co_return begun;
}

Task<Result<>> LocalGroupMoves::begin_leaving(Ctx& ctx, MoveTicket ticket,
                                              std::vector<std::uint16_t> groups) {
  return begin(ctx, Kind::begin_leaving, ticket, std::move(groups), 0);
}

Task<Result<>> LocalGroupMoves::begin_arriving(Ctx& ctx, MoveTicket ticket, std::vector<std::uint16_t> groups,
                                               std::uint64_t other) {
  return begin(ctx, Kind::begin_arriving, ticket, std::move(groups), other);
}

Task<Result<MoveStatus>> LocalGroupMoves::status(Ctx& ctx, Uuid move) {
  CO_TRY(life, core_.use());
  auto look = [&core = core_, move](OpenDrive& drive) -> Result<MoveStatus> {
    MoveStatus out;
    std::string sealed;
    TRY(found, drive.index->get(Column::system, move_record_name(move), sealed, Tier::all));
    if (found == Lookup::found) {
      TRY(record, decode_move(sealed));
      out.term = record.term;
      out.life = record.life;
      out.other = record.other;
      out.step = record.step;
      out.cursor = std::move(record.cursor);
    }
    for (unsigned group = 0; group < kPlacementGroups; ++group) {
      const auto g = static_cast<std::uint16_t>(group);
      const GroupPlaces::Entry entry = core.places.of(g);
      if (entry.move == move) out.groups.emplace_back(g, entry.place);
    }
    return out;
  };
  auto looking = core_.run(std::move(life), ctx.deadline, std::move(look), CallKind::upkeep);
  Result<MoveStatus> status = co_await std::move(looking);
  co_return status;
}

Task<Result<MovePage>> LocalGroupMoves::read_rows(Ctx& ctx, MoveTicket ticket, std::string after) {
  CO_TRY(life, core_.use());
  const GroupBits groups = core_.places.moved_by(ticket.move, GroupPlace::leaving, GroupPlace::left);
  if (groups.none()) co_return fail(Errc::not_found, "no group leaves by this move");
  auto look = [&core = core_, groups, after = std::move(after)](OpenDrive& drive) {
    return read_moving_rows(*drive.index, core.expected.deployment, groups, after);
  };
  auto looking = core_.run(std::move(life), ctx.deadline, std::move(look), CallKind::upkeep);
  Result<MovePage> page = co_await std::move(looking);
  co_return core_.noted(std::move(page));
}

Task<Result<MovePage>> LocalGroupMoves::read_changes(Ctx& ctx, MoveTicket ticket, std::string after) {
  CO_TRY(life, core_.use());
  const GroupBits groups = core_.places.moved_by(ticket.move, GroupPlace::leaving, GroupPlace::left);
  if (groups.none()) co_return fail(Errc::not_found, "no group leaves by this move");
  auto look = [&core = core_, groups, after = std::move(after)](OpenDrive& drive) -> Result<MovePage> {
    const std::uint64_t through = core.places.changes();  // before the look
    TRY(page, read_changed_rows(*drive.index, groups, after));
    page.through = through;
    return page;
  };
  auto looking = core_.run(std::move(life), ctx.deadline, std::move(look), CallKind::upkeep);
  Result<MovePage> page = co_await std::move(looking);
  co_return core_.noted(std::move(page));
}

Task<Result<>> LocalGroupMoves::forget_changes(Ctx& ctx, MoveTicket ticket, std::uint64_t through) {
  MoveChange forgetting;
  forgetting.kind = Kind::forget_changes;
  forgetting.ticket = ticket;
  forgetting.through = through;
  return change(ctx, std::move(forgetting));
}

Task<Result<std::vector<GroupState>>> LocalGroupMoves::seal(Ctx& ctx, MoveTicket ticket) {
  MoveChange sealing;
  sealing.kind = Kind::seal;
  sealing.ticket = ticket;
  auto changing = change(ctx, std::move(sealing));
  CO_TRY_VOID(co_await std::move(changing));
  const GroupBits groups = core_.places.moved_by(ticket.move, GroupPlace::left, GroupPlace::left);
  std::vector<GroupState> states;
  for (unsigned group = 0; group < kPlacementGroups; ++group)
    if (groups[group]) states.push_back(core_.groups.state(static_cast<std::uint16_t>(group)));
  co_return states;
}

Task<Result<>> LocalGroupMoves::take_back(Ctx& ctx, MoveTicket ticket, std::vector<std::uint64_t> epochs) {
  MoveChange taking;
  taking.kind = Kind::take_back;
  taking.ticket = ticket;
  taking.epochs = std::move(epochs);
  return change(ctx, std::move(taking));
}

Task<Result<std::vector<ShardRef>>> LocalGroupMoves::import(Ctx& ctx, MoveTicket ticket, MoveImport rows) {
  CO_TRY(arrival, prepare(core_.expected.deployment, ticket, std::move(rows)));
  FoundFiles found_files(*core_.files);
  found_files.look_at(arrival.data);
  if (!arrival.files.empty()) {
    CO_TRY(life, core_.use());
    auto look = [&core = core_, files = arrival.files](OpenDrive&) -> Result<std::vector<DataId>> {
      std::vector<DataId> good;
      for (const auto& [ref, lost] : files) {
        core.job_progress();
        if (check_durable_shard(core, ref)) good.push_back(ref.data);
      }
      return good;
    };
    auto looking = core_.run(std::move(life), ctx.deadline, std::move(look), CallKind::upkeep);
    CO_TRY(good, co_await std::move(looking));
    arrival.change.verified = std::move(good);
  }
  std::vector<ShardRef> lacking;
  for (const auto& [ref, lost] : arrival.files) {
    const auto& verified = arrival.change.verified;
    if (!lost && std::find(verified.begin(), verified.end(), ref.data) == verified.end())
      lacking.push_back(ref);
  }
  if (!lacking.empty()) co_return lacking;
  auto changing = change(ctx, std::move(arrival.change));
  CO_TRY_VOID(co_await std::move(changing));
  co_return lacking;
}

Task<Result<>> LocalGroupMoves::own(Ctx& ctx, MoveTicket ticket, std::vector<GroupState> states) {
  MoveChange owning;
  owning.kind = Kind::own;
  owning.ticket = ticket;
  owning.states = std::move(states);
  return change(ctx, std::move(owning));
}

Task<Result<>> LocalGroupMoves::drop(Ctx& ctx, MoveTicket ticket) {
  if (core_.places.moved_by(ticket.move, GroupPlace::here, GroupPlace::here).any()) {
    MoveChange disowning;  // from here on it answers for them no more
    disowning.kind = Kind::disown;
    disowning.ticket = ticket;
    auto changing = change(ctx, std::move(disowning));
    CO_TRY_VOID(co_await std::move(changing));
  }
  const GroupBits groups = core_.places.moved_by(ticket.move, GroupPlace::left, GroupPlace::arriving);
  const auto walk = std::make_shared<GroupRows>(core_.expected.deployment, groups);
  bool done = groups.none();
  while (!done) {
    CO_TRY(life, core_.use());
    auto job = [walk](OpenDrive& drive) { return walk->step(*drive.index); };
    auto running = core_.run(std::move(life), ctx.deadline, std::move(job), CallKind::upkeep);
    CO_TRY(ended, co_await std::move(running));
    done = ended;
    if (walk->rows.empty()) continue;
    MoveChange dropping;
    dropping.kind = Kind::drop_rows;
    dropping.ticket = ticket;
    dropping.rows = std::move(walk->rows);
    auto changing = change(ctx, std::move(dropping));
    CO_TRY_VOID(co_await std::move(changing));
  }
  MoveChange ending;
  ending.kind = Kind::end_drop;
  ending.ticket = ticket;
  auto changing = change(ctx, std::move(ending));
  CO_TRY_VOID(co_await std::move(changing));
  co_return Result<>();
}

}  // namespace ostraka::disk
