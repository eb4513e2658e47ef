#include "object/bucket_store.h"

#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/log.h"
#include "object/bucket_name.h"
#include "object/limits.h"

namespace ostraka::object {

namespace {

using Json = nlohmann::json;
constexpr std::string_view kPrefix = "bucket/";
constexpr std::uint64_t kDocumentVersion = 1;

std::string document_name(std::string_view bucket) {
  return std::string(kPrefix).append(bucket);
}

Result<std::string> text_field(const Json& root, const char* field) {
  const auto found = root.find(field);
  if (found == root.end() || !found->is_string())
    return fail(Errc::corrupt, std::string("bucket document: ") + field);
  return found->get<std::string>();
}

bool is_json_object(const std::string& text) {
  return Json::parse(text, nullptr, false).is_object();
}

}  // namespace

std::string encode_bucket(const BucketInfo& info) {
  Json root;
  root["version"] = kDocumentVersion;
  root["id"] = fmt::format("{:016x}", static_cast<std::uint64_t>(info.id));
  root["created"] = info.created_ms;
  root["owner"] = info.owner;
  root["region"] = info.region;
  root["settings"] = info.settings;
  return root.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<BucketInfo> decode_bucket(std::string_view name, std::string_view document) {
  const Json root = Json::parse(document, nullptr, false);
  if (!root.is_object() || !root.contains("version") || !root["version"].is_number_unsigned())
    return fail(Errc::corrupt, "bucket document: not JSON with a version");
  if (root["version"].get<std::uint64_t>() != kDocumentVersion)
    return fail(Errc::unsupported_version, "bucket document: version " + root["version"].dump());
  BucketInfo info;
  info.name = BucketName(std::string(name));
  TRY(id, text_field(root, "id"));
  const auto raw = unhex(id);
  if (!raw || raw->size() != 8) return fail(Errc::corrupt, "bucket document: id");
  std::uint64_t number = 0;
  for (const char byte : *raw) number = number << 8 | static_cast<std::uint8_t>(byte);
  if (number == 0) return fail(Errc::corrupt, "bucket document: id");
  info.id = BucketId{number};
  if (!root.contains("created") || !root["created"].is_number_integer())
    return fail(Errc::corrupt, "bucket document: created");
  info.created_ms = root["created"].get<std::int64_t>();
  TRY(owner, text_field(root, "owner"));
  TRY(region, text_field(root, "region"));
  TRY(settings, text_field(root, "settings"));
  if (!is_json_object(settings)) return fail(Errc::corrupt, "bucket document: settings");
  info.owner = std::move(owner);
  info.region = std::move(region);
  info.settings = std::move(settings);
  return info;
}

BucketStore::BucketStore(control::ControlStore& control, Clock& clock, Random& random, std::string region)
    : control_(control),
      clock_(clock),
      random_(random),
      region_(std::move(region)),
      map_(std::make_shared<const Map>()) {
  control_.watch(std::string(kPrefix),
                 [this](const std::string& name, const control::DocumentPtr& now) { changed(name, now); });
  for (const auto& document : control_.list(kPrefix)) changed(document->name, document);
}

void BucketStore::changed(const std::string& document_name, const control::DocumentPtr& now) {
  const std::string name = document_name.substr(kPrefix.size());
  std::shared_ptr<Bucket> bucket;
  if (now) {
    auto info = decode_bucket(name, now->content);
    if (!info) {
      // The bucket as it was known before, if it was, is better than none.
      log::error("bucket document refused bucket={} reason={}", name, info.error().detail);
      return;
    }
    bucket = std::make_shared<Bucket>();
    bucket->info = std::move(*info);
    bucket->revision = now->revision;
  }
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<Map>(*map_);
  const auto old = next->find(name);
  const BucketPtr before = old == next->end() ? nullptr : old->second;
  if (bucket && before && before->revision > bucket->revision) return;
  if (before && (!bucket || before->info.id != bucket->info.id)) before->gate->set_gone();
  if (bucket) {
    const bool same = before && before->info.id == bucket->info.id;
    bucket->gate = same ? before->gate : std::make_shared<BucketGate>();
    (*next)[name] = std::move(bucket);
  } else {
    next->erase(name);
  }
  map_ = std::move(next);
}

std::shared_ptr<const BucketStore::Map> BucketStore::snapshot() const {
  const std::lock_guard lock(mutex_);
  return map_;
}

Result<BucketPtr> BucketStore::find(const BucketName& name) const {
  const auto map = snapshot();
  const auto found = map->find(name.get());
  if (found == map->end()) return fail(Errc::no_such_bucket);
  return found->second;
}

std::vector<BucketInfo> BucketStore::list() const {
  const auto map = snapshot();
  std::vector<BucketInfo> out;
  out.reserve(map->size());
  for (const auto& [name, bucket] : *map) out.push_back(bucket->info);
  return out;
}

Task<Result<BucketInfo>> BucketStore::create(Ctx& ctx, BucketName name, std::string owner,
                                             std::string settings) {
  CO_TRY_VOID(check_bucket_name(name.get()));
  if (settings.empty()) settings = "{}";
  if (settings.size() > kMaxBucketSettingsBytes || !is_json_object(settings))
    co_return fail(Errc::invalid_argument, "bucket settings");
  const auto map = snapshot();
  if (map->count(name.get()) > 0) co_return fail(Errc::bucket_exists);
  if (map->size() >= kMaxBuckets) co_return fail(Errc::too_large, "too many buckets");
  BucketInfo info;
  info.name = name;
  while (info.id == BucketId{}) info.id = BucketId{random_u64(random_)};
  info.created_ms = clock_.unix_ms();
  info.owner = std::move(owner);
  info.region = region_;
  info.settings = std::move(settings);
  std::string document = document_name(name.get());
  std::string content = encode_bucket(info);
  const auto put = co_await control_.put(ctx, std::move(document), std::move(content), 0);
  if (put.failed_with(Errc::conflict)) co_return fail(Errc::bucket_exists);
  if (!put) co_return tl::unexpected(put.error());
  co_return info;
}

Task<Result<>> BucketStore::remove(Ctx& ctx, BucketPtr bucket) {
  const std::string document = document_name(bucket->info.name.get());
  const auto erased = co_await control_.erase(ctx, document, bucket->revision);
  if (erased.has_value() || !erased.failed_with(Errc::conflict)) co_return erased;
  // A deletion that was in doubt before has happened, and perhaps a bucket of that name was made since.
  const auto now = find(bucket->info.name);
  if (!now || (*now)->info.id != bucket->info.id) co_return Result<>{};
  co_return erased;
}

}  // namespace ostraka::object
