// ListField: the drives that a listing goes over, and which placement groups lie on each. ListPlan: which of
// them a listing asks about which groups, so that every group is answered for by a read quorum of its own
// drives, by as few drives as possible in all.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/placement_group.h"
#include "disk/drive.h"
#include "erasure/erasure_set.h"
#include "erasure/set_core.h"

namespace ostraka::erasure {

// Immutable, thread safe.
struct ListField {
  explicit ListField(SetContext& sets_context) : context(sets_context) {}

  SetContext& context;
  unsigned read_quorum = 0;              // of every group
  GroupBits groups;                      // that are listed
  std::vector<disk::Drive*> drives;      // each once
  std::vector<StalledCallsPtr> stalled;  // by drive
  std::vector<GroupBits> holds;          // by drive: of `groups`
  std::function<std::uint16_t(BucketId, std::string_view key)> group_of;
  CorePtr some;  // one of the sets, for what all of them share

  bool slow(unsigned drive) const noexcept { return stalled[drive]->any(); }
};
using ListFieldPtr = std::shared_ptr<const ListField>;

// sets: one for each placement group; group_of: keys to groups.
ListFieldPtr make_list_field(const std::vector<CorePtr>& sets,
                             std::function<std::uint16_t(BucketId, std::string_view key)> group_of);
// The keys of one set's group alone.
ListFieldPtr make_list_field(const CorePtr& set);

// Belongs to one listing.
class ListPlan {
 public:
  explicit ListPlan(ListFieldPtr field);
  // Takes drives until every group has a read quorum of them: healthy ones first, local before remote, and
  // those that answer for the most groups that still lack some. What is planned stays planned. False: there
  // are too few.
  bool fill();
  // Not this drive: it failed, or cannot tell about these groups.
  void leave_out(unsigned drive) { leave_out(drive, field_->groups); }
  void leave_out(unsigned drive, const GroupBits& groups);
  // The groups that the drive is asked about.
  const GroupBits& asked(unsigned drive) const noexcept { return asked_[drive]; }

 private:
  class Lacking;
  unsigned rank(unsigned drive) const noexcept;  // the least is asked first

  ListFieldPtr field_;
  std::vector<GroupBits> asked_, usable_;  // by drive
};

}  // namespace ostraka::erasure
