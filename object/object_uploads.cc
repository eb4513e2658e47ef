// Multipart uploads: from the bucket's name to the multipart store.
#include "object/erasure_object_layer.h"

namespace ostraka::object {

Task<Result<UploadInfo>> ErasureObjectLayer::create_upload(Ctx& ctx, UploadSpec spec) {
  if (spec.key.get().empty() || spec.key.get().size() > kMaxKeyBytes)
    co_return fail(Errc::invalid_argument, "the key's length");
  CO_TRY(bucket, deps_.buckets.find(spec.bucket));
  co_return co_await multipart_.create(ctx, std::move(bucket), std::move(spec));
}

Task<Result<disk::PartRecord>> ErasureObjectLayer::put_part(Ctx& ctx, PartSpec spec, net::BodySource& body) {
  CO_TRY(bucket, deps_.buckets.find(spec.bucket));
  PartPlace place;
  place.key = std::move(spec.key);
  place.upload_id = std::move(spec.upload_id);
  place.number = spec.number;
  co_return co_await multipart_.put_part(ctx, std::move(bucket), std::move(place), spec.expect, body);
}

Task<Result<RecordPtr>> ErasureObjectLayer::upload(Ctx& ctx, BucketName bucket, ObjectKey key,
                                                   std::string upload_id) {
  CO_TRY(found, deps_.buckets.find(bucket));
  co_return co_await multipart_.find(ctx, found->info.id, std::move(key), std::move(upload_id));
}

Task<Result<RecordPtr>> ErasureObjectLayer::complete_upload(Ctx& ctx, CompleteSpec spec) {
  CO_TRY(bucket, deps_.buckets.find(spec.bucket));
  co_return co_await multipart_.complete(ctx, std::move(bucket), std::move(spec));
}

Task<Result<>> ErasureObjectLayer::abort_upload(Ctx& ctx, BucketName bucket, ObjectKey key,
                                                std::string upload_id) {
  CO_TRY(found, deps_.buckets.find(bucket));
  co_return co_await multipart_.abort(ctx, found->info.id, std::move(key), std::move(upload_id));
}

Task<Result<PartsPage>> ErasureObjectLayer::list_parts(Ctx& ctx, BucketName bucket, ObjectKey key,
                                                       std::string upload_id, std::uint32_t after,
                                                       std::size_t max_parts) {
  CO_TRY(found, deps_.buckets.find(bucket));
  co_return co_await multipart_.list_parts(ctx, found->info.id, std::move(key), std::move(upload_id), after,
                                           max_parts);
}

}  // namespace ostraka::object
