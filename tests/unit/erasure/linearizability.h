// Is there one order of the operations on a key that explains all answers? After Wing and Gong 1993, with
// memory of what was tried; the same search as in the protocol model.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ostraka::erasure {

struct HistoryOp {
  enum class Kind { read, put, create, match, erase, erase_match } kind = Kind::read;
  enum class State {
    open,
    ok,
    refused,
    doubt,
    none
  } state = State::open;  // refused: 412; none: had no effect, and never will
  std::string value;      // written, or read; empty: absent
  std::string expect;     // of match and erase_match
  std::uint64_t call = 0;
  std::uint64_t ret = ~std::uint64_t{0};
};

enum class Answer { yes, no, gave_up };
// At most 64 operations; those of state none are ignored. One that is in doubt may take effect once at any
// later time, or never.
Answer linearizable(std::vector<HistoryOp> history);
std::string describe(const std::vector<HistoryOp>& history);

}  // namespace ostraka::erasure
