// Buckets, writing and erasing of objects. Reading is in object_get.cc, copying in object_copy.cc, listing in
// object_list.cc, uploads in object_uploads.cc.
#include "object/erasure_object_layer.h"

#include "base/encoding.h"
#include "object/batch.h"
#include "object/limits.h"

namespace ostraka::object {

using disk::RecordKind;
using disk::VersionRecord;

namespace {

Result<> check_key(const ObjectKey& key) {
  if (key.get().empty() || key.get().size() > kMaxKeyBytes)
    return fail(Errc::invalid_argument, "the key's length");
  return {};
}

erasure::Precondition precondition_of(const Conditions& conditions) {
  if (!conditions.any()) return nullptr;
  return [conditions](const VersionRecord* current) { return check_write(conditions, current); };
}

// One DeleteObjects.
class EraseBatch final : public Batch {
 public:
  EraseBatch(ObjectLayer& layer, Ctx ctx, std::vector<DeleteSpec> specs)
      : results(specs.size(), Result<>(fail(Errc::closed))),
        layer_(layer),
        ctx_(std::move(ctx)),
        specs_(std::move(specs)) {}
  std::size_t size() const noexcept override { return specs_.size(); }
  Task<> run(std::size_t index) override {
    DeleteSpec spec = std::move(specs_[index]);
    Result<> erased = co_await layer_.erase(ctx_, std::move(spec));
    results[index] = std::move(erased);
  }
  std::vector<Result<>> results;

 private:
  ObjectLayer& layer_;
  Ctx ctx_;
  std::vector<DeleteSpec> specs_;
};

MultipartDeps multipart_deps(const LayerDeps& deps) {
  return MultipartDeps{deps.sets, deps.locks, deps.clock, deps.random, deps.hlc, deps.background};
}

}  // namespace

ErasureObjectLayer::ErasureObjectLayer(LayerDeps deps)
    : deps_(deps), lister_(deps.sets), multipart_(multipart_deps(deps)) {}

Task<Result<BucketInfo>> ErasureObjectLayer::create_bucket(Ctx& ctx, BucketName name, std::string owner,
                                                           std::string settings) {
  co_return co_await deps_.buckets.create(ctx, std::move(name), std::move(owner), std::move(settings));
}

Result<BucketInfo> ErasureObjectLayer::bucket(const BucketName& name) const {
  TRY(found, deps_.buckets.find(name));
  return found->info;
}

std::vector<BucketInfo> ErasureObjectLayer::buckets() const {
  return deps_.buckets.list();
}

Task<Result<>> ErasureObjectLayer::delete_bucket(Ctx& ctx, BucketName name) {
  CO_TRY(bucket, deps_.buckets.find(name));
  // Before the gate, so that a mistaken delete of a busy bucket disturbs nobody.
  CO_TRY_VOID(co_await empty_bucket(ctx, bucket));
  CO_TRY_VOID(co_await bucket->gate->close());
  const Result<> done = co_await delete_closed(ctx, bucket);
  if (done)
    bucket->gate->set_gone();
  else if (done.failed_with(Errc::in_doubt))
    bucket->gate->set_doubt();
  else
    bucket->gate->reopen();
  co_return done;
}

Task<Result<>> ErasureObjectLayer::delete_closed(Ctx& ctx, BucketPtr bucket) {
  CO_TRY(removal, co_await deps_.buckets.begin_removal(ctx, bucket));
  Result<> done = co_await empty_bucket(ctx, bucket);
  if (done) done = co_await abort_all(ctx, bucket);
  if (done) done = co_await deps_.buckets.remove(ctx, removal.bucket);
  if (!done && !done.failed_with(Errc::in_doubt)) co_await deps_.buckets.give_up_removal(ctx, removal.bucket);
  co_return done;
}

Task<Result<>> ErasureObjectLayer::empty_bucket(Ctx& ctx, BucketPtr bucket) {
  ScanQuery query;
  query.bucket = bucket->info.id;
  CO_TRY(page, co_await lister_.scan(ctx, std::move(query)));
  if (page.more) co_return fail(Errc::bucket_not_empty);
  co_return Result<>{};
}

// Uploads in progress do not keep a bucket alive, but their parts must not stay behind.
Task<Result<>> ErasureObjectLayer::abort_all(Ctx& ctx, BucketPtr bucket) {
  for (bool more = true; more;) {
    ScanQuery query;
    query.bucket = bucket->info.id;
    query.space = disk::KeySpace::upload;
    query.max = kMaxListKeys;
    CO_TRY(page, co_await lister_.scan(ctx, std::move(query)));
    for (auto& entry : page.entries) {
      ObjectKey key(std::move(entry.key));
      const auto aborted =
          co_await multipart_.abort(ctx, bucket->info.id, std::move(key), std::move(entry.sub));
      if (!aborted && !aborted.failed_with(Errc::no_such_upload)) co_return aborted;
    }
    more = page.more;
  }
  co_return Result<>{};
}

// Before the body is asked for; what counts is the check under the commit lease.
Task<Result<>> ErasureObjectLayer::check_early(Ctx& ctx, const disk::ObjectRef& ref,
                                               const Conditions& conditions) {
  if (!conditions.any()) co_return Result<>{};
  const auto elected = co_await deps_.sets.of(ref).read(ctx, ref, false);
  if (!elected && !elected.failed_with(Errc::not_found)) co_return tl::unexpected(elected.error());
  const VersionRecord* current = elected ? elected->record.get() : nullptr;
  co_return check_write(conditions, current);
}

Task<Result<RecordPtr>> ErasureObjectLayer::put(Ctx& ctx, PutSpec spec, net::BodySource& body) {
  CO_TRY_VOID(check_key(spec.key));
  if (spec.expect.size > kMaxPutBytes) co_return fail(Errc::too_large, "the object is too large");
  CO_TRY(bucket, deps_.buckets.find(spec.bucket));
  NewObject object;
  object.bucket = std::move(bucket);
  object.key = std::move(spec.key);
  object.attributes = std::move(spec.attributes);
  object.conditions = std::move(spec.conditions);
  if (spec.expect.algorithm != ChecksumAlgorithm::none) object.algorithm = spec.expect.algorithm;
  co_return co_await store(ctx, std::move(object), spec.expect, body);
}

Task<Result<RecordPtr>> ErasureObjectLayer::store(Ctx& ctx, NewObject object, const BodyExpectations& expect,
                                                  net::BodySource& body) {
  const disk::ObjectRef ref = deps_.sets.object(object.bucket->info.id, object.key);
  CO_TRY_VOID(co_await check_early(ctx, ref, object.conditions));
  ReceiveSpec receive;
  receive.geometry = deps_.sets.geometry(object.attributes.storage_class);
  receive.stored = object.algorithm;
  CO_TRY(received, co_await receive_body(ctx, deps_.sets.of(ref), receive, expect, body));
  co_return co_await commit(ctx, std::move(object), std::move(received));
}

Task<Result<RecordPtr>> ErasureObjectLayer::commit(Ctx& ctx, NewObject object, ReceivedBody received) {
  erasure::CommitSpec spec;
  spec.ref = deps_.sets.object(object.bucket->info.id, object.key);
  erasure::ErasureSet& set = deps_.sets.of(spec.ref);
  auto pass = object.bucket->gate->enter();
  if (!pass) {
    set.discard(std::move(received.staged));
    co_return tl::unexpected(pass.error());
  }
  VersionRecord& record = spec.record;
  record.kind = RecordKind::object;
  record.size = received.staged.size;
  record.modified_ms = deps_.clock.unix_ms();
  record.etag = hex(received.digests.md5);
  record.storage_class = std::move(object.attributes.storage_class);
  record.checksum_algorithm = object.algorithm;
  record.checksum = received.digests.checksum;
  record.headers = std::move(object.attributes.headers);
  record.user_metadata = std::move(object.attributes.user_metadata);
  record.tags = std::move(object.attributes.tags);
  if (!received.staged.data.is_nil()) {
    disk::PartRecord whole;
    whole.size = received.staged.size;
    whole.data = received.staged.data;
    whole.md5 = std::move(received.digests.md5);
    whole.checksum = std::move(received.digests.checksum);
    whole.modified_ms = record.modified_ms;
    record.parts.push_back(std::move(whole));
  }
  spec.body = std::move(received.staged);
  spec.conditional = object.conditions.any();
  spec.precondition = precondition_of(object.conditions);
  CO_TRY(committed, co_await set.commit(ctx, std::move(spec)));
  co_return std::make_shared<const VersionRecord>(std::move(committed.record));
}

Task<Result<>> ErasureObjectLayer::erase(Ctx& ctx, DeleteSpec spec) {
  CO_TRY_VOID(check_key(spec.key));
  CO_TRY(bucket, deps_.buckets.find(spec.bucket));
  const disk::ObjectRef ref = deps_.sets.object(bucket->info.id, spec.key);
  erasure::Precondition precondition = precondition_of(spec.conditions);
  CO_TRY(pass, bucket->gate->enter());
  CO_TRY_VOID(co_await deps_.sets.of(ref).erase(ctx, ref, spec.conditions.any(), std::move(precondition)));
  co_return Result<>{};
}

Task<std::vector<Result<>>> ErasureObjectLayer::erase_many(Ctx& ctx, std::vector<DeleteSpec> specs) {
  if (specs.size() > kMaxEraseBatch) {
    const Result<> refused = fail(Errc::too_large, "too many keys");
    co_return std::vector<Result<>>(specs.size(), refused);
  }
  auto batch = std::make_shared<EraseBatch>(*this, ctx, std::move(specs));
  co_await run_batch(ctx, deps_.background, batch, kEraseConcurrency);
  co_return std::move(batch->results);
}

}  // namespace ostraka::object
