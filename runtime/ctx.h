// Ctx travels with a request down to the drives: its shard, its deadline and its name in the log.
#pragma once

#include <string>

#include "runtime/clock.h"

namespace ostraka {

class Shard;

struct Ctx {
  Shard& shard;                      // the thread this request runs on
  TimePoint deadline = kNoDeadline;  // past it, answer Errc::deadline without starting work
  std::string request_id;
};

}  // namespace ostraka
