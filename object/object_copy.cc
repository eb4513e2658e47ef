// CopyObject and UploadPartCopy: the source's bytes, verified, go through the same pipeline as a body from a
// client.
#include <algorithm>

#include "object/erasure_object_layer.h"
#include "object/limits.h"
#include "runtime/shard.h"

namespace ostraka::object {

Task<Result<std::unique_ptr<OpenObject>>> ErasureObjectLayer::open_source(Ctx& ctx, BucketName bucket,
                                                                          ObjectKey key,
                                                                          const Conditions& conditions) {
  CO_TRY(source, co_await get(ctx, std::move(bucket), std::move(key), true));
  CO_TRY_VOID(check_source(conditions, source->record()));
  co_return std::move(source);
}

// A copy waits for buffers to read into while it holds one to write from. So only as many copies run on a
// shard at a time as its buffers are enough for, or all of them would wait for each other.
Task<Result<std::unique_ptr<control::Lease>>> ErasureObjectLayer::turn_to_copy(Ctx& ctx) {
  const std::size_t at_once = std::max<std::size_t>(1, ctx.shard.buffers().max_slabs() / kSlabsPerCopy);
  const std::size_t turn = next_turn_.fetch_add(1, std::memory_order_relaxed) % at_once;
  std::string name = std::to_string(ctx.shard.index()) + '/' + std::to_string(turn);
  co_return co_await copies_.acquire(ctx, std::move(name));
}

Task<Result<RecordPtr>> ErasureObjectLayer::copy(Ctx& ctx, CopySpec spec) {
  if (spec.key.get().empty() || spec.key.get().size() > kMaxKeyBytes)
    co_return fail(Errc::invalid_argument, "the key's length");
  NewObject object;
  CO_TRY(bucket, deps_.buckets.find(spec.bucket));
  object.bucket = std::move(bucket);
  CO_TRY(source, co_await open_source(ctx, spec.source_bucket, spec.source_key, spec.source_conditions));
  const disk::VersionRecord& from = source->record();
  if (from.size > kMaxCopyBytes) co_return fail(Errc::too_large, "the copy's source is too large");
  object.key = std::move(spec.key);
  object.conditions = std::move(spec.conditions);
  object.attributes = std::move(spec.attributes);
  if (spec.metadata == Directive::copy) {
    object.attributes.headers = from.headers;
    object.attributes.user_metadata = from.user_metadata;
  }
  if (spec.tagging == Directive::copy) object.attributes.tags = from.tags;
  object.algorithm = spec.algorithm;
  if (object.algorithm == ChecksumAlgorithm::none) object.algorithm = from.checksum_algorithm;
  if (object.algorithm == ChecksumAlgorithm::none) object.algorithm = ChecksumAlgorithm::crc64nvme;
  BodyExpectations expect;
  expect.size = from.size;
  ByteRange whole;
  whole.end = from.size;
  std::unique_ptr<control::Lease> turn;
  if (from.size > kMaxInlineBytes) {
    CO_TRY(taken, co_await turn_to_copy(ctx));
    turn = std::move(taken);
  }
  CO_TRY(reader, source->read(whole));
  ReaderSource body(ctx, *reader);
  co_return co_await store(ctx, std::move(object), expect, body);
}

Task<Result<disk::PartRecord>> ErasureObjectLayer::copy_part(Ctx& ctx, PartCopySpec spec) {
  CO_TRY(bucket, deps_.buckets.find(spec.bucket));
  CO_TRY(source, co_await open_source(ctx, spec.source_bucket, spec.source_key, spec.source_conditions));
  ByteRange range;
  range.end = source->record().size;
  if (spec.source_range) range = *spec.source_range;
  if (range.begin > range.end || range.end > source->record().size) co_return fail(Errc::invalid_range);
  if (range.size() > kMaxCopyBytes) co_return fail(Errc::too_large, "the copy's source is too large");
  CO_TRY(turn, co_await turn_to_copy(ctx));
  CO_TRY(reader, source->read(range));
  ReaderSource body(ctx, *reader);
  BodyExpectations expect;
  expect.size = range.size();
  PartPlace place;
  place.key = std::move(spec.key);
  place.upload_id = std::move(spec.upload_id);
  place.number = spec.number;
  co_return co_await multipart_.put_part(ctx, std::move(bucket), std::move(place), expect, body);
}

}  // namespace ostraka::object
