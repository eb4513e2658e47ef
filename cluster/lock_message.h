// The messages of lock calls (lock.proto). Decoding trusts nothing: lengths, ids and counts are looked at
// here. Errors of take_*: malformed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cluster/lock_table.h"

namespace ostraka::cluster {

struct LockClaimCall {
  std::vector<std::uint64_t> releases;  // carried out first
  std::uint64_t id = 0;
  std::string name;
  Duration wait{0};  // at most kLockPoll
};

struct LockRenewalOne {
  std::uint64_t id = 0;
  std::string name;
};

std::string put_lock_claim(const LockClaimCall& call);
Result<LockClaimCall> take_lock_claim(const std::string& head);
std::string put_lock_verdict(LockVerdict verdict);
Result<LockVerdict> take_lock_verdict(const std::string& head);

std::string put_lock_releases(const std::vector<std::uint64_t>& ids);
Result<std::vector<std::uint64_t>> take_lock_releases(const std::string& head);

std::string put_lock_since(std::uint64_t first_id);
Result<std::uint64_t> take_lock_since(const std::string& head);

std::string put_lock_renewal(const std::vector<LockRenewalOne>& claims);
Result<std::vector<LockRenewalOne>> take_lock_renewal(const std::string& head);

}  // namespace ostraka::cluster
