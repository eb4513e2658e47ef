#include "cluster/etcd_membership.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/check.h"
#include "base/encoding.h"
#include "base/log.h"
#include "cluster/limits.h"
#include "cluster/run_at.h"

namespace ostraka::cluster {

using control::Member;
using control::MemberPtr;

namespace {

using Json = nlohmann::json;
constexpr std::uint64_t kVersion = 1;
constexpr std::string_view kMembers = "live/member/";
constexpr int kClaims = 3;  // at once, where the key was another's than was thought

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// What older releases do not say.
bool read_process(const Json& root, Member& out) {
  const auto text = [&root](const char* field, std::string& to) {
    const auto at = root.find(field);
    if (at == root.end()) return true;
    if (!at->is_string()) return false;
    to = at->get<std::string>();
    return true;
  };
  if (!text("process", out.process) || !text("boot", out.boot)) return false;
  const auto locks = root.find("locks");
  if (locks == root.end()) return true;
  if (!locks->is_array()) return false;
  for (const Json& lock : *locks) {
    if (!lock.is_string()) return false;
    out.locks.push_back(lock.get<std::string>());
  }
  return true;
}

Member decode_or_name(const std::string& name, std::string_view value) {
  auto decoded = decode_member(name, value);
  if (decoded) return std::move(*decoded);
  log::warn("what a member says is not understood: {}", decoded.error().detail);
  Member out;
  out.name = name;
  return out;
}

}  // namespace

std::string encode_member(const Member& member) {
  Json facts = Json::parse(member.facts, nullptr, false);
  if (!facts.is_object()) facts = Json::object();
  Json out = {{"version", kVersion},
              {"address", member.address},
              {"since_ms", member.since_ms},
              {"revision", member.revision},
              {"facts", std::move(facts)}};
  if (!member.process.empty()) out["process"] = member.process;
  if (!member.boot.empty()) out["boot"] = member.boot;
  if (!member.locks.empty()) out["locks"] = member.locks;
  return dump(out);
}

Result<Member> decode_member(std::string_view name, std::string_view value) {
  const auto malformed = [name] { return fail(Errc::malformed, "member " + std::string(name) + " in etcd"); };
  if (name.empty() || name.size() > kMaxMemberNameBytes || value.size() > kMaxMemberBytes) return malformed();
  const Json root = Json::parse(value, nullptr, false);
  if (!root.is_object()) return malformed();
  const auto number = [&root](const char* field) {
    const auto at = root.find(field);
    return at != root.end() && at->is_number_unsigned();
  };
  if (!number("version")) return malformed();
  if (root["version"].get<std::uint64_t>() != kVersion)
    return fail(Errc::unsupported_version, "member " + std::string(name) + " in etcd");
  const auto address = root.find("address"), facts = root.find("facts"), since = root.find("since_ms");
  if (!number("revision") || address == root.end() || !address->is_string() || facts == root.end() ||
      !facts->is_object() || since == root.end() || !since->is_number_integer())
    return malformed();
  Member out;
  out.name = name;
  out.address = address->get<std::string>();
  out.since_ms = since->get<std::int64_t>();
  out.revision = root["revision"].get<std::uint64_t>();
  out.facts = dump(*facts);
  if (!read_process(root, out)) return malformed();
  return out;
}

bool has_ended(const Member& process, const Member& self) {
  if (process.boot.empty() || process.boot != self.boot || process.locks.empty()) return false;
  return std::all_of(process.locks.begin(), process.locks.end(), [&self](const std::string& lock) {
    return std::find(self.locks.begin(), self.locks.end(), lock) != self.locks.end();
  });
}

EtcdMembership::EtcdMembership(EtcdClient& client, EtcdFollower& follower, EtcdSession& session, Member self,
                               Locks locks)
    : client_(client),
      follower_(follower),
      session_(session),
      locks_(std::move(locks)),
      prefix_(follower.prefix() + std::string(kMembers)),
      self_(std::move(self)) {
  CHECK(!self_.process.empty());
  self_.since_ms = client_.shard().clock().unix_ms();
  follower_.add(kMembers, *this);
  session_.watch([this](std::uint64_t lease) {
    if (lease != 0) publish_soon();
    tell_lease();
  });
}

EtcdMembership::~EtcdMembership() = default;

void EtcdMembership::join() {
  gate_.spawn(client_.shard().executor(), publish());
}

Task<> EtcdMembership::close() {
  stopping_ = true;
  changed_.set();
  settled_.set();
  co_await gate_.close();
}

Task<Result<>> EtcdMembership::wait_until_joined(TimePoint deadline) {
  Clock& clock = client_.shard().clock();
  for (;;) {
    settled_.reset();
    if (stopping_ || follower_.closing()) co_return fail(Errc::closed, "the membership is closed");
    if (lease_until() > clock.now()) co_return Result<>();
    if (displaced_) co_return fail(Errc::unavailable, whose_it_is());
    if (clock.now() >= deadline)
      co_return fail(Errc::unavailable, "this node has not become a member in etcd yet");
    co_await settled_.wait_until(clock, deadline);
  }
}

std::uint64_t EtcdMembership::lease() const noexcept {
  const std::uint64_t joined = joined_;
  return joined == session_.lease() ? joined : 0;
}

void EtcdMembership::tell_lease() {
  const std::uint64_t now = lease();
  if (std::exchange(told_lease_, now) == now) return;
  if (now != 0) settled_.set();
  for (const LeaseWatcher& watcher : lease_watchers_) watcher(now);
}

TimePoint EtcdMembership::lease_until() const noexcept {
  const TimePoint until = session_.until();  // first: at worst that of the lease before
  return lease() != 0 ? until : TimePoint::min();
}

std::vector<MemberPtr> EtcdMembership::members() const {
  std::vector<MemberPtr> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [name, member] : members_) out.push_back(member);
  return out;
}

void EtcdMembership::set_facts(std::string facts) {
  self_.facts = std::move(facts);
  publish_soon();
}

void EtcdMembership::set_revision(std::uint64_t revision) {
  {
    const std::lock_guard lock(mutex_);
    applied_ = std::max(applied_, revision);
    const std::uint64_t known = holds_.empty() ? applied_ : std::min(applied_, *holds_.begin() - 1);
    known_ = std::max(known_, known);
    revision = known_;
  }
  if (revision <= self_.revision) return;
  self_.revision = revision;
  publish_soon();
}

std::uint64_t EtcdMembership::known_revision() const {
  const std::lock_guard lock(mutex_);
  return known_;
}

control::Membership::Hold EtcdMembership::hold(std::uint64_t revision) {
  const std::lock_guard lock(mutex_);
  holds_.insert(revision);
  return Hold(this, [this, revision](const void*) { let_go(revision); });
}

void EtcdMembership::let_go(std::uint64_t revision) {
  {
    const std::lock_guard lock(mutex_);
    holds_.erase(holds_.find(revision));
  }
  gate_.spawn(client_.shard().executor(), say_more(this));
}

Task<> EtcdMembership::say_more(EtcdMembership* self) {
  self->set_revision(0);
  co_return;
}

void EtcdMembership::watch(Watcher watcher) {
  const std::lock_guard lock(mutex_);
  watchers_.push_back(std::move(watcher));
}

void EtcdMembership::publish_soon() {
  unpublished_ = true;
  changed_.set();
}

Task<> EtcdMembership::publish() {
  Clock& clock = client_.shard().clock();
  while (!stopping_) {
    changed_.reset();
    if (!unpublished_ || session_.lease() == 0) {
      co_await changed_.wait();
      continue;
    }
    unpublished_ = false;
    const bool put = co_await put_own();
    unpublished_ = unpublished_ || !put;
    if (displaced_) {
      const TimePoint next = clock.now() + kMemberRetry;
      co_await changed_.wait_until(clock, next);
      continue;
    }
    const Duration pause = put ? Duration(kMemberPause) : Duration(kEtcdRetry);
    co_await sleep_for(clock, pause);
  }
}

// Whether it was put.
Task<bool> EtcdMembership::put_own() {
  const TimePoint deadline = client_.shard().clock().now() + kEtcdPatience;
  for (int tries = 0; tries < kClaims && !stopping_; ++tries) {
    if (locks_) self_.locks = locks_();
    const Holder own{self_, 0, session_.lease()};
    if (own.lease == 0) co_return false;
    EtcdTxnSpec spec;
    EtcdPut put;
    put.key = key();
    put.value = encode_member(self_);
    put.lease = own.lease;
    spec.read_otherwise.push_back(put.key);
    spec.puts.push_back(std::move(put));
    spec.compare.push_back(claim().value_or(absent()));
    const auto done = co_await client_.txn(std::move(spec), deadline);
    if (!done) co_return false;
    std::optional<Holder> now;
    if (done->succeeded) {
      now = own;
      now->revision = done->header.revision;
    } else if (!done->found.empty()) {
      const EtcdKeyValue& found = done->found.front();
      now = Holder{decode_or_name(self_.name, found.value), found.mod_revision, found.lease};
    }
    see_holder(done->header.revision, std::move(now));
    if (done->succeeded) co_return true;
    if (!claim()) co_return false;
  }
  co_return false;
}

EtcdCompare EtcdMembership::absent() const {
  EtcdCompare out;
  out.key = key();
  out.of = EtcdCompare::Of::create_revision;
  return out;
}

// What has to hold for the key to be put; nullopt: it is another process's, which may be alive.
std::optional<EtcdCompare> EtcdMembership::claim() const {
  if (!holder_) return absent();
  EtcdCompare out;
  out.key = key();
  if (holder_->lease != 0 && holder_->lease == session_.lease()) {
    out.of = EtcdCompare::Of::lease;
    out.lease = holder_->lease;
    return out;
  }
  const Member& member = holder_->member;
  const bool own = !member.process.empty() && member.process == self_.process;
  if (holder_->lease != 0 && !own && !has_ended(member, self_)) return std::nullopt;
  out.of = EtcdCompare::Of::mod_revision;
  out.revision = holder_->revision;
  return out;
}

void EtcdMembership::see_holder(std::uint64_t revision, std::optional<Holder> now) {
  if (revision < holder_revision_) return;  // the watch lags behind what a transaction has found
  holder_revision_ = revision;
  holder_ = std::move(now);
  if (locks_) self_.locks = locks_();
  if (!claim()) become_displaced();
  const bool own = holder_ && holder_->lease != 0 && holder_->lease == session_.lease();
  if (!own) return;
  if (displaced_.exchange(false)) log::info("this process is the member {} now", self_.name);
  complained_of_.clear();
}

// A lease that this node was a member by is given back, and with it what it leads.
void EtcdMembership::become_displaced() {
  displaced_ = true;
  std::string whose = whose_it_is();
  if (whose != complained_of_) log::error("{}", whose);
  complained_of_ = std::move(whose);
  if (told_lease_ != 0) session_.drop("another process has this node's name");
  settled_.set();
}

std::string EtcdMembership::whose_it_is() const {
  if (!holder_) return "another process was the member " + self_.name + " a moment ago";
  const Member& member = holder_->member;
  return fmt::format(
      "another process is the member {}: at {}, process {}, since {}. This one "
      "is no member and writes nothing until that one has ended: stop it, or give this machine a "
      "name and a certificate of its own. If it has ended already, its lease does so within {} s",
      self_.name, member.address, member.process.empty() ? "of an older release" : member.process,
      iso8601(member.since_ms), session_.ttl().count());
}

void EtcdMembership::changed(std::string_view key, EtcdEvent event) {
  const std::string name(key);
  MemberPtr now;
  // One that is not understood is alive, whatever it says.
  if (!event.erased) now = std::make_shared<const Member>(decode_or_name(name, event.now.value));
  if (name == self_.name) own_key_changed(event.now, now);
  std::vector<Watcher> told;
  {
    const std::lock_guard lock(mutex_);
    if (now)
      members_[name] = now;
    else
      members_.erase(name);
    told = watchers_;
  }
  for (const Watcher& watcher : told) watcher(name, now);
}

// now: null when the key has gone.
void EtcdMembership::own_key_changed(const EtcdKeyValue& entry, const MemberPtr& now) {
  std::optional<Holder> holder;
  if (now) holder = Holder{*now, entry.mod_revision, entry.lease};
  // Without a revision: all was read anew, and it was not there.
  see_holder(entry.mod_revision == 0 ? holder_revision_ : entry.mod_revision, std::move(holder));
  joined_ = now ? entry.lease : 0;  // after that: who has a lease is not displaced
  // An own publication whose answer was lost may be carried out after a newer one.
  const bool up_to_date = now && entry.lease == session_.lease() && now->revision >= self_.revision;
  if (!up_to_date && claim()) publish_soon();
  tell_lease();
}

bool EtcdMembership::all_know(std::uint64_t revision) const {
  const std::lock_guard lock(mutex_);
  return std::all_of(members_.begin(), members_.end(), [&](const auto& entry) {
    return entry.first == self_.name || entry.second->revision >= revision;
  });
}

Task<Result<>> EtcdMembership::wait_until_known(Ctx& ctx, std::uint64_t revision) {
  auto waiting = wait_here(revision, ctx.deadline);
  co_return co_await run_at(gate_, client_.shard().executor(), std::move(waiting));
}

// Whoever joined before the change was told of before it, and whoever joins later has been told of it when it
// is told of having joined.
Task<Result<>> EtcdMembership::wait_here(std::uint64_t revision, TimePoint deadline) {
  if (displaced_) co_return fail(Errc::unavailable, whose_it_is());
  const std::function<bool()> known = [this, revision] {
    return !displaced_ && follower_.revision() >= revision && all_know(revision);
  };
  const bool reached = co_await follower_.wait(known, deadline, EtcdFollower::Patience::patient);
  if (reached) co_return Result<>();
  if (follower_.closing()) co_return fail(Errc::closed, "the membership is closed");
  if (!follower_.estranged().empty()) co_return fail(Errc::unavailable, follower_.estranged());
  if (displaced_) co_return fail(Errc::unavailable, whose_it_is());
  co_return fail(Errc::deadline, "not all members have applied what was changed");
}

}  // namespace ostraka::cluster
