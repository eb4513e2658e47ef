#include "admin/api_json.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"

namespace ostraka::admin {
namespace {

using object::HealCounts;
using Outcome = erasure::HealReport::Outcome;

ApiJson time_json(std::int64_t unix_ms) {
  return unix_ms == 0 ? ApiJson(nullptr) : ApiJson(unix_ms);
}

std::string space_name(disk::KeySpace space) {
  switch (space) {
    case disk::KeySpace::object:
      return "object";
    case disk::KeySpace::part:
      return "part";
    case disk::KeySpace::upload:
      return "upload";
  }
  return "unknown";
}

ApiJson counts_json(const HealCounts& counts) {
  return {{"keys", counts.keys},
          {"healthy", counts.healthy},
          {"healed", counts.healed},
          {"partly", counts.partly},
          {"absent", counts.absent},
          {"undecided", counts.undecided},
          {"lost", counts.lost},
          {"shards_healed", counts.shards_healed},
          {"bytes_verified", counts.bytes_verified},
          {"bytes_read", counts.bytes_read},
          {"bytes_written", counts.bytes_written}};
}

ApiJson progress_json(const object::BucketProgress& bucket, const ApiNames& names) {
  const std::string name = bucket.bucket_name.empty() ? names.bucket(bucket.bucket) : bucket.bucket_name;
  return {{"bucket", name},
          {"keys", bucket.keys},
          {"keys_total", bucket.keys_total},
          {"bytes", bucket.bytes},
          {"bytes_total", bucket.bytes_total}};
}

ApiJson refill_json(const object::RefillStatus& refill, const ApiNames& names) {
  ApiJson buckets = ApiJson::array();
  for (const object::BucketProgress& bucket : refill.buckets) buckets.push_back(progress_json(bucket, names));
  return {{"drive", names.drive(refill.drive)},
          {"phase", object::to_string(refill.phase)},
          {"problem", refill.problem},
          {"groups", refill.groups},
          {"started_ms", time_json(refill.started_ms)},
          {"keys", refill.keys},
          {"keys_total", refill.keys_total},
          {"bytes", refill.bytes},
          {"bytes_total", refill.bytes_total},
          {"failed_keys", refill.failed_keys},
          {"keys_per_second", refill.keys_per_second},
          {"bytes_per_second", refill.bytes_per_second},
          {"eta_ms", refill.eta_ms ? ApiJson(*refill.eta_ms) : ApiJson(nullptr)},
          {"buckets", std::move(buckets)}};
}

ApiJson totals_json(const object::ScanTotals& totals) {
  return {{"keys", totals.keys},
          {"bytes_verified", totals.bytes_verified},
          {"damaged", totals.damaged},
          {"repaired", totals.repaired},
          {"unrepaired", totals.unrepaired},
          {"lost", totals.lost},
          {"cleared", totals.cleared},
          {"not_verified", totals.not_verified},
          {"unclaimed", totals.unclaimed},
          {"corrupt_rows", totals.corrupt_rows},
          {"orphan_files", totals.orphan_files},
          {"orphan_bytes", totals.orphan_bytes},
          {"orphan_inline", totals.orphan_inline},
          {"usage_corrections", totals.usage_corrections}};
}

std::string plural(unsigned count, std::string_view one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

// The state of an object in a sentence.
std::string sentence_of(const erasure::HealReport& report) {
  const auto n = static_cast<unsigned>(report.shards.size());
  const auto good =
      static_cast<unsigned>(std::count_if(report.shards.begin(), report.shards.end(), [](const auto& shard) {
        return shard.state == erasure::ShardState::good;
      }));
  switch (report.outcome) {
    case Outcome::absent:
      return "There is no such object.";
    case Outcome::undecided:
      return "Too few drives answer to tell which version is the committed one; it is decided when more are "
             "back.";
    case Outcome::lost:
      return fmt::format("Lost: {} of {} shards are good, and {} are needed to read it.", good, n,
                         report.record ? report.record->data_shards : 0);
    default:
      break;
  }
  if (good == n) return fmt::format("Whole: all {} shards are where they belong.", n);
  const unsigned needed = report.record ? report.record->data_shards : 1;
  if (good < needed)
    return fmt::format("Not readable now: {} of {} shards are within reach, and {} are needed.", good, n,
                       needed);
  return fmt::format(
      "Degraded: {} missing or damaged of {}. It reads whole, and may lose {} more before it does not.",
      plural(n - good, "shard"), n, good - needed);
}

std::string words_for(const erasure::HealReport::Shard& shard, bool deep) {
  switch (shard.state) {
    case erasure::ShardState::good:
      return deep ? "good: every block was read and verified just now" : "there (not read)";
    case erasure::ShardState::offline:
      return "the drive does not answer";
    case erasure::ShardState::no_record:
      return "the drive does not have this version yet";
    case erasure::ShardState::no_shard:
      return "the drive knows the version, but its shard is missing";
    case erasure::ShardState::corrupt:
      return "the shard fails its checksums";
    case erasure::ShardState::lost_row:
      return "what the drive's index has of this key fails its checksum; a heal begins it anew";
    case erasure::ShardState::not_looked_at:
      break;
  }
  return "not looked at";
}

ApiJson parts_json(const disk::VersionRecord& record) {
  ApiJson parts = ApiJson::array();
  for (const disk::PartRecord& part : record.parts)
    parts.push_back({{"number", part.number}, {"bytes", part.size}, {"data", to_string(part.data)}});
  return parts;
}

}  // namespace

ApiJson healed_key_json(const object::HealedKey& healed, const ApiNames& names) {
  ApiJson shards = ApiJson::array();
  for (const object::HealedKey::Shard& shard : healed.shards) {
    shards.push_back({{"slot", shard.slot},
                      {"drive", names.drive(shard.drive)},
                      {"state", object::to_string(shard.state)},
                      {"healed", shard.healed},
                      {"detail", shard.detail}});
  }
  const std::string bucket = healed.bucket_name.empty() ? names.bucket(healed.bucket) : healed.bucket_name;
  return {{"when_ms", time_json(healed.when_ms)},
          {"cause", object::to_string(healed.cause)},
          {"dry_run", healed.dry_run},
          {"bucket", bucket},
          {"kind", space_name(healed.space)},
          {"key", healed.key},
          {"version", to_string(healed.version)},
          {"outcome", object::to_string(healed.outcome)},
          {"shards", std::move(shards)},
          {"error", healed.error}};
}

ApiJson heal_run_json(const object::HealRunStatus& run, const ApiNames& names) {
  ApiJson named = ApiJson::array();
  for (const object::HealedKey& key : run.named) named.push_back(healed_key_json(key, names));
  return {{"id", run.id},
          {"bucket", run.spec.bucket ? ApiJson(run.spec.bucket->get()) : ApiJson(nullptr)},
          {"prefix", run.spec.prefix},
          {"deep", run.spec.deep},
          {"dry_run", run.spec.dry_run},
          {"state", object::to_string(run.state)},
          {"problem", run.problem},
          {"started_ms", time_json(run.started_ms)},
          {"ended_ms", time_json(run.ended_ms)},
          {"counts", counts_json(run.counts)},
          {"keys_total", run.keys_total},
          {"at", run.at},
          {"named", std::move(named)},
          {"named_beyond", run.named_beyond}};
}

ApiJson heal_status_json(const object::HealStatus& status, const ApiNames& names) {
  ApiJson waiting = ApiJson::array();
  for (const auto& drive : status.queue.waiting)
    waiting.push_back({{"drive", names.drive(drive.drive)}, {"entries", drive.entries}});
  ApiJson refills = ApiJson::array(), runs = ApiJson::array(), recent = ApiJson::array();
  for (const object::RefillStatus& refill : status.refills) refills.push_back(refill_json(refill, names));
  for (const object::HealRunStatus& run : status.runs) runs.push_back(heal_run_json(run, names));
  for (const object::HealedKey& key : status.recent) recent.push_back(healed_key_json(key, names));
  return {{"priority", object::to_string(status.priority)},
          {"width", status.width},
          {"in_flight", status.in_flight},
          {"queue",
           {{"entries", status.queue.entries},
            {"ready", status.queue.ready},
            {"backing_off", status.queue.backing_off},
            {"oldest_ms", time_json(status.queue.oldest_ms)},
            {"waiting", std::move(waiting)}}},
          {"refills", std::move(refills)},
          {"runs", std::move(runs)},
          {"totals", counts_json(status.totals)},
          {"recent", std::move(recent)}};
}

ApiJson scan_pass_json(const object::ScanPass& pass, const ApiNames& names) {
  return {{"state", object::to_string(pass.state)},
          {"number", pass.number},
          {"deep", pass.deep},
          {"on_demand", pass.on_demand},
          {"started_ms", time_json(pass.started_ms)},
          {"ended_ms", time_json(pass.ended_ms)},
          {"progress", pass.progress},
          {"waiting", pass.waiting},
          {"bucket", names.bucket(pass.bucket)},
          {"key", pass.key},
          {"totals", totals_json(pass.totals)}};
}

ApiJson scan_report_json(const object::ScanReport& report, const ApiNames& names) {
  ApiJson findings = ApiJson::array();
  for (const object::HealedKey& key : report.findings) findings.push_back(healed_key_json(key, names));
  return {{"pass", scan_pass_json(report.pass, names)},
          {"findings", std::move(findings)},
          {"left_off", report.left_off}};
}

ApiJson usage_json(const object::UsageSnapshot& usage, const ApiNames& names,
                   const std::function<std::optional<std::int64_t>(BucketId)>& last_verified) {
  ApiJson buckets = ApiJson::array();
  for (const object::BucketTotals& bucket : usage.buckets) {
    const auto verified = last_verified(bucket.bucket);
    buckets.push_back({{"bucket", names.bucket(bucket.bucket)},
                       {"objects", bucket.objects},
                       {"bytes", bucket.object_bytes},
                       {"uploads", bucket.uploads},
                       {"part_bytes", bucket.part_bytes},
                       {"exact", bucket.exact},
                       {"last_verified_ms", verified ? ApiJson(*verified) : ApiJson(nullptr)}});
  }
  return {{"at_ms", usage.at_ms}, {"buckets", std::move(buckets)}};
}

ApiJson inspection_json(const Inspection& inspection, const ApiNames& names) {
  const erasure::HealReport& report = inspection.report;
  ApiJson shards = ApiJson::array();
  for (std::size_t slot = 0; slot < report.shards.size(); ++slot) {
    const erasure::HealReport::Shard& shard = report.shards[slot];
    shards.push_back({{"slot", slot},
                      {"drive", names.drive(inspection.drives[slot]->id())},
                      {"state", object::to_string(shard.state)},
                      {"words", words_for(shard, inspection.deep)},
                      {"detail", shard.detail}});
  }
  ApiJson history = ApiJson::array();
  for (const object::HealedKey& key : inspection.history) history.push_back(healed_key_json(key, names));
  ApiJson out{{"bucket", inspection.bucket},     {"key", inspection.key},
              {"group", inspection.group},       {"outcome", object::to_string(report.outcome)},
              {"sentence", sentence_of(report)}, {"deep", inspection.deep}};
  if (report.record) {
    const disk::VersionRecord& record = *report.record;
    out["version"] = to_string(record.id);
    out["final"] = report.is_final;
    out["bytes"] = record.size;
    out["modified_ms"] = record.modified_ms;
    out["etag"] = record.etag;
    out["data_shards"] = record.data_shards;
    out["parity_shards"] = record.parity_shards;
    out["write_quorum"] = record.write_quorum;
    out["placed"] = record.inline_data ? "in the drives' indexes" : "in shard files";
    out["parts"] = parts_json(record);
  }
  out["shards"] = std::move(shards);
  out["history"] = std::move(history);
  out["bucket_last_verified_ms"] =
      inspection.last_verified_ms ? ApiJson(*inspection.last_verified_ms) : ApiJson(nullptr);
  return out;
}

}  // namespace ostraka::admin
