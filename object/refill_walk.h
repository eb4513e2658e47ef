// RefillWalk: brings to one drive what it lacks of some groups, in row-key order from the other drives, and
// readmits each group whose last key is there (rule 8 of the commit protocol):
// 1. the other drives learn the groups' epochs, so that nothing older can be committed any more;
// 2. every row that any of them has is healed. Pages count only while at least r of the drives that gave them
//    are full, so that no committed version is missed;
// 3. rows that could not be healed are tried again; groups without such rows are full.
// Belongs to the home shard. Its checkpoint lies on the drive.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "object/heal_core.h"
#include "object/merged_scan.h"
#include "object/refill_batch.h"
#include "object/refill_checkpoint.h"
#include "object/refill_plan.h"
#include "object/refill_progress.h"

namespace ostraka::object {

// Asks all drives that are in service.
Task<GroupStates> ask_groups(HealCore& core);

class RefillWalk {
 public:
  // drive: index into HealDeps::drives. All references outlive the walk.
  RefillWalk(HealCore& core, const GroupMembers& members, std::size_t drive, RefillProgress& progress);
  // One attempt: goes on from the checkpoint where its groups can be filled now. True: every group of the
  // plan was readmitted. Otherwise why not is in the progress, unless the service stops.
  Task<bool> run(RefillPlan plan);

 private:
  using BatchPtr = std::shared_ptr<RefillBatch>;

  Task<> load(const RefillPlan& plan);
  Task<Result<>> save();
  Task<> tell(RefillPlan& plan);
  Task<bool> walk();
  Task<bool> heal_page(MergedPage page, HealCrew& crew, bool* in_order);
  std::size_t batch_keys() const;
  // Lets the drives be asked about the batch, while the one before is healed.
  Task<bool> take_batch(BatchPtr batch, HealCrew& crew, bool* in_order);
  Task<bool> heal_first(HealCrew& crew, bool* in_order);  // of those ahead
  Task<bool> heal_batch(BatchPtr batch, HealCrew& crew, bool* in_order);
  Task<bool> heal_alone(std::vector<RefillRow> rows, HealCrew& crew, bool* in_order);
  Task<bool> save_if_due(bool* in_order);
  static Task<> look_at_batch(RefillWalk* self, BatchPtr batch);
  Task<bool> retry();
  Task<> readmit();
  // A page of rows, and what the drives said of their groups once they had given it.
  struct Page {
    Result<MergedPage> rows;
    GroupStates states;
    Event there;
  };
  using PagePtr = std::shared_ptr<Page>;
  PagePtr begin_page(MergedScan& scan);  // null: the service stops
  static Task<> fetch_page(RefillWalk* self, MergedScan* scan, PagePtr page);
  bool covered(const MergedPage& page, const GroupStates& states, const GroupStates& told) const;
  void note_moved();                                 // groups of which slots have, after a page was read
  bool still_born(const GroupStates& states) const;  // the drive has not lost its data again
  void note_place();
  void note_failure(const disk::ObjectRef& ref);
  void fail_with(std::string problem);
  std::string cannot_heal() const;  // for people
  static Task<> heal_row(RefillWalk* self, RefillRow row);
  static Task<> heal_rows(RefillWalk* self, std::vector<RefillRow> rows);  // together
  void note_healed(const RefillRow& row, const Result<erasure::HealReport>& report);

  HealCore& core_;
  const GroupMembers& members_;
  const std::size_t index_;
  disk::Drive& drive_;
  const unsigned read_quorum_;
  RefillProgress& progress_;
  RefillCheckpoint checkpoint_;
  // Row keys that are being healed, or will be next, with what lies before them: behind that a restart
  // begins.
  std::map<std::string, std::string> in_flight_;
  std::string walked_to_;         // row key up to which all are healed or in flight
  std::deque<BatchPtr> ahead_;    // being looked at, and not being healed yet
  std::vector<RefillRow> alone_;  // that turned out to be none of those that can be healed together
  std::size_t together_ = 0;      // jobs that heal many keys
  Event together_ended_;
  TimePoint save_at_{};
};

}  // namespace ostraka::object
