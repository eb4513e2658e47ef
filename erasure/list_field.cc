#include "erasure/list_field.h"

#include <algorithm>
#include <queue>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "base/check.h"

namespace ostraka::erasure {
namespace {

// Where the ties of a node's choice begin, so that not all nodes ask the same remote drives: behind its own.
unsigned first_local(const std::vector<disk::Drive*>& drives) noexcept {
  for (unsigned drive = 0; drive < drives.size(); ++drive)
    if (!drives[drive]->remote()) return drive;
  return 0;
}

}  // namespace

ListFieldPtr make_list_field(const std::vector<CorePtr>& sets,
                             std::function<std::uint16_t(BucketId, std::string_view key)> group_of) {
  CHECK(sets.size() == kPlacementGroups);
  auto field = std::make_shared<ListField>(sets.front()->context);
  field->groups.set();
  field->group_of = std::move(group_of);
  field->some = sets.front();
  std::unordered_map<const disk::Drive*, std::size_t> known;
  for (std::size_t group = 0; group < sets.size(); ++group) {
    const SetCore& set = *sets[group];
    field->read_quorum = std::max(field->read_quorum, set.read_quorum);
    for (unsigned slot = 0; slot < set.size(); ++slot) {
      const auto [at, fresh] = known.emplace(set.drives[slot], field->drives.size());
      if (fresh) {
        field->drives.push_back(set.drives[slot]);
        field->stalled.push_back(set.stalled[slot]);
        field->holds.emplace_back();
      }
      field->holds[at->second].set(group);
    }
  }
  return field;
}

ListFieldPtr make_list_field(const CorePtr& set) {
  auto field = std::make_shared<ListField>(set->context);
  field->read_quorum = set->read_quorum;
  field->groups.set(set->group);
  field->drives = set->drives;
  field->stalled = set->stalled;
  field->holds.assign(set->size(), field->groups);
  field->group_of = [group = set->group](BucketId, std::string_view) { return group; };
  field->some = set;
  return field;
}

// How many drives each group still lacks, all groups at once: the set at [i] has those that lack more than i.
class ListPlan::Lacking {
 public:
  Lacking(const GroupBits& groups, unsigned quorum) : more_than_(quorum, groups) {}
  bool any() const { return !more_than_.empty() && more_than_.front().any(); }
  GroupBits some() const { return more_than_.empty() ? GroupBits() : more_than_.front(); }
  // Another drive for each of these, which lack some.
  void take(const GroupBits& groups) {
    for (std::size_t i = 0; i < more_than_.size(); ++i) {
      more_than_[i] &= ~groups;
      if (i + 1 < more_than_.size()) more_than_[i] |= more_than_[i + 1] & groups;
    }
  }

 private:
  std::vector<GroupBits> more_than_;
};

ListPlan::ListPlan(ListFieldPtr field)
    : field_(std::move(field)), asked_(field_->drives.size()), usable_(field_->holds) {}

unsigned ListPlan::rank(unsigned drive) const noexcept {
  const disk::Drive& there = *field_->drives[drive];
  if (!there.online()) return 3;
  if (field_->slow(drive)) return 2;
  return there.remote() ? 1 : 0;
}

void ListPlan::leave_out(unsigned drive, const GroupBits& groups) {
  usable_[drive] &= ~groups;
  asked_[drive] &= ~groups;
}

bool ListPlan::fill() {
  const auto count = static_cast<unsigned>(field_->drives.size());
  Lacking lacking(field_->groups, field_->read_quorum);
  for (const GroupBits& groups : asked_) lacking.take(groups);
  const auto gain = [&](unsigned drive) { return usable_[drive] & ~asked_[drive] & lacking.some(); };
  // A drive's gain only falls while others are taken, so the best is the first whose gain is still what it
  // was when it was put in.
  struct Choice {
    unsigned rank;
    std::size_t gain;
    unsigned turn;
    unsigned drive;
    bool operator<(const Choice& other) const noexcept {  // worse than
      return std::tie(other.rank, gain, other.turn) < std::tie(rank, other.gain, turn);
    }
  };
  const unsigned begin = first_local(field_->drives);
  std::priority_queue<Choice> choices;
  for (unsigned drive = 0; drive < count; ++drive)
    if (const std::size_t gained = gain(drive).count(); gained > 0)
      choices.push({rank(drive), gained, (drive + count - begin) % count, drive});
  while (lacking.any() && !choices.empty()) {
    Choice best = choices.top();
    choices.pop();
    const GroupBits groups = gain(best.drive);
    const std::size_t gained = groups.count();
    if (gained == 0) continue;
    if (gained < best.gain) {
      best.gain = gained;
      choices.push(best);
      continue;
    }
    asked_[best.drive] |= groups;
    lacking.take(groups);
  }
  return !lacking.any();
}

}  // namespace ostraka::erasure
