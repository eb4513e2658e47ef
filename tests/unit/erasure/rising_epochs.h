// The epochs of the groups, as a control store would keep them.
#pragma once

#include <algorithm>
#include <map>

#include "control/group_epochs.h"

namespace ostraka::erasure {

class RisingEpochs final : public control::GroupEpochs {
 public:
  Task<Result<std::uint64_t>> raise(Ctx&, std::uint16_t group, std::uint64_t known) override {
    ++raised;
    if (away) co_return fail(Errc::unavailable, "no majority of the control store");
    std::uint64_t& epoch = epochs_[group];
    epoch = std::max(epoch, known) + 1;
    co_return epoch;
  }
  bool away = false;
  unsigned raised = 0;  // or tried to

 private:
  std::map<std::uint16_t, std::uint64_t> epochs_;
};

}  // namespace ostraka::erasure
