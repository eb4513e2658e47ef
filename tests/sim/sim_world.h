// SimWorld: nodes, each the production object graph (cmd::build_node over its own LocalDrives) on simulated
// hardware, in one thread and from one seed. It starts, stops and kills them; what happens in it is decided
// by scenario.h.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "cmd/build_node.h"
#include "erasure/codec.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "tests/sim/s3_client.h"
#include "tests/sim/sim_fs.h"
#include "tests/sim/sim_machine.h"
#include "tests/sim/sim_workers.h"

namespace ostraka::sim {

enum class Death : std::uint8_t {
  killed,    // the process only: what it wrote is in the page cache
  power_cut  // what was not synced may be lost
};

// One life of a node's process.
struct Incarnation {
  Incarnation(SimMachine& machine, SimClock& clock, FiberScheduler& scheduler, std::uint64_t number,
              std::uint64_t seed, ShardSpec spec);
  const std::uint64_t number;
  SimFs fs;
  SimIndexes indexes;
  SimWorkersFactory workers;
  SimRandom random;
  MetricRegistry metrics;
  Shard shard;
  boost::asio::executor_work_guard<IoExecutor> guard;
  Gate requests;
  std::vector<std::weak_ptr<Exchange>> exchanges;
  cmd::ServerConfig config;
  std::unique_ptr<cmd::Node> node;
};

class SimWorld {
 public:
  SimWorld(std::uint64_t seed, erasure::Geometry geometry, bool trace);
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();

  // Runs everything until the task has ended.
  void run(Task<> task);

  // --- the process
  Task<Result<>> start();                            // opens the drives, builds the node, takes requests
  Task<> stop();                                     // as on SIGTERM
  void arm_death(Death death, std::uint64_t calls);  // dies at that call to a device from now on
  void die(Death death);
  // The devices give up what they only said they had: pages whose sync failed once.
  void end_lies();
  bool serving() const noexcept { return serving_; }
  bool dead() const noexcept { return machine.incarnation == 0; }
  Incarnation* incarnation() noexcept { return current_.get(); }
  Task<> bury_all();  // until no former incarnation is left

  // --- a client's view; status 0 when nobody answers
  Task<S3Reply> exchange(S3Request request);

  // What the drives' own gauges say; a node must be serving.
  bool drive_online(std::size_t slot);
  // Its format.json says that it lost its data and is not full again yet.
  bool refilling(std::size_t slot) const;
  // A new, empty device takes the place of the one that belonged into the slot.
  void replace_device(std::size_t slot);
  void unplug(const std::shared_ptr<Device>& device);  // open files of it may go on working
  void plug_in(const std::shared_ptr<Device>& device);
  void put_bays_in_order();
  void put_back(std::size_t one, std::size_t other);   // by slot: each into its own bay, if it is in any
  void swap_bays(std::size_t one, std::size_t other);  // by slot
  // Which bay the device is in; "": none.
  std::string bay_of(const std::shared_ptr<Device>& device) const;

  // --- what happened
  void note(std::string_view event);  // one line of the trace
  std::uint64_t trace_hash() const noexcept { return hash_; }
  void violation(std::string text);
  const std::vector<std::string>& violations() const noexcept { return violations_; }
  void collect_metrics(Incarnation& from);  // adds them to the probes

  std::string drive_name(std::size_t i) const { return "d" + std::to_string(i); }

  SimRandom random;
  SimClock clock;
  FiberScheduler scheduler{clock, random};
  Probes probes;
  SimMachine machine{scheduler, probes};
  const erasure::Geometry geometry;
  std::vector<std::shared_ptr<Device>> devices;  // those that belong into the bays, by slot
  Shard shard;                                   // of clients and of the scenario
  Gate tasks;                                    // of both

 private:
  Task<> serve_exchange(std::shared_ptr<Exchange> exchange, Incarnation* by, std::uint64_t seed);
  Task<> bury(std::shared_ptr<Incarnation> old);
  void count(const Losses& losses);
  void turn(const bool& done);
  boost::asio::executor_work_guard<IoExecutor> guard_;
  std::shared_ptr<Incarnation> current_;
  std::list<std::weak_ptr<Incarnation>> former_;
  Gate burials_;
  bool serving_ = false;
  const bool trace_;
  std::uint64_t device_numbers_ = 100;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::vector<std::string> violations_;
};

}  // namespace ostraka::sim
