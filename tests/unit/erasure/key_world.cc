#include "tests/unit/erasure/key_world.h"

#include <fmt/format.h>

namespace ostraka::erasure {
namespace {

using std::chrono::seconds;
using Kind = HistoryOp::Kind;
using State = HistoryOp::State;

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

Task<Result<std::string>> read_value(KeyWorld* key, Node* node) {
  World& world = key->world;
  Ctx ctx{world.shard, world.clock.now() + seconds(30), "read"};
  CO_TRY(elected, co_await node->set->read(ctx, world.ref, true));
  const std::uint64_t size = elected.record->size;
  const std::string value = elected.record->etag;
  auto shared = std::make_shared<const Elected>(std::move(elected));
  const ByteRange all{0, size};
  CO_TRY(reader, node->set->open(world.ref, std::move(shared), all));
  std::string body;
  for (;;) {
    CO_TRY(chain, co_await reader->next(ctx));
    if (chain.empty()) break;
    for (const Slice& slice : chain) body += as_text(slice.bytes);
  }
  if (body != body_of(value)) key->wrong_bytes = "a read of " + value + " got other bytes";
  co_return value;
}

Task<Errc> write_value(KeyWorld* key, Node* node, HistoryOp op) {
  World& world = key->world;
  Ctx ctx{world.shard, world.clock.now() + seconds(30), "write"};
  const bool conditional = op.kind != Kind::put && op.kind != Kind::erase;
  Precondition precondition;
  if (conditional) precondition = precondition_of(op);
  if (op.kind == Kind::erase || op.kind == Kind::erase_match) {
    const auto erased = co_await node->set->erase(ctx, world.ref, conditional, std::move(precondition));
    co_return erased ? Errc::not_modified : erased.error().code;
  }
  CommitSpec spec;
  spec.ref = world.ref;
  spec.record.etag = op.value;
  spec.conditional = conditional;
  spec.precondition = std::move(precondition);
  spec.body = node->set->encode_inline(key->geometry, as_bytes(body_of(op.value)));
  const auto committed = co_await node->set->commit(ctx, std::move(spec));
  co_return committed ? Errc::not_modified : committed.error().code;
}

}  // namespace

std::string describe(const Ending& ending) {
  std::string out;
  if (ending.linear == Answer::no) out += "not linearizable";
  if (ending.stuck) out += std::string(out.empty() ? "" : ", ") + "stuck";
  if (!ending.wrong_bytes.empty()) out += std::string(out.empty() ? "" : ", ") + ending.wrong_bytes;
  return out.empty() ? "nothing" : out;
}

Node::Node(World& world, Geometry geometry, std::uint32_t origin, std::int64_t skew_ms)
    : clock(world.clock, skew_ms),
      hlc(origin),
      context{clock, world.random, hlc, world.no_locks, world.gate, world.metrics} {
  std::vector<disk::Drive*> drives;
  for (const auto& drive : world.memory) {
    views.push_back(std::make_unique<FaultyDrive>(*drive, world.clock, world.gate));
    drives.push_back(views.back().get());
  }
  set = make_erasure_set(context, kGroup, 1, geometry, drives);
}

Node& KeyWorld::add_node(std::int64_t skew_ms) {
  const auto origin = static_cast<std::uint32_t>(nodes.size() + 2);
  nodes.push_back(std::make_unique<Node>(world, geometry, origin, skew_ms));
  nodes.back()->context.epochs = &epochs;
  return *nodes.back();
}

void KeyWorld::come_to_rest() {
  for (const auto& drive : world.memory) drive->set_online(true);
  world.pass(seconds(90));
}

HistoryOp& KeyWorld::record(HistoryOp op) {
  history.push_back(std::move(op));
  ++running;
  return history.back();
}

void KeyWorld::empty(unsigned slot) {
  world.memory[slot]->lose_everything(++epoch, {kGroup});
  world.memory[slot]->set_online(true);
  ++emptied;
}

void KeyWorld::lose_row(unsigned slot) {
  world.memory[slot]->damage_row(world.ref);
  ++rows_lost;
}

bool KeyWorld::row_missing(unsigned slot) const {
  const MemoryDrive& drive = *world.memory[slot];
  const disk::KeyState* state = drive.state(world.ref);
  return drive.row_lost(world.ref) || (state != nullptr && state->refilling);
}

Task<> run_op(KeyWorld* key, Node* node, HistoryOp* op) {
  op->call = ++key->tick;
  if (op->kind == Kind::read) {
    const auto value = co_await read_value(key, node);
    const bool absent = value.failed_with(Errc::not_found);
    op->state = node->alive && (value || absent) ? State::ok : State::none;
    if (value) op->value = *value;
  } else {
    const HistoryOp copy = *op;
    const Errc outcome = co_await write_value(key, node, copy);
    op->state = !node->alive || outcome == Errc::in_doubt ? State::doubt
                : outcome == Errc::not_modified           ? State::ok
                : outcome == Errc::precondition_failed    ? State::refused
                                                          : State::none;
  }
  op->ret = ++key->tick;
  --key->running;
}

Task<> heal_once(KeyWorld* key, Node* node) {
  World& world = key->world;
  Ctx ctx{world.shard, world.clock.now() + seconds(30), "heal"};
  std::vector<std::uint64_t> births;
  for (const auto& view : node->views) {
    const auto groups = co_await view->groups(ctx);
    births.push_back(groups && (*groups)[kGroup].refilling ? (*groups)[kGroup].birth : 0);
  }
  node->set->raise_epoch(key->epoch);
  const HealSpec spec;
  const auto report = co_await node->set->heal(ctx, world.ref, spec);
  if (!report) co_return;
  for (unsigned slot = 0; slot < births.size(); ++slot) {
    if (births[slot] == 0 || (report->readmissible >> slot & 1U) == 0) continue;
    const auto unheard = co_await node->views[slot]->readmit(ctx, kGroup, births[slot]);
    static_cast<void>(unheard);
  }
}

Ending KeyWorld::converge() {
  Ending out;
  for (int round = 0; round < 3; ++round) {
    if (emptied + rows_lost > 0) world.run(heal_once(this, &add_node()));
    HistoryOp& read = record(HistoryOp());
    world.run(run_op(this, &add_node(), &read));
    out.stuck = read.state != State::ok;
    world.pass(seconds(2));
  }
  const std::string now = history.back().value;
  HistoryOp last;
  last.kind = now.empty() ? Kind::create : Kind::match;
  last.expect = now;
  last.value = "last";
  HistoryOp& write = record(last);
  world.run(run_op(this, &add_node(), &write));
  out.stuck = out.stuck || write.state != State::ok;
  world.run(world.gate.close());
  for (const auto& drive : world.memory) out.stuck = out.stuck || drive->refilling(kGroup);
  for (unsigned slot = 0; slot < world.memory.size(); ++slot) out.stuck = out.stuck || row_missing(slot);
  out.wrong_bytes = wrong_bytes;
  out.linear = linearizable(std::vector<HistoryOp>(history.begin(), history.end()));
  return out;
}

}  // namespace ostraka::erasure
