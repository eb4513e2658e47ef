// Who may sign requests, and with what secret.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ostraka::iam {

// Who asks. No access key: anonymous.
struct Principal {
  std::string access_key;
  std::string user;
  bool root = false;
  bool anonymous() const noexcept { return access_key.empty(); }
};

// A secret text. It has no printer, and its memory is wiped when it goes.
class Secret {
 public:
  explicit Secret(std::string text) noexcept : text_(std::move(text)) {}
  Secret(const Secret&) = default;
  Secret& operator=(const Secret& other);
  ~Secret();
  std::string_view reveal() const noexcept { return text_; }

 private:
  std::string text_;
};

struct Credential {
  Principal principal;
  Secret secret;
};

// Thread safe.
class CredentialStore {
 public:
  virtual ~CredentialStore() = default;
  virtual std::optional<Credential> find(std::string_view access_key) const = 0;
};

// The one root credential of a deployment.
class RootCredentials final : public CredentialStore {
 public:
  RootCredentials(std::string access_key, Secret secret);
  std::optional<Credential> find(std::string_view access_key) const override;

 private:
  const Credential root_;
};

}  // namespace ostraka::iam
