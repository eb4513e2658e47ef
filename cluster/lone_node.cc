#include "cluster/lone_node.h"

#include <algorithm>

namespace ostraka::cluster {

using control::Leadership;
using control::Member;
using control::MemberPtr;

LoneMembership::LoneMembership(Member self) : self_(std::make_shared<const Member>(std::move(self))) {}

std::vector<MemberPtr> LoneMembership::members() const {
  const std::lock_guard lock(mutex_);
  return {self_};
}

Task<Result<>> LoneMembership::wait_until_known(Ctx&, std::uint64_t) {
  co_return Result<>();
}

void LoneMembership::replace(Member now) {
  auto self = std::make_shared<const Member>(std::move(now));
  std::vector<Watcher> told;
  {
    const std::lock_guard lock(mutex_);
    self_ = self;
    told = watchers_;
  }
  for (const Watcher& watcher : told) watcher(self->name, self);
}

void LoneMembership::set_facts(std::string facts) {
  Member now = *members().front();
  now.facts = std::move(facts);
  replace(std::move(now));
}

void LoneMembership::set_revision(std::uint64_t revision) {
  Member now = *members().front();
  if (revision <= now.revision) return;
  now.revision = revision;
  replace(std::move(now));
}

void LoneMembership::watch(Watcher watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.push_back(std::move(watcher));
}

std::optional<Leadership> LoneElection::leading(std::string_view matter) const {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(matter);
  if (found == tokens_.end()) return std::nullopt;
  return Leadership{found->second, kNoDeadline};
}

std::string LoneElection::leader(std::string_view matter) const {
  return leading(matter) ? self_ : std::string();
}

std::uint64_t LoneElection::token(std::string_view matter) const {
  const auto lead = leading(matter);
  return lead ? lead->token : 0;
}

void LoneElection::tell(const std::string& matter, std::optional<std::uint64_t> token) {
  for (const Watcher& watcher : watchers_) watcher(matter, token);
}

void LoneElection::stand(std::string matter) {
  std::uint64_t token = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!tokens_.emplace(matter, last_ + 1).second) return;
    token = ++last_;
  }
  tell(matter, token);
}

void LoneElection::resign(std::string matter) {
  {
    const std::lock_guard lock(mutex_);
    if (tokens_.erase(matter) == 0) return;
  }
  tell(matter, std::nullopt);
}

void LoneElection::watch(Watcher watcher) {
  watchers_.push_back(std::move(watcher));
}

}  // namespace ostraka::cluster
