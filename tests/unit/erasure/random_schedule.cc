#include "tests/unit/erasure/random_schedule.h"

#include <algorithm>
#include <map>

namespace ostraka::erasure {
namespace {

using std::chrono::milliseconds;
using Kind = HistoryOp::Kind;
using State = HistoryOp::State;

struct Schedule : KeyWorld {
  Schedule(Geometry shape, std::uint64_t seed) : KeyWorld(shape, seed) {
    linger_ms = 1U + static_cast<unsigned>(world.random.below(40));
  }

  Node& faulty_node() {
    const auto skew = static_cast<std::int64_t>(world.random.below(41)) - 20;
    Node& made = add_node(skew);
    for (const auto& view : made.views)
      view->follow([this, &made](std::string_view call) { return fate(made, call); });
    return made;
  }

  Fate fate(const Node& who, std::string_view call) {
    SeededRandom& random = world.random;
    Fate out;
    if (!who.alive) {
      out.request_lost = true;
      out.delay = milliseconds(1);
      return out;
    }
    if (calm) return out;
    const double x = random.unit();
    out.delay = milliseconds(random.below(linger_ms));
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

  bool calm = false;
  unsigned linger_ms = 0;               // most messages take up to that long
  std::map<VersionId, unsigned> wiped;  // how many holders of a version were emptied
};

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

// The fault budget, as in the model, on the safe side: at most m drives away, refilling or without their row,
// and no version that is acknowledged, was read, or may become so, loses its k-th holder.
bool may_empty(const Schedule& schedule, unsigned slot) {
  const MemoryDrive& drive = *schedule.world.memory[slot];
  const auto& drives = schedule.world.memory;
  const disk::ObjectRef& ref = schedule.world.ref;
  unsigned weak = 0;
  VersionId final_id;
  for (unsigned i = 0; i < drives.size(); ++i) {
    const MemoryDrive& other = *drives[i];
    const disk::KeyState* state = other.state(ref);
    if (state != nullptr) final_id = std::max(final_id, state->final_id);
    if (i != slot && (!other.online() || drives[i]->refilling(kGroup) || schedule.row_missing(i))) ++weak;
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

void note_wiped(Schedule& schedule, unsigned slot) {
  const disk::KeyState* held = schedule.world.memory[slot]->state(schedule.world.ref);
  if (held == nullptr) return;
  for (const disk::HeldVersion& version : held->versions) ++schedule.wiped[version.id];
}

void empty_one(Schedule& schedule) {
  const auto slot = static_cast<unsigned>(schedule.world.random.below(schedule.world.memory.size()));
  if (!may_empty(schedule, slot)) return;
  note_wiped(schedule, slot);
  schedule.empty(slot);
}

void lose_one_row(Schedule& schedule) {
  const auto slot = static_cast<unsigned>(schedule.world.random.below(schedule.world.memory.size()));
  const bool there = schedule.world.memory[slot]->state(schedule.world.ref) != nullptr;
  if (!there || schedule.row_missing(slot) || !may_empty(schedule, slot)) return;
  note_wiped(schedule, slot);
  schedule.lose_row(slot);
}

Task<> heal_beside(Schedule* schedule, Node* who) {
  co_await heal_once(schedule, who);
  --schedule->running;
}

Task<> die_later(Node* who, Clock* clock, Duration after) {
  co_await sleep_for(*clock, after);
  who->alive = false;
}

Task<> drive_schedule(Schedule* schedule, int ops) {
  World& world = schedule->world;
  SeededRandom& random = world.random;
  const int width = 1 + static_cast<int>(random.below(7));
  const std::uint64_t pause_ms = std::uint64_t{1} << random.below(9);
  const std::uint64_t empties = random.below(3) * 4;  // of 100 steps
  const std::uint64_t losses = random.below(3) * 4;   // of rows; the same
  if (random.below(3) > 0)
    world.gate.spawn(world.shard.executor(), flap(schedule, 2 + static_cast<int>(random.below(12))));
  for (int i = 0; i < ops; ++i) {
    while (schedule->running >= width) co_await sleep_for(world.clock, milliseconds(5));
    if (random.below(100) < empties) empty_one(*schedule);
    if (random.below(100) < losses) lose_one_row(*schedule);
    Node& who = schedule->faulty_node();
    if (random.below(100) < 15) {
      ++schedule->running;
      world.gate.spawn(world.shard.executor(), heal_beside(schedule, &who));
      co_await sleep_for(world.clock, milliseconds(random.below(pause_ms)));
      continue;
    }
    HistoryOp& op = schedule->record(random_op(*schedule));
    if (random.below(8) == 0)
      world.gate.spawn(world.shard.executor(),
                       die_later(&who, &world.clock, milliseconds(random.below(120))));
    world.gate.spawn(world.shard.executor(), run_op(schedule, &who, &op));
    co_await sleep_for(world.clock, milliseconds(random.below(pause_ms)));
  }
  while (schedule->running > 0) co_await sleep_for(world.clock, milliseconds(50));
}

}  // namespace

RandomRun run_random_schedule(Geometry geometry, std::uint64_t seed) {
  Schedule schedule(geometry, seed * 1000 + geometry.drives() * 32 + geometry.data_shards);
  World& world = schedule.world;
  const int ops = 8 + static_cast<int>(world.random.below(22));
  world.run(drive_schedule(&schedule, ops));
  schedule.come_to_rest();
  schedule.calm = true;
  RandomRun out;
  out.ending = schedule.converge();
  out.emptied = schedule.emptied;
  out.rows_lost = schedule.rows_lost;
  out.history.assign(schedule.history.begin(), schedule.history.end());
  return out;
}

}  // namespace ostraka::erasure
