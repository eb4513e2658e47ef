// A membership that a test sets as it likes.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "control/membership.h"

namespace ostraka::cluster {

class FakeMembership final : public control::Membership {
 public:
  // --- for the test
  void put(const std::string& name, std::uint64_t revision, std::string process = {}) {
    control::Member member;
    member.name = name;
    member.revision = revision;
    member.process = std::move(process);
    members_[name] = std::make_shared<const control::Member>(std::move(member));
    for (const Watcher& watcher : watchers_) watcher(name, members_[name]);
  }
  void remove(const std::string& name) {
    members_.erase(name);
    for (const Watcher& watcher : watchers_) watcher(name, nullptr);
  }
  TimePoint lease = TimePoint::min();
  bool is_displaced = false;
  std::uint64_t known = 0;
  std::multiset<std::uint64_t> holds;
  std::vector<std::uint64_t> asked;  // revisions of wait_until_known()

  // --- Membership
  std::vector<control::MemberPtr> members() const override {
    std::vector<control::MemberPtr> out;
    for (const auto& [name, member] : members_) out.push_back(member);
    return out;
  }
  TimePoint lease_until() const noexcept override { return lease; }
  bool displaced() const noexcept override { return is_displaced; }
  Task<Result<>> wait_until_known(Ctx&, std::uint64_t revision) override {
    asked.push_back(revision);
    for (const auto& [name, member] : members_)
      if (member->revision < revision) co_return fail(Errc::deadline, name);
    co_return Result<>();
  }
  Hold hold(std::uint64_t revision) override {
    holds.insert(revision);
    return Hold(this, [this, revision](const void*) { holds.erase(holds.find(revision)); });
  }
  std::uint64_t known_revision() const override { return known; }
  void set_facts(std::string) override {}
  void set_revision(std::uint64_t revision) override { known = std::max(known, revision); }
  void watch(Watcher watcher) override { watchers_.push_back(std::move(watcher)); }

 private:
  std::map<std::string, control::MemberPtr> members_;
  std::vector<Watcher> watchers_;
};

}  // namespace ostraka::cluster
