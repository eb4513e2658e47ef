#include "tests/sim/sim_world.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <cstdio>

#include "base/check.h"
#include "base/hash.h"
#include "cluster/limits.h"
#include "cmd/open_drives.h"

namespace ostraka::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr ShardSpec kClientShard{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0};
constexpr Duration kStartDeadline = seconds(30);
constexpr Duration kClientPatience = seconds(150);

ShardSpec node_shard(const erasure::Geometry& geometry) {
  ShardSpec spec;
  spec.slab_bytes = cmd::slab_bytes(geometry, geometry);
  spec.max_slabs = 24;
  spec.keep_slabs = 4;
  return spec;
}

// Of a process, for the trace.
std::string label(const SimNode& on, std::uint64_t number) {
  return on.index == 0 ? fmt::format("{}", number) : fmt::format("{} of {}", number, on.name);
}

}  // namespace

Incarnation::Incarnation(SimNode& on, FiberScheduler& scheduler, std::uint64_t n, std::uint64_t seed,
                         ShardSpec spec)
    : of(on),
      number(n),
      fs(on.machine, n),
      indexes(on.machine, fs, n),
      workers(scheduler, on.line),
      random(seed),
      shard(0, on.clock, spec),
      guard(shard.executor()) {}

SimWorld::SimWorld(std::uint64_t seed, WorldShape shape, bool trace)
    : random(seed),
      geometry(shape.geometry),
      shard(99, clock, kClientShard),
      guard_(shard.executor()),
      drives_per_node_(shape.drives == 0 ? geometry.drives() : shape.drives),
      trace_(trace) {
  const std::size_t machines = shape.nodes + shape.spares;
  for (std::size_t i = 0; i < machines; ++i) {
    nodes.push_back(std::make_unique<SimNode>(i, clock, scheduler, probes));
    nodes.back()->founder = nodes.back()->part = i < shape.nodes;
  }
  for (std::size_t i = 0; i < machines * drives_per_node_; ++i) {
    devices.push_back(std::make_shared<Device>(++device_numbers_));
    node_of(i).slots.push_back(i);
    SimMachine& machine = node_of(i).machine;
    machine.bays[drive_name(i)] = devices.back();
    Node& root = *machine.root->disk.root();
    root.names[drive_name(i)] = machine.root->disk.make(true);
    root.durable_names = root.names;
  }
  if (is_cluster()) make_cluster();
}

SimWorld::~SimWorld() = default;

std::vector<SimNode*> SimWorld::members() const {
  std::vector<SimNode*> out;
  for (const auto& one : nodes)
    if (one->part) out.push_back(one.get());
  return out;
}

std::vector<std::size_t> SimWorld::slots() const {
  std::vector<std::size_t> out;
  for (const SimNode* one : members()) out.insert(out.end(), one->slots.begin(), one->slots.end());
  return out;
}

bool SimWorld::drive_online(std::size_t slot) {
  const SimNode& on = node_of(slot);
  return on.serving &&
         on.current->metrics.gauge("ostraka_drive_online", "", {{"drive", std::to_string(slot)}}).value() ==
             1;
}

bool SimWorld::refilling(std::size_t slot) const {
  const auto& names = devices[slot]->disk.root()->names;
  const auto found = names.find("format.json");
  return found != names.end() && found->second->content.find("\"refilling\": true") != std::string::npos;
}

std::shared_ptr<Device>& SimWorld::bay_named(const std::string& name) {
  const auto has = [&](const auto& one) { return one->machine.bays.contains(name); };
  return (*std::find_if(nodes.begin(), nodes.end(), has))->machine.bays[name];
}

std::string SimWorld::bay_of(const std::shared_ptr<Device>& device) const {
  for (const auto& one : nodes) {
    for (const auto& [name, in] : one->machine.bays)
      if (in == device) return name;
  }
  return {};
}

void SimWorld::replace_device(std::size_t slot) {
  unplug(devices[slot]);
  const std::string bay = devices[slot]->unplugged_from;
  devices[slot] = std::make_shared<Device>(++device_numbers_);
  devices[slot]->unplugged_from = bay;
  plug_in(devices[slot]);
}

void SimWorld::unplug(const std::shared_ptr<Device>& device) {
  const std::string bay = bay_of(device);
  if (bay.empty()) return;
  device->unplugged_from = bay;
  bay_named(bay) = nullptr;
}

void SimWorld::swap_bays(std::size_t one, std::size_t other) {
  const std::string first = bay_of(devices[one]), second = bay_of(devices[other]);
  if (!first.empty() && !second.empty()) std::swap(bay_named(first), bay_named(second));
}

void SimWorld::put_bays_in_order() {
  for (std::size_t slot = 0; slot < devices.size(); ++slot) {
    devices[slot]->unplugged_from = drive_name(slot);
    bay_named(drive_name(slot)) = devices[slot];
  }
}

void SimWorld::put_back(std::size_t one, std::size_t other) {
  const bool first = !bay_of(devices[one]).empty(), second = !bay_of(devices[other]).empty();
  for (const std::size_t slot : {one, other}) {
    unplug(devices[slot]);
    devices[slot]->unplugged_from = drive_name(slot);
  }
  if (first) plug_in(devices[one]);
  if (second) plug_in(devices[other]);
}

void SimWorld::plug_in(const std::shared_ptr<Device>& device) {
  if (bay_of(device).empty()) bay_named(device->unplugged_from) = device;
}

void SimWorld::note(std::string_view event) {
  const std::string line = fmt::format(
      "{:12.6f} {}", std::chrono::duration<double>(clock.now().time_since_epoch()).count(), event);
  hash_ = xxh3_64(as_bytes(fmt::format("{:016x}{}", hash_, line)));
  if (trace_) std::fprintf(stderr, "%s\n", line.c_str());
}

void SimWorld::violation(std::string text) {
  note("VIOLATION " + text);
  if (violations_.size() < 20) violations_.push_back(std::move(text));
}

void SimWorld::run(Task<> task) {
  bool done = false;
  boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e) {
    if (e) std::rethrow_exception(e);
    done = true;
  });
  turn(done);
}

void SimWorld::turn(const bool& done) {
  while (!done) {
    bool ran = shard.io().poll_one() > 0;
    for (const auto& one : nodes)
      if (one->current && !one->line.stopped()) ran |= one->current->shard.io().poll_one() > 0;
    for (auto at = former_.begin(); at != former_.end();) {
      const auto old = at->lock();
      if (!old) {
        at = former_.erase(at);
        continue;
      }
      if (!old->of.line.stopped()) ran |= old->shard.io().poll_one() > 0;
      ++at;
    }
    if (ran) continue;
    CHECK(clock.step());  // everybody waits, and nothing will ever happen again
  }
}

Task<Result<>> SimWorld::start(std::size_t node) {
  SimNode& on = *nodes[node];
  CHECK(!on.current);
  const std::uint64_t number = on.machine.begin_incarnation();
  note(fmt::format("start {}", label(on, number)));
  auto born = std::make_shared<Incarnation>(on, scheduler, number, random.next(), node_shard(geometry));
  on.current = born;
  born->config.root_user = kRootUser;
  born->config.root_password = kRootPassword;
  born->config.access_log = false;
  Result<> started;
  if (is_cluster())
    started = co_await start_member(born.get());
  else
    started = co_await start_alone(born.get());
  if (started && on.current == born && on.machine.alive(number)) {
    on.serving = true;
    note(fmt::format("serving {}", label(on, number)));
    co_return started;
  }
  if (started) started = fail(Errc::closed, "died while it started");
  note(fmt::format("not started: {}", started.error().detail));
  if (on.current == born) {
    net.end_life(on.name, number, false);
    on.machine.end_incarnation();
    on.current.reset();
    former_.push_back(born);
  }
  burials_.spawn(shard.executor(), bury(std::move(born)));
  co_return started;
}

Task<Result<>> SimWorld::start_alone(Incarnation* born) {
  std::vector<std::string> folders;
  for (std::size_t i = 0; i < devices.size(); ++i) folders.push_back("/" + drive_name(i));
  cmd::DriveOpening opening{born->of.clock, born->random,  born->fs, born->indexes,
                            born->workers,  born->metrics, folders,  geometry};
  CO_TRY(drives, cmd::open_drives(std::move(opening)));
  Ctx ctx{born->shard, born->of.clock.now() + kStartDeadline, "start"};
  const cmd::Deps deps{born->of.clock, born->random, born->fs, born->metrics};
  CO_TRY(built, co_await cmd::build_node(ctx, deps, std::move(drives), born->config));
  born->node = std::move(built);
  co_return Result<>();
}

Task<> SimWorld::stop(std::size_t node) {
  SimNode& on = *nodes[node];
  if (!on.serving) co_return;
  on.serving = false;
  const std::shared_ptr<Incarnation> old = on.current;
  note(fmt::format("stop {}", label(on, old->number)));
  old->stopping = true;
  net.leave(on.name);
  co_await old->requests.close();
  co_await close_process(old.get());
  if (on.current != old) co_return;  // it died meanwhile
  net.end_life(on.name, old->number, false);
  on.machine.end_incarnation();
  on.current.reset();
  note(fmt::format("stopped {}", label(on, old->number)));
}

// What serves ends; nobody may ask it any more.
Task<> SimWorld::close_process(Incarnation* old) {
  co_await old->calls.close();
  if (old->node) co_await old->node->close();
  if (old->transport) co_await old->transport->close();
  collect_metrics(*old);
  old->node.reset();
}

void SimWorld::arm_death(Death death, std::uint64_t calls, std::size_t node) {
  SimMachine& machine = nodes[node]->machine;
  machine.on_death = [this, death, node] { die(death, node); };
  machine.calls_to_live = calls;
}

void SimWorld::die(Death death, std::size_t node) {
  SimNode& on = *nodes[node];
  if (!on.current || dead(node)) return;
  const std::uint64_t number = on.current->number;
  note(fmt::format("{} {}", death == Death::killed ? "killed" : "power cut", label(on, number)));
  probes.hit(death == Death::killed ? "crash: killed" : "crash: power cut");
  on.machine.end_incarnation();
  net.end_life(on.name, number, death == Death::power_cut);
  ++on.pauses;
  on.line.go_on();
  const bool all_lost = random.chance(0.2);
  for (const std::size_t slot : on.slots) {
    if (death == Death::power_cut)
      count(devices[slot]->disk.cut_power(random, all_lost));
    else
      count(devices[slot]->disk.drop_cache(random, 0.5));
  }
  for (const auto& weak : on.current->exchanges) {
    if (const auto exchange = weak.lock(); exchange && !exchange->over) {
      exchange->reply = S3Reply{};
      exchange->end();
    }
  }
  std::shared_ptr<Incarnation> old = std::move(on.current);
  former_.push_back(old);
  if (on.serving) burials_.spawn(shard.executor(), bury(std::move(old)));
  on.serving = false;
}

void SimWorld::arm_pause(Duration length, std::uint64_t calls, std::size_t node) {
  SimMachine& machine = nodes[node]->machine;
  machine.on_pause = [this, length, node] {
    if (!dead(node) && !nodes[node]->line.stopped()) pause(node, length);
  };
  machine.calls_to_pause = calls;
}

bool SimWorld::writes_under_way(const SimNode& on) {
  if (!on.current) return false;
  const auto writes = [](const auto& weak) {
    const auto exchange = weak.lock();
    return exchange && !exchange->over && !exchange->request.admin && exchange->request.method != "GET" &&
           exchange->request.method != "HEAD";
  };
  const auto& all = on.current->exchanges;
  return std::any_of(all.begin(), all.end(), writes);
}

void SimWorld::pause(std::size_t node, Duration length) {
  SimNode& on = *nodes[node];
  note(fmt::format("{} pauses for {} ms", on.name, length / milliseconds(1)));
  if (length > cluster::kLockLease && writes_under_way(on))
    probes.hit("cluster: a node with writes under way stands for longer than its leases last");
  on.line.stop();
  clock.after(length, [this, node, number = ++on.pauses] {
    if (nodes[node]->pauses == number) go_on(node);
  });
}

void SimWorld::go_on(std::size_t node) {
  SimNode& on = *nodes[node];
  if (!on.line.stopped()) return;
  on.line.go_on();
  on.paused_last = clock.now();
  note(on.name + " goes on");
}

void SimWorld::end_lies(std::size_t node) {
  for (const std::size_t slot : nodes[node]->slots) count(devices[slot]->disk.drop_cache(random, 1));
}

void SimWorld::count(const Losses& losses) {
  probes.hit("fault: a page that was not synced is lost", losses.pages);
  probes.hit("fault: a page that a power cut tears", losses.torn_pages);
  probes.hit("fault: a page whose sync failed once is lost", losses.lied_pages);
  probes.hit("fault: a name that was not synced is lost", losses.names);
  probes.hit("fault: batches of the index that were not synced are lost", losses.batches);
}

// A dead process: its calls fail and change nothing. What is left of it comes to its end in peace.
Task<> SimWorld::bury(std::shared_ptr<Incarnation> old) {
  co_await old->requests.close();
  co_await close_process(old.get());
}

Task<> SimWorld::bury_all() {
  co_await burials_.close();
  if (!etcd) co_return;
  etcd->stop();
  co_await etcd_requests_.close();
}

Task<> SimWorld::serve_exchange(std::shared_ptr<Exchange> exchange, Incarnation* by, std::uint64_t seed) {
  net::Service* service = &by->node->s3();
  if (exchange->request.admin) service = &by->node->console();
  auto serving = serve(std::move(exchange), service, &by->shard, seed);
  co_await std::move(serving);
}

Task<S3Reply> SimWorld::exchange(S3Request request, std::size_t node) {
  const Duration there = milliseconds(random.below(3));
  co_await sleep_for(clock, there);
  S3Reply nothing;
  SimNode& on = *nodes[node];
  if (!on.serving) {
    const Duration pause = milliseconds(20);
    co_await sleep_for(clock, pause);
    co_return nothing;
  }
  auto exchange = std::make_shared<Exchange>();
  exchange->request = std::move(request);
  std::erase_if(on.current->exchanges, [](const auto& weak) { return weak.expired(); });
  on.current->exchanges.push_back(exchange);
  const std::uint64_t seed = random.next();
  auto serving = serve_exchange(exchange, on.current.get(), seed);
  if (!on.current->requests.spawn(on.current->shard.executor(), std::move(serving))) co_return nothing;
  if (is_cluster()) {
    // A node that is paused answers when it goes on; nobody waits for that.
    const TimePoint patience = clock.now() + kClientPatience;
    const bool answered = co_await exchange->answered.wait_until(clock, patience);
    if (!answered) {
      exchange->reply = S3Reply{};
      exchange->end();
    }
  } else {
    co_await exchange->answered.wait();
  }
  S3Reply reply = std::move(exchange->reply);
  co_return reply;
}

}  // namespace ostraka::sim
