#include "cluster/lock_server.h"

#include <algorithm>

#include "cluster/limits.h"
#include "cluster/lock_message.h"

namespace ostraka::cluster {

std::uint64_t lock_ids_from(const Clock& clock) {
  return static_cast<std::uint64_t>(clock.unix_ms()) << 20;
}

LockServer::LockServer(const LockServerDeps& deps, LockLimits limits)
    : clock_(deps.clock),
      home_(deps.home),
      first_id_(lock_ids_from(deps.clock)),
      table_(deps.clock, limits) {}

void LockServer::start() {
  gate_.spawn(home_.executor(), sweep_regularly(this));
}

Task<> LockServer::close() {
  table_.shut();
  gate_.spawn(home_.executor(), stop(this));
  co_await gate_.close();
}

Task<> LockServer::sweep_regularly(LockServer* self) {
  while (!self->stopping_) {
    self->wake_.reset();
    co_await self->wake_.wait_until(self->clock_, self->clock_.now() + kLockSweep);
    self->table_.sweep();
  }
}

Task<> LockServer::stop(LockServer* self) {
  self->stopping_ = true;
  self->wake_.set();
  co_return;
}

Task<LockVerdict> LockServer::claim(Ctx& ctx, LockOwner owner, std::string name, Duration wait) {
  const bool queue = wait > Duration::zero();
  const LockVerdict at_once = table_.claim(owner, name, queue);
  if (at_once != LockVerdict::waits || !queue) co_return at_once;
  Clock& clock = ctx.shard.clock();
  const TimePoint until =
      std::min(ctx.deadline, deadline_after(clock.now(), std::min<Duration>(wait, kLockPoll)));
  auto park = [this, &owner](Completion<bool> done) {
    auto poll = std::make_shared<Completion<bool>>(std::move(done));
    if (!table_.park(owner, [poll] { (*poll)(true); })) (*poll)(false);
  };
  // Armed before parking, since the coroutine may go on at once then; it fires on this shard, that is, not
  // before the parking is done.
  const auto timer = clock.arm(ctx.shard.executor(), until, [this, &owner] {
    if (const LockTable::Wake wake = table_.unpark(owner)) wake();
  });
  co_await suspend<bool>(park);
  co_return table_.look(owner);
}

Task<Result<PeerAnswer>> LockServer::serve(Ctx& ctx, const NodeName& from, PeerCall call) {
  if (ctx.deadline < clock_.now()) co_return fail(Errc::deadline, "arrived too late");
  if (call.method == "lock.claim") co_return co_await serve_claim(ctx, from, call.head);
  if (call.method == "lock.release") co_return serve_release(from, call.head);
  if (call.method == "lock.renew") co_return serve_renewal(from, call.head);
  if (call.method == "lock.since") {
    PeerAnswer answer;
    answer.head = put_lock_since(first_id_);
    co_return answer;
  }
  co_return fail(Errc::unsupported_version, "no call " + call.method.substr(0, 64));
}

Task<Result<PeerAnswer>> LockServer::serve_claim(Ctx& ctx, const NodeName& from, const std::string& head) {
  CO_TRY(in, take_lock_claim(head));
  for (const std::uint64_t id : in.releases) table_.release(LockOwner{from, id});
  LockOwner owner;
  owner.node = from;
  owner.id = in.id;
  const LockVerdict verdict = co_await claim(ctx, std::move(owner), std::move(in.name), in.wait);
  PeerAnswer answer;
  answer.head = put_lock_verdict(verdict);
  co_return answer;
}

Result<PeerAnswer> LockServer::serve_release(const NodeName& from, const std::string& head) {
  TRY(ids, take_lock_releases(head));
  for (const std::uint64_t id : ids) table_.release(LockOwner{from, id});
  return PeerAnswer{};
}

Result<PeerAnswer> LockServer::serve_renewal(const NodeName& from, const std::string& head) {
  TRY(claims, take_lock_renewal(head));
  // What was lost is had again where it is free; the holder could do nothing about it otherwise.
  for (const LockRenewalOne& claim : claims)
    static_cast<void>(table_.claim(LockOwner{from, claim.id}, claim.name, false));
  return PeerAnswer{};
}

}  // namespace ostraka::cluster
