// MoveRunner: carries out the moves of the document `cluster/moves`, one after the other, and tells how far
// they are. One of a cluster runs at a time (control::Election); when two believe that they do, the drives
// heed the one with the greater term, and documents are changed by compare-and-put.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/move_document.h"

namespace ostraka::cluster {

struct MoveProgress {
  std::uint64_t slots_done = 0, slots_left = 0;  // since the first of the moves was decided
  std::uint64_t bytes_done = 0,
                bytes_left = 0;              // an estimate: what drives have, shared out over their groups
  double bytes_per_second = 0;               // of this runner
  std::optional<std::int64_t> seconds_left;  // nullopt: not known yet, or nothing to do
  std::string now;                           // what is being moved, for people; empty: nothing
  std::string problem;                       // the last move that failed, and why; empty: none did
  std::int64_t since_ms = 0;                 // unix time, when the first of the moves was decided
  bool paused = false;
};

class MoveRunner {
 public:
  using FindDrive = std::function<disk::Drive*(const DriveId& id)>;  // nullptr: there is none
  using NameDrive = std::function<std::string(const DriveId& id)>;   // for people
  // All of it outlives the runner. name: empty: as ids.
  MoveRunner(const SlotMoveDeps& deps, FindDrive find, NameDrive name = {})
      : deps_(deps), find_(std::move(find)), name_(std::move(name)) {}

  // Decides moves: puts them into the document. Slots of groups of which one is on its way already are left
  // out, and may be planned again later. goes_on: what is over is still counted as done. Gives how many were
  // taken. Errors: of the control store; malformed.
  Task<Result<std::size_t>> add(Ctx& ctx, std::vector<SlotMove> slots, bool goes_on = false);
  // Those moves are not carried out any more: what has been copied is given up, unless the table says already
  // that it moved.
  using Unwanted = std::function<bool(const MoveSpec& spec)>;
  Task<Result<>> cancel(Ctx& ctx, Unwanted unwanted);
  // Nothing is copied while it is paused; what is being handed over is ended, and what is given up is taken
  // back.
  Task<Result<>> pause(Ctx& ctx, bool paused);
  // One try for each move in the document. True: none is left. Each is tried for itself, so one that fails
  // does not stand in the way of others, and why is told by progress(). ctx's deadline holds for all of them.
  // Errors: closed (told to stop), stale_epoch (another mover took over), those of the control store, and
  // those of a move that failed in its hand-over. Moves that were left in their
  // hand-over come first, since no drive answers for their groups, and nothing else is sealed before they are
  // through.
  Task<Result<bool>> run(Ctx& ctx, std::uint64_t term, std::function<bool()> stop);
  // Whether the last run() left groups that no drive answers for.
  bool left_sealed() const noexcept { return left_sealed_; }
  // Thread safe.
  MoveProgress progress() const;
  Result<MoveDocument> document() const { return document(nullptr); }

 private:
  using Change = std::function<void(MoveDocument&)>;
  Result<MoveDocument> document(std::uint64_t* revision) const;
  Task<Result<>> change(Ctx& ctx, Change change);
  // How a try of a move ended that did not fail.
  enum class Tried : std::uint8_t { over, halted };  // halted: told to stop, paused, or given up meanwhile
  Task<Result<Tried>> try_one(Ctx& ctx, std::uint64_t term, MoveDocument::Move move, std::uint64_t revision,
                              const std::function<bool()>& stop);
  Task<Result<Tried>> run_one(Ctx& ctx, std::uint64_t term, MoveDocument::Move move, std::uint64_t revision,
                              const std::function<bool()>& stop);
  std::function<bool()> halt_of(const Uuid& move, std::uint64_t revision,
                                std::shared_ptr<MoveFigures> figures,
                                const std::function<bool()>& stop) const;
  std::string describe(const MoveDocument::Move& move) const;
  Task<bool> is_handing_over(Ctx& ctx, MoveSpec spec);
  const Placement* table();  // nullptr: there is none that can be read; for run()
  // Gives how many are urgent.
  Task<std::size_t> urgent_first(Ctx& ctx, std::vector<MoveDocument::Move>& moves);
  Task<bool> is_stranded(Ctx& ctx, MoveSpec spec, disk::Drive& to);
  Task<Result<>> take_back(Ctx& ctx, std::uint64_t term, MoveDocument::Move move);
  Task<Result<>> over(Ctx& ctx, MoveDocument::Move move, bool done);
  Task<std::uint64_t> expected_bytes(Ctx& ctx, const MoveSpec& spec);
  void tell_now(std::string now);
  void tell_problem(std::string problem);

  const SlotMoveDeps& deps_;
  const FindDrive find_;
  const NameDrive name_;
  bool left_sealed_ = false;
  std::optional<Placement> table_;  // as it was last looked at
  std::uint64_t table_revision_ = 0;
  std::optional<std::pair<Uuid, TimePoint>> stranded_;  // in its hand-over, its drive having gone then
  mutable std::mutex mutex_;
  std::shared_ptr<MoveFigures> figures_;  // of the move under way
  std::uint64_t bytes_before_ = 0;        // copied by this runner in moves before that
  TimePoint began_{};                     // to copy
  std::string now_, problem_;
};

}  // namespace ostraka::cluster
