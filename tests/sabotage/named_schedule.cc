#include "tests/sabotage/named_schedule.h"

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "tests/sim/sabotage.h"

namespace ostraka::erasure {
namespace {

using Kind = HistoryOp::Kind;

HistoryOp op_of(Kind kind, std::string expect, std::string value) {
  HistoryOp op;
  op.kind = kind;
  op.expect = std::move(expect);
  op.value = std::move(value);
  return op;
}

Task<> wait_for_end(Clock* clock, const HistoryOp* op) {
  while (op->state == HistoryOp::State::open) co_await sleep_for(*clock, std::chrono::milliseconds(1));
}

Task<> heal_beside(KeyWorld* key, Node* node) {
  co_await heal_once(key, node);
}

class Broken {
 public:
  explicit Broken(Sabotage rule) { sim::choose_sabotage(rule); }
  Broken(const Broken&) = delete;
  Broken& operator=(const Broken&) = delete;
  ~Broken() { sim::choose_sabotage(Sabotage::none); }
};

std::string history_of(Story& story) {
  const auto& history = story.key().history;
  return describe(std::vector<HistoryOp>(history.begin(), history.end()));
}

}  // namespace

HistoryOp put(std::string value) {
  return op_of(Kind::put, {}, std::move(value));
}
HistoryOp create(std::string value) {
  return op_of(Kind::create, {}, std::move(value));
}
HistoryOp match(std::string expect, std::string value) {
  return op_of(Kind::match, std::move(expect), std::move(value));
}
HistoryOp erase() {
  return op_of(Kind::erase, {}, {});
}
HistoryOp erase_match(std::string expect) {
  return op_of(Kind::erase_match, std::move(expect), {});
}
HistoryOp read() {
  return op_of(Kind::read, {}, {});
}

void Held::arrive() {
  for (const auto& message : messages_) message->arrive();
  world_->run_ready();
}

void Held::lose() {
  for (const auto& message : messages_) message->lose();
  world_->run_ready();
}

Node& Story::node(std::int64_t skew_ms) {
  Node& made = key_.add_node(skew_ms);
  for (unsigned slot = 0; slot < made.views.size(); ++slot)
    made.views[slot]->follow([this, &made, slot](std::string_view call) { return fate(made, slot, call); });
  return made;
}

Fate Story::fate(const Node& node, unsigned slot, std::string_view call) {
  Fate out;
  if (!node.alive) {
    out.request_lost = true;
    out.delay = std::chrono::milliseconds(1);
    return out;
  }
  for (Saying& saying : sayings_[&node]) {
    if (saying.slot != slot || saying.call != call || saying.times == 0) continue;
    if (saying.times != kAlways) --saying.times;
    return saying.fate;
  }
  return out;
}

void Story::say(Node& node, std::initializer_list<unsigned> slots, const std::string& call, const Fate& fate,
                unsigned times) {
  std::vector<unsigned> meant(slots);
  for (unsigned slot = 0; slots.size() == 0 && slot < node.views.size(); ++slot) meant.push_back(slot);
  for (const unsigned slot : meant) sayings_[&node].push_back({slot, call, fate, times});
}

Held Story::hold(Node& node, std::initializer_list<unsigned> slots, std::string call) {
  Held out(key_.world);
  for (const unsigned slot : slots) {
    Fate fate;
    fate.held = std::make_shared<HeldMessage>();
    out.messages_.push_back(fate.held);
    held_.push_back(fate.held);
    say(node, {slot}, call, fate, 1);
  }
  return out;
}

void Story::lose(Node& node, std::initializer_list<unsigned> slots, std::string call, unsigned times) {
  Fate fate;
  fate.request_lost = true;
  say(node, slots, call, fate, times);
}

void Story::lose_answer(Node& node, std::initializer_list<unsigned> slots, std::string call, unsigned times) {
  Fate fate;
  fate.answer_lost = true;
  say(node, slots, call, fate, times);
}

void Story::clear(Node& node) {
  sayings_.erase(&node);
}

HistoryOp& Story::begin(Node& node, HistoryOp op) {
  HistoryOp& recorded = key_.record(std::move(op));
  key_.world.gate.spawn(key_.world.shard.executor(), run_op(&key_, &node, &recorded));
  key_.world.run_ready();
  return recorded;
}

HistoryOp& Story::wait(HistoryOp& op) {
  key_.world.run(wait_for_end(&key_.world.clock, &op));
  return op;
}

void Story::begin_heal(Node& node) {
  key_.world.gate.spawn(key_.world.shard.executor(), heal_beside(&key_, &node));
  key_.world.run_ready();
}

void Story::heal(Node& node) {
  key_.world.run(heal_once(&key_, &node));
}

bool Story::all_sent() const {
  return std::all_of(held_.begin(), held_.end(), [](const auto& held) { return held->sent(); });
}

Ending Story::end() {
  for (const auto& held : held_) held->lose();
  key_.come_to_rest();
  return key_.converge();
}

void expect_noticed(Sabotage rule, Geometry geometry, void (*tell)(Story&)) {
  log::set_level(log::Level::error);
  {
    Story story(geometry);
    tell(story);
    const bool sent = story.all_sent();
    const Ending whole = story.end();
    EXPECT_TRUE(whole.well()) << "with no rule broken: " << describe(whole) << "\n" << history_of(story);
    EXPECT_TRUE(sent) << "the story holds back a message that nobody sends\n" << history_of(story);
  }
  const Broken broken(rule);
  Story story(geometry);
  tell(story);
  const Ending ending = story.end();
  const std::string name(sim::name_of(rule));
  EXPECT_FALSE(ending.well()) << "nobody noticed that `" << name << "` was broken\n" << history_of(story);
  std::printf("%s broken at %u+%u: %s\n%s", name.c_str(), geometry.data_shards, geometry.parity_shards,
              describe(ending).c_str(), history_of(story).c_str());
}

}  // namespace ostraka::erasure
