// A cluster of drives, some on each node, with the rebalancers of several nodes over them, on one shard. Its
// clock runs a hundred times as fast as the kernel's.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <set>

#include "cluster/rebalancer.h"
#include "tests/unit/cluster/fake_membership.h"
#include "tests/unit/cluster/move_world.h"

namespace ostraka::cluster {

class HastyClock final : public Clock {
 public:
  static constexpr int kFaster = 100;
  TimePoint now() const noexcept override { return began_ + (real_.now() - began_) * kFaster; }
  std::int64_t unix_ms() const noexcept override { return real_.unix_ms(); }
  std::unique_ptr<Timer> arm(IoExecutor executor, TimePoint at, std::function<void()> wake) override {
    const TimePoint real_at = at == kNoDeadline ? at : began_ + (at - began_) / kFaster;
    return real_.arm(executor, real_at, std::move(wake));
  }

 private:
  SystemClock real_;
  const TimePoint began_ = real_.now();
};

// Who leads is whom the test says, until somebody deposes the leader: then that one leads.
class FakeElection final : public control::Election {
 public:
  FakeElection(const std::string& self, std::string& leader, std::uint64_t& token)
      : self_(self), leader_(leader), token_(token) {}
  std::optional<control::Leadership> leading(std::string_view) const override {
    if (leader_ != self_) return std::nullopt;
    return control::Leadership{token_, kNoDeadline};
  }
  std::string leader(std::string_view) const override { return leader_; }
  std::uint64_t token(std::string_view) const override { return leader_.empty() ? 0 : token_; }
  void depose(std::string, std::uint64_t token) override {
    ++depositions;
    if (token != token_) return;
    leader_ = self_;
    ++token_;
  }
  void stand(std::string matter) override { stands_for = std::move(matter); }
  void resign(std::string) override {}
  void watch(Watcher) override {}
  std::string stands_for;
  int depositions = 0;

 private:
  const std::string self_;
  std::string& leader_;
  std::uint64_t& token_;
};

class RebalancerWorld : public testing::Test {
 protected:
  static constexpr std::string_view kTable = "cluster/placement";
  static constexpr std::size_t kDrives = 6;  // as many as test_format() has; two a node
  static constexpr unsigned kData = 2, kParity = 1;

  // Of the six drives so many are in the topology from the beginning.
  explicit RebalancerWorld(std::size_t founded = 4)
      : shard_{0, clock_, {.slab_bytes = 4096, .max_slabs = 2, .keep_slabs = 1}} {
    topology_.deployment = disk::test_format().deployment;
    topology_.data_shards = kData;
    topology_.parity_shards = kParity;
    std::vector<PlacementDrive> placed;
    for (unsigned slot = 0; slot < kDrives; ++slot) {
      worlds_.push_back(std::make_unique<disk::DriveWorld>(true, slot));
      EXPECT_TRUE(worlds_[slot]->format());
      worlds_[slot]->fs.free_bytes = 1ULL << 40U;  // whatever else lies on the machine's file system
      EXPECT_TRUE(worlds_[slot]->start());
      callers_.push_back(std::make_unique<disk::DriveCaller>(*worlds_[slot]->drive, shard_, clock_));
      if (slot >= founded) continue;
      Topology::Slot& place = topology_.slots.emplace_back();
      place.url = url(slot);
      place.id = id(slot);
      placed.push_back({place.id, place.url.node});
    }
    control_.set(std::string(kTopologyDocument), encode_topology(topology_));
    control_.set(std::string(kTable),
                 Placement::make(topology_.deployment, placed, kData + kParity, kParity).to_json());
  }
  ~RebalancerWorld() override { stop_all(); }

  static DriveUrl url(std::size_t slot) {
    return {"n" + std::to_string(slot / 2 + 1), 9000, "/d" + std::to_string(slot % 2 + 1)};
  }
  static DriveId id(std::size_t slot) { return disk::test_format().drives[slot]; }

  // As `admin drive add` does, but that ids are those that the drives have.
  void add(std::vector<std::size_t> slots) {
    auto topology = now();
    for (const std::size_t slot : slots)
      topology.slots.push_back({url(slot), id(slot), SlotState::in_service, true});
    control_.set(std::string(kTopologyDocument), encode_topology(topology));
  }
  Topology now() const { return *decode_topology(control_.get(kTopologyDocument)->content); }
  const Placement& table() const {
    const control::DocumentPtr now = control_.get(kTable);
    if (now != read_) table_ = *Placement::from_json(topology_.deployment, now->content);
    read_ = now;
    return *table_;
  }
  MoveDocument moves() const {
    const auto document = control_.get(kMovesDocument);
    return document ? *decode_moves(document->content) : MoveDocument{};
  }
  unsigned groups_on(std::size_t slot) const {
    const Placement& placement = table();
    unsigned out = 0;
    for (unsigned g = 0; g < kPlacementGroups; ++g) {
      const auto& on = placement.group(static_cast<std::uint16_t>(g)).drives;
      out += std::find(on.begin(), on.end(), id(slot)) != on.end() ? 1U : 0U;
    }
    return out;
  }
  // All groups, shared out over those drives alone.
  void expect_even_over(const std::vector<std::size_t>& slots) const {
    const double each = 1024.0 * (kData + kParity) / static_cast<double>(slots.size());
    unsigned sum = 0;
    for (const std::size_t slot : slots) {
      EXPECT_NEAR(groups_on(slot), each, each * 0.1) << "drive " << slot;
      sum += groups_on(slot);
    }
    EXPECT_EQ(sum, 1024 * (kData + kParity)) << "none is on another drive";
  }

  struct Running {
    std::unique_ptr<FakeElection> election;
    std::unique_ptr<Rebalancer> rebalancer;
  };
  Rebalancer& start(const std::string& node) {
    Running& one = running_[node];
    one.election = std::make_unique<FakeElection>(node, leader_, token_);
    SlotMoveDeps deps{clock_, random_, control_, topology_.deployment, std::string(kTable), {},
                      {},     "heal/", {}};
    if (pace) deps.keep_pace = pace;
    RebalancerDeps all{std::move(deps), *one.election, membership_, metrics_,
                       [this](const DriveId& id) { return find(id); }};
    one.rebalancer = std::make_unique<Rebalancer>(std::move(all));
    one.rebalancer->start(shard_);
    return *one.rebalancer;
  }
  void lead(const std::string& node) {
    leader_ = node;
    ++token_;
  }
  void stop(const std::string& node) {
    const auto at = running_.find(node);
    if (at == running_.end()) return;
    run_to_end(shard_, at->second.rebalancer->close());
    running_.erase(at);
  }
  void stop_all() {
    while (!running_.empty()) stop(running_.begin()->first);
  }
  // The node ends without a word, and with it what it does and its drives.
  void kill(const std::string& node) {
    control_.fails = true;  // whatever it was about to change
    stop(node);
    control_.fails = false;
    for (std::size_t slot = 0; slot < kDrives; ++slot)
      if (url(slot).node == node) missing_.insert(slot);
  }
  // Moves of which a drive has sealed groups that the table still says it has: nobody answers for them.
  unsigned sealed_moves() {
    unsigned out = 0;
    for (const MoveDocument::Move& move : moves().moves) {
      const std::size_t from = slot_of(move.spec.from);
      if (missing_.contains(from)) continue;
      disk::DriveCaller& giver = *callers_[from];
      const auto status = giver.wait(giver.drive().moves()->status(giver.ctx(), move.spec.id));
      EXPECT_TRUE(status);
      const auto& drives = table().group(move.spec.slots[0].group).drives;
      const bool named = std::find(drives.begin(), drives.end(), move.spec.from) != drives.end();
      out += named && status && !status->groups.empty() && status->groups[0].second == disk::GroupPlace::left
                 ? 1U
                 : 0U;
    }
    return out;
  }
  static std::size_t slot_of(const DriveId& drive) {
    for (std::size_t slot = 0; slot < kDrives; ++slot)
      if (id(slot) == drive) return slot;
    return kDrives;
  }
  // The drive that gives slots away by this change of the table.
  std::size_t giver(const std::string& next) const {
    const Placement& before = table();
    const Placement after = *Placement::from_json(topology_.deployment, next);
    for (unsigned g = 0; g < kPlacementGroups; ++g) {
      const auto& was = before.group(static_cast<std::uint16_t>(g)).drives;
      const auto& is = after.group(static_cast<std::uint16_t>(g)).drives;
      for (std::size_t i = 0; i < was.size(); ++i)
        if (was[i] != is[i]) return slot_of(was[i]);
    }
    return kDrives;
  }
  // The node is killed when it is about to write down where groups are now that a drive of another node has
  // sealed.
  bool kill_in_hand_over(const std::string& node) {
    bool now = false;
    control_.on_put = [this, &now, &node](const std::string& name, const std::string& content) {
      now = now || (name == kTable && url(giver(content)).node != node);
      control_.fails = control_.fails || now;
    };
    const bool reached = until([&now] { return now; });
    control_.on_put = nullptr;
    kill(node);
    return reached;
  }
  disk::Drive* find(const DriveId& id) {
    for (std::size_t slot = 0; slot < kDrives; ++slot)
      if (disk::test_format().drives[slot] == id && !missing_.contains(slot))
        return worlds_[slot]->drive.get();
    return nullptr;
  }

  // Runs the shard until it is so. False: it did not come to it within 20 s of the machine's time.
  bool until(const std::function<bool()>& so) {
    SystemClock real;
    const TimePoint end = real.now() + std::chrono::seconds(20);
    while (!so()) {
      if (real.now() > end) return false;
      shard_.io().restart();
      shard_.io().run_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  bool until_balanced(Rebalancer& rebalancer) {
    return until([&] { return rebalancer.status().state == RebalanceState::balanced; });
  }

  // On all drives of its group that answer for it; false: one of them does not.
  bool write(const std::string& key) {
    const unsigned n = ++next_version_;
    bool all = true;
    for (const std::size_t slot : slots_of(key)) {
      disk::DriveCaller& on = *callers_[slot];
      const auto answer = on.commit(ref_of(key), callers_[0]->inline_record(n), disk::kShard);
      all = all && answer && answer->verdict == disk::Verdict::ok;
      if (answer) written_[key] = answer->newest;
    }
    return all;
  }
  void expect_all_there() {
    for (const auto& [key, version] : written_)
      for (const std::size_t slot : slots_of(key)) {
        const auto read = callers_[slot]->read(ref_of(key));
        EXPECT_EQ(read.state.newest(), version) << key << " on drive " << slot;
      }
  }
  std::vector<std::size_t> slots_of(const std::string& key) const {
    std::vector<std::size_t> out;
    const Placement& placement = table();
    for (const DriveId& drive : placement.group(ref_of(key).group).drives)
      for (std::size_t slot = 0; slot < kDrives; ++slot)
        if (id(slot) == drive) out.push_back(slot);
    return out;
  }
  disk::ObjectRef ref_of(const std::string& key) const {
    disk::ObjectRef ref = disk::MoveCaller::ref(key);
    ref.epoch = table().group(ref.group).epoch;
    return ref;
  }

  HastyClock clock_;
  SystemRandom random_;
  MetricRegistry metrics_;
  MemoryControlStore control_;
  FakeMembership membership_;
  Shard shard_;
  Topology topology_;
  std::vector<std::unique_ptr<disk::DriveWorld>> worlds_;
  std::vector<std::unique_ptr<disk::DriveCaller>> callers_;
  mutable control::DocumentPtr read_;  // and what it says: reading it takes long
  mutable std::optional<Placement> table_;
  std::set<std::size_t> missing_;
  std::function<Task<>(std::uint64_t)> pace;
  std::string leader_ = "n1";
  std::uint64_t token_ = 1;
  std::map<std::string, Running> running_;
  std::map<std::string, VersionId> written_;
  unsigned next_version_ = 0;
};

}  // namespace ostraka::cluster
