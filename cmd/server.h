// `ostraka server`: from a configuration to a process that serves until SIGTERM or SIGINT.
#pragma once

#include "cmd/config.h"

namespace ostraka::cmd {

// Gives the exit status of the process: 0 after a graceful end, 1 when it could not start (the reason is on
// stderr).
int run_server(const ServerConfig& config);

}  // namespace ostraka::cmd
