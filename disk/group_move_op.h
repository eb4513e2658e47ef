// One step of a move of groups, as the committer carries it out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "disk/group_move.h"
#include "disk/key_state.h"

namespace ostraka::disk {

struct MoveChange {
  enum class Kind : std::uint8_t {
    begin_leaving,
    begin_arriving,
    forget_changes,
    seal,
    take_back,
    import,
    own,
    disown,
    drop_rows,
    end_drop
  };
  struct Row {
    std::string key;
    std::uint16_t group = 0;
    std::string raw;            // empty: there is none
    bool readable = true;       // raw decodes to
    KeyState state;             // this
    std::vector<DataId> files;  // that `state` names
    std::vector<MovedRow::Inline> inline_values;
  };
  Kind kind = Kind::seal;
  MoveTicket ticket;
  std::vector<std::uint16_t> groups;  // begin_leaving, begin_arriving
  std::vector<std::uint64_t> epochs;  // take_back: by group of the move, ascending
  std::vector<GroupState> states;     // own: the same
  std::uint64_t other = 0;            // begin_arriving
  std::uint64_t through = 0;          // forget_changes
  std::uint64_t step = 0;             // import
  std::string cursor;                 // import
  std::vector<Row> rows;              // import, drop_rows (keys and groups alone)
  std::vector<DataId> verified;       // import: files that are on the drive with a valid footer
};

}  // namespace ostraka::disk
