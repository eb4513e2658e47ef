// One key in the hands of many nodes, each with its own view of the drives, its own clock and ids and no
// leases, and the history of what their clients were answered.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/erasure/linearizability.h"
#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {

inline constexpr std::uint16_t kGroup = 7;  // of the key

struct Node {
  // origin: tells its version ids from those of other nodes. skew_ms: its wall clock is ahead by that much.
  Node(World& world, Geometry geometry, std::uint32_t origin, std::int64_t skew_ms);
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  SkewedClock clock;
  Hlc hlc;
  SetContext context;
  bool alive = true;  // what a dead one is answered is no part of the history
  std::vector<std::unique_ptr<FaultyDrive>> views;
  std::unique_ptr<ErasureSet> set;
};

// How it ended.
struct Ending {
  Answer linear = Answer::gave_up;
  bool stuck = false;  // with the faults off, and the key healed: no answer, or a drive that refills for ever
  std::string wrong_bytes;  // what a reader got that is no value's body
  bool well() const noexcept { return linear != Answer::no && !stuck && wrong_bytes.empty(); }
};
std::string describe(const Ending& ending);

struct KeyWorld {
  KeyWorld(Geometry shape, std::uint64_t seed) : geometry(shape), world(shape, seed), epochs(*this) {}
  Node& add_node(std::int64_t skew_ms = 0);
  HistoryOp& record(HistoryOp op);
  // The drive loses all it has, and with that the group's epoch rises.
  void empty(unsigned slot);
  // The drive's row of the key fails its checksum from now on.
  void lose_row(unsigned slot);
  // Is the drive's row of the key lost, or begun anew and not readmitted?
  bool row_missing(unsigned slot) const;
  // All drives are back, late messages arrive, and the calls of dead nodes run out.
  void come_to_rest();
  // Then, with no faults any more: the key is healed (if drives were emptied, or lost rows), read, and
  // written by a conditional write.
  Ending converge();

  const Geometry geometry;
  World world;
  std::vector<std::unique_ptr<Node>> nodes;
  std::deque<HistoryOp> history;  // stable addresses
  std::string wrong_bytes;
  std::uint64_t epoch = 1;  // of the group, as the control store knows it
  struct Epochs final : control::GroupEpochs {
    explicit Epochs(KeyWorld& of) : key(of) {}
    Task<Result<std::uint64_t>> raise(Ctx&, std::uint16_t, std::uint64_t known) override {
      key.epoch = std::max(key.epoch, known) + 1;
      co_return key.epoch;
    }
    KeyWorld& key;
  } epochs;
  unsigned emptied = 0;
  unsigned rows_lost = 0;
  std::uint64_t tick = 0;
  int running = 0;  // operations and heals that were begun and have not ended
};

// Begun by whoever counts it in `running`.
Task<> run_op(KeyWorld* key, Node* node, HistoryOp* op);
// As the one who refills drives does it: births first, then the heal, then those readmitted for which it was
// enough.
Task<> heal_once(KeyWorld* key, Node* node);

}  // namespace ostraka::erasure
