// The phases of a cluster's life: as that of one node, and what the nodes must agree on.
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/scenario.h"

namespace ostraka::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kStartPatience = seconds(300);

}  // namespace

std::size_t Scenario::some_node() {
  if (!world_.is_cluster()) return 0;
  const std::vector<SimNode*> members = world_.members();
  const auto any = [&] { return members[world_.random.below(members.size())]->index; };
  // Clients know more than one address.
  std::size_t node = any();
  for (int tries = 0; tries < 2 && !world_.serving(node); ++tries) node = any();
  return node;
}

Task<> Scenario::run_cluster() {
  set_clocks();
  co_await start_all();
  if (given_up_) co_return;
  co_await make_bucket();
  for (unsigned i = 0; i < spec_.rounds && !given_up_ && world_.violations().empty(); ++i) co_await round();
  for (std::string& text : model_.check()) world_.violation(std::move(text));
  if (!harmed_ && world_.counted("ostraka_lost_versions_total") > 0)
    world_.violation("something is said to be lost, and no drive has lost anything");
  if (spec_.beyond_parity && !given_up_) co_await go_beyond();
  co_await stop_all();
  co_await world_.bury_all();
}

// Again and again, as whatever looks after processes does.
Task<> Scenario::start_one(std::size_t node, bool must) {
  const TimePoint limit = world_.clock.now() + kStartPatience;
  while (!world_.serving(node) && (must || !ended_)) {
    if (!world_.dead(node)) {  // dying, or half way up
      co_await sleep_for(world_.clock, milliseconds(100));
    } else {
      const Result<> started = co_await world_.start(node);
      if (!started) co_await sleep_for(world_.clock, milliseconds(500));
    }
    if (must && world_.clock.now() > limit && !world_.serving(node)) {
      world_.violation(fmt::format("{} does not start", world_.node(node).name));
      given_up_ = true;
      break;
    }
  }
  --starting_;
}

Task<> Scenario::start_all() {
  for (const SimNode* node : world_.members()) {
    if (node->serving) continue;
    ++starting_;
    world_.tasks.spawn(world_.shard.executor(), start_one(node->index, true));
    if (world_.random.chance(0.3)) {
      const Duration pause = milliseconds(world_.random.below(3000));
      co_await sleep_for(world_.clock, pause);
    }
  }
  const TimePoint limit = world_.clock.now() + kStartPatience + seconds(60);
  while (starting_ > 0 && world_.clock.now() < limit) co_await sleep_for(world_.clock, milliseconds(50));
  if (starting_ == 0) co_return;
  for (const SimNode* node : world_.members())
    if (!node->serving) world_.violation(fmt::format("{} hangs while it starts", node->name));
  given_up_ = true;
}

Task<> Scenario::stop_one(std::size_t node) {
  co_await world_.stop(node);
  --starting_;
}

Task<> Scenario::stop_all() {
  for (std::size_t i = 0; i < world_.nodes.size(); ++i) {
    ++starting_;
    world_.tasks.spawn(world_.shard.executor(), stop_one(i));
  }
  while (starting_ > 0) co_await sleep_for(world_.clock, milliseconds(50));
}

// The network, etcd and all clocks are well. Nodes start again: those whose drives may have lied, and some.
Task<> Scenario::calm_cluster() {
  SimRandom& random = world_.random;
  const bool at_once = random.chance(0.3);
  if (at_once) co_await stop_all();
  for (const SimNode* node : world_.members()) {
    const auto may_lie = [&](std::size_t slot) {
      return std::find(weak_.begin(), weak_.end(), slot) != weak_.end();
    };
    const bool again = at_once || std::any_of(node->slots.begin(), node->slots.end(), may_lie);
    if (!again && random.chance(0.7)) continue;
    if (!at_once) co_await world_.stop(node->index);
    if (world_.dead(node->index)) world_.end_lies(node->index);
    if (at_once) continue;
    co_await start_all();
    if (given_up_) co_return;
  }
  co_await start_all();
  if (!given_up_) co_await settle_growth();
}

// Nothing changes any more: whoever is asked gives the same answer.
Task<> Scenario::read_everywhere(std::vector<std::string> keys) {
  for (const std::string& key : keys) {
    S3Reply first;
    const std::vector<SimNode*> members = world_.members();
    for (const SimNode* node : members) {
      asked_ = node->index;
      S3Reply reply;
      for (unsigned tries = 0; tries < 60; ++tries) {
        S3Request request;
        request.target = key;
        auto asking = ask("everywhere", std::move(request));
        reply = co_await std::move(asking);
        if (reply.status != 0 && reply.status < 500) break;
        co_await sleep_for(world_.clock, seconds(1));
      }
      asked_.reset();
      if (node == members.front()) first = reply;
      if (reply.status == first.status && reply.etag() == first.etag() &&
          (reply.status != 200 || reply.body == first.body))
        continue;
      world_.violation(fmt::format("GET {}: {} answers {} {}, {} answers {} {}", key, members.front()->name,
                                   first.status, first.etag(), node->name, reply.status, reply.etag()));
    }
  }
}

Task<> Scenario::list_everywhere() {
  Listing first;
  const std::vector<SimNode*> members = world_.members();
  for (const SimNode* node : members) {
    asked_ = node->index;
    Listing now;
    const bool listed = co_await read_pages("list-type=2", "Contents", &now);
    asked_.reset();
    if (!listed) world_.violation(fmt::format("{} cannot list", node->name));
    if (node == members.front()) first = now;
    if (listed && (now.etags != first.etags || now.folders != first.folders))
      world_.violation(fmt::format("{} lists {} keys, {} lists {}, or others", members.front()->name,
                                   first.etags.size(), node->name, now.etags.size()));
  }
}

// All is healed: a node may go, with all its drives, if parity has room for them.
Task<> Scenario::read_without_a_node() {
  const std::vector<SimNode*> members = world_.members();
  const std::size_t node = members[world_.random.below(members.size())]->index;
  if (world_.node(node).slots.size() > world_.geometry.parity_shards) co_return;
  co_await world_.stop(node);
  std::vector<std::string> keys;
  for (const auto& [key, history] : model_.registers) keys.push_back(key);
  for (const std::string& key : keys) co_await look_at(key, true);
  co_await start_all();
}

// Some nodes lose their power, perhaps all of them; who does not come up again need not.
Task<> Scenario::go_beyond_in_cluster() {
  ended_ = false;
  for (const SimNode* node : world_.members()) {
    if (!world_.random.chance(0.4)) continue;
    world_.die(Death::power_cut, node->index);
    ++starting_;
    world_.tasks.spawn(world_.shard.executor(), start_one(node->index, false));
  }
  if (spec_.net_faults && world_.random.chance(0.3)) world_.note(harm_network());
  const TimePoint limit = world_.clock.now() + seconds(40);
  while (starting_ > 0 && world_.clock.now() < limit) co_await sleep_for(world_.clock, milliseconds(50));
  ended_ = true;
  for (const SimNode* node : world_.members())
    if (!node->serving) world_.die(Death::killed, node->index);
  while (starting_ > 0) co_await sleep_for(world_.clock, milliseconds(50));
}

}  // namespace ostraka::sim
