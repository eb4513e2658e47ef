// Named schedules: a history of one key that somebody wrote down, message by message, over the real
// ErasureSet. Each is told twice: with the rules whole it must end well, with one rule broken that must be
// noticed. "Well" is what Ending says: linearizable answers, and with the faults off an answer and a write.
//
//   // What happens, who is late, and what a client then sees wrong.
//   void a_late_commit(Story& story) {
//     Node& writer = story.node();
//     Held late = story.hold(writer, {2}, "commit");  // the message to drive 2 is on its way ...
//     HistoryOp& first = story.begin(writer, put("first"));
//     story.run(story.node(), put("second"));
//     late.arrive();  // ... until now
//     story.wait(first);
//     story.run(story.node(), read());
//   }
//   TEST(Noticed, Fence) { expect_noticed(Sabotage::fence, {2, 2}, a_late_commit); }
#pragma once

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/sabotage.h"
#include "tests/unit/erasure/key_world.h"

namespace ostraka::erasure {

HistoryOp put(std::string value);
HistoryOp create(std::string value);  // If-None-Match: *
HistoryOp match(std::string expect, std::string value);
HistoryOp erase();
HistoryOp erase_match(std::string expect);
HistoryOp read();

// Messages that are on their way until somebody says that they arrive or are lost; then all goes on that
// needs no time.
class Held {
 public:
  void arrive();
  void lose();

 private:
  friend class Story;
  explicit Held(World& world) : world_(&world) {}
  World* world_;
  std::vector<std::shared_ptr<HeldMessage>> messages_;
};

// Drives are numbered from 0; all are there and empty at first, and the group's epoch is 1. A call is named
// as in disk/drive.h (a commit, a roll forward and a heal are all "commit"); messages nobody says anything
// about arrive and are answered at once. Of several that were said about the same call, the earliest that is
// not used up holds.
class Story {
 public:
  explicit Story(Geometry geometry) : key_(geometry, 1) {}
  Story(const Story&) = delete;
  Story& operator=(const Story&) = delete;

  // A new process: it knows nothing (the group's epoch neither, until tell()). skew_ms: its wall clock is
  // ahead.
  Node& node(std::int64_t skew_ms = 0);
  // As the control store does: the node's calls carry the newest epoch from now on.
  void tell(Node& node) { node.set->raise_epoch(key_.epoch); }
  // What it has sent arrives still, what it sends from now on does not; its client has got no answer.
  void die(Node& node) { node.alive = false; }

  // The next such message of the node to each of the drives is held. The node waits as it waits for any slow
  // drive. To be taken it must arrive before the call's deadline, a minute after it was sent; retires have
  // none.
  Held hold(Node& node, std::initializer_list<unsigned> slots, std::string call);
  // The next `times` such messages to each of the drives never arrive; the node gets an error at once. Empty
  // slots: all drives.
  void lose(Node& node, std::initializer_list<unsigned> slots, std::string call, unsigned times = kAlways);
  // They arrive, and the node gets an error instead of the answer.
  void lose_answer(Node& node, std::initializer_list<unsigned> slots, std::string call,
                   unsigned times = kAlways);
  // Takes back what was said about the node's messages that are not sent yet.
  void clear(Node& node);

  void away(unsigned slot) { drive(slot).set_online(false); }
  void back(unsigned slot) { drive(slot).set_online(true); }
  // The drive loses all it has, and the group's epoch rises; no node is told.
  void empty(unsigned slot) { key_.empty(slot); }

  // begin: up to where only time, or held messages, would let it go on. run: to its end.
  HistoryOp& begin(Node& node, HistoryOp op);
  HistoryOp& wait(HistoryOp& op);
  HistoryOp& run(Node& node, HistoryOp op) { return wait(begin(node, std::move(op))); }
  // With the newest epoch, as whoever refills drives does it, readmission included.
  void begin_heal(Node& node);
  void heal(Node& node);
  void pass(Duration duration) { key_.world.pass(duration); }

  // To look at, or for what is not here.
  MemoryDrive& drive(unsigned slot) { return *key_.world.memory[slot]; }
  // Null: the drive has no row of the key.
  const disk::KeyState* state(unsigned slot) { return drive(slot).state(key_.world.ref); }
  KeyWorld& key() noexcept { return key_; }

  // What is held back is lost, the drives are back, and the key is healed, read and written.
  Ending end();
  bool all_sent() const;  // everything that was to be held was sent

 private:
  static constexpr unsigned kAlways = ~0U;
  struct Saying {
    unsigned slot = 0;
    std::string call;
    Fate fate;
    unsigned times = kAlways;
  };
  void say(Node& node, std::initializer_list<unsigned> slots, const std::string& call, const Fate& fate,
           unsigned times);
  Fate fate(const Node& node, unsigned slot, std::string_view call);

  std::map<const Node*, std::vector<Saying>> sayings_;
  std::vector<std::shared_ptr<HeldMessage>> held_;
  KeyWorld key_;  // last: its end asks for fates still
};

// Tells the story with all rules whole, and with this one broken.
void expect_noticed(Sabotage rule, Geometry geometry, void (*tell)(Story&));

}  // namespace ostraka::erasure
