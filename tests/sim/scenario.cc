#include "tests/sim/scenario.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cluster/limits.h"
#include "erasure/limits.h"

namespace ostraka::sim {

using Kind = HistoryOp::Kind;
using State = HistoryOp::State;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kHealPatience = seconds(900);
constexpr Duration kDeadByThen = erasure::kLongestCall + seconds(120);
constexpr Duration kPurgedAfter = erasure::kPurgeAfter + erasure::kRetiredWithin + seconds(1);

}  // namespace

Scenario::Scenario(SimWorld& world, ScenarioSpec spec)
    : world_(world),
      spec_(spec),
      well_again_(world.devices.size()),
      gone_(world.devices.size()),
      deaf_until_(world.nodes.size()) {}

void Scenario::choose_weak_drives() {
  SimRandom& random = world_.random;
  std::vector<std::size_t> slots = world_.slots();
  for (std::size_t i = slots.size(); i > 1; --i) std::swap(slots[i - 1], slots[random.below(i)]);
  const std::size_t most = world_.geometry.parity_shards;
  std::size_t count = 0;
  if (spec_.drive_faults && most > 0 && !random.chance(0.15)) count = random.between(1, most);
  weak_.assign(slots.begin(), slots.begin() + static_cast<std::ptrdiff_t>(count));
  if (world_.is_cluster()) choose_cluster_trouble();
}

Task<> Scenario::run() {
  if (world_.is_cluster()) co_return co_await run_cluster();
  co_await start_again(true);
  co_await make_bucket();
  for (unsigned i = 0; i < spec_.rounds && !given_up_ && world_.violations().empty(); ++i) co_await round();
  for (std::string& text : model_.check()) world_.violation(std::move(text));
  if (spec_.beyond_parity && !given_up_) co_await go_beyond();
  co_await world_.stop();
  co_await world_.bury_all();
}

Task<> Scenario::round() {
  choose_weak_drives();
  // A node whose drives the others have not found again yet would miss writes, and drives lose data beside.
  if (world_.is_cluster() && trouble_ != Trouble::nodes)
    co_await sleep_for(world_.clock, cluster::kProbeAwayMax + cluster::kProbeCall);
  ended_ = false;
  co_await traffic();
  co_await converge();
}

Task<> Scenario::make_bucket() {
  S3Request request;
  request.method = "PUT";
  request.target = kBucket;
  auto asking = ask("setup", std::move(request));
  const S3Reply reply = co_await std::move(asking);
  if (!reply.ok()) world_.violation(fmt::format("the bucket was not made: {}", reply.status));
}

Task<> Scenario::traffic() {
  const IoExecutor executor = world_.shard.executor();
  for (unsigned i = 0; i < spec_.clients; ++i) {
    ++working_;
    world_.tasks.spawn(executor, client(spec_.operations));
  }
  unsigned troubles = 0;
  if (spec_.drive_faults && !weak_.empty()) {
    ++troubles;
    harmed_ = true;
    world_.tasks.spawn(executor, trouble_with_drives());
  }
  if (world_.is_cluster()) {
    troubles += begin_cluster_trouble();
  } else if (spec_.deaths) {
    ++troubles;
    world_.tasks.spawn(executor, trouble_with_processes());
  }
  working_ += troubles;
  const TimePoint limit = world_.clock.now() + seconds(400);
  while (working_ > troubles) {
    co_await sleep_for(world_.clock, milliseconds(50));
    if (world_.clock.now() < limit || ended_) continue;
    ended_ = true;  // that is enough
  }
  ended_ = true;
  if (world_.is_cluster()) mend_cluster();
  while (working_ > 0) co_await sleep_for(world_.clock, milliseconds(50));
}

// A read that must come to an answer.
Task<> Scenario::look_at(std::string key, bool must) {
  S3Reply reply;
  for (unsigned tries = 0; tries < (must ? 60U : 1U); ++tries) {
    S3Request request;
    request.target = key;
    HistoryOp op;
    op.kind = Kind::read;
    const std::uint64_t begin = model_.tick();
    auto asking = ask("look", std::move(request));
    reply = co_await std::move(asking);
    if (reply.status == 0 || reply.status >= 500) {
      co_await sleep_for(world_.clock, seconds(1));
      continue;
    }
    HistoryOp* at = reg(key).begin(op, begin);
    settle_read(at, reply, false, key);
    co_return;
  }
  if (must)
    world_.violation(fmt::format("GET {} is still answered with {} {}", key, reply.status, reply.code()));
}

Task<> Scenario::write_to(std::string key) {
  S3Reply reply;
  for (unsigned tries = 0; tries < 20; ++tries) {
    const std::string name = model_.bodies.make(world_.random, 100 + world_.random.below(400));
    S3Request request;
    request.method = "PUT";
    request.target = key;
    request.body = model_.bodies.text(name);
    HistoryOp op;
    op.kind = Kind::put;
    op.value = name;
    HistoryOp* at = reg(key).begin(op, model_.tick());
    auto asking = ask(name, std::move(request));
    reply = co_await std::move(asking);
    settle_write(at, reply, "PUT " + key);
    if (reply.ok()) co_return;
    co_await sleep_for(world_.clock, seconds(1));
  }
  world_.violation(fmt::format("PUT {} is still answered with {} {}", key, reply.status, reply.code()));
}

// Faults off: all that was acknowledged must be there, everything must work again, and everything that was
// lost is made good.
Task<> Scenario::converge() {
  world_.note("peace");
  for (const auto& node : world_.nodes) {
    node->machine.calls_to_live.reset();
    node->machine.calls_to_pause.reset();
  }
  std::fill(well_again_.begin(), well_again_.end(), TimePoint{});
  heal_hardware();
  world_.put_bays_in_order();
  if (world_.is_cluster())
    co_await calm_cluster();
  else
    co_await calm();
  if (given_up_) co_return;
  if (world_.is_cluster() && spec_.net_faults && world_.random.chance(0.25)) co_await delete_behind_a_node();
  std::vector<std::string> keys;
  for (const auto& [key, history] : model_.registers) keys.push_back(key);
  const bool all_there = co_await all_online(seconds(60));
  // What only a drive that is gone could decide may be in doubt until it is replaced or overwritten. So may
  // what a writer that died left at its write quorum, with no shard to spare for the drives that fail.
  const std::vector<std::string> doubtful = in_doubt();
  for (const std::string& key : keys) {
    const bool must = std::find(doubtful.begin(), doubtful.end(), key) == doubtful.end();
    co_await look_at(key, must);
  }
  if (!all_there) co_await use_without_those_gone(keys);
  if (world_.is_cluster()) co_await finish_growth();
  co_await heal_all();
  for (const std::string& key : keys) co_await look_at(key, true);
  co_await list();
  if (world_.random.chance(0.15)) co_await wait_for_purges();
  if (world_.is_cluster()) co_await read_without_a_node();
  co_await read_without_some();
  for (const std::string& key : keys) co_await write_to(key);
  for (const std::string& key : keys) co_await look_at(key, true);
  co_await list();
  if (!world_.is_cluster()) co_return;
  co_await read_everywhere(keys);
  co_await list_everywhere();
  co_await look_at_buckets();
}

Task<> Scenario::calm() {
  // Drives that were plugged into each other's bays are recognised at a start.
  if (world_.serving()) co_await world_.stop();
  // A drive that has lied about a sync is not well before it has lost what it lied about: the next to be
  // harmed may be others.
  world_.end_lies();
  co_await start_again(true);
  if (!world_.serving()) given_up_ = true;
}

// Drives do not come back: what is not in doubt can be read (it was) and written, and what is in doubt can be
// overwritten.
Task<> Scenario::use_without_those_gone(const std::vector<std::string>& keys) {
  world_.probes.hit("peace: a drive does not come back");
  std::size_t missing = 0;
  for (const std::size_t slot : world_.slots()) missing += world_.drive_online(slot) ? 0 : 1;
  if (keys.empty() || world_.geometry.drives() - missing < world_.geometry.write_quorum()) co_return;
  world_.probes.hit("peace: keys are read and written while a drive is gone for good");
  const std::string any = keys[world_.random.below(keys.size())];
  co_await write_to(any);
  co_await look_at(any, true);
  if (world_.random.chance(0.5)) co_return;  // then the heal has to bear with them
  const std::vector<std::string> doubtful = in_doubt();
  for (const std::string& key : doubtful) {
    world_.probes.hit("peace: a key in doubt is overwritten while a drive is gone for good");
    co_await write_to(key);
    co_await look_at(key, true);
  }
}

// Tombstones go once nobody can need them any more.
Task<> Scenario::wait_for_purges() {
  const std::string one = some_key(), other = some_key();
  co_await erase(one, Kind::erase);
  co_await erase(other, Kind::erase);
  co_await sleep_for(world_.clock, kPurgedAfter);
  co_await look_at(one, true);  // requests are what has them purged
  co_await sleep_for(world_.clock, seconds(1));
  co_await look_at(other, true);
}

Task<bool> Scenario::all_online(Duration patience) {
  const TimePoint limit = world_.clock.now() + patience;
  while (world_.clock.now() < limit) {
    bool all = true;
    for (const std::size_t slot : world_.slots()) all = all && world_.drive_online(slot);
    if (all) co_return true;
    co_await sleep_for(world_.clock, milliseconds(250));
  }
  co_return false;
}

Task<std::string> Scenario::admin(std::string method, std::string path) {
  S3Request request;
  request.method = std::move(method);
  request.target = "/admin/v1/" + path;
  if (request.method == "POST") request.body = "{}";
  request.admin = true;
  auto asking = ask("admin", std::move(request));
  S3Reply reply = co_await std::move(asking);
  std::string body;
  if (reply.ok()) body = std::move(reply.body);
  co_return body;
}

std::vector<std::string> Scenario::in_doubt() const {
  std::vector<std::string> keys;
  for (const auto& [key, history] : model_.registers) {
    const auto& ops = history.history();
    const auto doubtful = [](const HistoryOp& op) { return op.state == State::doubt; };
    if (std::any_of(ops.begin(), ops.end(), doubtful)) keys.push_back(key);
  }
  return keys;
}

// As an operator would: drives that do not come back are replaced; then the store is given the time to heal.
Task<> Scenario::heal_all() {
  co_await sleep_for(world_.clock, seconds(3));  // a drive that was replaced is noticed only after the start
  for (const std::size_t slot : world_.slots())
    if (!world_.drive_online(slot)) replace(slot);
  const bool there = co_await all_online(seconds(120));
  if (!there) {
    world_.violation("a new drive is not taken into service");
    co_return;
  }
  std::map<std::size_t, bool> filling;
  for (const std::size_t slot : world_.slots()) filling[slot] = world_.refilling(slot);
  // What writers that died left is for nobody to settle before it is older than any call, by every clock:
  // another node may be at it. (One node alone knows that those before its start are dead.)
  if (world_.is_cluster()) co_await sleep_for(world_.clock, kDeadByThen);
  std::string scan = co_await admin("POST", "scan/start");
  for (unsigned tries = 0; scan.empty() && world_.is_cluster() && tries < 60; ++tries) {
    co_await sleep_for(world_.clock, seconds(1));  // until somebody leads
    scan = co_await admin("POST", "scan/start");
  }
  if (scan.empty()) {
    world_.violation("no scan could be started");
    co_return;
  }
  const TimePoint limit = world_.clock.now() + kHealPatience;
  const TimePoint overwriting = world_.clock.now() + kHealPatience / 2;
  bool overwritten = false;
  std::string last_scan, last_heal;
  while (world_.clock.now() < limit) {
    co_await sleep_for(world_.clock, seconds(1));
    last_scan = co_await admin("GET", "scan");
    last_heal = co_await admin("GET", "heal");
    if (last_scan.empty() || last_heal.empty()) continue;
    const auto scanned = nlohmann::json::parse(last_scan), healed = nlohmann::json::parse(last_heal);
    bool queue_empty = healed["queue"]["entries"] == 0 && healed["refills"].empty();
    if (world_.is_cluster()) queue_empty = queue_empty && healed["not_asked"].empty();
    for (const std::size_t slot : world_.slots()) {
      const bool refilling = world_.refilling(slot);
      queue_empty = queue_empty && !refilling;
      if (filling[slot] && !refilling) world_.probes.hit("peace: a drive is filled and readmitted");
      filling[slot] = refilling;
    }
    if (scanned["state"] != "running" && queue_empty) co_return;
    // A version whose writer died at its write quorum may have lost its k-th shard with a drive that is gone
    // for good: it stays lost until it is overwritten, which must always clear it.
    if (overwritten || world_.clock.now() < overwriting) continue;
    overwritten = true;
    for (const std::string& key : in_doubt()) {
      world_.probes.hit("peace: a key in doubt is overwritten, to end the heal");
      co_await write_to(key);
    }
    // Of an upload that ended, a drive that missed its end may keep the rows; with an emptied drive beside
    // it, nobody can tell that it has ended, and a part of it may lack shards that are nowhere any more.
    co_await abort_open_uploads();
  }
  world_.violation(fmt::format("healing does not come to its end: {}\n{}", last_scan, last_heal));
}

// All is healed: any drives up to parity may go, and everything can be read.
Task<> Scenario::read_without_some() {
  const std::vector<std::size_t> weak = weak_;
  choose_weak_drives();
  for (const std::size_t slot : weak_) {
    world_.note(fmt::format("drive {} is pulled out", slot));
    world_.devices[slot]->faults.pulled = true;
    world_.unplug(world_.devices[slot]);
  }
  co_await sleep_for(world_.clock, seconds(1));
  std::vector<std::string> keys;
  for (const auto& [key, history] : model_.registers) keys.push_back(key);
  for (const std::string& key : keys) co_await look_at(key, true);
  if (!keys.empty() && world_.geometry.drives() - weak_.size() >= world_.geometry.write_quorum()) {
    const std::string any = keys[world_.random.below(keys.size())];
    co_await write_to(any);
    co_await look_at(any, true);
  }
  weak_ = weak;
  heal_hardware();
  const bool back = co_await all_online(seconds(60));
  if (!back) world_.violation("a drive that was only away does not come back");
}

// More damage than parity can bear: errors are allowed now, wrong bytes never.
Task<> Scenario::go_beyond() {
  SimRandom& random = world_.random;
  world_.note("beyond parity");
  world_.probes.hit("beyond: more is damaged than parity bears");
  anything_goes_ = true;
  for (const std::size_t slot : world_.slots()) {
    if (!random.chance(0.7)) continue;
    for (std::uint64_t times = random.between(3, 15); times > 0; --times)
      damage_at_rest(*world_.devices[slot]);
    if (random.chance(0.2)) world_.devices[slot]->faults.flipped = 0.3;
    if (random.chance(0.2)) world_.devices[slot]->faults.read_errors = 0.3;
  }
  if (world_.is_cluster()) {
    co_await go_beyond_in_cluster();
  } else if (random.chance(0.5)) {
    world_.die(Death::power_cut);
    const Result<> started = co_await world_.start();
    if (!started) co_return;
  }
  std::vector<std::string> keys;
  for (const auto& [key, history] : model_.registers) keys.push_back(key);
  for (const std::string& key : keys) {
    co_await look_at(key, false);
    if (random.chance(0.2)) co_await get_range(key);
    if (random.chance(0.2)) co_await put(key, Kind::put);
  }
}

}  // namespace ostraka::sim
