// Calls that move groups between drives, as DriveService answers them.
#include <utility>

#include "cluster/drive_service_core.h"
#include "cluster/move_message.h"

namespace ostraka::cluster {
namespace {

constexpr std::string_view kNoMoves = "this drive cannot take part in moves of groups";

struct Asked {
  disk::Drive* drive = nullptr;
  disk::GroupMoves* moves = nullptr;
  disk::MoveTicket ticket;
};

Result<Asked> begin(DriveServiceCore& core, pb::MoveRequest& in, const Ctx& ctx, const NodeName& from,
                    const PeerCall& call) {
  Asked asked;
  TRY(drive, core.begin(in, ctx, from, call));
  asked.drive = drive;
  TRY(ticket, take_ticket(in));
  asked.ticket = ticket;
  asked.moves = drive->moves();
  if (asked.moves == nullptr) return fail(Errc::invalid_argument, std::string(kNoMoves));
  return asked;
}

}  // namespace

Task<Result<PeerAnswer>> serve_move_leave(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                          PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  CO_TRY(groups, take_move_groups(in));
  auto beginning = asked.moves->begin_leaving(ctx, asked.ticket, std::move(groups));
  const Result<> done = co_await std::move(beginning);
  co_return answered(*asked.drive, done);
}

Task<Result<PeerAnswer>> serve_move_arrive(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                           PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  CO_TRY(groups, take_move_groups(in));
  auto beginning = asked.moves->begin_arriving(ctx, asked.ticket, std::move(groups), in.other());
  const Result<> done = co_await std::move(beginning);
  co_return answered(*asked.drive, done);
}

Task<Result<PeerAnswer>> serve_move_status(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                           PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  auto asking = asked.moves->status(ctx, asked.ticket.move);
  Result<disk::MoveStatus> status = co_await std::move(asking);
  co_return answered<pb::MoveStatusAnswer>(*asked.drive, status, put_move_status);
}

Task<Result<PeerAnswer>> serve_move_rows(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                         PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  auto reading = asked.moves->read_rows(ctx, asked.ticket, std::move(*in.mutable_after()));
  Result<disk::MovePage> page = co_await std::move(reading);
  co_return answered<pb::MovePageAnswer>(*asked.drive, page, put_move_page);
}

Task<Result<PeerAnswer>> serve_move_changes(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                            PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  auto reading = asked.moves->read_changes(ctx, asked.ticket, std::move(*in.mutable_after()));
  Result<disk::MovePage> page = co_await std::move(reading);
  co_return answered<pb::MovePageAnswer>(*asked.drive, page, put_move_page);
}

Task<Result<PeerAnswer>> serve_move_forget(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                           PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  const Result<> done = co_await asked.moves->forget_changes(ctx, asked.ticket, in.through());
  co_return answered(*asked.drive, done);
}

Task<Result<PeerAnswer>> serve_move_seal(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                         PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  Result<std::vector<disk::GroupState>> states = co_await asked.moves->seal(ctx, asked.ticket);
  const auto put = [](pb::MoveStatesAnswer& out, const std::vector<disk::GroupState>& said) {
    put_states(*out.mutable_states(), said);
  };
  co_return answered<pb::MoveStatesAnswer>(*asked.drive, states, put);
}

Task<Result<PeerAnswer>> serve_move_take_back(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                              PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  CO_TRY(states, take_states(in.states()));
  std::vector<std::uint64_t> epochs;
  for (const disk::GroupState& state : states) epochs.push_back(state.epoch);
  auto taking = asked.moves->take_back(ctx, asked.ticket, std::move(epochs));
  const Result<> done = co_await std::move(taking);
  co_return answered(*asked.drive, done);
}

Task<Result<PeerAnswer>> serve_move_import(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                           PeerCall call) {
  pb::MoveImportRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call, kMaxPeerHead));
  disk::MoveTicket ticket;
  CO_TRY_VOID(take_uuid(in.move(), ticket.move));
  ticket.term = in.term();
  ticket.life = in.life();
  CO_TRY(rows, take_import(in));
  disk::GroupMoves* const moves = drive->moves();
  if (moves == nullptr) co_return fail(Errc::invalid_argument, std::string(kNoMoves));
  auto importing = moves->import(ctx, ticket, std::move(rows));
  Result<std::vector<disk::ShardRef>> lacking = co_await std::move(importing);
  co_return answered<pb::MoveLackingAnswer>(*drive, lacking, put_lacking);
}

Task<Result<PeerAnswer>> serve_move_own(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                        PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  CO_TRY(states, take_states(in.states()));
  auto owning = asked.moves->own(ctx, asked.ticket, std::move(states));
  const Result<> done = co_await std::move(owning);
  co_return answered(*asked.drive, done);
}

Task<Result<PeerAnswer>> serve_move_drop(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                         PeerCall call) {
  pb::MoveRequest in;
  CO_TRY(asked, begin(core, in, ctx, from, call));
  const Result<> done = co_await asked.moves->drop(ctx, asked.ticket);
  co_return answered(*asked.drive, done);
}

// Of the node, whatever its drives do. Every call is answered at once: nobody rests with something in hand.
Task<Result<PeerAnswer>> serve_move_pace(DriveServiceCore& core, Ctx& /*ctx*/, const NodeName& /*from*/,
                                         PeerCall call) {
  CO_TRY(question, take_pace_question(call.head));
  const auto& pace = core.deps.move_pace;
  const double share = pace ? pace(question.work, question.resting) : 1;
  PeerAnswer answer;
  answer.head = put_pace_answer(share);
  co_return answer;
}

}  // namespace ostraka::cluster
