// SimWorld: one node or a cluster of several, each the production object graph (cmd::build_node over its own
// LocalDrives, and RemoteDrives of the others) on simulated hardware, in one thread and from one seed. It
// starts, stops, pauses and kills them; what happens in it is decided by scenario.h.
#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "cluster/http_transport.h"
#include "cluster/peer_server.h"
#include "cmd/build_node.h"
#include "erasure/codec.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "tests/sim/lock_watch.h"
#include "tests/sim/s3_client.h"
#include "tests/sim/sim_etcd.h"
#include "tests/sim/sim_fs.h"
#include "tests/sim/sim_machine.h"
#include "tests/sim/sim_net.h"
#include "tests/sim/sim_workers.h"

namespace ostraka::sim {

enum class Death : std::uint8_t {
  killed,    // the process only: what it wrote is in the page cache
  power_cut  // what was not synced may be lost
};

struct WorldShape {
  erasure::Geometry geometry;
  std::size_t nodes = 1;   // that it begins with; more: a cluster
  std::size_t drives = 0;  // of each node; 0: as many as the geometry has
  std::size_t spares = 0;  // machines of a cluster that may become nodes of it
};

struct SimNode;

// One life of a node's process.
struct Incarnation {
  Incarnation(SimNode& node, FiberScheduler& scheduler, std::uint64_t number, std::uint64_t seed,
              ShardSpec spec);
  SimNode& of;
  const std::uint64_t number;
  SimFs fs;
  SimIndexes indexes;
  SimWorkersFactory workers;
  SimRandom random;
  MetricRegistry metrics;
  Shard shard;
  boost::asio::executor_work_guard<IoExecutor> guard;
  Gate requests;
  Gate calls;  // of peers, and its own start
  bool stopping = false;
  std::vector<std::weak_ptr<Exchange>> exchanges;
  cmd::ServerConfig config;
  // Of a cluster's:
  std::unique_ptr<cluster::PeerServer> peer_server;
  std::unique_ptr<cluster::HttpTransport> transport;
  std::unique_ptr<LockWatch> lock_watch;
  std::unique_ptr<cmd::Node> node;
};

// A machine with a name, and who runs on it.
struct SimNode {
  SimNode(std::size_t i, SimClock& world, FiberScheduler& scheduler, Probes& probes)
      : index(i),
        name("node" + std::to_string(i + 1)),
        line(world),
        clock(line),
        machine(scheduler, probes) {}
  const std::size_t index;
  const std::string name;
  SimTimeline line;
  MachineClock clock;
  SimMachine machine;
  std::vector<std::size_t> slots;  // of its drives
  bool founder = true;             // of the cluster
  bool part = true;                // of it now
  std::shared_ptr<Incarnation> current;
  bool serving = false;
  std::uint64_t pauses = 0;  // so far
  TimePoint paused_last{};   // until then it stood
};

class SimWorld {
 public:
  SimWorld(std::uint64_t seed, WorldShape shape, bool trace);
  SimWorld(const SimWorld&) = delete;
  SimWorld& operator=(const SimWorld&) = delete;
  ~SimWorld();

  // Runs everything until the task has ended.
  void run(Task<> task);

  bool is_cluster() const noexcept { return nodes.size() > 1; }
  std::vector<SimNode*> members() const;   // all nodes that are part of it, in order
  std::vector<std::size_t> slots() const;  // of their drives
  SimNode& node(std::size_t i) { return *nodes[i]; }
  SimNode& node_of(std::size_t slot) { return *nodes[slot / drives_per_node_]; }

  // --- a node's process
  // Opens the drives, builds the node, takes requests. A node of a cluster waits for the others, and for
  // etcd, until it has started, has died, or was told to stop.
  Task<Result<>> start(std::size_t node = 0);
  Task<> stop(std::size_t node = 0);  // as on SIGTERM
  // Dies at that call to a device from now on.
  void arm_death(Death death, std::uint64_t calls, std::size_t node = 0);
  void die(Death death, std::size_t node = 0);
  void pause(std::size_t node, Duration length);  // the process does nothing at all
  // At that call to a device from now on, so that it stands in the middle of something.
  void arm_pause(Duration length, std::uint64_t calls, std::size_t node);
  void go_on(std::size_t node);
  // The node's devices give up what they only said they had: pages whose sync failed once.
  void end_lies(std::size_t node = 0);
  bool serving(std::size_t node = 0) const noexcept { return nodes[node]->serving; }
  bool dead(std::size_t node = 0) const noexcept { return nodes[node]->machine.incarnation == 0; }
  Incarnation* incarnation(std::size_t node = 0) noexcept { return nodes[node]->current.get(); }
  Task<> bury_all();  // until no former incarnation is left

  // --- a client's view; status 0 when nobody answers
  Task<S3Reply> exchange(S3Request request, std::size_t node = 0);

  // What the drives' own gauges say; its node must be serving.
  bool drive_online(std::size_t slot);
  // Its format.json says that it lost its data and is not full again yet.
  bool refilling(std::size_t slot) const;
  // A new, empty device takes the place of the one that belonged into the slot.
  void replace_device(std::size_t slot);
  void unplug(const std::shared_ptr<Device>& device);  // open files of it may go on working
  void plug_in(const std::shared_ptr<Device>& device);
  void put_bays_in_order();
  void put_back(std::size_t one, std::size_t other);   // by slot: each into its own bay, if it is in any
  void swap_bays(std::size_t one, std::size_t other);  // by slot, of one node
  // Which bay the device is in; "": none.
  std::string bay_of(const std::shared_ptr<Device>& device) const;

  // --- what happened
  void note(std::string_view event);  // one line of the trace
  std::uint64_t trace_hash() const noexcept { return hash_; }
  void violation(std::string text);
  const std::vector<std::string>& violations() const noexcept { return violations_; }
  void collect_metrics(Incarnation& from);           // adds them to the probes
  std::uint64_t counted(const std::string& metric);  // by processes that have ended, and those that run

  std::string drive_name(std::size_t i) const { return "d" + std::to_string(i); }
  cluster::DriveUrl url_of(std::size_t slot);

  SimRandom random;
  SimClock clock;
  FiberScheduler scheduler{clock, random};
  Probes probes;
  const erasure::Geometry geometry;
  std::vector<std::unique_ptr<SimNode>> nodes;
  std::vector<std::shared_ptr<Device>> devices;  // those that belong into the bays, by slot
  Shard shard;                                   // of clients and of the scenario
  Gate tasks;                                    // of both
  SimNet net{clock, random, probes};
  std::unique_ptr<SimEtcd> etcd;  // of a cluster

 private:
  Task<> serve_exchange(std::shared_ptr<Exchange> exchange, Incarnation* by, std::uint64_t seed);
  Task<> bury(std::shared_ptr<Incarnation> old);
  Task<Result<>> start_alone(Incarnation* born);
  // --- sim_cluster.cc
  void make_cluster();
  Task<Result<>> start_member(Incarnation* born);
  Task<> boot(Incarnation* born, Result<>* outcome, Event* booted);
  Task<Result<>> boot_member(Incarnation* born);
  Task<Result<cmd::NodeDrives>> open_member(Incarnation* born);
  using MakeRemote = std::function<std::unique_ptr<cluster::RemoteDrive>(cluster::RemoteDriveSpec spec)>;
  static MakeRemote remote_drives(Incarnation& of);
  bool goes_on(const Incarnation& one) const;
  static bool writes_under_way(const SimNode& on);  // that clients have asked it for

  Task<> close_process(Incarnation* old);
  std::shared_ptr<Device>& bay_named(const std::string& name);
  void count(const Losses& losses);
  void turn(const bool& done);
  boost::asio::executor_work_guard<IoExecutor> guard_;
  const std::size_t drives_per_node_;
  std::list<std::weak_ptr<Incarnation>> former_;
  Gate burials_;
  Gate etcd_requests_;
  std::vector<std::unique_ptr<SimTimeline>> etcd_lines_;
  const bool trace_;
  std::uint64_t device_numbers_ = 100;
  std::uint64_t hash_ = 0xcbf29ce484222325ULL;
  std::vector<std::string> violations_;
};

}  // namespace ostraka::sim
