// ErasureObjectLayer: the ObjectLayer over one erasure set per placement group.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/hlc.h"
#include "cluster/local_lock_service.h"
#include "control/lock_service.h"
#include "object/bucket_store.h"
#include "object/lister.h"
#include "object/multipart_store.h"
#include "object/object_layer.h"
#include "object/object_sets.h"
#include "object/upload_pipeline.h"
#include "runtime/gate.h"
#include "runtime/random.h"

namespace ostraka::object {

// All of it outlives the layer.
struct LayerDeps {
  Clock& clock;
  Random& random;
  Hlc& hlc;
  control::LockService& locks;
  Gate& background;
  BucketStore& buckets;
  const ObjectSets& sets;
};

class ErasureObjectLayer final : public ObjectLayer {
 public:
  explicit ErasureObjectLayer(LayerDeps deps);

  Task<Result<BucketInfo>> create_bucket(Ctx& ctx, BucketName name, std::string owner,
                                         std::string settings) override;
  Result<BucketInfo> bucket(const BucketName& name) const override;
  std::vector<BucketInfo> buckets() const override;
  Task<Result<>> delete_bucket(Ctx& ctx, BucketName name) override;

  Task<Result<RecordPtr>> put(Ctx& ctx, PutSpec spec, net::BodySource& body) override;
  Task<Result<std::unique_ptr<OpenObject>>> get(Ctx& ctx, BucketName bucket, ObjectKey key,
                                                bool with_data) override;
  Task<Result<RecordPtr>> copy(Ctx& ctx, CopySpec spec) override;
  Task<Result<>> erase(Ctx& ctx, DeleteSpec spec) override;
  Task<std::vector<Result<>>> erase_many(Ctx& ctx, std::vector<DeleteSpec> specs) override;

  Task<Result<UploadInfo>> create_upload(Ctx& ctx, UploadSpec spec) override;
  Task<Result<disk::PartRecord>> put_part(Ctx& ctx, PartSpec spec, net::BodySource& body) override;
  Task<Result<disk::PartRecord>> copy_part(Ctx& ctx, PartCopySpec spec) override;
  Task<Result<RecordPtr>> upload(Ctx& ctx, BucketName bucket, ObjectKey key, std::string upload_id) override;
  Task<Result<RecordPtr>> complete_upload(Ctx& ctx, CompleteSpec spec) override;
  Task<Result<>> abort_upload(Ctx& ctx, BucketName bucket, ObjectKey key, std::string upload_id) override;
  Task<Result<PartsPage>> list_parts(Ctx& ctx, BucketName bucket, ObjectKey key, std::string upload_id,
                                     std::uint32_t after, std::size_t max_parts) override;
  Task<Result<UploadsPage>> list_uploads(Ctx& ctx, UploadsQuery query) override;

  Task<Result<ObjectsPage>> list(Ctx& ctx, ListQuery query) override;

 private:
  // What a body is stored as, once it has been received.
  struct NewObject {
    BucketPtr bucket;
    ObjectKey key;
    ObjectAttributes attributes;
    ChecksumAlgorithm algorithm = ChecksumAlgorithm::crc64nvme;
    Conditions conditions;
  };
  Task<Result<>> check_early(Ctx& ctx, const disk::ObjectRef& ref, const Conditions& conditions);
  Task<Result<RecordPtr>> store(Ctx& ctx, NewObject object, const BodyExpectations& expect,
                                net::BodySource& body);
  Task<Result<RecordPtr>> commit(Ctx& ctx, NewObject object, ReceivedBody received);
  Task<Result<std::unique_ptr<OpenObject>>> open(Ctx& ctx, BucketPtr bucket, ObjectKey key, bool with_data);
  Task<Result<std::unique_ptr<OpenObject>>> open_source(Ctx& ctx, BucketName bucket, ObjectKey key,
                                                        const Conditions& conditions);
  // Held while a body is copied.
  Task<Result<std::unique_ptr<control::Lease>>> turn_to_copy(Ctx& ctx);
  Task<Result<>> delete_closed(Ctx& ctx, BucketPtr bucket);
  Task<Result<>> empty_bucket(Ctx& ctx, BucketPtr bucket);
  Task<Result<>> abort_all(Ctx& ctx, BucketPtr bucket);

  const LayerDeps deps_;
  const Lister lister_;
  MultipartStore multipart_;
  cluster::LocalLockService copies_;  // turns of the copies on each shard
  std::atomic<unsigned> next_turn_{0};
};

}  // namespace ostraka::object
