#include "object/bucket_store.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/encoding.h"
#include "base/log.h"
#include "cluster/limits.h"
#include "erasure/limits.h"
#include "object/bucket_name.h"
#include "object/limits.h"

namespace ostraka::object {

namespace {

using Json = nlohmann::json;
constexpr std::string_view kPrefix = "bucket/";
constexpr std::uint64_t kDocumentVersion = 1;
static_assert(cluster::kWriteLife >= erasure::kLongestCall, "what a fence waits for");

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

std::string encode_bucket(const BucketInfo& info, const std::optional<DeletionMark>& deleting) {
  Json root;
  root["version"] = kDocumentVersion;
  root["id"] = fmt::format("{:016x}", static_cast<std::uint64_t>(info.id));
  root["created"] = info.created_ms;
  root["owner"] = info.owner;
  root["region"] = info.region;
  root["settings"] = info.settings;
  if (deleting) root["deleting"] = {{"node", deleting->node}, {"attempt", deleting->attempt}};
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

Result<std::optional<DeletionMark>> decode_deletion(std::string_view document) {
  const Json root = Json::parse(document, nullptr, false);
  const auto found = root.find("deleting");
  if (found == root.end()) return std::optional<DeletionMark>();
  if (!found->is_object()) return fail(Errc::corrupt, "bucket document: deleting");
  DeletionMark mark;
  TRY(node, text_field(*found, "node"));
  TRY(attempt, text_field(*found, "attempt"));
  mark.node = std::move(node);
  mark.attempt = std::move(attempt);
  return std::optional<DeletionMark>(std::move(mark));
}

BucketStore::BucketStore(control::ControlStore& control, Clock& clock, Random& random, std::string region,
                         BucketCluster cluster)
    : control_(control),
      clock_(clock),
      random_(random),
      region_(std::move(region)),
      cluster_(std::move(cluster)),
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
    auto deleting = info ? decode_deletion(now->content) : tl::unexpected<Error>(info.error());
    if (!deleting) {
      // The bucket as it was known before, if it was, is better than none.
      log::error("bucket document refused bucket={} reason={}", name, deleting.error().detail);
      return;
    }
    bucket = std::make_shared<Bucket>();
    bucket->info = std::move(*info);
    bucket->revision = now->revision;
    bucket->deleting = std::move(*deleting);
  }
  // Not with the mutex held: the membership has its own.
  control::Membership::Hold told;
  if (bucket && bucket->deleting && cluster_.membership != nullptr)
    told = cluster_.membership->hold(bucket->revision);
  const std::lock_guard lock(mutex_);
  auto next = std::make_shared<Map>(*map_);
  const auto old = next->find(name);
  const BucketPtr before = old == next->end() ? nullptr : old->second;
  if (bucket && before && before->revision > bucket->revision) return;
  if (before && (!bucket || before->info.id != bucket->info.id)) before->gate->set_gone();
  if (bucket) {
    const bool same = before && before->info.id == bucket->info.id;
    bucket->gate = same ? before->gate : std::make_shared<BucketGate>(cluster_.fence);
    if (bucket->deleting)
      bucket->gate->mark(std::move(told));
    else
      bucket->gate->unmark();
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
  if (cluster_.membership != nullptr) {
    // So that a client finds its bucket on whatever node it asks next. It is made all the same.
    Ctx patience = ctx;
    patience.deadline = std::min(ctx.deadline, clock_.now() + kNewBucketPatience);
    const std::uint64_t revision = (*put)->revision;
    const Result<> known = co_await cluster_.membership->wait_until_known(patience, revision);
    if (!known) log::debug("not all nodes know a new bucket yet bucket={}", name.get());
  }
  co_return info;
}

std::string BucketStore::attempt_id() {
  return fmt::format("{:016x}", random_u64(random_));
}

bool BucketStore::is_under_way(const DeletionMark& mark) const {
  if (mark.node == cluster_.self) {
    const std::lock_guard lock(mutex_);
    return attempts_.contains(mark.attempt);
  }
  const auto members = cluster_.membership->members();
  return std::any_of(members.begin(), members.end(),
                     [&mark](const control::MemberPtr& member) { return member->name == mark.node; });
}

Task<Result<BucketStore::Removal>> BucketStore::begin_removal(Ctx& ctx, BucketPtr bucket) {
  Removal removal;
  removal.bucket = bucket;
  if (cluster_.fence == nullptr) co_return removal;
  if (bucket->deleting && is_under_way(*bucket->deleting))
    co_return fail(Errc::conflict, "the bucket is being deleted");
  auto marked = std::make_shared<Bucket>(*bucket);
  DeletionMark mark;
  mark.node = cluster_.self;
  mark.attempt = attempt_id();
  {
    const std::lock_guard lock(mutex_);
    attempts_.insert(mark.attempt);
  }
  removal.under_way = std::shared_ptr<const void>(this, [this, attempt = mark.attempt](const void*) {
    const std::lock_guard lock(mutex_);
    attempts_.erase(attempt);
  });
  marked->deleting = std::move(mark);
  std::string document = document_name(bucket->info.name.get());
  std::string content = encode_bucket(bucket->info, marked->deleting);
  const auto put = co_await control_.put(ctx, std::move(document), std::move(content), bucket->revision);
  // If it happened all the same, it is a mark that is left behind.
  if (put.failed_with(Errc::in_doubt)) co_return fail(Errc::unavailable, put.error().detail);
  if (!put) co_return tl::unexpected<Error>(put.error());
  marked->revision = (*put)->revision;
  removal.bucket = std::move(marked);
  const Result<> known = co_await cluster_.fence->wait_until_known(ctx, removal.bucket->revision);
  if (known) co_return removal;
  co_await give_up_removal(ctx, removal.bucket);
  co_return tl::unexpected<Error>(known.error());
}

Task<> BucketStore::give_up_removal(Ctx& ctx, BucketPtr marked) {
  if (!marked->deleting) co_return;
  Ctx later = ctx;  // whose deadline may be what ended the deletion
  later.deadline = deadline_after(clock_.now(), kMarkPatience);
  const Result<> taken_off = co_await take_off(later, marked);
  if (!taken_off)
    log::warn("the bucket stays closed for a while bucket={} reason={}", marked->info.name.get(),
              taken_off.error().detail);
}

Task<Result<>> BucketStore::take_off(Ctx& ctx, BucketPtr marked) {
  std::string document = document_name(marked->info.name.get());
  std::string content = encode_bucket(marked->info);
  const auto put = co_await control_.put(ctx, std::move(document), std::move(content), marked->revision);
  if (!put && !put.failed_with(Errc::conflict)) co_return tl::unexpected<Error>(put.error());
  co_return Result<>{};  // conflict: somebody else was faster, or it is gone
}

Task<> BucketStore::take_off_marks(Ctx& ctx) {
  const auto map = snapshot();
  for (const auto& [name, bucket] : *map) {
    if (!bucket->deleting || is_under_way(*bucket->deleting)) continue;
    const Result<> taken_off = co_await take_off(ctx, bucket);
    if (taken_off)
      log::info("a deletion that was not finished is undone bucket={} node={}", name, bucket->deleting->node);
  }
}

void BucketStore::start(Shard& shard) {
  if (cluster_.fence == nullptr) return;
  shard_ = &shard;
  gate_.spawn(shard.executor(), take_off_regularly(this, &shard));
}

Task<> BucketStore::close() {
  if (shard_ != nullptr) gate_.spawn(shard_->executor(), stop(this));
  co_await gate_.close();
}

Task<> BucketStore::stop(BucketStore* self) {
  self->stopping_ = true;
  self->wake_.set();
  co_return;
}

Task<> BucketStore::take_off_regularly(BucketStore* self, Shard* shard) {
  while (!self->stopping_) {
    self->wake_.reset();
    co_await self->wake_.wait_until(self->clock_, self->clock_.now() + kMarkPeriod);
    if (self->stopping_) co_return;
    Ctx ctx{*shard, self->clock_.now() + kMarkPatience, "buckets"};
    co_await self->take_off_marks(ctx);
  }
}

Task<Result<>> BucketStore::remove(Ctx& ctx, BucketPtr marked) {
  const std::string document = document_name(marked->info.name.get());
  const auto erased = co_await control_.erase(ctx, document, marked->revision);
  if (erased.has_value() || !erased.failed_with(Errc::conflict)) co_return erased;
  // A deletion that was in doubt before has happened, and perhaps a bucket of that name was made since.
  const auto now = find(marked->info.name);
  if (!now || (*now)->info.id != marked->info.id) co_return Result<>{};
  co_return erased;
}

}  // namespace ostraka::object
