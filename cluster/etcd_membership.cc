#include "cluster/etcd_membership.h"

#include <nlohmann/json.hpp>

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

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string encode_member(const Member& member) {
  Json facts = Json::parse(member.facts, nullptr, false);
  if (!facts.is_object()) facts = Json::object();
  return dump({{"version", kVersion},
               {"address", member.address},
               {"since_ms", member.since_ms},
               {"revision", member.revision},
               {"facts", std::move(facts)}});
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
  return out;
}

EtcdMembership::EtcdMembership(EtcdClient& client, EtcdFollower& follower, EtcdSession& session, Member self)
    : client_(client),
      follower_(follower),
      session_(session),
      prefix_(follower.prefix() + std::string(kMembers)),
      self_(std::move(self)) {
  self_.since_ms = client_.shard().clock().unix_ms();
  follower_.add(kMembers, *this);
  session_.watch([this](std::uint64_t lease) {
    if (lease != 0) publish_soon();
  });
}

EtcdMembership::~EtcdMembership() = default;

void EtcdMembership::join() {
  gate_.spawn(client_.shard().executor(), publish());
}

Task<> EtcdMembership::close() {
  stopping_ = true;
  changed_.set();
  co_await gate_.close();
}

TimePoint EtcdMembership::lease_until() const noexcept {
  const TimePoint until = session_.until();  // first: at worst that of the lease before
  const std::uint64_t joined = joined_;
  return joined != 0 && joined == session_.lease() ? until : TimePoint::min();
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
  while (!stopping_) {
    if (!unpublished_ || session_.lease() == 0) {
      changed_.reset();
      co_await changed_.wait();
      continue;
    }
    unpublished_ = false;
    EtcdTxnSpec spec;
    EtcdPut put;
    put.key = prefix_ + self_.name;
    put.value = encode_member(self_);
    put.lease = session_.lease();
    spec.puts.push_back(std::move(put));
    const TimePoint deadline = client_.shard().clock().now() + kEtcdPatience;
    const auto done = co_await client_.txn(std::move(spec), deadline);
    unpublished_ = unpublished_ || !done;
    const Duration pause = done ? Duration(kMemberPause) : Duration(kEtcdRetry);
    co_await sleep_for(client_.shard().clock(), pause);
  }
}

void EtcdMembership::changed(std::string_view key, EtcdEvent event) {
  const std::string name(key);
  MemberPtr now;
  if (!event.erased) {
    auto decoded = decode_member(name, event.now.value);
    if (!decoded) {
      // It is alive, whatever it says.
      log::warn("what a member says is not understood: {}", decoded.error().detail);
      decoded = Member{};
      decoded->name = name;
    }
    now = std::make_shared<const Member>(std::move(*decoded));
  }
  if (name == self_.name) {
    joined_ = now ? event.now.lease : 0;
    // An own publication whose answer was lost may be carried out after a newer one.
    if (!now || event.now.lease != session_.lease() || now->revision < self_.revision) publish_soon();
  }
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
  const std::function<bool()> known = [this, revision] {
    return follower_.revision() >= revision && all_know(revision);
  };
  const bool reached = co_await follower_.wait(known, deadline, EtcdFollower::Patience::patient);
  if (reached) co_return Result<>();
  if (follower_.closing()) co_return fail(Errc::closed, "the membership is closed");
  if (!follower_.estranged().empty()) co_return fail(Errc::unavailable, follower_.estranged());
  co_return fail(Errc::deadline, "not all members have applied what was changed");
}

}  // namespace ostraka::cluster
