#include "iam/signing_key.h"

#include "base/hash.h"
#include "iam/limits.h"

namespace ostraka::iam {

std::optional<CredentialScope> parse_credential_scope(std::string_view text) noexcept {
  CredentialScope out;
  std::string_view rest = text;
  for (std::string_view* field : {&out.terminal, &out.service, &out.region, &out.date}) {
    const auto slash = rest.rfind('/');
    if (slash == std::string_view::npos) return std::nullopt;
    *field = rest.substr(slash + 1);
    rest = rest.substr(0, slash);
  }
  if (rest.empty()) return std::nullopt;
  out.access_key = rest;
  out.scope = text.substr(rest.size() + 1);
  out.dated_key = text.substr(0, rest.size() + 1 + out.date.size());
  return out;
}

SigningKey derive_signing_key(const Secret& secret, std::string_view date, std::string_view region,
                              std::string_view service) {
  const Secret prefixed("AWS4" + std::string(secret.reveal()));
  SigningKey key = hmac_sha256(as_bytes(prefixed.reveal()), date);
  for (const std::string_view step : {region, service, std::string_view("aws4_request")})
    key = hmac_sha256(key, step);
  return key;
}

SigningKey SigningKeyCache::get(const CredentialScope& scope, const Secret& secret) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = keys_.find(scope.dated_key);
    if (found != keys_.end() && constant_time_equal(found->second.secret.reveal(), secret.reveal())) {
      return found->second.key;
    }
  }
  const SigningKey key = derive_signing_key(secret, scope.date, scope.region, scope.service);
  const std::lock_guard lock(mutex_);
  if (keys_.size() >= kMaxCachedSigningKeys) keys_.clear();
  keys_.insert_or_assign(std::string(scope.dated_key), Entry{secret, key});
  return key;
}

std::size_t SigningKeyCache::size() const {
  const std::lock_guard lock(mutex_);
  return keys_.size();
}

}  // namespace ostraka::iam
