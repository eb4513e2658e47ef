// GroupMoves of a LocalDrive. Thread safe.
#pragma once

#include <memory>

#include "disk/committer.h"
#include "disk/drive_core.h"
#include "disk/group_move.h"

namespace ostraka::disk {

class LocalGroupMoves final : public GroupMoves {
 public:
  // Both outlive it.
  LocalGroupMoves(DriveCore& core, Committer& committer) : core_(core), committer_(committer) {}

  Task<Result<>> begin_leaving(Ctx& ctx, MoveTicket ticket, std::vector<std::uint16_t> groups) override;
  Task<Result<>> begin_arriving(Ctx& ctx, MoveTicket ticket, std::vector<std::uint16_t> groups,
                                std::uint64_t other) override;
  Task<Result<MoveStatus>> status(Ctx& ctx, Uuid move) override;
  Task<Result<MovePage>> read_rows(Ctx& ctx, MoveTicket ticket, std::string after) override;
  Task<Result<MovePage>> read_changes(Ctx& ctx, MoveTicket ticket, std::string after) override;
  Task<Result<>> forget_changes(Ctx& ctx, MoveTicket ticket, std::uint64_t through) override;
  Task<Result<std::vector<GroupState>>> seal(Ctx& ctx, MoveTicket ticket) override;
  Task<Result<>> take_back(Ctx& ctx, MoveTicket ticket, std::vector<std::uint64_t> epochs) override;
  Task<Result<std::vector<ShardRef>>> import(Ctx& ctx, MoveTicket ticket, MoveImport rows) override;
  Task<Result<>> own(Ctx& ctx, MoveTicket ticket, std::vector<GroupState> states) override;
  Task<Result<>> drop(Ctx& ctx, MoveTicket ticket) override;

 private:
  Task<Result<>> change(Ctx& ctx, MoveChange change);
  Task<Result<>> begin(Ctx& ctx, MoveChange::Kind kind, MoveTicket ticket, std::vector<std::uint16_t> groups,
                       std::uint64_t other);

  DriveCore& core_;
  Committer& committer_;
};

}  // namespace ostraka::disk
