// The membership state of each placement group on one drive (rule 8 of the protocol), durable in the system
// column. Thread safe.
#pragma once

#include <array>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/placement_group.h"
#include "base/result.h"
#include "disk/key_state.h"
#include "disk/meta_index.h"

namespace ostraka::disk {

// Records of the drive itself start with a zero byte, so that callers' names cannot meet them.
inline constexpr std::string_view kOwnRecords{"\0", 1};

// Values of the system column carry an XXH3-64 behind them.
std::string seal(std::string_view value);
Result<std::string_view> unseal(std::string_view sealed);  // corrupt

class GroupTable {
 public:
  GroupState state(std::uint16_t group) const {
    const std::lock_guard lock(mutex_);
    return groups_[group];
  }
  void set(std::uint16_t group, const GroupState& state) {
    const std::lock_guard lock(mutex_);
    groups_[group] = state;
    refilling_[group] = state.refilling;
  }
  std::vector<GroupState> all() const;
  GroupBits refilling_groups() const {
    const std::lock_guard lock(mutex_);
    return refilling_;
  }
  bool refilling() const { return refilling_groups().any(); }  // some group is
  Result<> load(MetaIndex& index);                             // what is on the drive
  static std::string record_name(std::uint16_t group);
  static std::string encode(const GroupState& state);

 private:
  mutable std::mutex mutex_;
  std::array<GroupState, kPlacementGroups> groups_{};
  GroupBits refilling_;  // of them: each page of a listing asks, and may not hold up the commits
};

}  // namespace ostraka::disk
