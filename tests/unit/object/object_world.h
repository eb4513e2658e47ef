// An object layer over real erasure sets on drives in memory, with a clock that stands still and drives that
// answer as slowly as a test wants.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/encoding.h"
#include "base/hash.h"
#include "cluster/embedded_control_store.h"
#include "cluster/local_lock_service.h"
#include "disk/drive_roster.h"
#include "object/erasure_object_layer.h"
#include "object/limits.h"
#include "tests/unit/erasure/faulty_drive.h"
#include "tests/unit/erasure/manual_clock.h"
#include "tests/unit/erasure/memory_drive.h"
#include "tests/unit/erasure/rising_epochs.h"
#include "tests/unit/erasure/seeded_random.h"

namespace ostraka::object {

// A client's body, in pieces of a size.
class TextBody final : public net::BodySource {
 public:
  explicit TextBody(std::string text, std::size_t piece = 64U << 10)
      : text_(std::move(text)), piece_(piece) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    ++reads;
    if (pause) co_await sleep_for(*pause, std::chrono::milliseconds(1));
    const std::size_t bytes = std::min({out.size(), piece_, text_.size() - at_});
    if (bytes > 0) std::memcpy(out.data(), text_.data() + at_, bytes);
    at_ += bytes;
    if (bytes == 0 && fail_at_end) co_return fail(Errc::signature_mismatch, "the last chunk");
    co_return bytes;
  }
  int reads = 0;
  Clock* pause = nullptr;    // wait before each piece
  bool fail_at_end = false;  // as a decoder does when the final chunk is not authentic

 private:
  const std::string text_;
  const std::size_t piece_;
  std::size_t at_ = 0;
};

struct ObjectWorldSpec {
  erasure::Geometry geometry{2, 1};
  unsigned drives = 0;  // 0: as many as the geometry has
  std::uint64_t seed = 1;
};

class ObjectWorld {
 public:
  explicit ObjectWorld(ObjectWorldSpec spec = {}) : random(spec.seed) {
    const unsigned count = spec.drives == 0 ? spec.geometry.drives() : spec.drives;
    std::map<DriveId, disk::Drive*> by_id;
    std::vector<cluster::PlacementDrive> placed;
    std::vector<disk::Drive*> all;
    for (unsigned i = 0; i < count; ++i) {
      memory.push_back(std::make_unique<erasure::MemoryDrive>(clock, static_cast<std::uint8_t>(i + 1)));
      faulty.push_back(std::make_unique<erasure::FaultyDrive>(*memory.back(), clock, gate));
      all.push_back(faulty.back().get());
      placed.push_back({all.back()->id()});
      by_id[all.back()->id()] = all.back();
    }
    placement =
        cluster::Placement::make(DeploymentId{}, placed, spec.geometry.drives(), spec.geometry.parity_shards);
    for (unsigned g = 0; g < kPlacementGroups; ++g) {
      const auto group = static_cast<std::uint16_t>(g);
      std::vector<disk::Drive*> drives;
      for (const DriveId& id : placement.group(group).drives) drives.push_back(by_id[id]);
      table.sets.push_back(erasure::make_erasure_set(context, group, 1, spec.geometry, drives));
    }
    table.placement = std::make_shared<const cluster::Placement>(placement);
    control = std::make_unique<cluster::EmbeddedControlStore>(clock, gate, locks, all);
    buckets = std::make_unique<BucketStore>(*control, clock, random, "test-region");
    Ctx load = ctx();
    EXPECT_TRUE(run(control->load(load)).has_value());
    configure(spec.geometry, 0);
    make_bucket("bucket");
  }
  ObjectWorld(const ObjectWorld&) = delete;
  ObjectWorld& operator=(const ObjectWorld&) = delete;
  ~ObjectWorld() {
    for (const auto& drive : faulty) drive->follow({});
    run(gate.close());
  }

  // As after a restart with this setting storage.reduced_parity; 0: its default.
  void configure(erasure::Geometry geometry, unsigned reduced_parity) {
    layer.reset();
    sets = std::make_unique<ObjectSets>(std::make_shared<const SetTable>(table),
                                        *make_storage_classes(geometry, reduced_parity));
    layer = std::make_unique<ErasureObjectLayer>(LayerDeps{clock, random, hlc, locks, gate, *buckets, *sets});
  }

  // All drives, for what works on them.
  disk::RosterPtr roster() const {
    std::vector<disk::Drive*> drives;
    for (const auto& drive : faulty) drives.push_back(drive.get());
    return std::make_shared<const disk::DriveRoster>(drives);
  }

  Ctx ctx() { return Ctx{shard, deadline_after(clock.now(), std::chrono::seconds(60)), "test"}; }

  // Runs the loop, and the clock whenever nothing else is left to do, until the task has ended.
  template <class T>
  T run(Task<T> task) {
    const auto guard = boost::asio::make_work_guard(shard.io());
    shard.io().restart();
    if constexpr (std::is_void_v<T>) {
      bool done = false;
      boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
        done = true;
      });
      turn_until([&] { return done; });
    } else {
      std::optional<T> out;
      boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e, T value) {
        if (e) std::rethrow_exception(e);
        out.emplace(std::move(value));
      });
      turn_until([&] { return out.has_value(); });
      return std::move(*out);
    }
  }
  // All of them at the same time.
  void run_together(std::vector<Task<>> tasks) {
    std::size_t left = tasks.size();
    const auto guard = boost::asio::make_work_guard(shard.io());
    shard.io().restart();
    for (auto& task : tasks) {
      boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
        --left;
      });
    }
    turn_until([&] { return left == 0; });
  }
  // Every call of a drive takes a random while.
  void slow_drives(unsigned most_ms) {
    for (const auto& drive : faulty) {
      drive->follow([this, most_ms](std::string_view) {
        erasure::Fate fate;
        fate.delay = std::chrono::milliseconds(random.below(most_ms + 1));
        return fate;
      });
    }
  }

  void make_bucket(const std::string& name) {
    Ctx c = ctx();
    const auto made = run(layer->create_bucket(c, BucketName(name), "owner", "{}"));
    ASSERT_TRUE(made.has_value()) << made.error().detail;
  }
  Result<RecordPtr> put(const std::string& key, const std::string& text, const Conditions& conditions = {}) {
    return run(put_task(this, "bucket", key, text, conditions));
  }
  Result<std::string> get(const std::string& key, std::optional<ByteRange> range = {}) {
    return run(get_task(this, "bucket", key, range));
  }
  Result<RecordPtr> head(const std::string& key) { return run(head_task(this, key)); }
  Result<> erase(const std::string& key, const Conditions& conditions = {}) {
    Ctx c = ctx();
    DeleteSpec spec{BucketName("bucket"), ObjectKey(key), conditions};
    return run(layer->erase(c, std::move(spec)));
  }
  std::string text(std::size_t size) {
    std::string out(size, '\0');
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < size; ++i) {
      if (i % 8 == 0) word = random.next();
      out[i] = static_cast<char>(word >> (8 * (i % 8)));
    }
    return out;
  }
  // Shard files on all drives, staged ones included.
  std::size_t files() {
    std::size_t count = 0;
    for (auto& drive : memory) count += drive->files().size();
    return count;
  }
  // Lets background work go on for that long.
  void pass(Duration duration) { run(sleep_for(clock, duration)); }

  static Task<Result<RecordPtr>> put_task(ObjectWorld* world, std::string bucket, std::string key,
                                          std::string text, Conditions conditions) {
    Ctx c = world->ctx();
    PutSpec spec;
    spec.bucket = BucketName(bucket);
    spec.key = ObjectKey(key);
    spec.expect.size = text.size();
    spec.conditions = conditions;
    TextBody body(text);
    co_return co_await world->layer->put(c, std::move(spec), body);
  }
  static Task<Result<std::string>> read_out(ObjectWorld* world, OpenObject* object, ByteRange range) {
    Ctx c = world->ctx();
    CO_TRY(reader, object->read(range));
    std::string out;
    for (;;) {
      CO_TRY(chain, co_await reader->next(c));
      if (chain.empty()) break;
      for (const Slice& slice : chain) out.append(as_text(slice.bytes));
    }
    co_return out;
  }
  static Task<Result<std::string>> get_task(ObjectWorld* world, std::string bucket, std::string key,
                                            std::optional<ByteRange> range) {
    Ctx c = world->ctx();
    BucketName bucket_name(bucket);
    ObjectKey object_key(key);
    CO_TRY(object, co_await world->layer->get(c, std::move(bucket_name), std::move(object_key), true));
    ByteRange whole;
    whole.end = object->record().size;
    const ByteRange wanted = range.value_or(whole);
    co_return co_await read_out(world, object.get(), wanted);
  }
  static Task<Result<RecordPtr>> head_task(ObjectWorld* world, std::string key) {
    Ctx c = world->ctx();
    BucketName bucket("bucket");
    ObjectKey object_key(key);
    CO_TRY(object, co_await world->layer->get(c, std::move(bucket), std::move(object_key), false));
    co_return std::make_shared<const disk::VersionRecord>(object->record());
  }

  erasure::SeededRandom random;
  erasure::ManualClock clock;
  Shard shard{0, clock, ShardSpec{4U << 20, 64, 2}};
  Hlc hlc{1};
  cluster::LocalLockService locks;
  Gate gate;
  MetricRegistry metrics;
  erasure::RisingEpochs epochs;
  erasure::SetContext context{.clock = clock,
                              .random = random,
                              .hlc = hlc,
                              .locks = locks,
                              .background = gate,
                              .metrics = metrics,
                              .epochs = &epochs};
  std::vector<std::unique_ptr<erasure::MemoryDrive>> memory;
  std::vector<std::unique_ptr<erasure::FaultyDrive>> faulty;
  cluster::Placement placement;
  SetTable table;  // at the start
  std::unique_ptr<ObjectSets> sets;
  std::unique_ptr<cluster::EmbeddedControlStore> control;
  std::unique_ptr<BucketStore> buckets;
  std::unique_ptr<ErasureObjectLayer> layer;

 private:
  template <class Done>
  void turn_until(Done done) {
    while (!done()) {
      if (shard.io().poll() > 0) continue;
      if (done()) break;
      if (clock.step()) continue;
      ADD_FAILURE() << "everybody waits, and no timer is armed";
      std::abort();
    }
  }
};

}  // namespace ostraka::object
