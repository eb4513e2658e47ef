#include "cluster/lock_table.h"

#include <algorithm>

#include "base/sabotage.h"

namespace ostraka::cluster {
namespace {

void call(std::vector<LockTable::Wake>& woken) {
  for (LockTable::Wake& wake : woken) wake();
}

}  // namespace

LockVerdict LockTable::claim(const LockOwner& owner, const std::string& name, bool queue) {
  Woken woken;
  LockVerdict verdict = LockVerdict::refused;
  {
    const TimePoint now = clock_.now();
    const std::lock_guard lock(mutex_);
    if (shut_ || ended_.contains(owner)) return verdict;
    const auto known = claims_.find(owner);
    verdict = known == claims_.end() ? claim_anew(owner, name, queue, now, woken)
                                     : claim_again(*known->second, owner, name, now, woken);
    const bool taken = verdict == LockVerdict::refused || verdict == LockVerdict::waits;
    if (taken && sabotaged(Sabotage::unlocked)) verdict = LockVerdict::granted;
  }
  call(woken);
  return verdict;
}

LockVerdict LockTable::claim_again(Named& named, const LockOwner& owner, const std::string& name,
                                   TimePoint now, Woken& woken) {
  if (named.first != name) return LockVerdict::refused;
  Lock& lock = named.second;
  if (!(lock.holder.owner == owner)) {
    for (Claim& claim : lock.line) {
      if (!(claim.owner == owner)) continue;
      claim.expires = deadline_after(now, kLockPlace);
      claim.told = now;
    }
    settle(named, now, woken);  // somebody has it afterwards: this one waits, alive
    if (!(lock.holder.owner == owner)) return LockVerdict::waits;
  }
  lock.holder.expires = deadline_after(now, kLockLease);
  lock.holder.told = now;
  lock.holder.repeated = true;
  return LockVerdict::granted;
}

LockVerdict LockTable::claim_anew(const LockOwner& owner, const std::string& name, bool queue, TimePoint now,
                                  Woken& woken) {
  auto found = locks_.find(name);
  if (found != locks_.end() && !settle(*found, now, woken)) found = locks_.end();
  if (found != locks_.end()) {
    if (const Claim* before = of_node(found->second, owner.node)) {
      if (before->owner.id > owner.id) return LockVerdict::refused;  // it was held up on the way
      const LockOwner ended = before->owner;
      if (!end(*found, ended, now, woken)) found = locks_.end();
    }
  }
  const bool held = found != locks_.end();
  if (held && !queue) return LockVerdict::refused;
  if (claims_.size() >= limits_.claims || (held && found->second.line.size() >= limits_.line))
    return LockVerdict::full;
  std::size_t& of_peer = peers_[owner.node];
  if (of_peer >= limits_.peer) return LockVerdict::full;
  ++of_peer;
  if (!held) found = locks_.try_emplace(name).first;
  claims_.emplace(owner, &*found);
  Claim claim{owner, deadline_after(now, held ? Duration(kLockPlace) : Duration(kLockLease)), now};
  if (held) {
    claim.repeated = true;  // whoever waits asks again
    found->second.line.push_back(std::move(claim));
    return LockVerdict::waits;
  }
  found->second.holder = std::move(claim);
  return LockVerdict::granted;
}

void LockTable::release(const LockOwner& owner) {
  Woken woken;
  {
    const TimePoint now = clock_.now();
    const std::lock_guard lock(mutex_);
    const auto known = claims_.find(owner);
    if (known != claims_.end())
      end(*known->second, owner, now, woken);
    else
      remember(owner, now);
  }
  call(woken);
}

LockVerdict LockTable::look(const LockOwner& owner) const {
  const std::lock_guard lock(mutex_);
  const auto known = claims_.find(owner);
  if (known == claims_.end()) return LockVerdict::refused;
  return known->second->second.holder.owner == owner ? LockVerdict::granted : LockVerdict::waits;
}

bool LockTable::park(const LockOwner& owner, Wake wake) {
  Woken woken;
  bool parked = false;
  {
    const std::lock_guard lock(mutex_);
    const auto known = claims_.find(owner);
    if (known == claims_.end()) return false;
    for (Claim& claim : known->second->second.line) {
      if (!(claim.owner == owner)) continue;
      take_wake(claim, woken);  // of an earlier call, which nobody may wait for any more
      if (parked_ >= limits_.parked) break;
      claim.parked = std::move(wake);
      ++parked_;
      parked = true;
    }
  }
  call(woken);
  return parked;
}

LockTable::Wake LockTable::unpark(const LockOwner& owner) {
  Woken woken;
  const std::lock_guard lock(mutex_);
  const auto known = claims_.find(owner);
  if (known == claims_.end()) return nullptr;
  for (Claim& claim : known->second->second.line)
    if (claim.owner == owner) take_wake(claim, woken);
  return woken.empty() ? nullptr : std::move(woken.front());
}

void LockTable::sweep() {
  Woken woken;
  {
    const TimePoint now = clock_.now();
    const auto expired = [now](const Claim& claim) { return claim.expires <= now; };
    const std::lock_guard lock(mutex_);
    std::vector<Named*> late;
    for (Named& named : locks_) {
      const Lock& its = named.second;
      if (expired(its.holder) || std::any_of(its.line.begin(), its.line.end(), expired))
        late.push_back(&named);
    }
    for (Named* named : late) {
      std::list<Claim>& line = named->second.line;
      for (auto claim = line.begin(); claim != line.end();) {
        if (!expired(*claim)) {
          ++claim;
          continue;
        }
        take_wake(*claim, woken);
        forget(claim->owner);
        claim = line.erase(claim);
      }
      settle(*named, now, woken);
    }
    std::erase_if(ended_, [now](const auto& entry) { return entry.second <= now; });
  }
  call(woken);
}

std::set<NodeName> LockTable::doubted() const {
  const TimePoint long_ago = clock_.now() - kLockDoubt;
  std::set<NodeName> out;
  const std::lock_guard lock(mutex_);
  for (const Named& named : locks_) {
    const Lock& its = named.second;
    if (!its.line.empty() && its.holder.told <= long_ago) out.insert(its.holder.owner.node);
  }
  return out;
}

void LockTable::end_of(const NodeName& node, std::uint64_t below, TimePoint told) {
  Woken woken;
  {
    const TimePoint now = clock_.now();
    const std::lock_guard lock(mutex_);
    if (!peers_.contains(node)) return;
    std::vector<LockOwner> ended;
    for (const auto& [owner, named] : claims_)
      if (owner.node == node && owner.id < below && claim_of(named->second, owner).told < told)
        ended.push_back(owner);
    std::sort(ended.begin(), ended.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
    for (const LockOwner& owner : ended)
      if (const auto known = claims_.find(owner); known != claims_.end())
        end(*known->second, owner, now, woken);
  }
  call(woken);
}

void LockTable::shut() {
  Woken woken;
  {
    const std::lock_guard lock(mutex_);
    shut_ = true;
    for (Named& named : locks_)
      for (Claim& claim : named.second.line) take_wake(claim, woken);
    claims_.clear();
    locks_.clear();
    peers_.clear();
    ended_.clear();
  }
  call(woken);
}

LockTable::Size LockTable::size() const {
  const std::lock_guard lock(mutex_);
  return {locks_.size(), claims_.size() - locks_.size(), ended_.size()};
}

// The holder has gone: the name is the next one's.
bool LockTable::pass_on(Named& named, TimePoint now, Woken& woken) {
  Lock& lock = named.second;
  forget(lock.holder.owner);
  while (!lock.line.empty()) {
    Claim next = std::move(lock.line.front());
    lock.line.pop_front();
    // One whose call waits here is alive; another has to ask within the time its place was kept for.
    const bool waits_here = next.parked != nullptr;
    take_wake(next, woken);
    if (next.expires <= now) {
      forget(next.owner);
      continue;
    }
    if (waits_here) next.expires = deadline_after(now, kLockLease);
    lock.holder = std::move(next);
    return true;
  }
  const std::string name = named.first;
  locks_.erase(name);
  return false;
}

bool LockTable::settle(Named& named, TimePoint now, Woken& woken) {
  while (named.second.holder.expires <= now)
    if (!pass_on(named, now, woken)) return false;
  return true;
}

bool LockTable::end(Named& named, const LockOwner& owner, TimePoint now, Woken& woken) {
  Lock& lock = named.second;
  if (lock.holder.owner == owner) {
    if (lock.holder.repeated) remember(owner, now);
    return pass_on(named, now, woken);
  }
  const auto claim = std::find_if(lock.line.begin(), lock.line.end(),
                                  [&owner](const Claim& waiting) { return waiting.owner == owner; });
  take_wake(*claim, woken);
  forget(owner);
  remember(owner, now);
  lock.line.erase(claim);
  return true;
}

void LockTable::remember(const LockOwner& owner, TimePoint now) {
  if (ended_.size() < limits_.ended) ended_.emplace(owner, deadline_after(now, kLockLease));
}

void LockTable::forget(const LockOwner& owner) {
  const auto peer = peers_.find(owner.node);
  if (--peer->second == 0) peers_.erase(peer);
  claims_.erase(owner);
}

void LockTable::take_wake(Claim& claim, Woken& woken) {
  if (!claim.parked) return;
  woken.push_back(std::exchange(claim.parked, nullptr));
  --parked_;
}

const LockTable::Claim& LockTable::claim_of(const Lock& lock, const LockOwner& owner) {
  if (lock.holder.owner == owner) return lock.holder;
  return *std::find_if(lock.line.begin(), lock.line.end(),
                       [&owner](const Claim& waiting) { return waiting.owner == owner; });
}

const LockTable::Claim* LockTable::of_node(const Lock& lock, const NodeName& node) {
  if (lock.holder.owner.node == node) return &lock.holder;
  const auto claim = std::find_if(lock.line.begin(), lock.line.end(),
                                  [&node](const Claim& waiting) { return waiting.owner.node == node; });
  return claim == lock.line.end() ? nullptr : &*claim;
}

}  // namespace ostraka::cluster
