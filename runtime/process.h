// Runs a program of the machine and collects what it prints.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "runtime/clock.h"

namespace ostraka {

struct ProcessSpec {
  std::vector<std::string> words;  // the program, found along PATH unless it has a slash, and its arguments
  Duration time_limit = std::chrono::seconds(30);
  std::size_t max_output_bytes = 1U << 20;
};

struct ProcessOutput {
  int status = 0;      // of exit(2)
  std::string output;  // stdout; stdin and stderr are /dev/null
};

// Blocks, at most a little longer than the time limit. Errors: not_found (no such program), deadline and
// too_large (it was killed), io (it died of a signal, or could not be started).
Result<ProcessOutput> run_process(const ProcessSpec& spec);

}  // namespace ostraka
