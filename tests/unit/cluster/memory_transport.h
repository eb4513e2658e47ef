// A network in memory: nodes, and calls between them that suffer whatever the script says. Everything that is
// said is copied, as a network does. It has no threads: all shards of its nodes belong to the one that runs
// them, and time is that of the callers' clocks.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "cluster/transport.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

// What becomes of one call.
struct CallFate {
  bool unreachable = false;  // nothing is sent: unavailable
  bool refused = false;      // the same, and it is known that no process is there
  Duration delay{0};         // before the call arrives; its body is held until then
  bool call_lost = false;
  Duration answer_delay{0};
  bool answer_lost = false;
  bool cut = false;  // what is lost is noticed: closed, instead of nothing until the deadline
  std::function<void(PeerCall&)> spoil_call;
  std::function<void(Result<PeerAnswer>&)> spoil_answer;
};

class MemoryNetwork {
 public:
  using Script = std::function<CallFate(const NodeName& from, const NodeName& to, const PeerCall& call)>;

  MemoryNetwork() = default;
  // From now on the node answers, on this shard. Both outlive close().
  void join(const NodeName& node, PeerService& service, Shard& shard) {
    nodes_.insert_or_assign(node, Node{&service, &shard});
  }
  void leave(const NodeName& node) { nodes_.erase(node); }
  void follow(Script script) { script_ = std::move(script); }  // empty: no faults
  // For the calls of one node; the network outlives it.
  std::unique_ptr<Transport> transport(NodeName from);
  std::size_t under_way() const noexcept { return gate_.inside(); }  // calls that a node is working on
  // Waits for the calls that are still being carried out.
  Task<> close() { return gate_.close(); }

 private:
  class Line;
  struct Node {
    PeerService* service;
    Shard* shard;
  };
  struct Flight;
  static Task<> carry(MemoryNetwork* self, std::shared_ptr<Flight> flight);

  std::map<NodeName, Node> nodes_;
  std::map<std::pair<NodeName, NodeName>, TimePoint> refused_;  // from, to
  Script script_;
  Gate gate_;
};

}  // namespace ostraka::cluster
