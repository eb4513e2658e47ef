// A set of drives in memory, each behind a faulty one, a clock that stands still, and a loop that runs it all
// in one thread.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "erasure/erasure_set.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "tests/unit/erasure/faulty_drive.h"
#include "tests/unit/erasure/manual_clock.h"
#include "tests/unit/erasure/memory_drive.h"
#include "tests/unit/erasure/rising_epochs.h"
#include "tests/unit/erasure/seeded_random.h"

namespace ostraka::erasure {

// No leases at all: safety must hold without.
class NoLocks final : public control::LockService {
 public:
  Task<Result<std::unique_ptr<control::Lease>>> acquire(Ctx&, std::string) override {
    co_return std::unique_ptr<control::Lease>(std::make_unique<control::Lease>());
  }
};

// One lease for everything, in order of arrival.
class OneLock final : public control::LockService {
 public:
  Task<Result<std::unique_ptr<control::Lease>>> acquire(Ctx&, std::string) override {
    const auto turn = std::make_shared<Event>();
    line_.push_back(turn);
    if (line_.size() > 1) co_await turn->wait();
    std::unique_ptr<control::Lease> lease = std::make_unique<Held>(*this);
    co_return lease;
  }

 private:
  class Held final : public control::Lease {
   public:
    explicit Held(OneLock& lock) : lock_(lock) {}
    ~Held() override {
      lock_.line_.pop_front();
      if (!lock_.line_.empty()) lock_.line_.front()->set();
    }

   private:
    OneLock& lock_;
  };
  std::deque<std::shared_ptr<Event>> line_;
};

struct World {
  explicit World(Geometry geometry, std::uint64_t seed = 1) : random(seed) {
    for (unsigned i = 0; i < geometry.drives(); ++i) {
      memory.push_back(std::make_unique<MemoryDrive>(clock, static_cast<std::uint8_t>(i + 1)));
      faulty.push_back(std::make_unique<FaultyDrive>(*memory.back(), clock, gate));
    }
    std::vector<disk::Drive*> drives;
    for (const auto& drive : faulty) drives.push_back(drive.get());
    set = make_erasure_set(context, 7, 1, geometry, drives);
    ref.bucket = BucketId{42};
    ref.key = "folder/key";
    ref.group = 7;
    ref.epoch = 1;
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  ~World() {
    for (const auto& drive : faulty) drive->follow({});
    run(gate.close());
    set.reset();
  }

  Ctx ctx() { return Ctx{shard, deadline_after(clock.now(), std::chrono::seconds(30)), "test"}; }

  // Runs the loop, and the clock whenever nothing else is left to do, until the task has ended.
  template <class T>
  T run(Task<T> task) {
    auto guard = boost::asio::make_work_guard(shard.io());
    shard.io().restart();
    if constexpr (std::is_void_v<T>) {
      bool done = false;
      boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e) {
        if (e) std::rethrow_exception(e);
        done = true;
      });
      turn([&] { return done; });
    } else {
      std::optional<T> out;
      boost::asio::co_spawn(shard.executor(), std::move(task), [&](std::exception_ptr e, T value) {
        if (e) std::rethrow_exception(e);
        out.emplace(std::move(value));
      });
      turn([&] { return out.has_value(); });
      return std::move(*out);
    }
  }
  // Lets all go on that needs no clock.
  void run_ready() {
    auto guard = boost::asio::make_work_guard(shard.io());
    shard.io().restart();
    while (shard.io().poll() > 0) {
    }
  }
  // Lets background work go on for that long.
  void pass(Duration duration) { run(sleep_for(clock, duration)); }

  SeededRandom random;
  ManualClock clock;
  Shard shard{0, clock, ShardSpec{3U << 20, 24, 2}};
  Hlc hlc{1};
  NoLocks no_locks;
  OneLock one_lock;
  Gate gate;
  MetricRegistry metrics;
  RisingEpochs epochs;
  SetContext context{.clock = clock,
                     .random = random,
                     .hlc = hlc,
                     .locks = no_locks,
                     .background = gate,
                     .metrics = metrics,
                     .epochs = &epochs};
  std::vector<std::unique_ptr<MemoryDrive>> memory;
  std::vector<std::unique_ptr<FaultyDrive>> faulty;
  std::unique_ptr<ErasureSet> set;
  disk::ObjectRef ref;

 private:
  template <class Done>
  void turn(Done done) {
    while (!done()) {
      if (shard.io().poll() > 0) continue;
      if (done()) break;
      stuck_unless(clock.step());
    }
  }
  static void stuck_unless(bool stepped) {
    if (!stepped) {
      ADD_FAILURE() << "everybody waits, and no timer is armed";
      std::abort();
    }
  }
};

// What tests do with a set, on one line.
Task<Result<Committed>> put_small(World* world, disk::ObjectRef ref, std::string body);
Task<Result<Committed>> put_large(World* world, disk::ObjectRef ref, std::string body, Geometry geometry);
Task<Result<std::string>> get(World* world, disk::ObjectRef ref);
Task<Result<std::string>> get_range(World* world, disk::ObjectRef ref, ByteRange range);
Task<Result<std::string>> read_out(World* world, disk::ObjectRef ref, std::shared_ptr<const Elected> elected,
                                   ByteRange range);
Task<Result<StagedBody>> stage_body(World* world, std::string body, Geometry geometry);
std::string random_text(SeededRandom& random, std::size_t size);

}  // namespace ostraka::erasure
