#include "cluster/etcd_session.h"

#include "base/check.h"
#include "base/log.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

EtcdSession::EtcdSession(EtcdClient& client, EtcdSessionSpec spec)
    : client_(client), spec_(spec), until_(TimePoint::min().time_since_epoch().count()) {
  CHECK(spec_.margin < Duration(spec_.ttl));
}

TimePoint EtcdSession::until() const noexcept {
  return TimePoint(Duration(until_.load()));
}

void EtcdSession::count_from(TimePoint sent, std::uint64_t ttl_seconds) {
  // etcd may grant another time than was asked for.
  const auto ttl = std::chrono::seconds(std::min<std::uint64_t>(ttl_seconds, 24 * 3600));
  until_.store((sent + ttl - spec_.margin).time_since_epoch().count());
  next_ = sent + Duration(std::min(ttl, spec_.ttl)) / 3;
}

void EtcdSession::tell() {
  for (const Watcher& watcher : watchers_) watcher(lease_);
}

void EtcdSession::lose(std::string_view why) {
  log::warn("lease lost: {}", why);
  until_.store(TimePoint::min().time_since_epoch().count());
  former_ = lease_.exchange(0);
  tell();
}

void EtcdSession::drop(std::string_view why) {
  if (lease_ != 0) lose(why);
}

Task<> EtcdSession::pause(Duration duration) {
  const TimePoint end = client_.shard().clock().now() + duration;
  co_await stopping_.wait_until(client_.shard().clock(), end);
}

void EtcdSession::start() {
  gate_.spawn(client_.shard().executor(), run());
}

Task<> EtcdSession::close() {
  stopping_.set();
  co_await gate_.close();
}

Task<> EtcdSession::run() {
  while (!stopping_.is_set()) {
    if (lease_ == 0)
      co_await begin();
    else
      co_await keep();
  }
  until_.store(TimePoint::min().time_since_epoch().count());
  if (lease_ == 0) co_return;
  const std::uint64_t last = lease_.exchange(0);
  tell();
  const TimePoint deadline = client_.shard().clock().now() + kEtcdAttempt;
  const Result<> revoked = co_await client_.revoke(last, deadline);
  if (!revoked) log::info("the lease was not given back, and ends by itself: {}", revoked.error().detail);
}

Task<> EtcdSession::begin() {
  Clock& clock = client_.shard().clock();
  if (former_ != 0) {
    // Its keys stand in the way of what comes now. When it has ended by itself, that is as well.
    const TimePoint deadline = clock.now() + kEtcdAttempt;
    const Result<> revoked = co_await client_.revoke(former_, deadline);
    if (revoked || revoked.failed_with(Errc::not_found)) former_ = 0;
  }
  const TimePoint sent = clock.now();
  const TimePoint deadline = sent + Duration(spec_.ttl) - spec_.margin;
  const auto granted = co_await client_.grant(spec_.ttl, deadline);
  if (!granted || Duration(std::chrono::seconds(granted->ttl_seconds)) <= spec_.margin) {
    if (!std::exchange(complained_, true))
      log::warn("no lease in etcd: {}", granted ? "it is too short" : granted.error().detail);
    co_await pause(kEtcdRetry);
    co_return;
  }
  complained_ = false;
  count_from(sent, granted->ttl_seconds);
  lease_ = granted->id;
  tell();
}

Task<> EtcdSession::keep() {
  Clock& clock = client_.shard().clock();
  co_await stopping_.wait_until(clock, next_);
  if (stopping_.is_set()) co_return;
  const std::uint64_t lease = lease_;
  if (lease == 0) co_return;  // dropped
  const TimePoint sent = clock.now(), end = until();
  if (sent >= end) {
    lose("the time has passed");
    co_return;
  }
  const auto kept = co_await client_.keep_alive(lease, end);
  if (lease_ != lease) co_return;
  if (kept) {
    count_from(sent, kept->ttl_seconds);
  } else if (kept.failed_with(Errc::not_found)) {
    lose("etcd has ended it");
  } else if (clock.now() >= until()) {
    lose(kept.error().detail);
  } else {
    next_ = std::min(until(), clock.now() + kEtcdRetry);
  }
}

}  // namespace ostraka::cluster
