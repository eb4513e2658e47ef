// A cluster's part of SimWorld: what cmd/server.cc does for a node of several, over the simulated network.
#include <fmt/format.h>

#include "cmd/join_cluster.h"
#include "cmd/open_drives.h"
#include "cmd/peer_side.h"
#include "tests/sim/sim_world.h"

namespace ostraka::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr unsigned kEtcdMembers = 3;
constexpr std::uint16_t kEtcdPort = 2379, kNodePort = 9000;
constexpr Duration kStartDeadline = seconds(30);  // as cmd/server.cc
constexpr Duration kStartRetry = seconds(1);

std::string etcd_host(std::size_t i) {
  return fmt::format("etcd{}", i + 1);
}

bool is_passing(const Result<>& result) {
  return result.failed_with(Errc::unavailable) || result.failed_with(Errc::in_doubt) ||
         result.failed_with(Errc::deadline);
}

}  // namespace

cluster::DriveUrl SimWorld::url_of(std::size_t slot) {
  return {node_of(slot).name, kNodePort, "/" + drive_name(slot)};
}

void SimWorld::make_cluster() {
  etcd = std::make_unique<SimEtcd>(clock, random, probes, kEtcdMembers);
  for (std::size_t i = 0; i < etcd->members(); ++i) {
    etcd_lines_.push_back(std::make_unique<SimTimeline>(clock));
    net.listen(etcd_host(i), {&etcd->member(i), &shard, etcd_lines_.back().get(), &etcd_requests_, 1});
  }
}

bool SimWorld::goes_on(const Incarnation& one) const {
  return !one.stopping && one.of.machine.alive(one.number);
}

Task<Result<>> SimWorld::start_member(Incarnation* born) {
  cmd::ServerConfig& config = born->config;
  // Nodes that were added later others need not be told of.
  const bool all = !born->of.founder || random.chance(0.5);
  for (std::size_t slot = 0; slot < devices.size(); ++slot) {
    const SimNode& on = node_of(slot);
    if (on.founder || &on == &born->of || (all && on.part)) config.cluster_drives.push_back(url_of(slot));
  }
  for (std::size_t i = 0; i < etcd->members(); ++i)
    config.control_store.etcd.push_back({etcd_host(i), kEtcdPort});
  config.control_store.cluster = "simulated";
  config.erasure_set = geometry;
  net.machine_is_up(born->of.name);
  Result<> outcome;
  Event booted;
  born->calls.spawn(born->shard.executor(), boot(born, &outcome, &booted));
  co_await booted.wait();
  co_return outcome;
}

Task<> SimWorld::boot(Incarnation* born, Result<>* outcome, Event* booted) {
  *outcome = co_await boot_member(born);
  booted->set();
}

Task<Result<>> SimWorld::boot_member(Incarnation* born) {
  CO_TRY(drives, co_await open_member(born));
  SimNode& on = born->of;
  const auto serve = [this, born](const std::string& prefix, cluster::PeerService* service) {
    if (prefix == cmd::kLockCalls && service != nullptr) {
      born->lock_watch = std::make_unique<LockWatch>(*service, probes);
      service = born->lock_watch.get();
    }
    born->peer_server->set_service(prefix, service);
  };
  for (const std::string_view prefix : cmd::kPeerCalls) serve(std::string(prefix), nullptr);
  cmd::Deps deps{on.clock, born->random, born->fs, born->metrics};
  deps.shards.push_back(&born->shard);
  deps.dial = net.dial_from(on.name, born->number, on.line);
  const auto meet = [transport = born->transport.get()](const cluster::Topology& now) {
    transport->set_nodes(cmd::addresses_of(now));
  };
  deps.peers.emplace(cmd::Peers{on.name, fmt::format("{}:{}", on.name, kNodePort), *born->transport, serve,
                                remote_drives(*born), meet, on.name});
  CO_TRY(node, cmd::make_node(deps, std::move(drives), born->config));
  born->node = std::move(node);
  if (!goes_on(*born)) co_return fail(Errc::closed, "it ended while it started");
  net.listen(on.name, {born->peer_server.get(), &born->shard, &on.line, &born->calls, born->number});
  for (;;) {
    Ctx ctx{born->shard, on.clock.now() + kStartDeadline, "start"};
    Result<> loaded = co_await born->node->load(ctx);
    if (!goes_on(*born)) co_return fail(Errc::closed, "it ended while it started");
    if (!is_passing(loaded)) co_return loaded;
    co_await sleep_for(on.clock, kStartRetry);
  }
}

Task<Result<cmd::NodeDrives>> SimWorld::open_member(Incarnation* born) {
  SimNode& on = born->of;
  const net::HttpDial dial = net.dial_from(on.name, born->number, on.line);
  std::optional<cmd::Membership> joined;
  while (!joined) {
    Ctx ctx{born->shard, on.clock.now() + kStartDeadline, "join"};
    const cmd::JoinDeps deps{on.clock, born->random, born->fs, born->config, on.name, dial};
    Result<cmd::Membership> known = co_await cmd::join_cluster(ctx, deps);
    if (!goes_on(*born)) co_return fail(Errc::closed, "it ended while it joined");
    if (known) {
      joined = std::move(*known);
      break;
    }
    const Result<> failure = tl::unexpected<Error>(known.error());
    if (!is_passing(failure)) co_return tl::unexpected<Error>(known.error());
    co_await sleep_for(on.clock, kStartRetry);
  }
  cluster::PeerServerConfig server;
  server.self = on.name;
  server.build = "simulated";
  std::vector<Shard*> shards{&born->shard};
  born->peer_server = std::make_unique<cluster::PeerServer>(shards, born->metrics, std::move(server));
  cluster::HttpTransportConfig config;
  config.dial = dial;
  born->transport =
      std::make_unique<cluster::HttpTransport>(shards, born->random, born->metrics, std::move(config));
  born->transport->set_nodes(cmd::addresses_of(joined->topology));
  std::vector<std::string> folders = cmd::own_folders(*joined, on.name, born->config.cluster_drives);
  cmd::DriveOpening opening{on.clock,      born->random,  born->fs, born->indexes,
                            born->workers, born->metrics, folders,  geometry};
  const cluster::Placement* table = joined->table ? &*joined->table : nullptr;
  co_return cmd::open_cluster_drives(std::move(opening),
                                     {joined->topology, on.name, joined->seen, remote_drives(*born), table});
}

// As cmd/server.cc makes them.
SimWorld::MakeRemote SimWorld::remote_drives(Incarnation& of) {
  return [born = &of](cluster::RemoteDriveSpec spec) {
    return std::make_unique<cluster::RemoteDrive>(
        cluster::RemoteDriveDeps{*born->transport, born->of.clock, born->random, born->shard},
        std::move(spec));
  };
}

}  // namespace ostraka::sim
