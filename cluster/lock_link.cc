#include "cluster/lock_link.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

Ctx call_context(const LockLinkDeps& deps) {
  return Ctx{deps.home, deadline_after(deps.clock.now(), kLockCall), "locks"};
}

}  // namespace

LockLink::LockLink(const LockLinkDeps& deps, NodeName self, NodeName node)
    : deps_(deps), self_(std::move(self)), node_(std::move(node)), own_(node_ == self_) {}

Task<Result<LockVerdict>> LockLink::claim(std::shared_ptr<LockLink> self, Ctx ctx, std::uint64_t id,
                                          std::string name, Duration wait, Duration patience) {
  if (self->own_) {
    LockOwner owner;
    owner.node = self->self_;
    owner.id = id;
    co_return co_await self->deps_.own.claim(ctx, std::move(owner), std::move(name), wait);
  }
  std::vector<Release> riding = self->take_releases();
  LockClaimCall ask;
  for (const Release& release : riding) ask.releases.push_back(release.id);
  ask.id = id;
  ask.name = std::move(name);
  ask.wait = wait;
  PeerCall call;
  call.method = "lock.claim";
  call.head = put_lock_claim(ask);
  ctx.deadline = std::min(ctx.deadline, deadline_after(self->deps_.clock.now(), wait + patience));
  std::vector<disk::BlockTarget> nowhere;
  auto asking = self->deps_.transport.call(ctx, self->node_, std::move(call), std::move(nowhere));
  const Result<PeerAnswer> answer = co_await std::move(asking);
  if (!answer) {
    self->put_back(std::move(riding));
    send_soon(self);
    co_return tl::unexpected<Error>(answer.error());
  }
  co_return take_lock_verdict(answer->head);
}

void LockLink::release(const std::shared_ptr<LockLink>& self, std::uint64_t id) {
  if (self->own_) {
    self->deps_.own.release(LockOwner{self->self_, id});
    return;
  }
  const TimePoint now = self->deps_.clock.now();
  {
    const std::lock_guard lock(self->mutex_);
    if (self->releases_.size() >= 2 * kMaxLockReleases) return;  // it ends by itself
    self->releases_.push_back(Release{id, now});
  }
  send_soon(self);
}

void LockLink::send_soon(const std::shared_ptr<LockLink>& self) {
  {
    const std::lock_guard lock(self->mutex_);
    if (self->releases_.empty() || std::exchange(self->sending_, true)) return;
  }
  self->deps_.gate.spawn(self->deps_.home.executor(), send_releases(self));
}

std::vector<LockLink::Release> LockLink::take_releases() {
  std::vector<Release> out;
  const TimePoint ended = deps_.clock.now() - kLockLease;
  const std::lock_guard lock(mutex_);
  if (releases_.empty()) return out;
  std::erase_if(releases_, [ended](const Release& release) { return release.since < ended; });
  if (releases_.size() <= kMaxLockReleases) {
    out.swap(releases_);
    return out;
  }
  out.assign(releases_.begin(), releases_.begin() + kMaxLockReleases);
  releases_.erase(releases_.begin(), releases_.begin() + kMaxLockReleases);
  return out;
}

// Perhaps they were carried out; that does no harm.
void LockLink::put_back(std::vector<Release> releases) {
  const std::lock_guard lock(mutex_);
  const std::size_t room = 2 * kMaxLockReleases - std::min(releases_.size(), 2 * kMaxLockReleases);
  releases.resize(std::min(releases.size(), room));
  releases_.insert(releases_.end(), releases.begin(), releases.end());
}

Task<> LockLink::send_releases(std::shared_ptr<LockLink> self) {
  for (;;) {
    std::vector<Release> releases = self->take_releases();
    if (releases.empty()) {
      const std::lock_guard lock(self->mutex_);
      if (!self->releases_.empty()) continue;
      self->sending_ = false;
      co_return;
    }
    std::vector<std::uint64_t> ids;
    for (const Release& release : releases) ids.push_back(release.id);
    PeerCall call;
    call.method = "lock.release";
    call.head = put_lock_releases(ids);
    Ctx ctx = call_context(self->deps_);
    std::vector<disk::BlockTarget> nowhere;
    auto telling = self->deps_.transport.call(ctx, self->node_, std::move(call), std::move(nowhere));
    const Result<PeerAnswer> answer = co_await std::move(telling);
    if (answer || self->deps_.stopping) continue;
    self->put_back(std::move(releases));
    co_await sleep_for(self->deps_.clock, kLockRetry);
  }
}

Task<> LockLink::renew(std::shared_ptr<LockLink> self, std::vector<LockRenewalOne> claims) {
  if (self->own_) {
    for (const LockRenewalOne& claim : claims)
      static_cast<void>(self->deps_.own.try_claim(LockOwner{self->self_, claim.id}, claim.name));
    co_return;
  }
  for (std::size_t first = 0; first < claims.size(); first += kMaxLockRenewals) {
    const std::size_t last = std::min(claims.size(), first + kMaxLockRenewals);
    std::vector<LockRenewalOne> some(claims.begin() + static_cast<std::ptrdiff_t>(first),
                                     claims.begin() + static_cast<std::ptrdiff_t>(last));
    PeerCall call;
    call.method = "lock.renew";
    call.head = put_lock_renewal(some);
    Ctx ctx = call_context(self->deps_);
    std::vector<disk::BlockTarget> nowhere;
    auto telling = self->deps_.transport.call(ctx, self->node_, std::move(call), std::move(nowhere));
    const Result<PeerAnswer> answer = co_await std::move(telling);
    if (!answer) co_return;  // the next renewal comes in time
  }
}

Task<> LockLink::ask_after(std::shared_ptr<LockLink> self) {
  if (self->own_) co_return;
  {
    const std::lock_guard lock(self->mutex_);
    if (std::exchange(self->asking_, true)) co_return;
  }
  PeerCall call;
  call.method = "lock.since";
  Ctx ctx = call_context(self->deps_);
  std::vector<disk::BlockTarget> nowhere;
  auto asking = self->deps_.transport.call(ctx, self->node_, std::move(call), std::move(nowhere));
  const Result<PeerAnswer> answer = co_await std::move(asking);
  if (answer) {
    if (const auto first_id = take_lock_since(answer->head))
      self->deps_.own.end_of(self->node_, *first_id, kNoDeadline);
  } else if (answer.failed_with(Errc::unavailable)) {
    // Its host is there, and says that no process listens, later than one was heard of.
    if (const auto refused = self->deps_.transport.refused_at(self->node_))
      self->deps_.own.end_of(self->node_, std::numeric_limits<std::uint64_t>::max(), *refused);
  }
  const std::lock_guard lock(self->mutex_);
  self->asking_ = false;
}

}  // namespace ostraka::cluster
