// The answers of the admin API as JSON: admin/API.md. Times are unix milliseconds, and null where there is
// none.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "erasure/erasure_set.h"
#include "object/bucket_store.h"
#include "object/heal_status.h"
#include "object/scan_report.h"
#include "object/usage.h"

namespace ostraka::admin {

using ApiJson = nlohmann::ordered_json;

// What people call the things that ids name.
struct ApiNames {
  std::function<std::string(const DriveId&)> drive;  // its folder
  std::function<std::string(BucketId)> bucket;       // empty: none has that id
};

ApiJson heal_status_json(const object::HealStatus& status, const ApiNames& names);
ApiJson heal_run_json(const object::HealRunStatus& run, const ApiNames& names);
ApiJson healed_key_json(const object::HealedKey& healed, const ApiNames& names);
ApiJson scan_pass_json(const object::ScanPass& pass, const ApiNames& names);
ApiJson scan_report_json(const object::ScanReport& report, const ApiNames& names);
ApiJson usage_json(const object::UsageSnapshot& usage, const ApiNames& names,
                   const std::function<std::optional<std::int64_t>(BucketId)>& last_verified);

// What a look at all shards of an object found, in words too.
struct Inspection {
  std::string bucket, key;
  const erasure::HealReport& report;
  std::vector<disk::Drive*> drives;  // by slot of the group
  std::uint16_t group = 0;
  bool deep = false;
  std::vector<object::HealedKey> history;
  std::optional<std::int64_t> last_verified_ms;  // of the bucket
};
ApiJson inspection_json(const Inspection& inspection, const ApiNames& names);

}  // namespace ostraka::admin
