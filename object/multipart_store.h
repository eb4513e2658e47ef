// MultipartStore: uploads in progress and their parts, as rows in the group of the final key.
//
// An upload is a row of its own; a part is a row that names its shard files. Completing commits a version
// that names the parts' files; when a drive retires that version, the rows of the upload go and the files are
// the version's. So a part row must not be replaced or erased once its upload may be completed: UploadPart
// (its commit, not its body), Complete and Abort of one upload run one after the other, under the lease
// "upload/<id>", and each looks first whether the key's version was completed from this upload.
#pragma once

#include <string>
#include <vector>

#include "base/hlc.h"
#include "control/lock_service.h"
#include "object/bucket_store.h"
#include "object/object_layer.h"
#include "object/object_sets.h"
#include "runtime/gate.h"
#include "runtime/random.h"

namespace ostraka::object {

struct MultipartDeps {
  const ObjectSets& sets;
  control::LockService& locks;
  Clock& clock;
  Random& random;
  Hlc& hlc;
  Gate& background;
};

// A part's place.
struct PartPlace {
  ObjectKey key;
  std::string upload_id;
  std::uint32_t number = 0;
};

// Thread safe. Errors as in ObjectLayer.
class MultipartStore {
 public:
  explicit MultipartStore(MultipartDeps deps) : deps_(deps) {}

  Task<Result<UploadInfo>> create(Ctx& ctx, BucketPtr bucket, UploadSpec spec);
  Task<Result<RecordPtr>> find(Ctx& ctx, BucketId bucket, ObjectKey key, std::string upload_id);
  Task<Result<disk::PartRecord>> put_part(Ctx& ctx, BucketPtr bucket, PartPlace place,
                                          const BodyExpectations& expect, net::BodySource& body);
  Task<Result<RecordPtr>> complete(Ctx& ctx, BucketPtr bucket, CompleteSpec spec);
  Task<Result<>> abort(Ctx& ctx, BucketId bucket, ObjectKey key, std::string upload_id);
  Task<Result<PartsPage>> list_parts(Ctx& ctx, BucketId bucket, ObjectKey key, std::string upload_id,
                                     std::uint32_t after, std::size_t max_parts);

 private:
  Task<Result<std::unique_ptr<control::Lease>>> lease(Ctx& ctx, const std::string& upload_id);
  // The key's version if it was completed from this upload, else null.
  Task<Result<RecordPtr>> completed(Ctx& ctx, BucketId bucket, const ObjectKey& key,
                                    const std::string& upload_id);
  // At most `max` parts with numbers above `after`, ascending.
  Task<Result<std::vector<disk::PartRecord>>> parts(Ctx& ctx, BucketId bucket, const ObjectKey& key,
                                                    const std::string& upload_id, std::uint32_t after,
                                                    std::size_t max);
  Task<Result<disk::PartRecord>> commit_part(Ctx& ctx, BucketPtr bucket, const PartPlace& place,
                                             disk::VersionRecord record, erasure::StagedBody staged);
  Task<Result<RecordPtr>> commit_object(Ctx& ctx, BucketPtr bucket, CompleteSpec spec, RecordPtr upload);
  Task<Result<>> erase_parts(Ctx& ctx, BucketId bucket, const ObjectKey& key, const std::string& upload_id);
  // The upload's own row: it has no files, so this is safe at any time.
  Task<Result<>> drop_upload(Ctx& ctx, BucketId bucket, const ObjectKey& key, const std::string& upload_id);

  const MultipartDeps deps_;
};

}  // namespace ostraka::object
