// Random schedules of one key, with the real ErasureSet over drives in memory: many coordinators at once and
// no leases, messages that are late or lost, answers that are lost, coordinators that die in the middle,
// drives that go away and come back stale, drives that are emptied (within the fault budget) and refilled by
// heals, clocks that disagree. Each history must be linearizable, and with the faults off, and the key
// healed, no drive is refilling any more and the key has an answer and takes a conditional write. One seed,
// one schedule.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/log.h"
#include "tests/unit/erasure/linearizability.h"
#include "tests/unit/erasure/world.h"

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = HistoryOp::Kind;
using State = HistoryOp::State;

// One request: its own view of the drives, its own clock and ids, as on a node of its own.
struct Coordinator {
  Coordinator(World& world, Geometry geometry, std::uint32_t origin, std::int64_t skew_ms)
      : clock(world.clock, skew_ms),
        hlc(origin),
        context{clock, world.random, hlc, world.no_locks, world.gate, world.metrics} {
    std::vector<disk::Drive*> drives;
    for (const auto& drive : world.memory) {
      views.push_back(std::make_unique<FaultyDrive>(*drive, world.clock, world.gate));
      drives.push_back(views.back().get());
    }
    set = make_erasure_set(context, 7, 1, geometry, drives);
  }
  SkewedClock clock;
  Hlc hlc;
  SetContext context;
  bool alive = true;
  std::vector<std::unique_ptr<FaultyDrive>> views;
  std::unique_ptr<ErasureSet> set;
};

constexpr std::uint16_t kGroup = 7;

struct Faults {
  bool calm = false;
  unsigned linger_ms = 0;  // most messages take up to that long
};

struct Schedule {
  Schedule(Geometry shape, std::uint64_t seed) : geometry(shape), world(shape, seed) {
    faults.linger_ms = 1U + static_cast<unsigned>(world.random.below(40));
  }

  Coordinator& coordinator() {
    SeededRandom& random = world.random;
    const auto skew = static_cast<std::int64_t>(random.below(41)) - 20;
    const auto origin = static_cast<std::uint32_t>(coordinators.size() + 2);
    coordinators.push_back(std::make_unique<Coordinator>(world, geometry, origin, skew));
    Coordinator& made = *coordinators.back();
    for (const auto& view : made.views)
      view->follow([this, &made](std::string_view call) { return fate(made, call); });
    return made;
  }

  Fate fate(const Coordinator& who, std::string_view call) {
    SeededRandom& random = world.random;
    Fate out;
    if (!who.alive) {
      out.request_lost = true;
      out.delay = milliseconds(1);
      return out;
    }
    if (faults.calm) return out;
    const double x = random.unit();
    out.delay = milliseconds(random.below(faults.linger_ms));
    if (random.below(50) == 0) out.delay = milliseconds(random.below(2500));
    if (x < .03) {
      out.request_lost = true;
    } else if (x < .08) {
      out.arrives_after_all = milliseconds(random.below(4000));
    } else if (x < .14) {
      out.answer_lost = true;
    }
    if (call == "retire" && x > .9) out.request_lost = true;
    return out;
  }

  Geometry geometry;
  World world;
  Faults faults;
  std::vector<std::unique_ptr<Coordinator>> coordinators;
  std::deque<HistoryOp> history;        // stable addresses
  std::uint64_t epoch = 1;              // of the group, as the control store knows it
  std::map<VersionId, unsigned> wiped;  // how many holders of a version were emptied
  unsigned emptied = 0;
  std::uint64_t tick = 0;
  int running = 0;
};

Precondition precondition_of(const HistoryOp& op) {
  if (op.kind == Kind::create)
    return [](const disk::VersionRecord* current) -> Result<> {
      if (current != nullptr) return fail(Errc::precondition_failed);
      return {};
    };
  return [expect = op.expect](const disk::VersionRecord* current) -> Result<> {
    if (current == nullptr || current->etag != expect) return fail(Errc::precondition_failed);
    return {};
  };
}

// What a value looks like on the drives: long enough to have shards that differ.
std::string body_of(const std::string& value) {
  std::string body;
  while (body.size() < 300) body += value + "/";
  return body;
}

Task<Result<std::string>> read_value(Schedule* schedule, Coordinator* who) {
  World& world = schedule->world;
  Ctx ctx{world.shard, world.clock.now() + seconds(30), "read"};
  CO_TRY(elected, co_await who->set->read(ctx, world.ref, true));
  const std::uint64_t size = elected.record->size;
  const std::string value = elected.record->etag;
  auto shared = std::make_shared<const Elected>(std::move(elected));
  const ByteRange all{0, size};
  CO_TRY(reader, who->set->open(world.ref, std::move(shared), all));
  std::string body;
  for (;;) {
    CO_TRY(chain, co_await reader->next(ctx));
    if (chain.empty()) break;
    for (const Slice& slice : chain) body += as_text(slice.bytes);
  }
  EXPECT_EQ(body, body_of(value)) << "bytes of another version";
  co_return value;
}

Task<Errc> write_value(Schedule* schedule, Coordinator* who, HistoryOp op) {
  World& world = schedule->world;
  Ctx ctx{world.shard, world.clock.now() + seconds(30), "write"};
  const bool conditional = op.kind != Kind::put && op.kind != Kind::erase;
  Precondition precondition;
  if (conditional) precondition = precondition_of(op);
  if (op.kind == Kind::erase || op.kind == Kind::erase_match) {
    const auto erased = co_await who->set->erase(ctx, world.ref, conditional, std::move(precondition));
    co_return erased ? Errc::not_modified : erased.error().code;
  }
  CommitSpec spec;
  spec.ref = world.ref;
  spec.record.etag = op.value;
  spec.conditional = conditional;
  spec.precondition = std::move(precondition);
  spec.body = who->set->encode_inline(schedule->geometry, as_bytes(body_of(op.value)));
  const auto committed = co_await who->set->commit(ctx, std::move(spec));
  co_return committed ? Errc::not_modified : committed.error().code;
}

Task<> run_op(Schedule* schedule, Coordinator* who, HistoryOp* op) {
  op->call = ++schedule->tick;
  if (op->kind == Kind::read) {
    const auto value = co_await read_value(schedule, who);
    const bool absent = value.failed_with(Errc::not_found);
    op->state = who->alive && (value || absent) ? State::ok : State::none;
    if (value) op->value = *value;
  } else {
    const HistoryOp copy = *op;
    const Errc outcome = co_await write_value(schedule, who, copy);
    op->state = !who->alive || outcome == Errc::in_doubt ? State::doubt
                : outcome == Errc::not_modified          ? State::ok
                : outcome == Errc::precondition_failed   ? State::refused
                                                         : State::none;
  }
  op->ret = ++schedule->tick;
  --schedule->running;
}

HistoryOp random_op(Schedule& schedule) {
  SeededRandom& random = schedule.world.random;
  HistoryOp op;
  const double x = random.unit();
  op.kind = x < .42   ? Kind::read
            : x < .58 ? Kind::put
            : x < .72 ? Kind::create
            : x < .84 ? Kind::match
            : x < .92 ? Kind::erase
                      : Kind::erase_match;
  std::vector<std::string> known;
  for (const HistoryOp& before : schedule.history)
    if (!before.value.empty()) known.push_back(before.value);
  if (!known.empty()) op.expect = random.below(2) == 0 ? known.back() : known[random.below(known.size())];
  const bool writes = op.kind == Kind::put || op.kind == Kind::create || op.kind == Kind::match;
  if (writes) op.value = "v" + std::to_string(schedule.history.size() + 1);
  return op;
}

Task<> flap(Schedule* schedule, int rounds) {
  SeededRandom& random = schedule->world.random;
  auto& drives = schedule->world.memory;
  const unsigned may_miss = schedule->geometry.drives() - schedule->geometry.write_quorum();
  for (int i = 0; i < rounds; ++i) {
    co_await sleep_for(schedule->world.clock, milliseconds(random.below(600)));
    MemoryDrive& drive = *drives[random.below(drives.size())];
    unsigned down = 0;
    for (const auto& other : drives) down += other->online() ? 0U : 1U;
    const bool one_too_many = random.below(12) == 0;
    if (!drive.online()) {
      drive.set_online(true);
    } else if (down < may_miss + (one_too_many ? 1U : 0U)) {
      drive.set_online(false);
    }
  }
  for (const auto& drive : drives) drive->set_online(true);
}

// The fault budget, as in the model, on the safe side: at most m drives away or refilling, and no version
// that is acknowledged, was read, or may become so, loses its k-th holder.
bool may_empty(const Schedule& schedule, const MemoryDrive& drive) {
  const auto& drives = schedule.world.memory;
  const disk::ObjectRef& ref = schedule.world.ref;
  unsigned weak = 0;
  VersionId final_id;
  for (const auto& other : drives) {
    const disk::KeyState* state = other->state(ref);
    if (state != nullptr) final_id = std::max(final_id, state->final_id);
    if (other.get() != &drive && (!other->online() || other->refilling(kGroup))) ++weak;
  }
  if (weak >= schedule.geometry.parity_shards) return false;
  const disk::KeyState* held = drive.state(ref);
  if (held == nullptr) return true;
  if (held->versions.empty()) return held->final_id.is_none();
  for (const disk::HeldVersion& version : held->versions) {
    if (version.id < final_id) continue;
    unsigned others = 0;
    for (const auto& other : drives) {
      const disk::KeyState* state = other->state(ref);
      if (other.get() != &drive && state != nullptr && state->find(version.id) != nullptr) ++others;
    }
    if (others >= version.data_shards) continue;
    if (version.id == final_id || version.tombstone) return false;
    const auto gone = schedule.wiped.find(version.id);
    const unsigned before = gone == schedule.wiped.end() ? 0 : gone->second;
    const unsigned spare = version.write_quorum - version.data_shards;
    if (others + 1 + before >= version.write_quorum) return false;  // it may have been committed
    if (schedule.running > 0 && before >= spare) return false;      // it may yet be, counting this holder
    const std::string value = disk::decode_version_record(as_bytes(*version.record))->etag;
    for (const HistoryOp& op : schedule.history)
      if (op.value == value && op.state == State::ok) return false;
  }
  return true;
}

void empty_one(Schedule& schedule) {
  auto& drives = schedule.world.memory;
  MemoryDrive& drive = *drives[schedule.world.random.below(drives.size())];
  if (!may_empty(schedule, drive)) return;
  if (const disk::KeyState* held = drive.state(schedule.world.ref); held != nullptr)
    for (const disk::HeldVersion& version : held->versions) ++schedule.wiped[version.id];
  drive.lose_everything(++schedule.epoch, {kGroup});
  drive.set_online(true);
  ++schedule.emptied;
}

// As the one who refills drives does it: births first, then the heal, then those readmitted for which it was
// enough.
Task<> heal_once(Schedule* schedule, Coordinator* who) {
  World& world = schedule->world;
  Ctx ctx{world.shard, world.clock.now() + seconds(30), "heal"};
  std::vector<std::uint64_t> births;
  for (const auto& view : who->views) {
    const auto groups = co_await view->groups(ctx);
    births.push_back(groups && (*groups)[kGroup].refilling ? (*groups)[kGroup].birth : 0);
  }
  who->set->raise_epoch(schedule->epoch);
  const HealSpec spec;
  const auto report = co_await who->set->heal(ctx, world.ref, spec);
  if (!report) co_return;
  for (unsigned slot = 0; slot < births.size(); ++slot) {
    if (births[slot] == 0 || (report->readmissible >> slot & 1U) == 0) continue;
    const auto unheard = co_await who->views[slot]->readmit(ctx, kGroup, births[slot]);
    static_cast<void>(unheard);
  }
}

Task<> heal_beside(Schedule* schedule, Coordinator* who) {
  co_await heal_once(schedule, who);
  --schedule->running;
}

Task<> die_later(Coordinator* who, Clock* clock, Duration after) {
  co_await sleep_for(*clock, after);
  who->alive = false;
}

Task<> drive_schedule(Schedule* schedule, int ops) {
  World& world = schedule->world;
  SeededRandom& random = world.random;
  const int width = 1 + static_cast<int>(random.below(7));
  const std::uint64_t pause_ms = std::uint64_t{1} << random.below(9);
  const std::uint64_t empties = random.below(3) * 4;  // of 100 steps
  if (random.below(3) > 0)
    world.gate.spawn(world.shard.executor(), flap(schedule, 2 + static_cast<int>(random.below(12))));
  for (int i = 0; i < ops; ++i) {
    while (schedule->running >= width) co_await sleep_for(world.clock, milliseconds(5));
    if (random.below(100) < empties) empty_one(*schedule);
    Coordinator& who = schedule->coordinator();
    ++schedule->running;
    if (random.below(100) < 15) {
      world.gate.spawn(world.shard.executor(), heal_beside(schedule, &who));
      co_await sleep_for(world.clock, milliseconds(random.below(pause_ms)));
      continue;
    }
    schedule->history.push_back(random_op(*schedule));
    if (random.below(8) == 0)
      world.gate.spawn(world.shard.executor(),
                       die_later(&who, &world.clock, milliseconds(random.below(120))));
    world.gate.spawn(world.shard.executor(), run_op(schedule, &who, &schedule->history.back()));
    co_await sleep_for(world.clock, milliseconds(random.below(pause_ms)));
  }
  while (schedule->running > 0) co_await sleep_for(world.clock, milliseconds(50));
}

struct RunResult {
  std::vector<HistoryOp> history;
  Answer verdict = Answer::no;
  bool stuck = false;
  unsigned emptied = 0;
};

RunResult run_schedule(Geometry geometry, std::uint64_t seed) {
  Schedule schedule(geometry, seed * 1000 + geometry.drives() * 32 + geometry.data_shards);
  World& world = schedule.world;
  const int ops = 8 + static_cast<int>(world.random.below(22));
  world.run(drive_schedule(&schedule, ops));

  // Late messages arrive, dead writers' calls run out; then the faults are off, and somebody reads, which has
  // leftovers settled.
  for (const auto& drive : world.memory) drive->set_online(true);
  world.pass(seconds(90));
  schedule.faults.calm = true;
  RunResult out;
  for (int round = 0; round < 3; ++round) {
    if (schedule.emptied > 0) world.run(heal_once(&schedule, &schedule.coordinator()));
    HistoryOp read;
    schedule.history.push_back(read);
    ++schedule.running;
    world.run(run_op(&schedule, &schedule.coordinator(), &schedule.history.back()));
    out.stuck = schedule.history.back().state != State::ok;
    world.pass(seconds(2));
  }
  HistoryOp last;
  const std::string now = schedule.history.back().value;
  last.kind = now.empty() ? Kind::create : Kind::match;
  last.expect = now;
  last.value = "last";
  schedule.history.push_back(last);
  ++schedule.running;
  world.run(run_op(&schedule, &schedule.coordinator(), &schedule.history.back()));
  out.stuck = out.stuck || schedule.history.back().state != State::ok;
  world.run(world.gate.close());
  for (const auto& drive : world.memory) out.stuck = out.stuck || drive->refilling(kGroup);
  out.emptied = schedule.emptied;

  out.history.assign(schedule.history.begin(), schedule.history.end());
  out.verdict = linearizable(out.history);
  return out;
}

void run_many(Geometry geometry, std::uint64_t first, std::uint64_t count) {
  log::set_level(log::Level::error);
  std::uint64_t acknowledged = 0;
  std::uint64_t doubtful = 0;
  std::uint64_t gave_up = 0;
  std::uint64_t emptied = 0;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    const RunResult result = run_schedule(geometry, seed);
    ASSERT_NE(result.verdict, Answer::no) << "not linearizable: seed " << seed << "\n"
                                          << describe(result.history);
    ASSERT_FALSE(result.stuck) << "no answer with the faults off: seed " << seed << "\n"
                               << describe(result.history);
    emptied += result.emptied;
    gave_up += result.verdict == Answer::gave_up ? 1U : 0U;
    for (const HistoryOp& op : result.history) {
      acknowledged += op.kind != Kind::read && op.state == State::ok ? 1U : 0U;
      doubtful += op.state == State::doubt ? 1U : 0U;
    }
  }
  EXPECT_GT(acknowledged, 3 * count) << "the schedules are too hostile to show anything";
  EXPECT_GT(doubtful, count / 4) << "the schedules are too kind to show anything";
  EXPECT_GT(emptied, count / 4) << "too few drives lose their data to show anything";
  EXPECT_LT(gave_up, count / 20 + 1);
}

std::uint64_t runs() {
  const char* wanted = std::getenv("OSTRAKA_SCHEDULES");  // more of them, for a long night
  return wanted == nullptr ? 150 : std::strtoull(wanted, nullptr, 10);
}

TEST(Schedules, Mirror1And1) {
  run_many({1, 1}, 0, runs());
}
TEST(Schedules, Three2And1) {
  run_many({2, 1}, 0, runs());
}
TEST(Schedules, Four2And2) {
  run_many({2, 2}, 0, runs());
}
TEST(Schedules, Five3And2) {
  run_many({3, 2}, 0, runs());
}
TEST(Schedules, Six4And2) {
  run_many({4, 2}, 0, runs());
}
TEST(Schedules, Six3And3) {
  run_many({3, 3}, 0, runs());
}

TEST(Schedules, OneSeedIsOneSchedule) {
  log::set_level(log::Level::error);
  for (std::uint64_t seed = 100; seed < 110; ++seed)
    EXPECT_EQ(describe(run_schedule({2, 2}, seed).history), describe(run_schedule({2, 2}, seed).history));
}

TEST(Linearizability, TellsRightFromWrong) {
  HistoryOp put{Kind::put, State::ok, "a", "", 1, 2};
  HistoryOp stale{Kind::read, State::ok, "", "", 3, 4};
  EXPECT_EQ(linearizable({put, stale}), Answer::no);
  stale.call = 1;
  EXPECT_EQ(linearizable({put, stale}), Answer::yes);
  HistoryOp second_create{Kind::create, State::ok, "b", "", 3, 4};
  EXPECT_EQ(linearizable({put, second_create}), Answer::no);
  second_create.state = State::refused;
  EXPECT_EQ(linearizable({put, second_create}), Answer::yes);
  HistoryOp lost{Kind::put, State::doubt, "c", "", 3, 4};
  const HistoryOp sees_it{Kind::read, State::ok, "c", "", 5, 6};
  const HistoryOp sees_it_not{Kind::read, State::ok, "a", "", 7, 8};
  EXPECT_EQ(linearizable({put, lost, sees_it}), Answer::yes);
  EXPECT_EQ(linearizable({put, lost, sees_it, sees_it_not}), Answer::no);
}

}  // namespace
}  // namespace ostraka::erasure
