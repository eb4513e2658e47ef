#include "cmd/server.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <csignal>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <cstdio>

#include "admin/health.h"
#include "base/check.h"
#include "base/log.h"
#include "cluster/namesake.h"
#include "cmd/build_node.h"
#include "cmd/join_cluster.h"
#include "cmd/open_drives.h"
#include "cmd/peer_side.h"
#include "cmd/smart_watch.h"
#include "cmd/version.h"
#include "cmd/wait_to_join.h"
#include "disk/rocks_index.h"
#include "net/http_server.h"
#include "net/tls.h"
#include "object/object_sets.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "runtime/worker_pool.h"

namespace ostraka::cmd {
namespace {

constexpr std::size_t kMinSlabsPerShard = 8;
constexpr std::size_t kKeptSlabsPerShard = 2;
constexpr Duration kStartDeadline = std::chrono::seconds(30);
constexpr Duration kStartRetry = std::chrono::seconds(1);
constexpr Duration kStartReminder = std::chrono::minutes(1);
constexpr std::uint64_t kFilesPerDrive = 100;  // tables and logs of its index, and what is always open

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1U, static_cast<unsigned>(CPU_COUNT(&set)));
}

// Returns how many files the process may have open.
std::size_t prepare_process() {
  std::signal(SIGPIPE, SIG_IGN);  // a peer that went away is an error of the write, not of the process
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return 1024;
  if (files.rlim_cur < files.rlim_max) {
    rlimit raised = files;
    raised.rlim_cur = raised.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &raised) == 0) return raised.rlim_cur;
  }
  return files.rlim_cur;
}

disk::IndexBudget::Spec index_budget(const ServerConfig& config) {
  disk::IndexBudget::Spec spec;
  spec.memtable_bytes = spec.memtable_bytes * config.index_memory_bytes / spec.memory_bytes;
  spec.memory_bytes = config.index_memory_bytes;
  spec.drives = static_cast<unsigned>(config.drives.size());
  return spec;
}

ShardSpec shard_spec(const ServerConfig& config, const erasure::Geometry& geometry, unsigned threads) {
  // Classes that do not fit are refused by make_node(); any size will do until then.
  const auto classes = object::make_storage_classes(geometry, config.reduced_parity.value_or(0));
  ShardSpec spec;
  spec.slab_bytes = slab_bytes(geometry, classes ? classes->reduced : geometry);
  const std::uint64_t of_peers =
      config.cluster_certs_dir.empty() ? 0 : peer_bytes_per_shard(config, threads) * threads;
  const std::uint64_t rest = config.buffer_memory_bytes - std::min(config.buffer_memory_bytes, of_peers);
  spec.max_slabs = std::max<std::size_t>(kMinSlabsPerShard, rest / threads / spec.slab_bytes);
  spec.keep_slabs = kKeptSlabsPerShard;
  return spec;
}

net::HttpServerConfig http_config(const ServerConfig& config, const HostPort& address,
                                  std::shared_ptr<net::TlsContext> tls, std::size_t files_max) {
  net::HttpServerConfig out;
  out.address = to_string(address);
  out.tls = std::move(tls);
  out.head_timeout = config.header_timeout;
  out.idle_timeout = config.idle_timeout;
  out.read_timeout = config.request_timeout;
  out.write_timeout = config.request_timeout;
  // Both servers together leave the drives half of the files: idle clients must not keep them from opening
  // theirs.
  out.max_connections = std::min(out.max_connections, files_max / 4);
  return out;
}

// For the banner.
struct NodeFacts {
  erasure::Geometry geometry;
  bool shared_file_system = false;  // some drives lie on the same one
  std::string s3_address, console_address;
};

void watch_pools(MetricRegistry& metrics, ShardPool& shards, disk::IndexBudget& budget) {
  for (std::size_t i = 0; i < shards.size(); ++i) {
    const BufferPool& pool = shards[i].buffers();
    const Labels labels{{"shard", std::to_string(i)}};
    const auto bytes = [&pool](std::size_t slabs) { return static_cast<double>(slabs * pool.slab_bytes()); };
    metrics.gauge_callback("ostraka_buffer_used_bytes", "Buffers that hold object data", labels,
                           [&pool, bytes] { return bytes(pool.in_use()); });
    metrics.gauge_callback("ostraka_buffer_resident_bytes", "Buffers that hold memory", labels,
                           [&pool, bytes] { return bytes(pool.resident()); });
    metrics.gauge_callback("ostraka_buffer_limit_bytes", "Buffers that there may be", labels,
                           [&pool, bytes] { return bytes(pool.max_slabs()); });
  }
  metrics.gauge_callback("ostraka_index_memory_bytes", "Memory of all indexes: blocks, filters and memtables",
                         {}, [&budget] { return static_cast<double>(budget.cache_bytes()); });
  metrics.gauge_callback("ostraka_index_memtable_bytes", "Of these, memtables", {},
                         [&budget] { return static_cast<double>(budget.memtable_bytes()); });
}

// What the parts of the process share, for as long as it serves.
struct Process {
  const ServerConfig& config;
  MetricRegistry& metrics;
  WorkersFactory& workers;
  ShardPool& shards;
  Shard& main;
  boost::asio::basic_signal_set<IoExecutor>& signals;
  std::shared_ptr<net::TlsContext> tls;
  std::optional<PeerSide> peers;
  std::size_t files_max;
};

bool share_a_file_system(std::vector<std::uint64_t> file_systems) {
  std::erase(file_systems, 0U);
  std::sort(file_systems.begin(), file_systems.end());
  return std::adjacent_find(file_systems.begin(), file_systems.end()) != file_systems.end();
}

std::string banner(const ServerConfig& config, const NodeFacts& node,
                   const std::vector<disk::DriveInfo>& drives, const std::string& sentence) {
  const std::string scheme = config.tls_certs_dir.empty() ? "http://" : "https://";
  std::string out = fmt::format("Ostraka {}\n  Health    {}\n", version(), sentence);
  const erasure::Geometry& g = node.geometry;
  out += fmt::format(
      "  Geometry  {0}+{1}: {0} data and {1} parity shards for each object; a write needs {2} drives, a read "
      "{3}\n",
      g.data_shards, g.parity_shards, g.write_quorum(), std::max<unsigned>(g.data_shards, g.read_quorum()));
  for (const disk::DriveInfo& drive : drives) {
    out += fmt::format("  {:<9} {}{}\n", &drive == drives.data() ? "Drives" : "", drive.path,
                       drive.online ? "" : "  (left out)");
  }
  if (node.shared_file_system)
    out += "            Some lie on one file system: good for a trial, but one disk may then fail them all\n";
  out += fmt::format("  S3        {}{}\n  Status    {}{}\n", scheme, node.s3_address, scheme,
                     node.console_address);
  out += fmt::format(
      "  Connect   AWS_ACCESS_KEY_ID=$OSTRAKA_ROOT_USER AWS_SECRET_ACCESS_KEY=$OSTRAKA_ROOT_PASSWORD "
      "AWS_DEFAULT_REGION={} aws --endpoint-url {}{} s3 ls\n",
      config.region, scheme, node.s3_address);
  return out;
}

// Sets `stop` at the first signal.
Task<> wait_for_signal(boost::asio::basic_signal_set<IoExecutor>* signals, Event* stop) {
  boost::system::error_code error;
  auto token = boost::asio::redirect_error(kAwait, error);
  co_await signals->async_wait(token);
  if (error) co_return;
  signals->clear(error);  // a second signal ends the process at once, which is safe too
  stop->set();
}

// Drives that answer, and those that only have to be mounted.
std::size_t drives_to_hope_for(const NodeDrives& drives) {
  std::size_t count = 0;
  for (std::size_t slot = 0; slot < drives.drives.size(); ++slot)
    count += drives.drives[slot]->online() || drives.awaited[slot] ? 1U : 0U;
  return count;
}

std::string missing_text(const std::vector<disk::DriveInfo>& drives) {
  std::string out;
  for (const disk::DriveInfo& drive : drives) {
    if (!drive.online) out += fmt::format("{}{} ({})", out.empty() ? "" : "; ", drive.path, drive.problem);
  }
  return out;
}

// As a running server waits for drives that left, and for etcd, a starting one waits for those that come
// late. Ends without an error when `stop` is set, too.
Task<Result<>> load(Process& process, Clock& clock, Node& node, Event& stop) {
  std::string told;
  TimePoint remind{};
  for (;;) {
    Ctx ctx{process.main, clock.now() + kStartDeadline, "start"};
    Result<> loaded = co_await node.load(ctx);
    if (!loaded.failed_with(Errc::unavailable) && !loaded.failed_with(Errc::in_doubt)) co_return loaded;
    const std::vector<disk::DriveInfo> drives = co_await node.console().look_at_drives(ctx);
    std::string missing = missing_text(drives);
    if (missing != told || clock.now() >= remind) {
      if (missing.empty())
        log::warn("waiting: {}", loaded.error().detail);
      else
        log::warn("waiting for drives: {}. Missing: {}", loaded.error().detail, missing);
      told = std::move(missing);
      remind = clock.now() + kStartReminder;
    }
    const TimePoint next = clock.now() + kStartRetry;
    const bool stopping = co_await stop.wait_until(clock, next);
    if (stopping) co_return Result<>{};
  }
}

// Load balancers that look at /health/ready get time to send their clients to other nodes, and those nodes
// to find the one that came back before this one.
Task<> leave(Clock& clock, admin::AdminService& console, net::HttpServer& s3, Duration delay) {
  console.become_unready("shutting down");
  s3.begin_leaving();
  log::info("shutting down: not ready from now on, serving for {} s more",
            std::chrono::duration<double>(delay).count());
  co_await sleep_for(clock, delay);
}

// What may be open at once: a connection and the shard files of a set for each request, and the indexes.
void warn_of_few_files(const ServerConfig& config, const erasure::Geometry& geometry, std::size_t files_max) {
  const std::uint64_t wanted =
      config.requests_max * (1 + geometry.drives()) + config.drives.size() * kFilesPerDrive;
  if (files_max >= wanted) return;
  log::warn(
      "only {} files may be open at once (RLIMIT_NOFILE), and {} requests in flight on {} drives may need "
      "{}: "
      "raise the limit (ulimit -n, LimitNOFILE= of systemd), or lower api.requests_max",
      files_max, config.requests_max, config.drives.size(), wanted);
}

Task<Result<>> serve(Process& process, Deps deps, NodeDrives drives) {
  const ServerConfig& config = process.config;
  const erasure::Geometry geometry = drives.geometry;
  const bool shared_file_system = share_a_file_system(drives.file_systems);
  const std::size_t hoped_for = drives_to_hope_for(drives);
  std::vector<disk::LocalDrive*> local = drives.local;
  std::erase(local, nullptr);
  CO_TRY(node, make_node(deps, std::move(drives), config));
  const SmartWatch smart(deps.fs, process.workers, find_smartctl(deps.fs), std::move(local));
  admin::AdminService& console = node->console();
  if (hoped_for < node->drives_to_load()) {
    co_await node->close();
    co_return fail(Errc::unavailable,
                   fmt::format("{} drives must answer, and of the folders named only {} hold a drive or may "
                               "still have one mounted; see above for the others",
                               node->drives_to_load(), hoped_for));
  }

  net::HttpServerConfig s3_config = http_config(config, config.address, process.tls, process.files_max);
  if (process.peers) s3_config.peers = process.peers->port();
  net::HttpServer s3_server(process.shards, node->s3(), std::move(s3_config), process.metrics);
  net::HttpServer console_server(process.shards, console,
                                 http_config(config, config.console_address, process.tls, process.files_max),
                                 process.metrics);
  Gate tasks;
  Event stop;
  tasks.spawn(process.main.executor(), wait_for_signal(&process.signals, &stop));
  process.shards.start();
  Result<> serving = s3_server.start();
  const bool s3_listens = serving.has_value();
  const bool console_listens = s3_listens && (serving = console_server.start()).has_value();
  if (console_listens) serving = co_await load(process, deps.clock, *node, stop);
  if (serving && !stop.is_set()) {
    Ctx ctx{process.main, deps.clock.now() + kStartDeadline, "start"};
    const std::vector<disk::DriveInfo> infos = co_await console.look_at_drives(ctx);
    const admin::Assessment assessment = console.assess_drives(infos);
    const NodeFacts facts{geometry, shared_file_system, to_string({config.address.host, s3_server.port()}),
                          to_string({config.console_address.host, console_server.port()})};
    const std::string text = banner(config, facts, infos, assessment.sentence);
    std::fputs(text.c_str(), stdout);
    std::fflush(stdout);
    co_await stop.wait();
    if (process.peers) co_await leave(deps.clock, console, s3_server, config.shutdown_delay);
    log::info("shutting down: running requests have {} s", config.shutdown_timeout.count() / 1000);
  }
  console.become_unready("shutting down");
  if (s3_listens) co_await s3_server.stop(config.shutdown_timeout);
  if (console_listens) co_await console_server.stop(std::chrono::seconds(1));
  co_await node->close();
  if (process.peers) co_await process.peers->transport->close();
  process.signals.cancel();
  co_await tasks.close();
  co_return serving;
}

// Nobody else may be this node: what became of its drives is decided from here on.
Task<Result<Membership>> join_alone(Ctx& ctx, const JoinDeps& deps,
                                    const std::shared_ptr<net::PeerTls>& tls) {
  const auto own = [&deps](const cluster::DriveUrl& url) { return url.node == deps.self; };
  const auto& drives = deps.config.cluster_drives;
  const auto url = std::find_if(drives.begin(), drives.end(), own);
  CHECK(url != drives.end());
  const net::HostPort address{url->node, url->port};
  auto checking = cluster::check_no_namesake(ctx.shard, deps.random, tls, deps.self, address);
  CO_TRY_VOID(co_await std::move(checking));
  auto joining = join_cluster(ctx, deps);
  co_return co_await std::move(joining);
}

// Without a membership and without an error when a signal ended it.
Task<Result<std::optional<Membership>>> join(Shard* main, boost::asio::basic_signal_set<IoExecutor>* signals,
                                             JoinDeps deps, std::shared_ptr<net::PeerTls> tls,
                                             WaitingServers::Config waiting) {
  Gate tasks;
  Event stop;
  tasks.spawn(main->executor(), wait_for_signal(signals, &stop));
  WaitingServers servers(deps.clock, std::move(waiting));
  JoinOnce once = [&deps, &tls](Ctx& ctx) { return join_alone(ctx, deps, tls); };
  auto waiting_to_join = wait_to_join(*main, servers, stop, std::move(once));
  Result<std::optional<Membership>> out = co_await std::move(waiting_to_join);
  signals->cancel();
  co_await tasks.close();
  co_return out;
}

// And which folders are this node's own.
Result<std::optional<Membership>> join_as(Shard& main, boost::asio::basic_signal_set<IoExecutor>& signals,
                                          JoinDeps deps, std::shared_ptr<net::PeerTls> tls,
                                          WaitingServers::Config waiting, std::vector<std::string>& folders) {
  folders.clear();
  for (const cluster::DriveUrl& url : deps.config.cluster_drives)
    if (url.node == deps.self) folders.push_back(url.folder);
  if (folders.empty()) {
    return fail(
        Errc::invalid_argument,
        fmt::format("this node is {} by its certificate ({}), and none of the drives is on it: name them "
                    "as http://{}:PORT/FOLDER, or give the node the certificate of its own",
                    deps.self, deps.config.cluster_certs_dir, deps.self));
  }
  return run_to_end(main, join(&main, &signals, std::move(deps), std::move(tls), std::move(waiting)));
}

erasure::Geometry geometry_of(const cluster::Topology& topology) {
  return {static_cast<std::uint8_t>(topology.data_shards), static_cast<std::uint8_t>(topology.parity_shards)};
}

// Where a node of a cluster listens: as it was told, or else at the port that its drives are named with.
HostPort address_of(const ServerConfig& config, const cluster::NodeName& self) {
  if (config.address_given) return config.address;
  for (const cluster::DriveUrl& url : config.cluster_drives)
    if (url.node == self) return {"0.0.0.0", url.port};
  return config.address;
}

using MakeRemote = std::function<std::unique_ptr<cluster::RemoteDrive>(cluster::RemoteDriveSpec spec)>;

// Of the kernel, which all containers on a machine share; a copy of the machine has another.
std::string boot_id(Fs& fs) {
  std::string id = fs.read_file("/proc/sys/kernel/random/boot_id", 64).value_or(std::string());
  std::erase(id, '\n');
  return id;
}

Peers peers_of(PeerSide& side, Fs& fs, const cluster::Topology& topology, MakeRemote remote) {
  const cluster::NodeName& self = side.tls->self().node;
  const net::HostPort address = addresses_of(topology).at(self);
  const auto serve = [server = side.server.get()](const std::string& prefix, cluster::PeerService* service) {
    server->set_service(prefix, service);
  };
  for (const std::string_view prefix : kPeerCalls) serve(std::string(prefix), nullptr);
  const auto meet = [transport = side.transport.get()](const cluster::Topology& now) {
    transport->set_nodes(addresses_of(now));
  };
  return Peers{self, to_string(address), *side.transport, serve, std::move(remote), meet, boot_id(fs)};
}

}  // namespace

int run_server(const ServerConfig& given) {
  ServerConfig config = given;
  const auto say = [](const Error& error) {
    std::fprintf(stderr, "ostraka: %s\n", error.detail.c_str());
    return 1;
  };
  const std::size_t files_max = prepare_process();
  log::set_level(config.log_level);
  const unsigned threads = config.threads == 0 ? usable_cpus() : config.threads;
  SystemClock clock;
  SystemRandom random;
  PosixFs fs;
  WorkerPools workers;
  MetricRegistry metrics;
  disk::IndexBudget budget(index_budget(config));
  disk::RocksIndexFactory indexes(budget, fs);
  Shard main(
      threads, clock,
      ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0});  // starts, waits for signals, stops
  boost::asio::basic_signal_set<IoExecutor> signals(main.executor(), SIGINT, SIGTERM);
  std::shared_ptr<net::TlsContext> tls;
  if (!config.tls_certs_dir.empty()) {
    auto loaded = net::TlsContext::load(fs, config.tls_certs_dir);
    if (!loaded) return say(loaded.error());
    tls = *loaded;
  }
  DriveOpening opening{clock, random, fs, indexes, workers, metrics, config.drives, config.erasure_set, true};
  std::shared_ptr<net::PeerTls> peer_tls;
  if (!config.cluster_certs_dir.empty()) {
    auto loaded = net::PeerTls::load(fs, config.cluster_certs_dir);
    if (!loaded) return say(loaded.error());
    peer_tls = std::move(*loaded);
  }
  std::optional<Membership> cluster;
  std::optional<NodeDrives> drives;
  if (!config.cluster_drives.empty()) {
    const cluster::NodeName& self = peer_tls->self().node;
    const HostPort address = address_of(config, self);
    WaitingServers::Config waiting{http_config(config, address, tls, files_max),
                                   http_config(config, config.console_address, tls, files_max),
                                   config.s3_probes};
    auto joined = join_as(main, signals, {clock, random, fs, config, self}, peer_tls, std::move(waiting),
                          opening.folders);
    if (!joined) return say(joined.error());
    if (!*joined) return 0;
    cluster = std::move(*joined);
    config.address = address;
    opening.folders = own_folders(*cluster, self, config.cluster_drives);
    if (opening.folders.empty()) {
      return say(
          {Errc::invalid_argument,
           fmt::format("none of the drives of this node ({}) that are named is one of the cluster any more",
                       self)});
    }
  } else {
    auto opened = open_drives(std::move(opening));
    if (!opened) return say(opened.error());
    drives = std::move(*opened);
  }
  const erasure::Geometry geometry = cluster ? geometry_of(cluster->topology) : drives->geometry;
  warn_of_few_files(config, geometry, files_max);
  ShardPool shards(threads, clock, shard_spec(config, geometry, threads));
  watch_pools(metrics, shards, budget);
  Deps deps{clock, random, fs, metrics};
  for (std::size_t i = 0; i < shards.size(); ++i) deps.shards.push_back(&shards[i]);
  std::optional<PeerSide> peers;
  if (peer_tls) peers = make_peer_side(random, metrics, config, std::move(peer_tls), deps.shards, main);
  if (cluster) {
    peers->transport->set_nodes(addresses_of(cluster->topology));
    const cluster::NodeName& self = peers->tls->self().node;
    const MakeRemote remote = [transport = peers->transport.get(), &clock, &random,
                               &shards](cluster::RemoteDriveSpec spec) {
      Shard& home = shards[spec.slot % shards.size()];
      return std::make_unique<cluster::RemoteDrive>(cluster::RemoteDriveDeps{*transport, clock, random, home},
                                                    std::move(spec));
    };
    const cluster::Placement* table = cluster->table ? &*cluster->table : nullptr;
    auto opened =
        open_cluster_drives(std::move(opening), {cluster->topology, self, cluster->seen, remote, table});
    if (!opened) return say(opened.error());
    drives = std::move(*opened);
    deps.peers.emplace(peers_of(*peers, fs, cluster->topology, remote));
  }
  Process process{config,  metrics,        workers,          shards,   main,
                  signals, std::move(tls), std::move(peers), files_max};
  const Result<> served = run_to_end(main, serve(process, deps, std::move(*drives)));
  shards.stop();
  return served ? 0 : say(served.error());
}

}  // namespace ostraka::cmd
