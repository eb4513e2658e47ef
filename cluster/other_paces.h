// OtherPaces: what the other nodes say of how fast slots of groups may be moved. A move loads the drives of
// all nodes, whose clients only they see: each judges by its own, and whoever leads in moving asks them all
// again and again while it moves, and goes by the one whose clients suffer most.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <vector>

#include "cluster/transport.h"
#include "runtime/clock.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

// Asks with calls "drive.move_pace". All but close() on the shard that was given to start(), or before it.
class OtherPaces {
 public:
  // nodes: that are asked, this one not among them. All of it outlives this.
  using Nodes = std::function<std::vector<NodeName>()>;
  OtherPaces(Transport& transport, Clock& clock, Nodes nodes);
  OtherPaces(const OtherPaces&) = delete;
  OtherPaces& operator=(const OtherPaces&) = delete;

  void start(Shard& shard) { shard_ = &shard; }
  Task<> close() { return gate_.close(); }

  // Asks, unless it has just been asked. work: done by the mover so far, as HealPace counts it; resting:
  // nothing is copied just now, anywhere. Returns at once: the answers come later.
  void ask(double work, bool resting);
  // The least share of the time that any of them left for moves, of those that were heard of lately; 1:
  // nobody minds; 0: one wants to see its clients without moves.
  double share() const;

 private:
  struct Other {
    double told = 0;     // of the work
    bool asked = false;  // the answer is on its way
    TimePoint answered{};
    double share = 1;
  };
  static Task<> ask_one(OtherPaces* self, Ctx ctx, NodeName node, double work, bool resting);

  Transport& transport_;
  Clock& clock_;
  const Nodes nodes_;
  Shard* shard_ = nullptr;
  std::map<NodeName, Other> others_;
  TimePoint asked_at_{};
  bool asked_resting_ = false;
  std::size_t next_ = 0;  // of the nodes, to be asked in turn
  Gate gate_;
};

}  // namespace ostraka::cluster
