#include "cluster/drive_link.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cluster/drive_message.h"
#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

constexpr Duration kGarbageLogPause = std::chrono::seconds(10);

// One of the calls that are under way.
class CallOut {
 public:
  explicit CallOut(std::atomic<unsigned>& out) : out_(out) {}
  CallOut(const CallOut&) = delete;
  CallOut& operator=(const CallOut&) = delete;
  ~CallOut() { out_.fetch_sub(1, std::memory_order_relaxed); }

 private:
  std::atomic<unsigned>& out_;
};

}  // namespace

DriveLink::DriveLink(const RemoteDriveDeps& deps, RemoteDriveSpec spec)
    : deps_(deps), spec_(std::move(spec)), errands_(deps.clock), next_writer_(random_u64(deps.random)) {
  info_.online = true;
}

void DriveLink::start() {
  gate_.spawn(deps_.home.executor(), probe_again_and_again(shared_from_this()));
  gate_.spawn(deps_.home.executor(), send_errands(shared_from_this()));
}

void DriveLink::leave() {
  if (left_.exchange(true)) return;
  {
    const std::lock_guard lock(mutex_);
    problem_ = fmt::format("{}: removed from the cluster", spec_.node);
  }
  online_.store(false, std::memory_order_relaxed);
  gate_.spawn(deps_.home.executor(), stop(shared_from_this()));
}

Task<> DriveLink::close() {
  gate_.spawn(deps_.home.executor(), stop(shared_from_this()));
  co_await gate_.close();
}

Task<> DriveLink::stop(std::shared_ptr<DriveLink> self) {
  self->stopping_ = true;
  self->closed_ = true;
  for (const std::shared_ptr<CallStop>& stop : {self->probe_stop_, self->errand_stop_})
    if (stop) stop->request();
  self->wake_probe();
  self->wake_errands();
  co_return;
}

std::uint64_t DriveLink::new_writer() noexcept {
  for (;;) {
    const std::uint64_t id = next_writer_.fetch_add(1, std::memory_order_relaxed);
    if (id != 0) return id;
  }
}

disk::DriveInfo DriveLink::known() const {
  disk::DriveInfo info;
  {
    const std::lock_guard lock(mutex_);
    info = info_;
    info.online = online();
    if (!info.online) {
      info.problem = problem_;
      if (info.state == disk::DriveState::ok) info.state = disk::DriveState::away;
    } else if (!info.problem.empty()) {
      info.problem = spec_.node + ": " + info.problem;
    }
  }
  info.id = spec_.drive;
  info.path = spec_.path;
  info.slot = spec_.slot;
  return info;
}

// --- what answers and their absence say

void DriveLink::away(std::string why) {
  if (left_) return;
  const bool was_online = online_.exchange(false, std::memory_order_relaxed);
  {
    const std::lock_guard lock(mutex_);
    problem_ = fmt::format("{}: {}", spec_.node, why);
  }
  if (!was_online) return;
  log::warn("a drive of another node is out of service node={} drive={} reason=\"{}\"", spec_.node,
            spec_.path, why);
  probe_soon();
}

void DriveLink::heard(const pb::Status& status) {
  if (!status.away()) return;
  const Result<> said = take_status(status);
  away(said.failed_with(Errc::unavailable) ? said.error().detail : "the drive is out of service");
}

void DriveLink::learn(disk::DriveInfo info) {
  if (left_) return;
  const bool is_online = info.online;
  const std::string why = info.problem.empty() ? std::string("the drive is out of service") : info.problem;
  {
    const std::lock_guard lock(mutex_);
    info_ = std::move(info);
    if (is_online) problem_.clear();
  }
  if (!is_online) {
    away(why);
    return;
  }
  const bool was_online = online_.exchange(true, std::memory_order_relaxed);
  if (left_) online_.store(false, std::memory_order_relaxed);  // meanwhile
  if (!was_online)
    log::info("a drive of another node is in service again node={} drive={}", spec_.node, spec_.path);
}

Error DriveLink::failed(const Error& error) {
  const std::string detail = fmt::format("{}: {}", spec_.node, error.detail);
  switch (error.code) {
    case Errc::unavailable:
      // one call may not get through while others do
      if (heard_since(deps_.clock.now() - kProbeSilence)) {
        probe_soon();
      } else {
        away(error.detail.empty() ? std::string("cannot be reached") : error.detail);
      }
      return Error{Errc::unavailable, detail};
    case Errc::wrong_drive:
      away("does not serve this drive: " + error.detail);
      return Error{Errc::unavailable, detail};
    case Errc::overloaded:
    case Errc::access_denied:
    case Errc::unsupported_version:
      return Error{Errc::unavailable, detail};  // turned away before anything was begun
    case Errc::deadline:
      probe_soon();
      return Error{Errc::deadline, detail};
    default:
      probe_soon();
      return Error{Errc::closed, detail};
  }
}

Error DriveLink::garbage(std::string_view what) {
  const TimePoint now = deps_.clock.now();
  TimePoint quiet_until = garbage_logged_.load(std::memory_order_relaxed);
  if (now >= quiet_until && garbage_logged_.compare_exchange_strong(quiet_until, now + kGarbageLogPause))
    log::warn("a node answered what it should not node={} drive={} what=\"{}\"", spec_.node, spec_.path,
              what);
  return Error{Errc::closed, fmt::format("{}: {}", spec_.node, what)};
}

// --- calls

Result<> DriveLink::ready(const Ctx& ctx) const {
  if (ctx.deadline < deps_.clock.now()) return fail(Errc::deadline);
  if (online()) return {};
  const std::lock_guard lock(mutex_);
  return fail(Errc::unavailable, problem_);
}

std::int64_t DriveLink::until_ms(const Ctx& ctx) const {
  if (ctx.deadline == kNoDeadline) return 0;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(ctx.deadline - deps_.clock.now());
  return deps_.clock.unix_ms() + left.count();
}

Task<Result<PeerAnswer>> DriveLink::send(Ctx& ctx, PeerCall call, std::vector<disk::BlockTarget> into) {
  if (out_.fetch_add(1, std::memory_order_relaxed) == 0)
    out_since_.store(deps_.clock.now(), std::memory_order_relaxed);
  const CallOut out(out_);
  auto calling = deps_.transport.call(ctx, spec_.node, std::move(call), std::move(into));
  Result<PeerAnswer> answer = co_await std::move(calling);
  if (answer) heard_.store(deps_.clock.now(), std::memory_order_relaxed);
  co_return answer;
}

// --- on the home shard

void DriveLink::on_home(void (DriveLink::*act)()) {
  const std::weak_ptr<DriveLink> link = weak_from_this();
  boost::asio::post(deps_.home.executor(), [link, act] {
    if (const auto self = link.lock()) ((*self).*act)();
  });
}

void DriveLink::probe_soon() {
  if (!closed_ && !suspected_.exchange(true)) on_home(&DriveLink::wake_probe);
}

void DriveLink::node_called() {
  if (closed_ || online()) return;
  // Two nodes that each miss a drive of the other one call each other by looking for it.
  const TimePoint now = deps_.clock.now();
  TimePoint last = called_.load(std::memory_order_relaxed);
  if (last != TimePoint::min() && now < last + kProbeAwayMax) return;
  if (!called_.compare_exchange_strong(last, now, std::memory_order_relaxed)) return;
  expected_ = true;
  on_home(&DriveLink::wake_probe);
}

void DriveLink::errands_wait() {
  if (!closed_ && !errands_wait_.exchange(true)) on_home(&DriveLink::wake_errands);
}

bool DriveLink::silent() const {
  if (out_.load(std::memory_order_relaxed) == 0) return false;
  const TimePoint last =
      std::max(out_since_.load(std::memory_order_relaxed), heard_.load(std::memory_order_relaxed));
  return last + kProbeSilence <= deps_.clock.now();
}

bool DriveLink::heard_since(TimePoint moment) const {
  return heard_.load(std::memory_order_relaxed) > moment;
}

bool DriveLink::in_use() const {
  return out_.load(std::memory_order_relaxed) > 0 || heard_since(deps_.clock.now() - kProbePeriod);
}

// Until then, or until somebody asks for it; or, while there are calls, until there is reason to doubt.
Task<> DriveLink::until_probe(TimePoint until) {
  Clock& clock = deps_.clock;
  while (!probe_wake_.is_set() && clock.now() < until && !(online() && silent())) {
    const TimePoint next = in_use() ? std::min(until, clock.now() + kProbeSilence) : until;
    co_await probe_wake_.wait_until(clock, next);
  }
}

Task<bool> DriveLink::probe() {
  const TimePoint begun = deps_.clock.now();
  Ctx ctx{deps_.home, begun + kProbeCall, "probe"};
  probe_stop_ = std::make_shared<CallStop>();
  pb::PlainRequest request;
  request.set_drive(put_uuid(spec_.drive));
  PeerCall call;
  call.method = "drive.info";
  call.head = request.SerializeAsString();
  call.stop = probe_stop_;
  std::vector<disk::BlockTarget> nowhere;
  auto sending = send(ctx, std::move(call), std::move(nowhere));
  const Result<PeerAnswer> answer = co_await std::move(sending);
  probe_stop_.reset();
  if (stopping_) co_return false;
  if (!answer) {
    if (online() && heard_since(begun)) co_return true;  // other calls get through
    const Error& error = answer.error();
    const bool timed_out = error.code == Errc::deadline || error.code == Errc::unavailable;
    if (online() && timed_out && deps_.clock.now() > begun + kProbeCall + kProbeLate) {
      wake_probe();  // it was this node that stood still: an answer may have come by now, unseen
      co_return true;
    }
    std::string why = error.detail.empty() ? std::string(to_string(error.code)) : error.detail;
    if (error.code == Errc::deadline) why = "does not answer";
    away(std::move(why));
    co_return false;
  }
  pb::InfoAnswer in;
  Result<disk::DriveInfo> info = fail(Errc::malformed, "an answer that does not parse");
  if (in.ParseFromString(answer->head)) {
    const Result<> status = take_status(in.status());
    info = status ? take_info(in) : Result<disk::DriveInfo>(tl::unexpected<Error>(status.error()));
  }
  if (!info) {
    away(info.error().detail);
    co_return false;
  }
  learn(std::move(*info));
  co_return online();
}

Task<> DriveLink::probe_again_and_again(std::shared_ptr<DriveLink> self) {
  Duration pause = kProbeAwayMin;
  while (!self->stopping_) {
    self->probe_wake_.reset();
    self->suspected_ = false;
    const bool was_away = !self->online();
    auto probing = self->probe();
    const bool well = co_await std::move(probing);
    if (self->stopping_) co_return;
    if (well) {
      pause = kProbeAwayMin;
      if (was_away) self->wake_errands();
    }
    Clock& clock = self->deps_.clock;
    const TimePoint begun = clock.now();
    if (self->expected_.exchange(false)) pause = kProbeAwayMin;
    const TimePoint until = begun + (well ? Duration(kProbePeriod) : pause);
    if (!well) {
      pause = std::min<Duration>(2 * pause, kProbeAwayMax);
      self->probe_wake_.reset();  // whoever finds it away now says nothing new
    }
    auto waiting = self->until_probe(until);
    co_await std::move(waiting);
    // a moment between two of them, however many calls fail
    while (!self->stopping_ && clock.now() < begun + kProbeAwayMin) {
      self->probe_wake_.reset();
      co_await self->probe_wake_.wait_until(clock, begun + kProbeAwayMin);
    }
  }
}

Task<> DriveLink::send_what_waits(pb::Errands errands, Duration time) {
  pb::PlainRequest request;
  request.set_drive(put_uuid(spec_.drive));
  *request.mutable_errands() = std::move(errands);  // which say themselves how long they hold
  Ctx ctx{deps_.home, deps_.clock.now() + time, "errands"};
  PeerCall call;
  call.method = "drive.errands";
  call.head = request.SerializeAsString();
  errand_stop_ = std::make_shared<CallStop>();
  call.stop = errand_stop_;
  std::vector<disk::BlockTarget> nowhere;
  auto sending = send(ctx, std::move(call), std::move(nowhere));
  const Result<PeerAnswer> answer = co_await std::move(sending);
  errand_stop_.reset();
  if (answer) co_return;
  if (answer.failed_with(Errc::unavailable)) {
    errands_.put_back(std::move(*request.mutable_errands()));
    errands_wait_ = true;
  }
  static_cast<void>(failed(answer.error()));
}

Task<> DriveLink::send_errands(std::shared_ptr<DriveLink> self) {
  Clock& clock = self->deps_.clock;
  while (!self->stopping_) {
    self->errand_wake_.reset();
    if (!self->errands_wait_) co_await self->errand_wake_.wait_until(clock, clock.now() + kPeerRenewal / 3);
    if (!self->stopping_ && self->errands_wait_) {  // a moment for company, or until it is back
      const Duration moment = self->online() ? Duration(kErrandDelay) : Duration(kErrandRetry);
      self->errand_wake_.reset();
      co_await self->errand_wake_.wait_until(clock, clock.now() + moment);
    }
    pb::Errands errands;
    if (!self->online()) {
      self->errands_.take(errands);
      self->errands_.put_back(std::move(errands));  // without those that have grown too old
      continue;
    }
    self->errands_wait_ = false;
    self->errands_.take(errands);
    self->errands_.take_renewals(errands);
    if (is_empty(errands)) continue;
    const Duration time = self->stopping_ ? Duration(kErrandRetry) : Duration(kErrandCall);
    auto sending = self->send_what_waits(std::move(errands), time);
    co_await std::move(sending);
  }
}

}  // namespace ostraka::cluster
