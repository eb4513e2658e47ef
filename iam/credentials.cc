#include "iam/credentials.h"

#include <openssl/crypto.h>

#include <utility>

#include "base/check.h"

namespace ostraka::iam {

Secret& Secret::operator=(const Secret& other) {
  if (this == &other) return *this;
  OPENSSL_cleanse(text_.data(), text_.size());
  text_ = other.text_;
  return *this;
}

Secret::~Secret() {
  OPENSSL_cleanse(text_.data(), text_.size());
}

RootCredentials::RootCredentials(std::string access_key, Secret secret)
    : root_{{.access_key = std::move(access_key), .user = "root", .root = true}, std::move(secret)} {
  CHECK(!root_.principal.access_key.empty());  // the empty key is the anonymous principal
}

std::optional<Credential> RootCredentials::find(std::string_view access_key) const {
  if (access_key != root_.principal.access_key) return std::nullopt;
  return root_;
}

}  // namespace ostraka::iam
