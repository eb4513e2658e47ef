// Scanner: finds and repairs by itself what nobody reads. One a node; in a
// cluster that of the leader makes the passes in the background, one deep pass over all keys in each period.
// On demand it makes one at full speed.
//
// A pass goes over the rows of all drives in row-key order, side by side. Each key whose rows differ or are
// not at rest, and in a deep pass every key, is given to ErasureSet::heal, which alone decides what is wrong
// and puts it right. Then it removes shard files that no record names, and recounts the usage of each bucket.
// docs/scanner.md says what it costs and how to read it; object/FORMAT.md has its checkpoint.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/metrics.h"
#include "disk/drive_roster.h"
#include "object/bucket_store.h"
#include "object/object_sets.h"
#include "object/scan_report.h"
#include "runtime/gate.h"

namespace ostraka::object {

// All of it outlives the scanner.
struct ScannerDeps {
  Clock& clock;
  MetricRegistry& metrics;
  const ObjectSets& sets;
  const BucketStore& buckets;
  disk::RosterPtr drives;                           // of the deployment
  std::function<std::size_t()> requests_in_flight;  // of clients; empty: none. Thread safe
  // How a key is healed; empty: by its set. The heal service puts itself here, to remember what was done.
  std::function<Task<Result<erasure::HealReport>>(Ctx& ctx, disk::ObjectRef ref, erasure::HealSpec spec)>
      heal;
  // In a cluster: whether passes are this node's; empty: always. And whose they are; "": nobody's. Thread
  // safe.
  std::function<bool()> leads = {};
  std::function<std::string()> leader = {};
};

struct ScannerConfig {
  Duration period = std::chrono::hours(14 * 24);  // of a background pass; zero: none, only on demand
  // Unix time before which none of the writers that live now began: the start of the only process that writes
  // to the drives. 0: not known. Files that are older and that no record names are removed at once, others
  // once they are older than orphan_age and than twice the longest call.
  std::int64_t no_writer_before_ms = 0;
  Duration orphan_age = std::chrono::minutes(10);
};

// Thread safe, but for start_loop() and close().
class Scanner {
 public:
  Scanner(ScannerDeps deps, ScannerConfig config);
  Scanner(const Scanner&) = delete;
  Scanner& operator=(const Scanner&) = delete;
  ~Scanner();

  // Once: reads the checkpoint, then works on that shard, whose buffers the repairs use.
  void start_loop(Shard& shard);
  // Stops within a second; the pass goes on from its checkpoint after the next start.
  Task<> close();

  // Begins a pass on demand at full speed, and gives its number. A background pass under way is put aside and
  // goes on afterwards (a deep pass on demand that ends replaces it). Errors: conflict (one runs already: its
  // number is in status().number), unavailable (another node makes the passes), closed.
  Result<std::uint64_t> start(bool deep);
  // Ends the pass on demand, if one runs; what it has repaired stays repaired.
  void cancel();
  // Waits until that pass is no longer running. Errors: deadline, closed, not_found (there is no such pass).
  Task<Result<ScanPass>> wait(Ctx& ctx, std::uint64_t number);

  ScanPass status() const;  // of the pass that runs, else of the last one
  // Kept for the pass that runs, the last one on demand and the last one in the background (not over
  // restarts). 0: of the pass that status() tells of.
  std::optional<ScanReport> report(std::uint64_t number = 0) const;
  // A time (unix ms) since which every shard block that the bucket had then was verified. none: not yet.
  std::optional<std::int64_t> last_verified(BucketId bucket) const;
  std::optional<std::int64_t> last_deep_pass_ms() const;  // when the last complete deep pass began

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace ostraka::object
