#include "tests/sim/sim_world.h"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <cstdio>

#include "base/check.h"
#include "base/hash.h"
#include "cmd/open_drives.h"

namespace ostraka::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr ShardSpec kClientShard{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0};
constexpr Duration kStartDeadline = seconds(30);

ShardSpec node_shard(const erasure::Geometry& geometry) {
  ShardSpec spec;
  spec.slab_bytes = cmd::slab_bytes(geometry, geometry);
  spec.max_slabs = 24;
  spec.keep_slabs = 4;
  return spec;
}

}  // namespace

Incarnation::Incarnation(SimMachine& machine, SimClock& clock, FiberScheduler& scheduler, std::uint64_t n,
                         std::uint64_t seed, ShardSpec spec)
    : number(n),
      fs(machine, n),
      indexes(machine, fs, n),
      workers(scheduler),
      random(seed),
      shard(0, clock, spec),
      guard(shard.executor()) {}

SimWorld::SimWorld(std::uint64_t seed, erasure::Geometry g, bool trace)
    : random(seed), geometry(g), shard(99, clock, kClientShard), guard_(shard.executor()), trace_(trace) {
  for (std::size_t i = 0; i < geometry.drives(); ++i) {
    devices.push_back(std::make_shared<Device>(++device_numbers_));
    machine.bays[drive_name(i)] = devices.back();
    Node& root = *machine.root->disk.root();
    root.names[drive_name(i)] = machine.root->disk.make(true);
    root.durable_names = root.names;
  }
}

SimWorld::~SimWorld() = default;

bool SimWorld::drive_online(std::size_t slot) {
  return serving_ &&
         current_->metrics.gauge("ostraka_drive_online", "", {{"drive", std::to_string(slot)}}).value() == 1;
}

bool SimWorld::refilling(std::size_t slot) const {
  const auto& names = devices[slot]->disk.root()->names;
  const auto found = names.find("format.json");
  return found != names.end() && found->second->content.find("\"refilling\": true") != std::string::npos;
}

std::string SimWorld::bay_of(const std::shared_ptr<Device>& device) const {
  for (const auto& [name, in] : machine.bays)
    if (in == device) return name;
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
  machine.bays[bay] = nullptr;
}

void SimWorld::swap_bays(std::size_t one, std::size_t other) {
  const std::string first = bay_of(devices[one]), second = bay_of(devices[other]);
  if (!first.empty() && !second.empty()) std::swap(machine.bays[first], machine.bays[second]);
}

void SimWorld::put_bays_in_order() {
  for (std::size_t slot = 0; slot < devices.size(); ++slot) {
    devices[slot]->unplugged_from = drive_name(slot);
    machine.bays[drive_name(slot)] = devices[slot];
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
  if (bay_of(device).empty()) machine.bays[device->unplugged_from] = device;
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
    if (current_) ran |= current_->shard.io().poll_one() > 0;
    for (auto at = former_.begin(); at != former_.end();) {
      const auto old = at->lock();
      if (!old) {
        at = former_.erase(at);
        continue;
      }
      ran |= old->shard.io().poll_one() > 0;
      ++at;
    }
    if (ran) continue;
    CHECK(clock.step());  // everybody waits, and nothing will ever happen again
  }
}

Task<Result<>> SimWorld::start() {
  CHECK(!current_);
  const std::uint64_t number = machine.begin_incarnation();
  note(fmt::format("start {}", number));
  auto born =
      std::make_shared<Incarnation>(machine, clock, scheduler, number, random.next(), node_shard(geometry));
  current_ = born;
  std::vector<std::string> folders;
  for (std::size_t i = 0; i < devices.size(); ++i) folders.push_back("/" + drive_name(i));
  cmd::DriveOpening opening{clock,         born->random,  born->fs, born->indexes,
                            born->workers, born->metrics, folders,  geometry};
  Result<cmd::NodeDrives> drives = cmd::open_drives(std::move(opening));
  Result<> started = drives ? Result<>() : Result<>(tl::unexpected<Error>(drives.error()));
  if (drives) {
    born->config.root_user = kRootUser;
    born->config.root_password = kRootPassword;
    born->config.access_log = false;
    Ctx ctx{born->shard, clock.now() + kStartDeadline, "start"};
    const cmd::Deps deps{clock, born->random, born->fs, born->metrics};
    auto built = co_await cmd::build_node(ctx, deps, std::move(*drives), born->config);
    if (built) {
      born->node = std::move(*built);
    } else {
      started = tl::unexpected<Error>(built.error());
    }
  }
  if (started && current_ == born && machine.alive(number)) {
    serving_ = true;
    note(fmt::format("serving {}", number));
    co_return started;
  }
  if (started) started = fail(Errc::closed, "died while it started");
  note(fmt::format("not started: {}", started.error().detail));
  if (current_ == born) {
    machine.end_incarnation();
    current_.reset();
    former_.push_back(born);
  }
  burials_.spawn(shard.executor(), bury(std::move(born)));
  co_return started;
}

Task<> SimWorld::stop() {
  if (!serving_) co_return;
  serving_ = false;
  const std::shared_ptr<Incarnation> old = current_;
  note(fmt::format("stop {}", old->number));
  co_await old->requests.close();
  co_await old->node->close();
  collect_metrics(*old);
  old->node.reset();
  if (current_ != old) co_return;  // it died meanwhile
  machine.end_incarnation();
  current_.reset();
  note(fmt::format("stopped {}", old->number));
}

void SimWorld::arm_death(Death death, std::uint64_t calls) {
  machine.on_death = [this, death] { die(death); };
  machine.calls_to_live = calls;
}

void SimWorld::die(Death death) {
  if (!current_ || dead()) return;
  note(fmt::format("{} {}", death == Death::killed ? "killed" : "power cut", current_->number));
  probes.hit(death == Death::killed ? "crash: killed" : "crash: power cut");
  machine.end_incarnation();
  const bool all_lost = random.chance(0.2);
  if (death == Death::power_cut) {
    for (const auto& device : devices) count(device->disk.cut_power(random, all_lost));
  } else {
    for (const auto& device : devices) count(device->disk.drop_cache(random, 0.5));
  }
  for (const auto& weak : current_->exchanges) {
    if (const auto exchange = weak.lock(); exchange && !exchange->over) {
      exchange->reply = S3Reply{};
      exchange->end();
    }
  }
  std::shared_ptr<Incarnation> old = std::move(current_);
  former_.push_back(old);
  if (serving_) burials_.spawn(shard.executor(), bury(std::move(old)));
  serving_ = false;
}

void SimWorld::end_lies() {
  for (const auto& device : devices) count(device->disk.drop_cache(random, 1));
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
  if (old->node) {
    co_await old->node->close();
    collect_metrics(*old);
    old->node.reset();
  }
}

Task<> SimWorld::bury_all() {
  return burials_.close();
}

Task<> SimWorld::serve_exchange(std::shared_ptr<Exchange> exchange, Incarnation* by, std::uint64_t seed) {
  net::Service* service = &by->node->s3();
  if (exchange->request.admin) service = &by->node->console();
  auto serving = serve(std::move(exchange), service, &by->shard, seed);
  co_await std::move(serving);
}

Task<S3Reply> SimWorld::exchange(S3Request request) {
  const Duration there = milliseconds(random.below(3));
  co_await sleep_for(clock, there);
  S3Reply nothing;
  if (!serving_) {
    const Duration pause = milliseconds(20);
    co_await sleep_for(clock, pause);
    co_return nothing;
  }
  auto exchange = std::make_shared<Exchange>();
  exchange->request = std::move(request);
  std::erase_if(current_->exchanges, [](const auto& weak) { return weak.expired(); });
  current_->exchanges.push_back(exchange);
  const std::uint64_t seed = random.next();
  auto serving = serve_exchange(exchange, current_.get(), seed);
  if (!current_->requests.spawn(current_->shard.executor(), std::move(serving))) co_return nothing;
  co_await exchange->answered.wait();
  S3Reply reply = std::move(exchange->reply);
  co_return reply;
}

}  // namespace ostraka::sim
