// Reading of objects.
#include "object/erasure_object_layer.h"

namespace ostraka::object {

namespace {

class SetReader final : public OpenObject::Reader {
 public:
  explicit SetReader(std::unique_ptr<erasure::BodyReader> reader) : reader_(std::move(reader)) {}
  Task<Result<BufferChain>> next(Ctx& ctx) override {
    if (!reader_) co_return BufferChain{};
    co_return co_await reader_->next(ctx);
  }

 private:
  const std::unique_ptr<erasure::BodyReader> reader_;  // null: nothing to read
};

class SetObject final : public OpenObject {
 public:
  SetObject(erasure::ErasureSet& set, disk::ObjectRef ref, std::shared_ptr<const erasure::Elected> elected)
      : set_(set), ref_(std::move(ref)), elected_(std::move(elected)) {}
  const disk::VersionRecord& record() const noexcept override { return *elected_->record; }
  Result<std::unique_ptr<Reader>> read(ByteRange range) override {
    if (range.begin > range.end || range.end > record().size) return fail(Errc::invalid_range);
    if (range.size() == 0) return std::make_unique<SetReader>(nullptr);
    TRY(reader, set_.open(ref_, elected_, range));
    return std::make_unique<SetReader>(std::move(reader));
  }

 private:
  erasure::ErasureSet& set_;
  const disk::ObjectRef ref_;
  const std::shared_ptr<const erasure::Elected> elected_;
};

}  // namespace

Task<Result<std::unique_ptr<OpenObject>>> ErasureObjectLayer::get(Ctx& ctx, BucketName bucket, ObjectKey key,
                                                                  bool with_data) {
  CO_TRY(found, deps_.buckets.find(bucket));
  co_return co_await open(ctx, std::move(found), std::move(key), with_data);
}

Task<Result<std::unique_ptr<OpenObject>>> ErasureObjectLayer::open(Ctx& ctx, BucketPtr bucket, ObjectKey key,
                                                                   bool with_data) {
  if (key.get().empty() || key.get().size() > kMaxKeyBytes) co_return fail(Errc::no_such_key);
  disk::ObjectRef ref = deps_.sets.object(bucket->info.id, key);
  erasure::ErasureSet& set = deps_.sets.of(ref);
  auto elected = co_await set.read(ctx, ref, with_data);
  if (elected.failed_with(Errc::not_found)) co_return fail(Errc::no_such_key);
  if (!elected) co_return tl::unexpected(std::move(elected).error());
  if (elected->record->kind != disk::RecordKind::object) co_return fail(Errc::no_such_key);
  auto shared = std::make_shared<const erasure::Elected>(std::move(*elected));
  co_return std::make_unique<SetObject>(set, std::move(ref), std::move(shared));
}

}  // namespace ostraka::object
