#include "cluster/etcd_election.h"

#include "base/log.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

using control::Leadership;

namespace {

constexpr std::string_view kLeaders = "live/leader/";

}  // namespace

EtcdElection::EtcdElection(EtcdClient& client, EtcdFollower& follower, EtcdMembership& membership)
    : client_(client),
      membership_(membership),
      prefix_(follower.prefix() + std::string(kLeaders)),
      lease_(membership.lease()) {
  follower.add(kLeaders, *this);
  membership_.watch_lease([this](std::uint64_t lease) {
    {
      const std::lock_guard lock(mutex_);
      lease_ = lease;
    }
    tell_changes();
    changed_.set();
  });
}

EtcdElection::~EtcdElection() = default;

void EtcdElection::start() {
  gate_.spawn(client_.shard().executor(), campaign());
}

Task<> EtcdElection::close() {
  stopping_ = true;
  changed_.set();
  co_await gate_.close();
}

std::optional<Leadership> EtcdElection::leading(std::string_view matter) const {
  Leadership out;
  out.until = membership_.lease_until();  // first: at worst that of the lease before
  {
    const std::lock_guard lock(mutex_);
    const auto found = leaders_.find(matter);
    if (found == leaders_.end() || lease_ == 0 || found->second.lease != lease_) return std::nullopt;
    out.token = found->second.token;
  }
  if (out.until <= client_.shard().clock().now()) return std::nullopt;
  return out;
}

std::string EtcdElection::leader(std::string_view matter) const {
  const std::lock_guard lock(mutex_);
  const auto found = leaders_.find(matter);
  return found == leaders_.end() ? std::string() : found->second.member;
}

std::uint64_t EtcdElection::token(std::string_view matter) const {
  const std::lock_guard lock(mutex_);
  const auto found = leaders_.find(matter);
  return found == leaders_.end() ? 0 : found->second.token;
}

void EtcdElection::stand(std::string matter) {
  standing_.insert(std::move(matter));
  changed_.set();
}

void EtcdElection::resign(std::string matter) {
  standing_.erase(matter);
  changed_.set();
}

void EtcdElection::depose(std::string matter, std::uint64_t token) {
  deposed_[std::move(matter)] = token;
  changed_.set();
}

void EtcdElection::watch(Watcher watcher) {
  watchers_.push_back(std::move(watcher));
}

void EtcdElection::changed(std::string_view key, EtcdEvent event) {
  {
    const std::string matter(key);
    const std::lock_guard lock(mutex_);
    if (event.erased)
      leaders_.erase(matter);
    else
      leaders_[matter] = {std::move(event.now.value), event.now.create_revision, event.now.lease};
  }
  tell_changes();
  changed_.set();
}

void EtcdElection::tell_changes() {
  std::map<std::string, std::uint64_t> now;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [matter, leader] : leaders_)
      if (lease_ != 0 && leader.lease == lease_) now.emplace(matter, leader.token);
  }
  const std::map<std::string, std::uint64_t> before = std::exchange(told_, now);
  for (const auto& [matter, token] : before) {
    const auto still = now.find(matter);
    if (still != now.end() && still->second == token) continue;
    log::info("no longer the leader of {}", matter);
    for (const Watcher& watcher : watchers_) watcher(matter, std::nullopt);
  }
  for (const auto& [matter, token] : now) {
    const auto already = before.find(matter);
    if (already != before.end() && already->second == token) continue;
    log::info("the leader of {} now, token {}", matter, token);
    for (const Watcher& watcher : watchers_) watcher(matter, token);
  }
}

std::optional<std::string> EtcdElection::vacant() const {
  const std::lock_guard lock(mutex_);
  if (lease_ == 0) return std::nullopt;
  for (const std::string& matter : standing_)
    if (!leaders_.contains(matter)) return matter;
  return std::nullopt;
}

std::optional<std::pair<std::string, std::uint64_t>> EtcdElection::unwanted() const {
  const std::lock_guard lock(mutex_);
  for (const auto& [matter, leader] : leaders_) {
    const bool resigned = lease_ != 0 && leader.lease == lease_ && !standing_.contains(matter);
    const auto deposed = deposed_.find(matter);
    if (resigned || (deposed != deposed_.end() && deposed->second == leader.token))
      return std::pair(matter, leader.token);
  }
  return std::nullopt;
}

Task<> EtcdElection::campaign() {
  while (!stopping_) {
    changed_.reset();
    bool answered = true;
    const std::optional<std::string> free = vacant();
    const auto held = unwanted();
    if (free) {
      std::string matter = *free;
      answered = co_await create(std::move(matter));
    } else if (held) {
      std::string matter = held->first;
      answered = co_await end(std::move(matter), held->second);
    }
    if (stopping_) break;
    if (!answered) {
      co_await sleep_for(client_.shard().clock(), kEtcdRetry);
    } else {
      co_await changed_.wait();  // what was done comes back by the watch
    }
  }
}

// Whether etcd answered. Who comes second finds the key there; who is no member any more is told so.
Task<bool> EtcdElection::create(std::string matter) {
  EtcdTxnSpec spec;
  EtcdCompare member;
  member.key = membership_.key();
  member.of = EtcdCompare::Of::lease;
  member.lease = membership_.lease();
  EtcdCompare absent;
  absent.key = prefix_ + matter;
  absent.of = EtcdCompare::Of::create_revision;
  EtcdPut put;
  put.key = absent.key;
  put.value = membership_.name();
  put.lease = member.lease;
  if (put.lease == 0) co_return true;
  spec.compare.push_back(std::move(member));
  spec.compare.push_back(std::move(absent));
  spec.puts.push_back(std::move(put));
  const TimePoint deadline = client_.shard().clock().now() + kEtcdPatience;
  const auto done = co_await client_.txn(std::move(spec), deadline);
  co_return done.has_value();
}

Task<bool> EtcdElection::end(std::string matter, std::uint64_t token) {
  EtcdTxnSpec spec;
  EtcdCompare own;
  own.key = prefix_ + matter;
  own.of = EtcdCompare::Of::create_revision;
  own.revision = token;
  spec.erases.push_back(own.key);
  spec.compare.push_back(std::move(own));
  const TimePoint deadline = client_.shard().clock().now() + kEtcdPatience;
  const auto done = co_await client_.txn(std::move(spec), deadline);
  co_return done.has_value();
}

}  // namespace ostraka::cluster
