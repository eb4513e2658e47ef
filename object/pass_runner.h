// PassRunner: carries one pass of the scanner out, from where its state says to its end or until it is told
// to end. What it found goes to the board, where it is into the state.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "object/merged_scan.h"
#include "object/row_compare.h"
#include "object/scan_board.h"
#include "object/scan_pace.h"
#include "object/scanner.h"
#include "runtime/event.h"
#include "runtime/shard.h"

namespace ostraka::object {

// All of it outlives the runner.
struct PassDeps {
  const ScannerDeps& scanner;
  const ScannerConfig& config;
  Shard& shard;
  Gate& gate;
  ScanBoard& board;
  ScanStateStore& store;  // background passes are checkpointed there
  Event& wake;            // set when `should_end` may have changed
  std::function<bool()> should_end;
};

// Belongs to one shard.
class PassRunner {
 public:
  PassRunner(PassDeps deps, PassState& state);
  // True: the pass is complete. False: it was told to end; the state says where to go on.
  Task<bool> run();
  bool told_to_end() const { return deps_.should_end(); }
  // Lets the repairs that run now give up soon.
  void give_up();

 private:
  struct Job {
    disk::ObjectRef ref;
    std::string row_key;
    std::uint64_t bytes = 0;  // of object data, as far as the rows tell
    VersionId newest;         // the same
    TimePoint due{};          // when to come back to it
    unsigned looks = 0;       // at its rows
    unsigned corrupt = 0;     // of its rows
    bool failed = false;      // it could not be healed; once more, when its newest version is old enough
  };
  enum class Look : std::uint8_t { skip, heal, later };

  bool follow();
  Task<bool> scan_keys();
  Task<bool> scan_page(const MergedPage& page);
  Task<bool> come_back(bool all);
  Task<Look> look_again(Job& job);
  Task<bool> heal_window(std::vector<Job> window, std::string through);
  Task<bool> remove_orphans();
  Task<bool> recount_usage();
  void note_orphans(const disk::Drive& drive, const disk::OrphanReport& found);
  Task<> recount_bucket(disk::Drive& drive, BucketId bucket);
  Task<> estimate();
  Task<> ask_groups();
  Task<> checkpoint();
  Task<bool> rest(double cost);
  Task<bool> wait_until(TimePoint at);

  Look look_at(const MergedKey& key, const MergedPage& page, Job& job) const;
  void absorb(const Job& job, const Result<erasure::HealReport>& answer);
  void add_finding(const Job& job, const erasure::HealReport& report);
  Duration since(std::int64_t unix_ms) const;
  bool refilling(unsigned drive, std::uint16_t group) const;
  void not_verified(BucketId bucket);
  const std::string* name_of(BucketId bucket);
  void tell(bool waiting);
  bool busy() const;
  Ctx ctx(Duration time) const;
  std::shared_ptr<Ctx> begin_call(Duration time);  // among those that give_up() ends

  const PassDeps deps_;
  PassState& state_;
  ScanPace pace_;
  double total_cost_ = 0;        // an estimate
  std::vector<double> rows_on_;  // by drive; an estimate
  TimePoint estimated_at_{}, asked_groups_at_{}, saved_at_{}, work_began_{};
  SetTablePtr table_;
  std::vector<disk::Drive*> drives_;            // there may be more by now
  std::vector<std::vector<unsigned>> members_;  // by group: drives by slot of the group
  std::vector<std::vector<bool>> refilling_;    // by drive, by group
  std::deque<Job> later_;                       // being written, or not to be told just now
  std::vector<std::shared_ptr<Ctx>> running_;   // calls that may take long
  std::map<BucketId, std::string> names_;
  std::set<BucketId> unknown_;  // buckets that are not there
  std::uint64_t named_in_log_ = 0;
};

}  // namespace ostraka::object
