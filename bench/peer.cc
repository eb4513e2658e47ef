// What a call between two nodes costs: both ends in this process, over loopback, with TLS and without. Prints
// CPU (of both ends, the kernel's share too) per call and per GiB that went over the wire.
#include <sys/resource.h>
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include "cluster/http_transport.h"
#include "cluster/peer_server.h"
#include "net/http_server.h"
#include "net/make_certificates.h"
#include "net/peer_tls.h"
#include "runtime/fs.h"
#include "runtime/gate.h"

namespace {

using namespace ostraka;  // NOLINT(google-build-using-namespace): this file is the program
using namespace std::chrono_literals;

struct Settings {
  std::size_t out_bytes = 174'763;  // of the call's body: a shard of 1 MiB in a set of 6+2
  std::size_t in_bytes = 174'763;   // of the answer's
  int at_once = 4;
  double seconds = 2;
  std::size_t spread_mib = 0;  // 0: the same bytes again and again, which stay in the core's cache
};

BufferChain chain(const Buffer& buffer, std::size_t bytes) {
  return {Slice{buffer, buffer.span().first(bytes)}};
}

// Answers with as many bytes as the head says.
class Mirror final : public cluster::PeerService {
 public:
  explicit Mirror(std::size_t spread_mib)
      : buffer_(Buffer::on_heap(std::max<std::size_t>(spread_mib, 4) << 20)), spread_(spread_mib > 0) {
    std::memset(buffer_.data(), 1, buffer_.size());
  }
  Task<Result<cluster::PeerAnswer>> serve(Ctx&, const cluster::NodeName&, cluster::PeerCall call) override {
    cluster::PeerAnswer answer;
    const std::size_t bytes = std::strtoul(call.head.c_str(), nullptr, 10);
    if (bytes > 0) answer.body = {Slice{buffer_, buffer_.span().subspan(next_, bytes)}};
    if (spread_) next_ = next_ + 2 * bytes <= buffer_.size() ? next_ + bytes : 0;
    co_return answer;
  }

 private:
  const Buffer buffer_;
  const bool spread_;
  std::size_t next_ = 0;
};

// The peer's name without TLS to tell it.
class Unproved final : public net::Service {
 public:
  explicit Unproved(net::Service& inner) : inner_(inner) {}
  Task<> serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) override {
    head.peer = "node2";
    co_await inner_.serve(ctx, head, body, sink);
  }

 private:
  net::Service& inner_;
};

double cpu_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Run {
  cluster::HttpTransport& transport;
  Shard& shard;
  const Settings& settings;
  TimePoint until;
  std::uint64_t calls = 0;
  std::uint64_t failed = 0;
};

Task<> caller(Run* run) {
  const Settings& s = run->settings;
  const Buffer out = Buffer::on_heap(std::max<std::size_t>(s.out_bytes, 1));
  const Buffer in = Buffer::on_heap(std::max<std::size_t>(s.in_bytes, 1));
  const cluster::NodeName node = "node1";
  Clock& clock = run->shard.clock();
  while (clock.now() < run->until) {
    Ctx ctx{run->shard, clock.now() + 10s, "bench"};
    cluster::PeerCall call{"bench.mirror", std::to_string(s.in_bytes), {}};
    if (s.out_bytes > 0) call.body = chain(out, s.out_bytes);
    std::vector<disk::BlockTarget> into;
    if (s.in_bytes > 0) into.push_back(disk::BlockTarget{in, in.span().first(s.in_bytes)});
    const auto answer = co_await run->transport.call(ctx, node, std::move(call), std::move(into));
    ++run->calls;
    if (!answer) ++run->failed;
  }
}

void print(const char* what, const Settings& s, const Run& run, double cpu, double wall) {
  const double gib =
      static_cast<double>(run.calls) * static_cast<double>(s.out_bytes + s.in_bytes) / (1U << 30);
  std::printf("%-6s %7zu out %7zu in %3d at once: %8.0f calls/s %7.1f us CPU a call", what, s.out_bytes,
              s.in_bytes, s.at_once, static_cast<double>(run.calls) / wall,
              cpu * 1e6 / static_cast<double>(run.calls));
  if (gib > 0) std::printf(" %6.3f s CPU per GiB", cpu / gib);
  std::printf("%s\n", run.failed > 0 ? "  CALLS FAILED" : "");
}

int measure(const Settings& settings, bool tls) {
  SystemClock clock;
  SystemRandom random;
  PosixFs fs;
  MetricRegistry metrics;
  const ShardSpec small{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1};
  Shard here(2, clock, small);
  ShardPool shards(1, clock, small);
  Mirror mirror(settings.spread_mib);
  cluster::PeerServer peers({&shards[0]}, metrics, {.self = "node1", .build = "bench"});
  peers.set_service("bench.", &mirror);
  Unproved unproved(peers);

  net::HttpServerConfig config;
  config.address = "127.0.0.1:0";
  cluster::HttpTransportConfig client;
  if (tls) {
    std::string folder = "/tmp/ostraka-bench-XXXXXX";
    if (::mkdtemp(folder.data()) == nullptr) return 1;
    const std::int64_t now = clock.unix_ms() / 1000;
    const net::Validity today{now - 3600, now + 3600};
    const auto authority = net::make_authority("bench", today).value();
    std::shared_ptr<net::PeerTls> sides[2];
    for (int i = 0; i < 2; ++i) {
      const auto own = net::make_node_certificate(authority, "node" + std::to_string(i + 1), today).value();
      const Result<> written[] = {fs.write_file(folder + "/ca.crt", authority.certificate),
                                  fs.write_file(folder + "/node.crt", own.certificate),
                                  fs.write_file(folder + "/node.key", own.key)};
      for (const Result<>& one : written)
        if (!one) return 1;
      sides[i] = net::PeerTls::load(fs, folder).value();
    }
    std::filesystem::remove_all(folder);
    config.tls_refresh = 1h;
    config.peers = net::PeerPort{.tls = sides[0], .service = &peers};
    client.tls = sides[1];
  }
  net::HttpServer server(shards, unproved, config, metrics);
  shards.start();
  if (!server.start()) return 1;
  cluster::HttpTransport transport({&here}, random, metrics, client);
  transport.set_nodes({{"node1", {"127.0.0.1", server.port()}}});

  Gate warm_up;
  Run warm{transport, here, settings, clock.now() + 200ms};
  for (int i = 0; i < settings.at_once; ++i) warm_up.spawn(here.executor(), caller(&warm));
  run_to_end(here, warm_up.close());
  const double cpu = cpu_seconds();
  const TimePoint begin = clock.now();
  Gate gate;
  Run run{transport, here, settings,
          begin + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(settings.seconds))};
  for (int i = 0; i < settings.at_once; ++i) gate.spawn(here.executor(), caller(&run));
  run_to_end(here, gate.close());
  const double wall = std::chrono::duration<double>(clock.now() - begin).count();
  print(tls ? "TLS" : "plain", settings, run, cpu_seconds() - cpu, wall);
  run_to_end(here, transport.close());
  run_to_end(here, server.stop(1s));
  shards.stop();
  return run.failed > 0 ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
  Settings given;
  bool all = true;
  CLI::App app("CPU of one call between nodes");
  auto* out = app.add_option("--out", given.out_bytes, "bytes of the call's body");
  auto* in = app.add_option("--in", given.in_bytes, "bytes of the answer's body");
  app.add_option("--at-once", given.at_once, "calls at the same time");
  app.add_option("--seconds", given.seconds, "for each line");
  app.add_option("--spread-mib", given.spread_mib, "take the answers' bodies from so much memory in turn")
      ->check(CLI::Range(0, 4096));
  CLI11_PARSE(app, argc, argv);
  all = out->count() == 0 && in->count() == 0;
  int status = 0;
  for (const bool tls : {false, true}) {
    if (!all) {
      status |= measure(given, tls);
      continue;
    }
    for (const auto& [out_bytes, in_bytes] :
         {std::pair<std::size_t, std::size_t>{0, 0}, {174'763, 0}, {0, 174'763}, {174'763, 174'763}}) {
      Settings settings = given;
      settings.out_bytes = out_bytes;
      settings.in_bytes = in_bytes;
      status |= measure(settings, tls);
    }
  }
  return status;
}
