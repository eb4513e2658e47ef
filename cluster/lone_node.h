// Membership and election of a node that is the whole cluster: nobody else has to know anything, and it leads
// whatever it stands for.
#pragma once

#include <map>
#include <mutex>

#include "control/election.h"
#include "control/membership.h"

namespace ostraka::cluster {

class LoneMembership final : public control::Membership {
 public:
  explicit LoneMembership(control::Member self);
  std::vector<control::MemberPtr> members() const override;
  TimePoint lease_until() const noexcept override { return kNoDeadline; }
  bool displaced() const noexcept override { return false; }
  Task<Result<>> wait_until_known(Ctx& ctx, std::uint64_t revision) override;
  Hold hold(std::uint64_t) override { return nullptr; }
  std::uint64_t known_revision() const override { return members().front()->revision; }
  void set_facts(std::string facts) override;
  void set_revision(std::uint64_t revision) override;
  void watch(Watcher watcher) override;

 private:
  void replace(control::Member now);
  mutable std::mutex mutex_;  // guards what follows
  control::MemberPtr self_;
  std::vector<Watcher> watchers_;
};

class LoneElection final : public control::Election {
 public:
  explicit LoneElection(std::string self) : self_(std::move(self)) {}
  std::optional<control::Leadership> leading(std::string_view matter) const override;
  std::string leader(std::string_view matter) const override;
  std::uint64_t token(std::string_view matter) const override;
  void stand(std::string matter) override;
  void resign(std::string matter) override;
  void depose(std::string, std::uint64_t) override {}  // nobody else is there to lead
  void watch(Watcher watcher) override;

 private:
  void tell(const std::string& matter, std::optional<std::uint64_t> token);
  const std::string self_;
  std::vector<Watcher> watchers_;
  mutable std::mutex mutex_;  // guards what follows
  std::map<std::string, std::uint64_t, std::less<>> tokens_;
  std::uint64_t last_ = 0;
};

}  // namespace ostraka::cluster
