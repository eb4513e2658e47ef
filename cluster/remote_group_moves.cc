#include "cluster/remote_group_moves.h"

#include <utility>

#include "cluster/drive_ask.h"
#include "cluster/move_message.h"

namespace ostraka::cluster {
namespace {

pb::MoveRequest request_of(const disk::MoveTicket& ticket) {
  pb::MoveRequest request;
  put_ticket(request, ticket);
  return request;
}

pb::MoveRequest request_of(const disk::MoveTicket& ticket, const std::vector<std::uint16_t>& groups) {
  pb::MoveRequest request = request_of(ticket);
  for (const std::uint16_t group : groups) request.add_groups(group);
  return request;
}

// A call that is answered by nothing but that it is done.
Task<Result<>> tell(std::shared_ptr<DriveLink> link, Ctx& ctx, std::string_view method,
                    pb::MoveRequest request) {
  auto asking = ask<pb::PlainAnswer>(std::move(link), ctx, method, std::move(request));
  CO_TRY_VOID(co_await std::move(asking));
  co_return Result<>();
}

}  // namespace

Task<Result<>> RemoteGroupMoves::begin_leaving(Ctx& ctx, disk::MoveTicket ticket,
                                               std::vector<std::uint16_t> groups) {
  return tell(link_, ctx, "drive.move_leave", request_of(ticket, groups));
}

Task<Result<>> RemoteGroupMoves::begin_arriving(Ctx& ctx, disk::MoveTicket ticket,
                                                std::vector<std::uint16_t> groups, std::uint64_t other) {
  pb::MoveRequest request = request_of(ticket, groups);
  request.set_other(other);
  return tell(link_, ctx, "drive.move_arrive", std::move(request));
}

Task<Result<disk::MoveStatus>> RemoteGroupMoves::status(Ctx& ctx, Uuid move) {
  pb::MoveRequest request;
  request.set_move(put_uuid(move));
  auto asking = ask<pb::MoveStatusAnswer>(link_, ctx, "drive.move_status", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_move_status(answer));
}

Task<Result<disk::MovePage>> RemoteGroupMoves::read(Ctx& ctx, std::string_view method,
                                                    disk::MoveTicket ticket, std::string after) {
  pb::MoveRequest request = request_of(ticket);
  request.set_after(std::move(after));
  auto asking = ask<pb::MovePageAnswer>(link_, ctx, method, std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_move_page(answer));
}

Task<Result<disk::MovePage>> RemoteGroupMoves::read_rows(Ctx& ctx, disk::MoveTicket ticket,
                                                         std::string after) {
  return read(ctx, "drive.move_rows", ticket, std::move(after));
}

Task<Result<disk::MovePage>> RemoteGroupMoves::read_changes(Ctx& ctx, disk::MoveTicket ticket,
                                                            std::string after) {
  return read(ctx, "drive.move_changes", ticket, std::move(after));
}

Task<Result<>> RemoteGroupMoves::forget_changes(Ctx& ctx, disk::MoveTicket ticket, std::uint64_t through) {
  pb::MoveRequest request = request_of(ticket);
  request.set_through(through);
  return tell(link_, ctx, "drive.move_forget", std::move(request));
}

Task<Result<std::vector<disk::GroupState>>> RemoteGroupMoves::seal(Ctx& ctx, disk::MoveTicket ticket) {
  auto asking = ask<pb::MoveStatesAnswer>(link_, ctx, "drive.move_seal", request_of(ticket));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_states(answer.states()));
}

Task<Result<>> RemoteGroupMoves::take_back(Ctx& ctx, disk::MoveTicket ticket,
                                           std::vector<std::uint64_t> epochs) {
  std::vector<disk::GroupState> states(epochs.size());
  for (std::size_t i = 0; i < epochs.size(); ++i) states[i].epoch = epochs[i];
  pb::MoveRequest request = request_of(ticket);
  put_states(*request.mutable_states(), states);
  return tell(link_, ctx, "drive.move_take_back", std::move(request));
}

Task<Result<std::vector<disk::ShardRef>>> RemoteGroupMoves::import(Ctx& ctx, disk::MoveTicket ticket,
                                                                   disk::MoveImport rows) {
  pb::MoveImportRequest request;
  request.set_move(put_uuid(ticket.move));
  request.set_term(ticket.term);
  request.set_life(ticket.life);
  put_import(request, std::move(rows));
  auto asking = ask<pb::MoveLackingAnswer>(link_, ctx, "drive.move_import", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_lacking(answer));
}

Task<Result<>> RemoteGroupMoves::own(Ctx& ctx, disk::MoveTicket ticket,
                                     std::vector<disk::GroupState> states) {
  pb::MoveRequest request = request_of(ticket);
  put_states(*request.mutable_states(), states);
  return tell(link_, ctx, "drive.move_own", std::move(request));
}

Task<Result<>> RemoteGroupMoves::drop(Ctx& ctx, disk::MoveTicket ticket) {
  return tell(link_, ctx, "drive.move_drop", request_of(ticket));
}

}  // namespace ostraka::cluster
