// What all nodes of a cluster have to be told alike, besides its drives and its geometry (join_cluster.h):
// clients reach any of them, and have to find the same store everywhere.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "cmd/config.h"
#include "control/membership.h"

namespace ostraka::cmd {

// Setting to value, texts, as a node tells it to the others among its facts. Of the root credential there are
// 16 bits of a slow hash: enough to see that two differ, too few to try passwords on. Takes some 10 ms.
nlohmann::json shared_settings(const ServerConfig& config, unsigned reduced_parity,
                               const DeploymentId& deployment);

// What a node says of itself to the others.
std::string facts_of(const nlohmann::json& settings);

// Whether the node `self` may serve beside these members. Most of them are right; of equally many, those with
// the one that joined first. Members that tell no settings do not count, nor does an entry of `self`. Error:
// unavailable, naming the setting and both values, but not the credential's.
Result<> check_shared_settings(const std::string& self, const nlohmann::json& settings,
                               const std::vector<control::MemberPtr>& members);

}  // namespace ostraka::cmd
