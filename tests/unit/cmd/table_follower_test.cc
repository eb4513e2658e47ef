// Slots of groups go from drive to drive under clients that read and write.
#include "cmd/table_follower.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <optional>
#include <set>

#include "base/encoding.h"
#include "base/hlc.h"
#include "cluster/embedded_control_store.h"
#include "cluster/local_lock_service.h"
#include "cluster/move_runner.h"
#include "disk/drive_roster.h"
#include "erasure/set_core.h"
#include "object/bucket_store.h"
#include "object/erasure_object_layer.h"
#include "runtime/event.h"
#include "tests/unit/cmd/node_fixture.h"

namespace ostraka::cmd {
namespace {

class TextBody final : public net::BodySource {
 public:
  explicit TextBody(std::string text, Event* gate = nullptr) : text_(std::move(text)), gate_(gate) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    if (gate_ != nullptr && at_ > 0) co_await gate_->wait();
    const std::size_t bytes = std::min(out.size(), text_.size() - at_);
    if (bytes > 0) std::memcpy(out.data(), text_.data() + at_, bytes);
    at_ += bytes;
    co_return bytes;
  }

 private:
  const std::string text_;
  Event* const gate_;  // waited for behind the first piece
  std::size_t at_ = 0;
};

// A node's object layer over the six drives of the fixture, of which a set needs k + m.
class FollowWorld {
  Clock& clock_;
  Random& random_;
  MetricRegistry& metrics_;
  NodeDrives drives_;

 public:
  FollowWorld(Clock& clock, Random& random, MetricRegistry& metrics, NodeDrives drives)
      : clock_(clock), random_(random), metrics_(metrics), drives_(std::move(drives)) {
    std::vector<disk::Drive*> all;
    std::vector<cluster::PlacementDrive> placed;
    for (const auto& drive : drives_.drives) all.push_back(drive.get());
    for (const DriveId& id : drives_.ids) placed.push_back({id});
    roster = std::make_shared<disk::DriveRoster>(all);
    control = std::make_unique<cluster::EmbeddedControlStore>(clock, gate, locks_, all);
    Ctx begin = ctx();
    EXPECT_TRUE(run(control->load(begin)));
    const auto table = cluster::Placement::make(drives_.deployment, placed, drives_.geometry.drives(),
                                                drives_.geometry.parity_shards);
    EXPECT_TRUE(run(control->put(begin, std::string(kPlacementDocument), table.to_json(), 0)));
    follower = std::make_unique<TableFollower>(TableFollower::Deps{
        drives_.deployment, drives_.geometry, *object::make_storage_classes(drives_.geometry, 0), context_,
        [this](const DriveId& id) { return hidden.contains(id) ? nullptr : roster->find(id); },
        [this] { ++changes; }});
    EXPECT_TRUE(follower->begin(table));
    follower->watch(*control);
    buckets_ = std::make_unique<object::BucketStore>(*control, clock, random, "test-region");
    layer = std::make_unique<object::ErasureObjectLayer>(
        object::LayerDeps{clock, random, hlc_, locks_, gate, *buckets_, follower->sets()});
    Ctx making = ctx();
    EXPECT_TRUE(run(layer->create_bucket(making, BucketName("bucket"), "owner", "{}")));
    moves_.emplace(cluster::SlotMoveDeps{.clock = clock,
                                         .random = random,
                                         .control = *control,
                                         .deployment = drives_.deployment,
                                         .placement_document = std::string(kPlacementDocument),
                                         .wait_until_known = known,
                                         .group_of_record = {},
                                         .moving_records = {}});
    runner_.emplace(*moves_, [this](const DriveId& id) { return roster->find(id); });
  }
  ~FollowWorld() { run(gate.close()); }

  Ctx ctx() { return Ctx{shard, clock_.now() + std::chrono::seconds(60), "test"}; }
  template <class T>
  T run(Task<T> task) {
    return run_to_end(shard, std::move(task));
  }
  object::ObjectSets& sets() { return follower->sets(); }
  disk::ObjectRef ref(const std::string& key) {
    return sets().object((*buckets_->find(BucketName("bucket")))->info.id, ObjectKey(key));
  }
  DriveId id(std::size_t drive) const { return drives_.ids[drive]; }
  const std::vector<DriveId>& drives_of(std::uint16_t group) {
    table_ = sets().table();
    return table_->placement->group(group).drives;
  }

  // All slots of one drive, or of one group, that may go to the other.
  std::vector<cluster::SlotMove> slots(std::size_t from, std::size_t to,
                                       std::optional<std::uint16_t> only = {}) {
    std::vector<cluster::SlotMove> out;
    for (unsigned i = 0; i < kPlacementGroups; ++i) {
      const auto group = static_cast<std::uint16_t>(i);
      if (only && group != *only) continue;
      const auto& drives = drives_of(group);
      const auto at = std::find(drives.begin(), drives.end(), id(from));
      if (at == drives.end() || std::find(drives.begin(), drives.end(), id(to)) != drives.end()) continue;
      out.push_back({group, static_cast<std::uint16_t>(at - drives.begin()), id(from), id(to)});
    }
    return out;
  }
  static Task<Result<bool>> move(FollowWorld* world, std::vector<cluster::SlotMove> slots) {
    Ctx ctx = world->ctx();
    CO_TRY(taken, co_await world->runner_->add(ctx, slots));
    EXPECT_EQ(taken, slots.size());
    std::function<bool()> stop = [] { return false; };
    co_return co_await world->runner_->run(ctx, ++world->term_, std::move(stop));
  }
  static Task<Result<>> known(Ctx&, std::uint64_t) { co_return Result<>(); }

  static Task<Result<>> put(FollowWorld* world, std::string key, std::string text, Event* gate = nullptr) {
    Ctx ctx = world->ctx();
    object::PutSpec spec;
    spec.bucket = BucketName("bucket");
    spec.key = ObjectKey(key);
    spec.expect.size = text.size();
    TextBody body(std::move(text), gate);
    CO_TRY_VOID(co_await world->layer->put(ctx, std::move(spec), body));
    co_return Result<>();
  }
  static Task<Result<std::string>> get(FollowWorld* world, std::string key) {
    Ctx ctx = world->ctx();
    BucketName bucket("bucket");
    ObjectKey object_key(key);
    CO_TRY(object, co_await world->layer->get(ctx, std::move(bucket), std::move(object_key), true));
    ByteRange whole;
    whole.end = object->record().size;
    CO_TRY(reader, object->read(whole));
    std::string out;
    for (;;) {
      CO_TRY(chain, co_await reader->next(ctx));
      if (chain.empty()) break;
      for (const Slice& slice : chain) out.append(as_text(slice.bytes));
    }
    co_return out;
  }
  static Task<Result<std::set<std::string>>> list(FollowWorld* world) {
    Ctx ctx = world->ctx();
    object::ListQuery query;
    query.bucket = BucketName("bucket");
    query.max_keys = 1000;
    CO_TRY(page, co_await world->layer->list(ctx, std::move(query)));
    std::set<std::string> out;
    for (const auto& entry : page.objects) out.insert(entry.key);
    co_return out;
  }
  static Task<Result<erasure::HealReport>> look(FollowWorld* world, std::string key, bool dry_run) {
    Ctx ctx = world->ctx();
    const erasure::HealSpec spec{.deep = true, .dry_run = dry_run};
    const disk::ObjectRef ref = world->ref(key);
    co_return co_await world->sets().of(ref).heal(ctx, ref, spec);
  }

  // A client: writes its keys again and again, and reads each of them back, until it is told to stop.
  struct Client {
    std::string name;
    std::size_t bytes = 100;
    unsigned rounds = 0;
    std::map<std::string, std::string> written = {};
    std::vector<std::string> complaints = {};
  };
  static Task<> serve(FollowWorld* world, Client* client, unsigned keys) {
    while (!world->stop) {
      ++client->rounds;
      for (unsigned i = 0; i < keys && !world->stop; ++i) {
        const std::string key = client->name + std::to_string(i);
        std::string text(client->bytes, static_cast<char>('a' + client->rounds % 26));
        text += std::to_string(client->rounds);
        const Result<> put_it = co_await put(world, key, text);
        if (!put_it) client->complaints.push_back("put " + key + ": " + put_it.error().detail);
        if (put_it) client->written[key] = text;
        const Result<std::string> found = co_await get(world, key);
        if (!found) client->complaints.push_back("get " + key + ": " + found.error().detail);
        if (found && *found != client->written[key]) client->complaints.push_back("old " + key);
      }
      const auto listed = co_await list(world);
      if (!listed) client->complaints.push_back("list: " + listed.error().detail);
      for (const auto& [key, text] : client->written)
        if (listed && !listed->contains(key)) client->complaints.push_back("not listed: " + key);
    }
  }

  Shard shard{0, clock_, ShardSpec{2U << 20, 64, 2}};
  Gate gate;
  std::shared_ptr<disk::DriveRoster> roster;
  std::set<DriveId> hidden;  // from the follower
  std::unique_ptr<cluster::EmbeddedControlStore> control;
  std::unique_ptr<TableFollower> follower;
  std::unique_ptr<object::ErasureObjectLayer> layer;
  int changes = 0;
  bool stop = false;

 private:
  cluster::LocalLockService locks_;
  Hlc hlc_{1};
  erasure::SetContext context_{.clock = clock_,
                               .random = random_,
                               .hlc = hlc_,
                               .locks = locks_,
                               .background = gate,
                               .metrics = metrics_};
  std::unique_ptr<object::BucketStore> buckets_;
  std::optional<cluster::SlotMoveDeps> moves_;
  std::optional<cluster::MoveRunner> runner_;
  std::uint64_t term_ = 0;
  object::SetTablePtr table_;
};

class TableFollowerTest : public NodeFixture {
 protected:
  std::unique_ptr<FollowWorld> world(unsigned data, unsigned parity) {
    auto drives = open(*erasure::make_geometry(data, parity));
    EXPECT_TRUE(drives.has_value());
    return std::make_unique<FollowWorld>(clock_, random_, metrics_, std::move(*drives));
  }
};

using Client = FollowWorld::Client;

// Groups leave a drive for two others under clients.
void moves_under_clients(FollowWorld& w) {
  Client small{"small", 100}, large{"large", 300U << 10};
  std::size_t moved = 0;
  unsigned targets = 0;
  for (std::size_t to = 1; to < 6 && targets < 2; ++to) {
    auto slots = w.slots(0, to);
    if (slots.empty()) continue;
    ++targets;
    w.stop = false;
    Gate clients;
    clients.spawn(w.shard.executor(), FollowWorld::serve(&w, &small, 40));
    // Without parity a body that lies staged on a drive that the slot leaves cannot be committed.
    if (w.sets().geometry({}).parity_shards > 0)
      clients.spawn(w.shard.executor(), FollowWorld::serve(&w, &large, 3));
    slots.resize(std::min<std::size_t>(slots.size(), 100));
    moved += slots.size();
    const auto done = w.run(FollowWorld::move(&w, slots));
    w.stop = true;
    w.run(clients.close());
    ASSERT_TRUE(done.has_value()) << done.error().detail;
    EXPECT_TRUE(*done);
    for (const cluster::SlotMove& slot : slots) EXPECT_EQ(w.drives_of(slot.group)[slot.slot], slot.to);
  }
  EXPECT_EQ(targets, 2U);
  EXPECT_GT(moved, 50U);
  EXPECT_GT(w.changes, 0);
  EXPECT_GT(small.rounds, 1U);
  EXPECT_EQ(small.complaints, std::vector<std::string>());
  EXPECT_EQ(large.complaints, std::vector<std::string>());
  for (const Client* client : {&small, &large}) {
    for (const auto& [key, text] : client->written) {
      const auto found = w.run(FollowWorld::get(&w, key));
      ASSERT_TRUE(found.has_value()) << key << ": " << found.error().detail;
      EXPECT_EQ(*found, text) << key;
    }
  }
}

TEST_F(TableFollowerTest, SlotsMoveUnderClients) {
  const auto w = world(2, 1);
  moves_under_clients(*w);
}

TEST_F(TableFollowerTest, SlotsOfSetsWithoutParityMoveUnderClients) {
  const auto w = world(2, 0);
  moves_under_clients(*w);
}

TEST_F(TableFollowerTest, ABodyThatWasStagedBeforeTheMoveIsCommittedAfterIt) {
  const auto w = world(2, 1);
  const std::string key = "upload";
  const std::uint16_t group = w->ref(key).group;
  const DriveId first = w->drives_of(group)[0];
  std::size_t from = 0, to = 0;
  while (w->id(from) != first) ++from;
  while (w->slots(from, to, group).empty()) ++to;

  Event go_on;
  Gate clients;
  std::optional<Result<>> put;
  const std::string text(3U << 20, 'x');
  const auto put_it = [](FollowWorld* world, std::string name, std::string body, Event* gate,
                         std::optional<Result<>>* out) -> Task<> {
    Result<> done = co_await FollowWorld::put(world, std::move(name), std::move(body), gate);
    out->emplace(std::move(done));
  };
  clients.spawn(w->shard.executor(), put_it(w.get(), key, text, &go_on, &put));
  const auto moved = w->run(FollowWorld::move(w.get(), w->slots(from, to, group)));
  ASSERT_TRUE(moved.has_value() && *moved);
  EXPECT_FALSE(put.has_value()) << "its body waits";
  go_on.set();
  w->run(clients.close());
  ASSERT_TRUE(put && *put) << (put ? put->error().detail : "");
  EXPECT_EQ(*w->run(FollowWorld::get(w.get(), key)), text);
  const auto report = w->run(FollowWorld::look(w.get(), key, true));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->outcome, erasure::HealReport::Outcome::healthy) << "its shard followed the slot";
  for (const auto& shard : report->shards) EXPECT_EQ(shard.state, erasure::ShardState::good) << shard.detail;
}

TEST_F(TableFollowerTest, WhoHoldsATableKeepsItsSetsAndOthersGetTheNewOnes) {
  const auto w = world(2, 1);
  ASSERT_TRUE(w->run(FollowWorld::put(w.get(), "key", "text")));
  const std::uint16_t group = w->ref("key").group;
  std::size_t from = 0, to = 0;
  while (w->id(from) != w->drives_of(group)[0]) ++from;
  while (w->slots(from, to, group).empty()) ++to;
  const object::SetTablePtr before = w->sets().table();
  erasure::ErasureSet& set = w->sets().of_group(group);
  ASSERT_TRUE(w->run(FollowWorld::move(w.get(), w->slots(from, to, group))));
  const object::SetTablePtr after = w->sets().table();
  EXPECT_NE(before, after);
  EXPECT_EQ(before->of_group(group).drives()[0]->id(), w->id(from));
  EXPECT_EQ(after->of_group(group).drives()[0]->id(), w->id(to));
  EXPECT_EQ(set.drives(), after->of_group(group).drives()) << "one that was taken by reference follows";
  unsigned others = 0;
  for (unsigned i = 0; i < kPlacementGroups; ++i) others += before->sets[i] == after->sets[i] ? 1 : 0;
  EXPECT_EQ(others, kPlacementGroups - 1) << "and nobody else is disturbed";
  const auto report = w->run(FollowWorld::look(w.get(), "key", true));
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->outcome, erasure::HealReport::Outcome::healthy);
}

TEST_F(TableFollowerTest, ATableThatNamesADriveTooEarlyIsFollowedWhenTheDriveIsThere) {
  const auto w = world(2, 1);
  const std::uint16_t group = w->ref("key").group;
  std::size_t from = 0, to = 0;
  while (w->id(from) != w->drives_of(group)[0]) ++from;
  while (w->slots(from, to, group).empty()) ++to;
  w->hidden.insert(w->id(to));
  // Only groups without the hidden drive can be followed now; the others go on as they are.
  ASSERT_TRUE(w->run(FollowWorld::move(w.get(), w->slots(from, to, group))));
  EXPECT_EQ(w->sets().of_group(group).drives()[0]->id(), w->id(from));
  w->hidden.clear();
  w->follower->look_again();
  EXPECT_EQ(w->sets().of_group(group).drives()[0]->id(), w->id(to));
  EXPECT_TRUE(w->run(FollowWorld::put(w.get(), "key", "text")));
}

TEST_F(TableFollowerTest, EpochsAreRaised) {
  const auto w = world(2, 1);
  Ctx ctx = w->ctx();
  const auto document = w->control->get(kPlacementDocument);
  auto table = *w->sets().table()->placement;
  table.raise_epoch(5, 1);
  ASSERT_TRUE(
      w->run(w->control->put(ctx, std::string(kPlacementDocument), table.to_json(), document->revision)));
  EXPECT_EQ(w->sets().table()->placement->group(5).epoch, 2U);
  EXPECT_EQ(w->sets().table()->placement->group(6).epoch, 1U);
  EXPECT_EQ(w->sets().of_group(5).core()->epoch, 2U);
}

}  // namespace
}  // namespace ostraka::cmd
