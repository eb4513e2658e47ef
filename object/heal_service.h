// HealService: repairs what is lacking on drives. It drains the durable heal queue, fills drives that lost
// their data, and heals what an operator asks for. One a node; in a cluster each sees
// to a part.
//
// Everything runs under its own gate, on the shards it was given, and yields to clients (heal_pace.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "cluster/placement.h"
#include "disk/drive.h"
#include "disk/drive_roster.h"
#include "erasure/erasure_set.h"
#include "object/bucket_store.h"
#include "object/heal_pace.h"
#include "object/heal_status.h"
#include "object/object_sets.h"
#include "runtime/ctx.h"
#include "runtime/shard.h"

namespace ostraka::object {

// All of it outlives the service.
struct HealDeps {
  Clock& clock;
  MetricRegistry& metrics;
  const ObjectSets& sets;
  const BucketStore& buckets;
  disk::RosterPtr drives;      // of the deployment
  std::vector<Shard*> shards;  // heals take turns on them; the service itself lives on the first
  std::function<ClientLoad()> clients = {};  // what they ask just now; empty: not known. Thread safe
  // In a cluster, what this node sees to; empty: everything. Thread safe.
  std::function<bool(std::size_t drive)> refills = {};  // by slot
  std::function<bool(std::uint16_t group)> tends = {};  // works off the heal queue
};

// Thread safe. Close it before it is destroyed, while its shards run.
class HealService {
 public:
  explicit HealService(HealDeps deps);
  ~HealService();
  HealService(const HealService&) = delete;
  HealService& operator=(const HealService&) = delete;

  void start();    // once
  Task<> close();  // from any shard

  // Looks at every key of the bucket (or of all), and heals it unless it is a dry run. Gives the run's id.
  // Errors: conflict (another run is under way: its id is in the detail), no_such_bucket, invalid_argument
  // (a prefix without a bucket), closed.
  Result<std::uint64_t> start_run(HealRunSpec spec);
  Result<> cancel_run(std::uint64_t id);  // not_found: no such run is under way
  // With the keys at which something was lacking. The last few runs are remembered. not_found.
  Result<HealRunStatus> run(std::uint64_t id) const;

  // Heals one key now, whatever else is going on, and remembers it as what the service does itself: for
  // the scanner, and for an operator's question about one object.
  Task<Result<erasure::HealReport>> heal(Ctx& ctx, disk::ObjectRef ref, erasure::HealSpec spec,
                                         HealCause cause);

  void set_priority(HealPriority priority);
  HealStatus status() const;
  // What was lately done at this key (all versions and spaces), the newest first.
  std::vector<HealedKey> history(BucketId bucket, std::string_view key) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace ostraka::object
