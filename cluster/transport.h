// Transport: calls between the nodes of a cluster. Over the network they are HTTP/1.1 requests under mutual
// TLS; tests and the simulator carry them in memory. Protocol: cluster/FORMAT.md, "Peer protocol".
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "disk/drive.h"
#include "runtime/buffer_pool.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::cluster {

// The host of a node's drives as the topology writes it, for example "node3"; also the name in its
// certificate, spiffe://<trust domain>/node/<name>.
using NodeName = std::string;

// Ends a call before its time, when the buffers of its body are needed elsewhere. Belongs to the call's
// shard.
class CallStop {
 public:
  // Nobody waits for the answer. What has not been sent is let go of now, and the call fails with closed; it
  // may have been carried out all the same.
  void request() {
    requested_ = true;
    if (act_) std::exchange(act_, nullptr)();
  }
  bool requested() const noexcept { return requested_; }
  // For the transport: what ends the call that is under way, now if it has been requested; empty once the
  // call has come to its end.
  void on_request(std::function<void()> act) {
    act_ = std::move(act);
    if (requested_) request();
  }

 private:
  bool requested_ = false;
  std::function<void()> act_;
};

struct PeerCall {
  std::string method;  // for example "drive.commit"
  std::string head;    // encoded arguments, at most kMaxPeerHead
  BufferChain body;  // bytes that lie in slabs, at most kMaxPeerBody; their owners are held until it is sent
  std::shared_ptr<CallStop> stop = nullptr;  // null: nobody will end it early
  // The caller compares the answer's body with digests in the answer's head: nobody else has to look at it.
  bool checks_body = false;
};

struct PeerAnswer {
  std::string head;
  BufferChain body;
  // XXH3-128 of the body, where whoever answers knows it; 0 where the caller has said that it does not look
  // at it. The transport computes it otherwise. Does not travel.
  std::optional<Hash128> body_hash = std::nullopt;
};

// Thread safe: called from every shard.
class Transport {
 public:
  virtual ~Transport() = default;
  // One call and its answer. Nothing is ever sent twice. ctx.deadline travels with it as the time that is
  // left (a call that must not be begun later by a node that paused says so itself, in its head), and so does
  // ctx.request_id. The answer's body goes into `into`, whose sizes together must be the body's, and the
  // answer comes without it then; an answer without a body leaves `into` alone. Where `into` is empty, the
  // answer owns its body. Errors: unavailable (the node cannot be reached, or is put aside for a moment:
  // nothing was sent), closed and deadline (it may have been carried out), unsupported_version (the node does
  // not know the call), malformed, corrupt (bytes are not what was sent), and what the other side's
  // PeerService answered.
  virtual Task<Result<PeerAnswer>> call(Ctx& ctx, const NodeName& node, PeerCall call,
                                        std::vector<disk::BlockTarget> into) = 0;
  // The node has called this one: where it was put aside, the next call tries again. Thread safe.
  virtual void heard_from(const NodeName& /*node*/) {}
  // When the node's host last said that no process listens there; nullopt: it never did, or a connection was
  // made since. Thread safe.
  virtual std::optional<TimePoint> refused_at(const NodeName& /*node*/) const { return std::nullopt; }
};

// The other end. Thread safe: called from every shard.
class PeerService {
 public:
  virtual ~PeerService() = default;
  // from: whose certificate it was. The call's body is one slice, in memory that is counted until serve()
  // returns; whoever keeps it longer has a bound of its own. Errors travel back with code and detail.
  virtual Task<Result<PeerAnswer>> serve(Ctx& ctx, const NodeName& from, PeerCall call) = 0;
};

}  // namespace ostraka::cluster
