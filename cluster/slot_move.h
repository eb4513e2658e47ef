// Moves slots of groups from one drive to another: all that leave one drive for the same other in one pass
// over its index. The steps are those of disk/group_move.h; this says when each may be taken.
//
// - The drives remember how far they are, each step may be taken again, and a mover that took over has a
// ticket
//   with a greater term. So a mover may die at any moment, and the next one begins by asking the drives.
// - The placement table decides. Until it names the drive that takes, nobody asks that one about the groups;
// as
//   soon as it does, the move cannot be given up. It is changed only if, since it was read,
//     the drive that takes said that the groups are its own: had it been emptied, it would not know of the
//     move, the drive that gives said that it is sealed, in epochs that are the table's still: whoever is
//     formatted in its place first raises them (rule 8 of the protocol).
// - Giving up first raises the epochs in the table, which still names the drive that gives; then that one
// takes
//   the groups back. A mover that was about to change the table finds it changed, and asks anew.
// - A drive that gives and knows nothing of a move that the other one knows of was emptied in between: what
// was
//   copied is of another life, and the move is given up.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "cluster/placement.h"
#include "control/control_store.h"
#include "disk/drive.h"
#include "disk/group_move.h"
#include "runtime/clock.h"
#include "runtime/random.h"

namespace ostraka::cluster {

struct MoveSpec {
  struct Slot {
    std::uint16_t group = 0;
    std::uint16_t slot = 0;
    bool operator==(const Slot&) const = default;
  };
  Uuid id;
  DriveId from, to;
  std::vector<Slot> slots;  // ascending by group, each once
  bool operator==(const MoveSpec&) const = default;
};

// What has been copied so far. Written by the mover, read by whoever wants to know.
struct MoveFigures {
  std::atomic<std::uint64_t> rows_seen{0};  // of the drive that gives, whatever group
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> files{0};
  std::atomic<std::uint64_t> bytes{0};  // of rows, inline shards and shard files
  // That could not be read: the scanner finds them where they are now.
  std::atomic<std::uint64_t> lost_files{0};
  std::atomic<bool> sealed{false};  // the slots answer nowhere: this is no time to rest
};

// All of it outlives the moves.
struct SlotMoveDeps {
  Clock& clock;
  Random& random;
  control::ControlStore& control;
  DeploymentId deployment;
  std::string placement_document;
  // Waits until every node knows of the control store's revision, or does not count any more.
  std::function<Task<Result<>>(Ctx& ctx, std::uint64_t revision)> wait_until_known;
  // The group of a system record that belongs to one and moves with it; nullopt: it stays. May be empty.
  std::function<std::optional<std::uint16_t>(const disk::Drive::SystemRecord& record)> group_of_record;
  std::string moving_records;  // prefix of the names of such records
  // Rests after so many bytes were copied, so that clients hardly notice. Empty: as fast as it goes.
  std::function<Task<>(std::uint64_t bytes)> keep_pace = {};
  unsigned data_shards = 1;  // that objects have, to estimate what is to be copied
};

enum class MoveEnd : std::uint8_t {
  done,     // the groups are on the other drive, and nothing is left on the one before
  hopeless  // what was copied is of no use, or the table names other drives: give_up()
};

// Carries out one move, whatever had been done of it before; not any more after a give_up() of it was begun.
// The drives outlive the call. stop: asked between steps; true: the rest is for another time. Errors:
// unavailable, deadline, closed and others of drives and control store: go on later, with the same spec;
// stale_epoch: another mover took over.
Task<Result<MoveEnd>> carry_out(const SlotMoveDeps& deps, Ctx& ctx, const MoveSpec& spec, std::uint64_t term,
                                disk::Drive& from, disk::Drive& to, MoveFigures& figures,
                                const std::function<bool()>& stop);

// Takes back what carry_out() has begun: the groups are where they were, and nothing is left on the other
// drive. Errors: the same; conflict: the placement table names the other drive already.
Task<Result<>> give_up(const SlotMoveDeps& deps, Ctx& ctx, const MoveSpec& spec, std::uint64_t term,
                       disk::Drive& from, disk::Drive& to);

}  // namespace ostraka::cluster
