// Membership: which nodes of the cluster are alive, and what each of them says of itself. A node is a member
// as long as it holds its lease. A node's own lease ends by its own clock before the others see it go, so a
// member that is gone knows that it is none, unless it does nothing at all.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/clock.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::control {

struct Member {
  std::string name;            // of the node, see cluster::NodeName
  std::string address;         // where its peers reach it
  std::int64_t since_ms = 0;   // unix time: when its process joined
  std::uint64_t revision = 0;  // of the control store: all changes up to it are known there
  std::string facts;           // a small JSON object, for example its version
  std::string process;         // drawn at each start; empty: of a release that does not say
  // What others of that name know by that this process has ended: they run under the same boot of a machine
  // (empty: not known), and have locked all of these files, which it had locked for itself.
  std::string boot;
  std::vector<std::string> locks;
};
using MemberPtr = std::shared_ptr<const Member>;

class Membership {
 public:
  // Called after a member has joined, says something else, or has gone (null). Must not block.
  using Watcher = std::function<void(const std::string& name, MemberPtr now)>;
  virtual ~Membership() = default;

  // Thread safe:
  // All there are, this node included, ascending by name; as it was last told where etcd is away.
  virtual std::vector<MemberPtr> members() const = 0;
  // This node's own lease holds until then at least; in the past: it has none.
  virtual TimePoint lease_until() const noexcept = 0;
  // Another process is the member of this node's name, as far as is known: this one has no lease, and must
  // not act as the node.
  virtual bool displaced() const noexcept = 0;
  // Waits until each of the other members that there are has applied the control store's `revision`, or has
  // gone. Errors: deadline, closed, unavailable (this node hears of no changes any more, or is displaced).
  virtual Task<Result<>> wait_until_known(Ctx& ctx, std::uint64_t revision) = 0;
  // As long as it is kept, this node does not say that it knows `revision`, or more: something that has
  // changed with it has yet to take effect here. To be called before set_revision() comes to it; may be let
  // go of on any thread, before the membership is closed. Null where nobody has to know.
  using Hold = std::shared_ptr<const void>;
  virtual Hold hold(std::uint64_t revision) = 0;
  // What this node says that it knows.
  virtual std::uint64_t known_revision() const = 0;

  // On the shard that it works on; the others hear of it soon:
  virtual void set_facts(std::string facts) = 0;
  virtual void set_revision(std::uint64_t revision) = 0;
  virtual void watch(Watcher watcher) = 0;
};

}  // namespace ostraka::control
