// `ostraka admin heal|scan|object|drive|node|rebalance|usage`: the verbs that ask a running node, and how
// their answers are told.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace ostraka::cmd {

// Adds the verbs below `admin`. variable: of the environment. After the parse, the function that was put into
// `chosen` runs the verb and gives the exit status: 0 fine, 1 failed, 2 damage that could not be made good.
void add_admin_commands(CLI::App& admin,
                        std::function<std::optional<std::string>(const std::string&)> variable,
                        std::function<int()>& chosen);

}  // namespace ostraka::cmd
