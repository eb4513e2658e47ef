// Model: what the clients were told: for each key all operations with their answers, for each ETag the body
// that it must stand for.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/sim_random.h"
#include "tests/unit/erasure/linearizability.h"

namespace ostraka::sim {

using erasure::HistoryOp;

// Every body is different and has a name; "" is the name of nothing at all.
class Bodies {
 public:
  std::string make(SimRandom& random, std::size_t bytes);  // gives the name
  const std::string& text(const std::string& name) const { return bodies_.at(name).text; }
  const std::string& etag(const std::string& name) const { return bodies_.at(name).etag; }
  // The same body under another ETag: uploaded in parts.
  std::string in_parts(const std::vector<std::string>& parts);
  // A copy of it, which has the ETag of a body that came in one piece.
  std::string copy_of(const std::string& name, const std::string& etag);
  std::optional<std::string> by_etag(const std::string& etag) const;
  std::string etag_of_part(const std::string& name) const;  // the same body as a part
  static std::string of_parts(const std::vector<std::string>& texts);

 private:
  struct Body {
    std::string text, etag;
  };
  std::string add(std::string text, std::string etag);
  std::map<std::string, Body> bodies_;
  std::map<std::string, std::string> by_etag_;
};

// One key as a register. Addresses of operations are stable.
class Register {
 public:
  static constexpr std::size_t kMost = 60;  // operations that can be checked together
  HistoryOp* begin(HistoryOp op, std::uint64_t tick);
  bool full() const noexcept { return unclear_ || history_.size() >= kMost; }
  // Nobody can say any more what it may hold: no longer used, and not checked.
  void give_up() noexcept { unclear_ = true; }
  bool unclear() const noexcept { return unclear_; }
  const std::deque<HistoryOp>& history() const noexcept { return history_; }
  bool written(const std::string& value) const;  // somebody tried to

 private:
  std::deque<HistoryOp> history_;
  bool unclear_ = false;
};

// The value of a copy whose answer has not come: any that the source ever had.
inline constexpr const char* kCopied = "?";

class Model {
 public:
  Bodies bodies;
  std::map<std::string, Register> registers;  // by "/bucket/key"
  std::uint64_t tick() noexcept { return ++tick_; }
  // A violation for each key whose history has no explanation.
  std::vector<std::string> check() const;

 private:
  std::uint64_t tick_ = 0;
};

}  // namespace ostraka::sim
