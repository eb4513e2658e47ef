// A node is added while clients are at work, another is drained, and both while everything else goes wrong:
// slots of groups move between drives. Whoever orders it asks again until he is told that it is done.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tests/sim/scenario.h"

namespace ostraka::sim {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kBalancePatience = seconds(1800);
constexpr unsigned kOrders = 200;  // in peace

}  // namespace

bool Scenario::has_spare() const {
  return !world_.nodes.back()->founder;
}

Task<S3Reply> Scenario::order(std::string path, std::string body) {
  S3Request request;
  request.method = body.empty() ? "GET" : "POST";
  request.target = "/admin/v1/" + path;
  request.body = std::move(body);
  request.admin = true;
  auto asking = ask("operator", std::move(request));
  S3Reply reply = co_await std::move(asking);
  co_return reply;
}

// Known, or not known yet whether the cluster has it.
Task<> Scenario::add_spare() {
  SimNode& spare = *world_.nodes.back();
  Json body;
  for (const std::size_t slot : spare.slots) body["drives"].push_back(to_string(world_.url_of(slot)));
  const bool asked_before = std::exchange(adding_, true);
  const S3Reply reply = co_await order("node/add", body.dump());
  const bool there = asked_before && reply.body.find("is a node of the cluster already") != std::string::npos;
  if (!reply.ok() && !there) co_return;
  adding_ = false;
  spare.part = true;
  world_.probes.hit("growth: a node is added");
  world_.note(spare.name + " is added");
}

// draining_ says whether it is, or may be.
Task<> Scenario::drain(std::size_t node, bool cancel) {
  const Json body = {{"node", world_.node(node).name}, {cancel ? "cancel" : "force", true}};
  draining_ = node;
  for (unsigned tries = 0; tries < kOrders; ++tries) {
    const S3Reply reply = co_await order("node/drain", body.dump());
    if (reply.ok()) {
      world_.probes.hit(cancel ? "growth: a drain is taken back" : "growth: a node is drained");
      world_.note(fmt::format("{} {}", world_.node(node).name, cancel ? "is taken back" : "is drained"));
      if (cancel) draining_.reset();
      co_return;
    }
    // What is wrong with the order itself would be so for ever.
    if (reply.status == 400 || reply.status == 404)
      world_.violation(fmt::format("drain of {}: {} {}", world_.node(node).name, reply.status, reply.body));
    if (reply.status == 400 || reply.status == 404) co_return;
    co_await sleep_for(world_.clock, seconds(1));
    if (world_.violations().empty() && !ended_) continue;
    if (working_ > 0) co_return;  // it is settled in peace
  }
  world_.violation(fmt::format("{} can still not be drained", world_.node(node).name));
}

// Whether anything moves while clients are at work; sometimes whoever leads in it dies then.
Task<> Scenario::watch_moves() {
  const S3Reply reply = co_await order("rebalance", "");
  if (!reply.ok()) co_return;
  const Json now = Json::parse(reply.body, nullptr, false);
  if (!now.is_object() || now["state"] != "moving") co_return;
  world_.probes.hit("growth: shards move while clients are at work");
  if (now["slots_done"].get<std::uint64_t>() > 0)
    world_.probes.hit("growth: shards have moved while clients are at work");
  if (!spec_.deaths || !world_.random.chance(0.15)) co_return;
  const std::string leader = now["leader"].get<std::string>();
  for (const SimNode* node : world_.members()) {
    if (node->name != leader || !node->serving) continue;
    world_.probes.hit("growth: who leads in moving shards dies");
    world_.arm_death(Death::killed, world_.random.between(1, 200), node->index);
  }
}

// One of the troubles of a round in which drives lose nothing.
Task<> Scenario::grow_and_shrink() {
  SimRandom& random = world_.random;
  SimNode& spare = *world_.nodes.back();
  const Duration calm = milliseconds(random.below(5000));
  co_await wait_out(calm);
  while (!ended_ && !spare.part && !shrunk_) {
    co_await add_spare();
    co_await wait_out(seconds(1));
  }
  const bool shrinks = !shrunk_ && spare.part && random.chance(0.6);
  const TimePoint drained_at = world_.clock.now() + milliseconds(random.below(30'000));
  const TimePoint back_at = drained_at + milliseconds(random.below(10'000));
  bool drained = false, back = !random.chance(0.5);
  while (!ended_) {
    const Duration pause = milliseconds(random.between(200, 3000));
    co_await wait_out(pause);
    if (ended_) break;
    co_await watch_moves();
    if (shrinks && !drained && world_.clock.now() > drained_at) {
      drained = true;
      const std::vector<SimNode*> members = world_.members();
      const std::size_t victim = draining_.value_or(members[random.below(members.size())]->index);
      co_await drain(victim, false);
    } else if (drained && !back && draining_ && world_.clock.now() > back_at) {
      back = true;
      const std::size_t victim = *draining_;
      co_await drain(victim, true);
    }
  }
  --working_;
}

// In peace: what was ordered, and perhaps not carried out, is ordered again.
Task<> Scenario::settle_growth() {
  for (unsigned tries = 0; adding_ && tries < kOrders; ++tries) {
    co_await add_spare();
    if (adding_) co_await sleep_for(world_.clock, seconds(1));
  }
  if (adding_) world_.violation("the spare node can still not be added");
  adding_ = false;
  co_await start_all();
  if (given_up_ || !draining_) co_return;
  const std::size_t node = *draining_;
  co_await drain(node, false);
}

// All that is to move has moved; a node that was drained is removed.
Task<> Scenario::finish_growth() {
  if (!has_spare() || (!world_.nodes.back()->part && !draining_)) co_return;
  const TimePoint limit = world_.clock.now() + kBalancePatience;
  std::string last;
  bool balanced = false;
  while (!balanced && world_.clock.now() < limit) {
    co_await sleep_for(world_.clock, seconds(1));
    const S3Reply reply = co_await order("rebalance", "");
    if (!reply.ok()) continue;
    last = reply.body;
    const Json now = Json::parse(reply.body, nullptr, false);
    balanced = now["state"] == "balanced" && now["slots_left"] == 0;
    for (const Json& drive : now["drives"]) {
      const bool goes = draining_ && drive["node"] == world_.node(*draining_).name;
      balanced = balanced && (drive["groups"] == 0) == (goes || drive["state"] == "removed");
    }
  }
  if (!balanced) co_return world_.violation("the moves of shards do not come to their end: " + last);
  world_.probes.hit("growth: all that was to move has moved");
  if (!draining_) co_return;
  SimNode& gone = world_.node(*draining_);
  const std::string body = Json{{"node", gone.name}}.dump();
  for (unsigned tries = 0; tries < kOrders; ++tries) {
    const S3Reply reply = co_await order("node/remove", body);
    // The second time it may be gone already.
    if (reply.ok() || (tries > 0 && reply.status == 404)) break;
    last = reply.body;
    co_await sleep_for(world_.clock, seconds(1));
    if (tries + 1 == kOrders) world_.violation(fmt::format("{} can not be removed: {}", gone.name, last));
  }
  draining_.reset();
  shrunk_ = true;
  world_.probes.hit("growth: a node is removed");
  world_.note(gone.name + " is removed");
  gone.part = false;
  co_await world_.stop(gone.index);
}

}  // namespace ostraka::sim
