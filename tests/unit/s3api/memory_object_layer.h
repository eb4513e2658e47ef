// An object layer in a few maps: one bucket is one map. It verifies what it stores and checks conditions as
// the real one does, so that what the S3 layer makes of its answers can be tested without drives.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "object/object_layer.h"

namespace ostraka::s3api {

class MemoryObjectLayer final : public object::ObjectLayer {
 public:
  explicit MemoryObjectLayer(Clock& clock) : clock_(clock) {}

  // What the next call of this name fails with, once.
  void fail_next(Errc code) { next_failure_ = code; }
  // Reading any object fails after this many bytes.
  void fail_reads_after(std::optional<std::uint64_t> bytes) { fail_reads_after_ = bytes; }

  Task<Result<object::BucketInfo>> create_bucket(Ctx&, BucketName name, std::string owner,
                                                 std::string settings) override;
  Result<object::BucketInfo> bucket(const BucketName& name) const override;
  std::vector<object::BucketInfo> buckets() const override;
  Task<Result<>> delete_bucket(Ctx&, BucketName name) override;

  Task<Result<object::RecordPtr>> put(Ctx& ctx, object::PutSpec spec, net::BodySource& body) override;
  Task<Result<std::unique_ptr<object::OpenObject>>> get(Ctx&, BucketName bucket, ObjectKey key,
                                                        bool with_data) override;
  Task<Result<object::RecordPtr>> copy(Ctx&, object::CopySpec spec) override;
  Task<Result<>> erase(Ctx&, object::DeleteSpec spec) override;
  Task<std::vector<Result<>>> erase_many(Ctx& ctx, std::vector<object::DeleteSpec> specs) override;

  Task<Result<object::UploadInfo>> create_upload(Ctx&, object::UploadSpec spec) override;
  Task<Result<disk::PartRecord>> put_part(Ctx&, object::PartSpec spec, net::BodySource& body) override;
  Task<Result<disk::PartRecord>> copy_part(Ctx&, object::PartCopySpec spec) override;
  Task<Result<object::RecordPtr>> upload(Ctx&, BucketName bucket, ObjectKey key,
                                         std::string upload_id) override;
  Task<Result<object::RecordPtr>> complete_upload(Ctx&, object::CompleteSpec spec) override;
  Task<Result<>> abort_upload(Ctx&, BucketName bucket, ObjectKey key, std::string upload_id) override;
  Task<Result<object::PartsPage>> list_parts(Ctx&, BucketName bucket, ObjectKey key, std::string upload_id,
                                             std::uint32_t after, std::size_t max_parts) override;
  Task<Result<object::UploadsPage>> list_uploads(Ctx&, object::UploadsQuery query) override;
  Task<Result<object::ObjectsPage>> list(Ctx&, object::ListQuery query) override;

  struct Object {
    object::RecordPtr record;
    std::shared_ptr<const std::string> data;
  };

 private:
  struct Part {
    disk::PartRecord record;
    std::string data;
  };
  struct Upload {
    std::shared_ptr<disk::VersionRecord> record;
    std::map<std::uint32_t, Part> parts;
  };
  struct Bucket {
    object::BucketInfo info;
    std::map<std::string, Object> objects;
    std::map<std::pair<std::string, std::string>, Upload> uploads;  // by key and id
  };
  Result<> take_failure();
  Result<Bucket*> find(const BucketName& name);
  Result<Upload*> find_upload(const BucketName& bucket, const ObjectKey& key, const std::string& upload_id);
  Result<Object> find_object(const BucketName& bucket, const ObjectKey& key);
  Result<object::RecordPtr> store(Bucket& bucket, const std::string& key,
                                  const object::Conditions& conditions, disk::VersionRecord record,
                                  std::string data);

  Clock& clock_;
  std::map<std::string, Bucket> buckets_;
  std::optional<Errc> next_failure_;
  std::optional<std::uint64_t> fail_reads_after_;
  unsigned uploads_made_ = 0;
};

}  // namespace ostraka::s3api
