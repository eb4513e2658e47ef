// What goes wrong in a cluster: nodes die, stop and pause, links are cut, slow and break, etcd is away, lags
// and leaves changes in doubt, clocks go wrong. Drives suffer as those of one node do (trouble.cc): only as
// many as there is parity, and only where no write can have missed others (scenario.h, Trouble).
#include <fmt/format.h>

#include <algorithm>

#include "tests/sim/scenario.h"

namespace ostraka::sim {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kHearsAgain = seconds(15);

// Mostly short, sometimes as long as what the store counts in: leases, deadlines, grace times.
Duration some_time(SimRandom& random, bool long_round = false) {
  const std::uint64_t kind = long_round && random.chance(0.4) ? 9 : random.below(10);
  if (kind < 5) return milliseconds(random.between(50, 2000));
  if (kind < 9) return milliseconds(random.between(2000, 15'000));
  return milliseconds(random.between(15'000, 100'000));
}

std::string in_ms(Duration length) {
  return fmt::format("{} ms", length / milliseconds(1));
}

}  // namespace

// Clocks of machines differ; by less than a minute, if nobody is to blame.
void Scenario::set_clocks() {
  SimRandom& random = world_.random;
  for (const auto& node : world_.nodes) {
    if (!spec_.net_faults) continue;
    node->clock.set_pace(static_cast<std::int64_t>(random.below(401)) - 200);
    node->clock.set_offset_ms(static_cast<std::int64_t>(random.below(40'001)) - 20'000);
    world_.probes.hit("trouble: clocks of nodes differ");
  }
}

// All that is not a machine's or a drive's own: for good.
void Scenario::mend_cluster() {
  world_.note("the network, etcd and the clocks are well");
  world_.net.mend_all();
  world_.etcd->set_leader(true);
  world_.etcd->set_doubts(0);
  for (std::size_t i = 0; i < world_.etcd->members(); ++i) world_.etcd->set_lag(i, Duration::zero());
  end_deafness();
  for (const auto& node : world_.nodes) {
    node->machine.calls_to_pause.reset();
    world_.go_on(node->index);
    if (node->clock.offset_ms() > 20'000 || node->clock.offset_ms() < -20'000) node->clock.set_offset_ms(0);
  }
}

Task<> Scenario::trouble_with_node(std::size_t i) {
  SimRandom& random = world_.random;
  while (!ended_) {
    const Duration calm = milliseconds(random.between(200, 10'000));
    co_await sleep_for(world_.clock, calm);
    if (ended_) break;
    if (!world_.node(i).part) continue;
    if (!world_.serving(i)) {
      if (!world_.dead(i)) continue;  // dying
      if (random.chance(0.1)) {
        world_.arm_death(random.chance(0.5) ? Death::killed : Death::power_cut, random.between(1, 60), i);
        world_.probes.hit("trouble: dies while it starts");
      }
      co_await world_.start(i);
      continue;
    }
    const std::uint64_t kind = random.below(12);
    if (kind == 0 && spec_.deaths) {
      world_.probes.hit("trouble: stopped and started");
      co_await world_.stop(i);
    } else if (kind < 4 && spec_.deaths) {
      world_.arm_death(kind < 3 ? Death::killed : Death::power_cut, random.between(1, 300), i);
    } else if (kind == 4 && spec_.deaths) {
      world_.die(random.chance(0.5) ? Death::killed : Death::power_cut, i);
    } else if (kind < 7 && spec_.net_faults && !world_.node(i).line.stopped()) {
      const Duration length = some_time(random);
      world_.probes.hit(length > seconds(10) ? "trouble: a node pauses for longer than its lease"
                                             : "trouble: a node pauses");
      if (random.chance(0.4))
        world_.pause(i, length);
      else
        world_.arm_pause(length, random.between(1, 60), i);
    } else if (kind == 7 && spec_.net_faults && wild_clocks_) {
      const std::int64_t before = world_.node(i).clock.offset_ms();
      const std::int64_t shift = static_cast<std::int64_t>(random.between(61'000, 200'000));
      world_.node(i).clock.set_offset_ms(random.chance(0.5) ? shift : -shift);
      world_.probes.hit("trouble: a clock is wrong by more than a minute");
      const Duration length = some_time(random);
      world_.note(fmt::format("{}: clock {} ms, for {}", world_.node(i).name,
                              world_.node(i).clock.offset_ms(), in_ms(length)));
      co_await wait_out(length);
      world_.node(i).clock.set_offset_ms(before);
    }
  }
  --working_;
}

void Scenario::choose_cluster_trouble() {
  SimRandom& random = world_.random;
  trouble_ = Trouble::nodes;
  if (weak_.empty()) return;
  const std::uint64_t kind = random.below(3);
  const std::vector<SimNode*> members = world_.members();
  weak_node_ = members[random.below(members.size())]->index;
  const std::vector<std::size_t>& slots = world_.node(weak_node_).slots;
  if (kind == 0) {
    weak_.clear();
  } else if (kind == 1 && slots.size() <= world_.geometry.parity_shards) {
    trouble_ = Trouble::one_node;
    weak_.assign(slots.begin(), slots.end());
  } else {
    trouble_ = Trouble::drives;
  }
}

unsigned Scenario::begin_cluster_trouble() {
  const IoExecutor executor = world_.shard.executor();
  wild_clocks_ = world_.random.chance(0.2);
  long_round_ = trouble_ == Trouble::nodes && world_.random.chance(0.25);
  unsigned tasks = 1;
  world_.tasks.spawn(executor, bucket_client());
  for (const auto& node : world_.nodes) {
    if (trouble_ == Trouble::drives || (trouble_ == Trouble::one_node && node->index != weak_node_)) continue;
    ++tasks;
    world_.tasks.spawn(executor, trouble_with_node(node->index));
  }
  if (!spec_.net_faults) return tasks;
  if (trouble_ == Trouble::nodes) {
    ++tasks;
    world_.tasks.spawn(executor, trouble_with_network());
  }
  world_.tasks.spawn(executor, trouble_with_etcd());
  ++tasks;
  // A write that comes while a shard is handed over may lack it: no drive may lose anything beside that.
  if (trouble_ != Trouble::nodes || !has_spare() || world_.random.chance(0.3)) return tasks;
  world_.tasks.spawn(executor, grow_and_shrink());
  return tasks + 1;
}

// Nodes that may not hear of changes in etcd, for as long as the network is as it is.
void Scenario::note_deaf() {
  const std::vector<std::string> all = hosts();
  const std::vector<SimNode*> members = world_.members();
  for (const SimNode* node : members)
    for (std::size_t i = members.size(); i < all.size(); ++i)
      if (world_.net.is_troubled(node->name, all[i])) deaf_until_[node->index] = TimePoint::max();
}

// The network and etcd are well, but for what the other of the two still suffers.
void Scenario::end_deafness() {
  etcd_left_.reset();
  for (TimePoint& until : deaf_until_) until = world_.clock.now();
  note_deaf();
}

// At any time since then, and as long as it takes to notice that a watch is dead and to begin another.
bool Scenario::may_be_deaf(std::size_t node, TimePoint since) const {
  const SimNode& on = world_.node(node);
  const TimePoint heard = std::max(deaf_until_[node], on.paused_last);
  if (etcd_ails_ || on.line.stopped() || deaf_until_[node] == TimePoint::max()) return true;
  return since < heard + kHearsAgain;
}

// As long as there is trouble at all.
Task<> Scenario::wait_out(Duration length) {
  const TimePoint until = world_.clock.now() + length;
  while (!ended_ && world_.clock.now() < until) {
    const Duration left = std::min<Duration>(until - world_.clock.now(), milliseconds(200));
    co_await sleep_for(world_.clock, left);
  }
}

std::vector<std::string> Scenario::hosts() const {
  std::vector<std::string> out;
  for (const SimNode* node : world_.members()) out.push_back(node->name);
  for (std::size_t i = 0; i < world_.etcd->members(); ++i) out.push_back(fmt::format("etcd{}", i + 1));
  return out;
}

// One kind of trouble between hosts; says what it is.
std::string Scenario::harm_network() {
  SimRandom& random = world_.random;
  const std::vector<std::string> all = hosts();
  const std::size_t nodes = world_.members().size();
  const std::string one = all[random.below(nodes)];
  std::string other = all[random.below(all.size())];
  if (other == one) other = all[nodes];
  const auto cut = [&](const std::string& from, const std::string& to, bool both) {
    world_.net.link(from, to).cut = true;
    if (both) world_.net.link(to, from).cut = true;
  };
  switch (random.below(8)) {
    case 0:
      cut(one, other, false);
      world_.probes.hit("trouble: a link is cut in one direction");
      return fmt::format("nothing comes from {} to {}", one, other);
    case 1:
      cut(one, other, true);
      world_.probes.hit("trouble: a link is cut");
      return fmt::format("{} and {} are cut off from each other", one, other);
    case 2: {  // into two parts, each with some of etcd or none of it
      const bool both = !random.chance(0.25);
      std::vector<std::string> here, there;
      for (const std::string& host : all) (random.chance(0.5) ? here : there).push_back(host);
      for (const std::string& from : here)
        for (const std::string& to : there) cut(from, to, both);
      world_.probes.hit(both ? "trouble: a partition" : "trouble: a partition in one direction");
      std::string text = both ? "a partition:" : "a partition in one direction:";
      for (const std::string& host : here) text += " " + host;
      return text;
    }
    case 3:  // alone
      for (const std::string& host : all)
        if (host != one && (!random.chance(0.1))) cut(one, host, true);
      world_.probes.hit("trouble: a node is alone");
      return one + " is alone";
    case 4:
      for (std::size_t i = nodes; i < all.size(); ++i) cut(one, all[i], true);
      world_.probes.hit("trouble: etcd is away from one node");
      return one + " does not reach etcd";
    case 5:
      for (const std::string& node : all)
        for (std::size_t i = nodes; i < all.size(); ++i) cut(node, all[i], true);
      etcd_left_ = world_.clock.now();
      world_.probes.hit("trouble: etcd is away from all nodes");
      return "nobody reaches etcd";
    case 6: {
      const Duration slow = milliseconds(random.between(5, random.chance(0.3) ? 3000 : 200));
      for (const std::string& host : all) {
        world_.net.link(one, host).slow = slow;
        world_.net.link(host, one).slow = slow;
      }
      world_.probes.hit("trouble: links are slow");
      return fmt::format("the links of {} take up to {}", one, in_ms(slow));
    }
    default: {
      const double chance = random.chance(0.3) ? 0.3 : 0.03;
      for (const std::string& host : all) {
        world_.net.link(one, host).breaking = chance;
        world_.net.link(host, one).breaking = chance;
      }
      world_.probes.hit("trouble: connections break");
      return fmt::format("{} of the messages of {} break their connection", chance, one);
    }
  }
}

Task<> Scenario::trouble_with_network() {
  SimRandom& random = world_.random;
  while (!ended_) {
    const Duration calm = milliseconds(random.between(50, 6000));
    co_await wait_out(calm);
    if (ended_) break;
    const std::string what = harm_network();
    note_deaf();
    const Duration length = some_time(random, long_round_);
    world_.note(fmt::format("{}, for {}", what, in_ms(length)));
    co_await wait_out(length);
    world_.net.mend_all();
    end_deafness();
    world_.note("the network is well");
  }
  --working_;
}

Task<> Scenario::trouble_with_etcd() {
  SimRandom& random = world_.random;
  SimEtcd& etcd = *world_.etcd;
  while (!ended_) {
    const Duration calm = milliseconds(random.between(500, 12'000));
    co_await wait_out(calm);
    if (ended_) break;
    const Duration length = some_time(random);
    const std::size_t member = random.below(etcd.members());
    switch (random.below(4)) {
      case 0:
        etcd.set_leader(false);
        world_.probes.hit("trouble: etcd has no leader");
        world_.note(fmt::format("etcd has no leader for {}", in_ms(length)));
        break;
      case 1:
        etcd.set_doubts(0.3);
        world_.probes.hit("trouble: etcd does not tell what became of a change");
        world_.note(fmt::format("etcd does not tell what became of changes for {}", in_ms(length)));
        break;
      case 2: {
        const Duration lag = milliseconds(random.between(20, 4000));
        etcd.set_lag(member, lag);
        world_.probes.hit("trouble: a member of etcd lags");
        world_.note(fmt::format("etcd{} lags by {} for {}", member + 1, in_ms(lag), in_ms(length)));
        break;
      }
      default:
        etcd.compact();
        end_deafness();  // whoever was behind reads all anew
        world_.probes.hit("trouble: etcd compacts its history");
        world_.note("etcd compacts its history");
        continue;
    }
    etcd_ails_ = true;
    co_await wait_out(length);
    etcd_ails_ = false;
    end_deafness();
    etcd.set_leader(true);
    etcd.set_doubts(0);
    etcd.set_lag(member, Duration::zero());
    world_.note("etcd is well");
  }
  --working_;
}

}  // namespace ostraka::sim
