#include "cmd/shared_settings.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>

#include "base/check.h"
#include "base/encoding.h"
#include "cmd/version.h"

namespace ostraka::cmd {
namespace {

using Json = nlohmann::json;
constexpr const char* kCredential = "root credential";
constexpr std::uint64_t kScryptN = 1U << 12, kScryptR = 8, kScryptP = 1;  // RFC 7914; 4 MiB
constexpr std::uint64_t kScryptMemory = 8U << 20;

std::string short_hash(const std::string& user, const std::string& password, const std::string& salt) {
  const std::string secret = user + '\0' + password;
  std::array<std::uint8_t, 2> out{};
  const int done =
      EVP_PBE_scrypt(secret.data(), secret.size(), reinterpret_cast<const unsigned char*>(salt.data()),
                     salt.size(), kScryptN, kScryptR, kScryptP, kScryptMemory, out.data(), out.size());
  CHECK(done == 1);
  return hex(out);
}

// The first setting that differs.
std::string difference(const Json& mine, const Json& theirs, const std::string& node) {
  for (const auto& [name, value] : mine.items()) {
    const auto other = theirs.find(name);
    if (other == theirs.end() || *other == value) continue;
    if (name == kCredential) return fmt::format("{} has another root credential", node);
    return fmt::format("setting {}: {} has {}, and this node {}", name, node, other->dump(), value.dump());
  }
  return {};
}

struct Camp {
  std::size_t members = 0;
  std::tuple<std::int64_t, std::string> first{INT64_MAX, ""};  // when the first of them joined, and its name
};

}  // namespace

Json shared_settings(const ServerConfig& config, unsigned reduced_parity, const DeploymentId& deployment) {
  return {{"region", config.region},
          {"domain", config.domain},
          {"storage.reduced_parity", std::to_string(reduced_parity)},
          {kCredential, short_hash(config.root_user, config.root_password, to_string(deployment))}};
}

std::string facts_of(const Json& settings) {
  return Json{{"version", std::string(version())}, {"settings", settings}}.dump();
}

Result<> check_shared_settings(const std::string& self, const Json& settings,
                               const std::vector<control::MemberPtr>& members) {
  std::map<Json, Camp> camps;
  std::tuple<std::int64_t, std::string> own{INT64_MAX, self};
  for (const control::MemberPtr& member : members) {
    const Json facts = Json::parse(member->facts, nullptr, false);
    const auto told = facts.is_object() ? facts.find("settings") : facts.end();
    if (member->name == self) own = {member->since_ms, self};
    if (member->name == self || told == facts.end() || !told->is_object()) continue;
    // What one of them does not know of it does not tell, and what we do not know does not count.
    Json as_known = settings;
    for (auto& [name, value] : as_known.items())
      if (told->contains(name)) value = (*told)[name];
    Camp& camp = camps[as_known];
    ++camp.members;
    camp.first = std::min(camp.first, std::tuple{member->since_ms, member->name});
  }
  Camp& ours = camps[settings];
  ++ours.members;
  ours.first = std::min(ours.first, own);
  const auto weaker = [](const auto& a, const auto& b) {
    return a.second.members != b.second.members ? a.second.members < b.second.members
                                                : a.second.first > b.second.first;
  };
  const auto right = std::max_element(camps.begin(), camps.end(), weaker);
  if (right->first == settings) return {};
  std::string node = std::get<1>(right->second.first);
  return fail(Errc::unavailable,
              difference(settings, right->first, node) +
                  ". Give all nodes the same; to change it, restart all of them: the settings of most "
                  "nodes count");
}

}  // namespace ostraka::cmd
