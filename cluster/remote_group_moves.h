// GroupMoves of a drive on another node.
#pragma once

#include <memory>
#include <string_view>

#include "cluster/drive_link.h"
#include "disk/group_move.h"

namespace ostraka::cluster {

// Thread safe.
class RemoteGroupMoves final : public disk::GroupMoves {
 public:
  explicit RemoteGroupMoves(std::shared_ptr<DriveLink> link) : link_(std::move(link)) {}

  Task<Result<>> begin_leaving(Ctx& ctx, disk::MoveTicket ticket, std::vector<std::uint16_t> groups) override;
  Task<Result<>> begin_arriving(Ctx& ctx, disk::MoveTicket ticket, std::vector<std::uint16_t> groups,
                                std::uint64_t other) override;
  Task<Result<disk::MoveStatus>> status(Ctx& ctx, Uuid move) override;
  Task<Result<disk::MovePage>> read_rows(Ctx& ctx, disk::MoveTicket ticket, std::string after) override;
  Task<Result<disk::MovePage>> read_changes(Ctx& ctx, disk::MoveTicket ticket, std::string after) override;
  Task<Result<>> forget_changes(Ctx& ctx, disk::MoveTicket ticket, std::uint64_t through) override;
  Task<Result<std::vector<disk::GroupState>>> seal(Ctx& ctx, disk::MoveTicket ticket) override;
  Task<Result<>> take_back(Ctx& ctx, disk::MoveTicket ticket, std::vector<std::uint64_t> epochs) override;
  Task<Result<std::vector<disk::ShardRef>>> import(Ctx& ctx, disk::MoveTicket ticket,
                                                   disk::MoveImport rows) override;
  Task<Result<>> own(Ctx& ctx, disk::MoveTicket ticket, std::vector<disk::GroupState> states) override;
  Task<Result<>> drop(Ctx& ctx, disk::MoveTicket ticket) override;

 private:
  Task<Result<disk::MovePage>> read(Ctx& ctx, std::string_view method, disk::MoveTicket ticket,
                                    std::string after);

  const std::shared_ptr<DriveLink> link_;
};

}  // namespace ostraka::cluster
