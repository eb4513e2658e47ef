// Which groups of a drive can be refilled now, and from which drives: pure functions of what the drives say
// about their groups.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "disk/drive.h"
#include "object/object_sets.h"

namespace ostraka::object {

// By drive, in the order of HealDeps::drives: the state of each group; none: it does not answer.
using GroupStates = std::vector<std::optional<std::vector<disk::GroupState>>>;

// The drives of each group, by slot, as indices into the list of all drives.
class GroupMembers {
 public:
  // drives: listed after the table was taken, which names none then that is not among them.
  GroupMembers(SetTablePtr table, const std::vector<disk::Drive*>& drives);
  const SetTablePtr& table() const noexcept { return table_; }
  // Whether the group has the same drives in a later table.
  bool same_in(const SetTable& later, std::uint16_t group) const noexcept {
    return later.sets[group] == table_->sets[group];
  }
  static constexpr std::uint16_t kElsewhere = 0xffff;  // a drive that is not in the list
  const std::vector<std::uint16_t>& of(std::uint16_t group) const noexcept { return members_[group]; }
  std::optional<unsigned> slot(std::uint16_t group, std::size_t drive) const noexcept;
  // Drives beside this one that hold all that they should hold of the group, and are in `among` (empty: all).
  unsigned full(std::uint16_t group, std::size_t beside, const GroupStates& states,
                const std::vector<bool>& among = {}) const;
  // The same, but only those that were full and knew the epoch already in `told`: what a drive said before it
  // knew the epoch proves nothing, since it could still take a commit of an older one.
  unsigned full_and_told(std::uint16_t group, std::size_t beside, const GroupStates& states,
                         const GroupStates& told, std::uint64_t epoch, const std::vector<bool>& among) const;
  unsigned groups_of(std::size_t drive) const noexcept;

 private:
  SetTablePtr table_;
  std::vector<std::vector<std::uint16_t>> members_;
};

struct RefillPlan {
  struct Group {
    std::uint64_t birth = 0;  // on the drive
    std::uint64_t epoch = 0;  // that the other drives have to know first
  };
  std::map<std::uint16_t, Group> groups;  // that can be filled now
  unsigned refilling = 0;                 // all that need it
  std::string problem;                    // why some cannot be filled now; for people
};
// read_quorum: so many full drives know together every version that may have been committed.
RefillPlan plan_refill(const GroupMembers& members, std::size_t drive, const GroupStates& states,
                       unsigned read_quorum);

}  // namespace ostraka::object
