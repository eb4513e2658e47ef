// What a drive offers so that slots of placement groups can move from it, or to it. A slot is all that the
// drive holds of a group: rows with their fences and final times, inline shards, shard files, the group's
// state. It moves as one, so that for a set nothing changes but that the drive did not answer for a moment.
//
//   the drive that gives                        the one that takes
//   begin_leaving: from now on it notes         begin_arriving: it answers nothing about the groups
//     which rows change
//   read_rows, page by page                     import, with the shard files that it lacks
//   read_changes, forget_changes                import
//   seal: it answers nothing about them         import of the last changes
//     any more
//                                               own: it answers for them
//   drop, once the placement table says so everywhere
//
// Instead of own(): take_back() on the one and drop() on the other, but only after the group's epoch was
// raised in the placement table while that still names the drive that gives (cluster/slot_move.h says why).
// All of it is durable when it is answered, and may be said again. Every call carries a ticket. One of an
// older term than the drive has seen is refused, so that a mover that was given up cannot interfere; and one
// of another life, since it was meant for what the drive has forgotten: it was emptied, or the move ended
// here and began anew. tests/protocol/move_model.py is all of this as a program.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "disk/drive.h"

namespace ostraka::disk {

// What a drive is to a group. Stored: never renumber.
enum class GroupPlace : std::uint8_t {
  here = 0,      // it answers for the group, if it is one of the group's drives; so without any move
  leaving = 1,   // it still answers, and notes which rows change
  left = 2,      // it does not answer any more, and still has the rows
  away = 3,      // nor has it the rows
  arriving = 4,  // it does not answer yet
};

struct MoveTicket {
  Uuid move;               // of some groups from one drive to another
  std::uint64_t term = 0;  // of who carries it out; a later one has a greater one
  std::uint64_t life =
      0;  // of the move on this drive: as status() says. To begin_*(): a random number, not 0
};

struct MovedRow {
  struct Inline {
    VersionId id;
    std::string value;  // as it lies in the index, with its checksum
  };
  std::string row_key;
  std::string row;  // as it lies in the index, also when it fails its checksum; empty: there is none
  std::vector<Inline> inline_values;
};

struct MovePage {
  std::vector<MovedRow> rows;   // ascending by row key
  std::string last;             // go on after it
  bool end = false;             // nothing follows
  std::uint64_t looked_at = 0;  // rows, also those of other groups
  std::uint64_t through = 0;    // read_changes: all changes up to this number are in the rows, or were before
};

struct MoveImport {
  std::uint64_t step = 0;  // greater than that of every import before: one that comes late is refused
  std::string cursor;      // kept for the mover, as if it were a part of the rows
  std::vector<MovedRow> rows;
  std::vector<DataId> without;  // files that are lost on the other drive, too
};

struct MoveStatus {
  std::uint64_t term = 0;  // 0: the drive knows of no such move, or it has ended here
  std::uint64_t life = 0;
  std::uint64_t other = 0;                                   // as begin_arriving() said
  std::uint64_t step = 0;                                    // of the last import
  std::string cursor;                                        // of the same
  std::vector<std::pair<std::uint16_t, GroupPlace>> groups;  // that this move was the last to move
};

// Errors of all calls, beside those of Drive: not_found (the drive knows of no such move or life),
// stale_epoch (another mover took over), conflict (the groups are not where the call needs them).
class GroupMoves {
 public:
  virtual ~GroupMoves() = default;
  // unavailable: a group is being refilled.
  virtual Task<Result<>> begin_leaving(Ctx& ctx, MoveTicket ticket, std::vector<std::uint16_t> groups) = 0;
  // other: the life of the move on the drive that gives. conflict also when the drive has been asked about a
  // group before, and is one of its drives then, or has copied from another life.
  virtual Task<Result<>> begin_arriving(Ctx& ctx, MoveTicket ticket, std::vector<std::uint16_t> groups,
                                        std::uint64_t other) = 0;
  virtual Task<Result<MoveStatus>> status(Ctx& ctx, Uuid move) = 0;

  // Rows of the leaving groups, behind a row key. A page may be empty before the end.
  virtual Task<Result<MovePage>> read_rows(Ctx& ctx, MoveTicket ticket, std::string after) = 0;
  // Rows that changed since the group began to leave, or since forget_changes, as they are now; behind the
  // `last` of another page, or empty.
  virtual Task<Result<MovePage>> read_changes(Ctx& ctx, MoveTicket ticket, std::string after) = 0;
  virtual Task<Result<>> forget_changes(Ctx& ctx, MoveTicket ticket, std::uint64_t through) = 0;
  // The states of the groups, in the order of status().groups.
  virtual Task<Result<std::vector<GroupState>>> seal(Ctx& ctx, MoveTicket ticket) = 0;
  // epochs: the groups' new ones, in the same order.
  virtual Task<Result<>> take_back(Ctx& ctx, MoveTicket ticket, std::vector<std::uint64_t> epochs) = 0;

  // All of the rows, or none: then gives the files that are to be written first.
  virtual Task<Result<std::vector<ShardRef>>> import(Ctx& ctx, MoveTicket ticket, MoveImport rows) = 0;
  // states: of seal().
  virtual Task<Result<>> own(Ctx& ctx, MoveTicket ticket, std::vector<GroupState> states) = 0;

  // Removes what the drive has of groups that have left it, or that it was to take: then they never arrive.
  // If it said already that they are its own, the placement table must not come to name it (take_back()).
  // Takes as long as a walk through the index.
  virtual Task<Result<>> drop(Ctx& ctx, MoveTicket ticket) = 0;
};

}  // namespace ostraka::disk
