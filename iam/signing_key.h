// The credential scope of SigV4 and the key derived for it.
#pragma once

#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "iam/authentication.h"

namespace ostraka::iam {

// AKIDEXAMPLE/20130524/us-east-1/s3/aws4_request, taken apart. All are views into the text. An access key may
// contain '/'.
struct CredentialScope {
  std::string_view access_key, date, region, service, terminal;
  std::string_view scope;      // date/region/service/terminal
  std::string_view dated_key;  // access_key/date
};
std::optional<CredentialScope> parse_credential_scope(std::string_view text) noexcept;

// "AWS4" + secret > date > region > service > "aws4_request", each an HMAC under the one before.
SigningKey derive_signing_key(const Secret& secret, std::string_view date, std::string_view region,
                              std::string_view service);

// Derived keys of one region and service: deriving takes four HMACs, as much as all the rest of a small
// request's authentication. Thread safe. Bounded: when full it starts over.
class SigningKeyCache {
 public:
  // The scope's region and service must be the same in every call. A changed secret gives a new key.
  SigningKey get(const CredentialScope& scope, const Secret& secret);
  std::size_t size() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };
  struct Entry {
    Secret secret;
    SigningKey key;
  };
  mutable std::mutex mutex_;
  std::unordered_map<std::string, Entry, Hash, std::equal_to<>> keys_;  // by dated_key
};

}  // namespace ostraka::iam
