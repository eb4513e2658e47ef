// Joining a cluster when what it is kept in may not answer yet.
#pragma once

#include <functional>
#include <optional>

#include "cmd/join_cluster.h"
#include "cmd/waiting_servers.h"
#include "runtime/event.h"
#include "runtime/shard.h"

namespace ostraka::cmd {

using JoinOnce = std::function<Task<Result<Membership>>(Ctx& ctx)>;

// Tries until it works, or until `stop` is set: then without a membership and without an error. Nobody is
// served before that, since it is not known which drives there are; from before the first try on, which may
// take seconds when nobody answers, `servers` say so. They have stopped when it ends. Errors: those of `join`
// that another try does not help, and of WaitingServers::start().
Task<Result<std::optional<Membership>>> wait_to_join(Shard& main, WaitingServers& servers, Event& stop,
                                                     JoinOnce join);

}  // namespace ostraka::cmd
