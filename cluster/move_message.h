// The messages of calls that move groups (peer.proto) to and from the types of disk/group_move.h. As
// drive_message.h.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "cluster/peer.pb.h"
#include "disk/group_move.h"

namespace ostraka::cluster {

void put_ticket(pb::MoveRequest& out, const disk::MoveTicket& ticket);
Result<disk::MoveTicket> take_ticket(const pb::MoveRequest& in);
Result<std::vector<std::uint16_t>> take_move_groups(const pb::MoveRequest& in);

void put_states(pb::MoveStates& out, const std::vector<disk::GroupState>& states);
Result<std::vector<disk::GroupState>> take_states(const pb::MoveStates& in);

void put_move_page(pb::MovePageAnswer& out, disk::MovePage& page);
Result<disk::MovePage> take_move_page(pb::MovePageAnswer& in);

void put_import(pb::MoveImportRequest& out, disk::MoveImport&& rows);
Result<disk::MoveImport> take_import(pb::MoveImportRequest& in);

void put_move_status(pb::MoveStatusAnswer& out, const disk::MoveStatus& status);
Result<disk::MoveStatus> take_move_status(pb::MoveStatusAnswer& in);

struct PaceQuestion {
  std::uint64_t work = 0;
  bool resting = false;
};
std::string put_pace_question(const PaceQuestion& question);
Result<PaceQuestion> take_pace_question(std::string_view head);
std::string put_pace_answer(double share);               // of the time, 0 to 1
Result<double> take_pace_answer(std::string_view head);  // likewise

void put_lacking(pb::MoveLackingAnswer& out, const std::vector<disk::ShardRef>& files);
Result<std::vector<disk::ShardRef>> take_lacking(const pb::MoveLackingAnswer& in);

}  // namespace ostraka::cluster
