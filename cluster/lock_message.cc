#include "cluster/lock_message.h"

#include <algorithm>

#include "cluster/limits.h"
#include "cluster/lock.pb.h"

namespace ostraka::cluster {
namespace {

using Ids = google::protobuf::RepeatedField<std::uint64_t>;

tl::unexpected<Error> malformed(const char* what) {
  return fail(Errc::malformed, std::string("lock call: ") + what);
}

template <class Message>
Result<> parse(Message& out, const std::string& head) {
  if (head.size() > kMaxCallHead || !out.ParseFromString(head)) return malformed("it does not parse");
  return {};
}

Result<> check_claim(std::uint64_t id, const std::string& name) {
  if (id == 0) return malformed("no id");
  if (name.empty() || name.size() > kMaxLockNameBytes) return malformed("length of a name");
  return {};
}

Result<std::vector<std::uint64_t>> take_ids(const Ids& in) {
  if (in.size() > static_cast<int>(kMaxLockReleases)) return malformed("number of releases");
  return std::vector<std::uint64_t>(in.begin(), in.end());
}

Result<LockVerdict> take_verdict(std::uint32_t in) {
  if (in < static_cast<std::uint32_t>(LockVerdict::granted) ||
      in > static_cast<std::uint32_t>(LockVerdict::full))
    return malformed("verdict");
  return static_cast<LockVerdict>(in);
}

}  // namespace

std::string put_lock_claim(const LockClaimCall& call) {
  pb::LockClaim out;
  out.mutable_releases()->Add(call.releases.begin(), call.releases.end());
  out.set_id(call.id);
  out.set_name(call.name);
  const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(call.wait).count();
  out.set_wait_ms(static_cast<std::uint32_t>(wait));
  return out.SerializeAsString();
}

Result<LockClaimCall> take_lock_claim(const std::string& head) {
  pb::LockClaim in;
  TRY_VOID(parse(in, head));
  TRY_VOID(check_claim(in.id(), in.name()));
  LockClaimCall out;
  TRY(releases, take_ids(in.releases()));
  out.releases = std::move(releases);
  out.id = in.id();
  out.name = std::move(*in.mutable_name());
  out.wait = std::min<Duration>(std::chrono::milliseconds(in.wait_ms()), kLockPoll);
  return out;
}

std::string put_lock_verdict(LockVerdict verdict) {
  pb::LockVerdict out;
  out.set_verdict(static_cast<std::uint32_t>(verdict));
  return out.SerializeAsString();
}

Result<LockVerdict> take_lock_verdict(const std::string& head) {
  pb::LockVerdict in;
  TRY_VOID(parse(in, head));
  return take_verdict(in.verdict());
}

std::string put_lock_releases(const std::vector<std::uint64_t>& ids) {
  pb::LockRelease out;
  out.mutable_releases()->Add(ids.begin(), ids.end());
  return out.SerializeAsString();
}

Result<std::vector<std::uint64_t>> take_lock_releases(const std::string& head) {
  pb::LockRelease in;
  TRY_VOID(parse(in, head));
  return take_ids(in.releases());
}

std::string put_lock_since(std::uint64_t first_id) {
  pb::LockSince out;
  out.set_first_id(first_id);
  return out.SerializeAsString();
}

Result<std::uint64_t> take_lock_since(const std::string& head) {
  pb::LockSince in;
  TRY_VOID(parse(in, head));
  return in.first_id();
}

std::string put_lock_renewal(const std::vector<LockRenewalOne>& claims) {
  pb::LockRenewal out;
  for (const LockRenewalOne& claim : claims) {
    pb::LockRenewal::One& one = *out.add_claims();
    one.set_id(claim.id);
    one.set_name(claim.name);
  }
  return out.SerializeAsString();
}

Result<std::vector<LockRenewalOne>> take_lock_renewal(const std::string& head) {
  pb::LockRenewal in;
  TRY_VOID(parse(in, head));
  if (in.claims_size() > static_cast<int>(kMaxLockRenewals)) return malformed("number of claims");
  std::vector<LockRenewalOne> out;
  out.reserve(static_cast<std::size_t>(in.claims_size()));
  for (pb::LockRenewal::One& one : *in.mutable_claims()) {
    TRY_VOID(check_claim(one.id(), one.name()));
    out.push_back(LockRenewalOne{one.id(), std::move(*one.mutable_name())});
  }
  return out;
}

}  // namespace ostraka::cluster
