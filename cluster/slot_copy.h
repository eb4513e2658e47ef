// The copying of a move: pages of rows, and the shard files that they name, verified while they are read.
// Belongs to one run of carry_out() (slot_move.h).
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cluster/slot_move.h"

namespace ostraka::cluster {

class SlotCopy {
 public:
  // All of it outlives the copy.
  SlotCopy(const SlotMoveDeps& deps, const MoveSpec& spec, disk::Drive& from, disk::Drive& to,
           MoveFigures& figures, const std::function<bool()>& stop)
      : deps_(deps), spec_(spec), from_(from), to_(to), figures_(figures), stop_(stop) {}

  // The tickets for the two drives, and what the one that takes says of its last import.
  void go_on(const disk::MoveTicket& gives, const disk::MoveTicket& takes, std::uint64_t step,
             const std::string& cursor);
  // The pass over the other drive's index, if it is not over. closed: told to stop.
  Task<Result<>> all_rows(Ctx& ctx);
  // Again and again, until little has changed while that before was copied.
  Task<Result<>> changes_until_few(Ctx& ctx);
  // Once the groups are sealed: until none is left.
  Task<Result<>> last_changes(Ctx& ctx);
  // Those that belong to the groups: copied, and erased on the drive that gave them.
  Task<Result<>> system_records(Ctx& ctx);

 private:
  Task<Result<std::size_t>> one_round(Ctx& ctx);  // rows that had changed
  Task<Result<>> bring(Ctx& ctx, disk::MoveImport page);
  Task<Result<bool>> copy_files(Ctx& ctx, const std::vector<disk::ShardRef>& files,
                                std::vector<DataId>& without);
  Task<Result<>> copy_file(Ctx& ctx, disk::ShardRef ref);
  Task<bool> rest(std::uint64_t bytes);
  Task<> keep_pace(std::uint64_t bytes);

  const SlotMoveDeps& deps_;
  const MoveSpec& spec_;
  disk::Drive& from_;
  disk::Drive& to_;
  MoveFigures& figures_;
  const std::function<bool()>& stop_;
  disk::MoveTicket gives_, takes_;
  std::uint64_t step_ = 0;
  std::string after_;  // row key
  bool pass_over_ = false;
};

}  // namespace ostraka::cluster
