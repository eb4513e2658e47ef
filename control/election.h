// Election: of the members of a cluster, one leads in each of several matters, for example "scanner".
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/clock.h"

namespace ostraka::control {

struct Leadership {
  // Greater than that of all who led before: what a leader changes is refused once a greater one was seen, or
  // is written on the condition that the leadership is still there.
  std::uint64_t token = 0;
  TimePoint until{};  // nobody else leads before that, unless it is deposed
};

class Election {
 public:
  // This node has begun (a token) or ceased to lead. Must not block.
  using Watcher = std::function<void(const std::string& matter, std::optional<std::uint64_t> token)>;
  virtual ~Election() = default;

  // Thread safe:
  // nullopt: this node does not lead, or cannot be sure any more. Ask again before each step: it may end.
  virtual std::optional<Leadership> leading(std::string_view matter) const = 0;
  virtual std::string leader(std::string_view matter) const = 0;   // the member's name; empty: nobody
  virtual std::uint64_t token(std::string_view matter) const = 0;  // of whoever leads; 0: nobody

  // On the shard that it works on:
  // Stands for the matter from now on, again after each loss.
  virtual void stand(std::string matter) = 0;
  virtual void resign(std::string matter) = 0;  // and stands no more
  // The leader with that token is to lead no more, since this node cannot reach it; whoever is quickest leads
  // next. It may still act, and believe that it leads until its Leadership::until: only for matters in which
  // whoever acts on a smaller token is refused.
  virtual void depose(std::string matter, std::uint64_t token) = 0;
  virtual void watch(Watcher watcher) = 0;
};

}  // namespace ostraka::control
