// The moves that were decided and are not over yet: the control document `cluster/moves`, so that whoever
// takes over goes on with them. Byte format: cluster/FORMAT.md, "Moves".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cluster/rebalance.h"
#include "cluster/slot_move.h"
#include "runtime/random.h"

namespace ostraka::cluster {

inline constexpr std::string_view kMovesDocument = "cluster/moves";

struct MoveDocument {
  struct Move {
    MoveSpec spec;
    std::uint64_t bytes = 0;  // expected to be copied
    bool giving_up = false;   // it is taken back, and not carried out any more
    bool operator==(const Move&) const = default;
  };
  std::int64_t since_ms = 0;  // unix time
  // Of the moves that are over since then.
  std::uint64_t slots_done = 0, bytes_done = 0;
  std::vector<Move> moves;
  bool paused = false;  // nothing is copied until somebody says so

  bool moves_group(std::uint16_t group) const;
  bool is_given_up(const Uuid& move) const;
  std::uint64_t slots_left() const;
  std::uint64_t bytes_left() const;
};
std::string encode_moves(const MoveDocument& document);
Result<MoveDocument> decode_moves(std::string_view json);  // malformed, unsupported_version

// One move for all slots that go from one drive to the same other.
std::vector<MoveSpec> gather(const std::vector<SlotMove>& slots, Random& random);

}  // namespace ostraka::cluster
