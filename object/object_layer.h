// ObjectLayer: buckets, objects, multipart uploads and listings, without the wire protocol. Semantics are
// those of the S3 API reference. Thread safe. Common errors: no_such_bucket, unavailable, in_doubt, deadline,
// no_space, overloaded.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/ids.h"
#include "base/result.h"
#include "disk/version_record.h"
#include "net/service.h"
#include "runtime/buffer_pool.h"
#include "runtime/ctx.h"
#include "runtime/task.h"

namespace ostraka::object {

using disk::StringPairs;

struct BucketInfo {
  BucketName name;
  BucketId id{};
  std::int64_t created_ms = 0;
  std::string owner;  // canonical user id
  std::string region;
  std::string settings;  // JSON object: what the bucket sub-resources keep (ownership, ...)
};

// Conditions of RFC 9110 and of S3's conditional writes. ETags without quotes; "*" stands alone, "" matches
// none.
struct Conditions {
  std::vector<std::string> if_match;
  std::vector<std::string> if_none_match;
  std::optional<std::int64_t> if_modified_since_ms;
  std::optional<std::int64_t> if_unmodified_since_ms;
  std::optional<std::uint64_t> if_match_size;             // DeleteObject: x-amz-if-match-size
  std::optional<std::int64_t> if_match_last_modified_ms;  // DeleteObject: x-amz-if-match-last-modified-time
  bool any() const noexcept;
};
// The detail of both errors names the header whose condition did not hold.
// For reads: precondition_failed or not_modified, by the precedence of RFC 9110 13.2.2.
Result<> check_read(const Conditions& conditions, const disk::VersionRecord& current);
// The same of a copy's source, whose conditions have no "not modified": they fail, or they do not.
Result<> check_source(const Conditions& conditions, const disk::VersionRecord& current);
// For writes: precondition_failed; no_such_key when If-Match meets an absent key.
Result<> check_write(const Conditions& conditions, const disk::VersionRecord* current);

// What a client said about the bytes it sends. All that is set is verified; nothing is stored when one does
// not match.
struct BodyExpectations {
  std::uint64_t size = 0;             // decoded length; always known (S3 answers 411 otherwise)
  std::optional<std::string> md5;     // raw, from Content-MD5
  std::optional<std::string> sha256;  // raw, from x-amz-content-sha256
  ChecksumAlgorithm algorithm =
      ChecksumAlgorithm::none;          // none: CRC64NVME is computed and stored, as AWS does
  std::optional<std::string> checksum;  // raw; from a header
  std::function<Result<std::optional<std::string>>()>
      trailer_checksum;  // asked after the body has ended; raw
};

struct ObjectAttributes {
  StringPairs headers;        // lower-case names: content-type, cache-control, content-disposition,
                              // content-encoding, content-language, expires, ...
  StringPairs user_metadata;  // without the prefix, lower case
  StringPairs tags;
  std::string storage_class;  // empty: STANDARD
};

struct PutSpec {
  BucketName bucket;
  ObjectKey key;
  ObjectAttributes attributes;
  BodyExpectations expect;
  Conditions conditions;
};

using RecordPtr = std::shared_ptr<const disk::VersionRecord>;

// An object opened for reading. Keeps its data alive.
class OpenObject {
 public:
  virtual ~OpenObject() = default;
  virtual const disk::VersionRecord& record() const noexcept = 0;
  class Reader {
   public:
    virtual ~Reader() = default;
    virtual Task<Result<BufferChain>> next(Ctx& ctx) = 0;  // in order, verified; empty at the end
  };
  virtual Result<std::unique_ptr<Reader>> read(ByteRange range) = 0;  // within the object
};

enum class Directive : std::uint8_t { copy, replace };

struct CopySpec {
  BucketName source_bucket;
  ObjectKey source_key;
  Conditions source_conditions;
  BucketName bucket;
  ObjectKey key;
  Conditions conditions;
  Directive metadata = Directive::copy;
  Directive tagging = Directive::copy;
  ObjectAttributes attributes;  // used where the directive is replace; storage_class always
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::none;  // none: keep the source's
};

struct UploadSpec {  // CreateMultipartUpload
  BucketName bucket;
  ObjectKey key;
  ObjectAttributes attributes;
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::none;
  std::optional<ChecksumType> checksum_type;
};

struct PartSpec {
  BucketName bucket;
  ObjectKey key;
  std::string upload_id;
  std::uint32_t number = 0;
  BodyExpectations expect;
};

struct PartCopySpec {
  BucketName source_bucket;
  ObjectKey source_key;
  Conditions source_conditions;
  std::optional<ByteRange> source_range;
  BucketName bucket;
  ObjectKey key;
  std::string upload_id;
  std::uint32_t number = 0;
};

struct CompletePart {
  std::uint32_t number = 0;
  std::string etag;                     // without quotes
  std::optional<std::string> checksum;  // raw
  ChecksumAlgorithm algorithm = ChecksumAlgorithm::none;
};

struct CompleteSpec {
  BucketName bucket;
  ObjectKey key;
  std::string upload_id;
  std::vector<CompletePart> parts;
  Conditions conditions;
  std::optional<std::string> checksum;  // raw, of the whole, from a header
  std::optional<ChecksumType> checksum_type;
  std::optional<std::uint64_t> object_size;  // x-amz-mp-object-size
};

struct UploadInfo {
  std::string key;
  std::string upload_id;
  RecordPtr record;  // kind upload
};

struct PartsPage {
  RecordPtr upload;
  std::vector<disk::PartRecord> parts;  // etag in md5
  bool truncated = false;
  std::uint32_t next_marker = 0;
};

struct UploadsPage {
  std::vector<UploadInfo> uploads;  // ascending by key, then upload id (which ascends with time)
  std::vector<std::string> common_prefixes;
  bool truncated = false;
  std::string next_key_marker, next_upload_id_marker;
};

struct ListQuery {
  BucketName bucket;
  std::string prefix;
  std::string delimiter;
  std::string start_after;  // exclusive; a common prefix (ending in the delimiter) skips all keys under it
  std::size_t max_keys = 1000;  // 0..1000
};

struct ListedObject {
  std::string key;
  RecordPtr record;
};

struct ObjectsPage {
  std::vector<ListedObject> objects;         // ascending in byte order
  std::vector<std::string> common_prefixes;  // ascending; each counts as one key
  bool truncated = false;
  std::string next;  // to be given as start_after: the last key or common prefix returned
};

struct DeleteSpec {
  BucketName bucket;
  ObjectKey key;
  Conditions conditions;
};

struct UploadsQuery {
  BucketName bucket;
  std::string prefix, delimiter, key_marker, upload_id_marker;
  std::size_t max_uploads = 1000;
};

class ObjectLayer {
 public:
  virtual ~ObjectLayer() = default;

  // Buckets. Errors: bucket_exists (it is yours), bucket_not_empty, invalid_argument (name).
  virtual Task<Result<BucketInfo>> create_bucket(Ctx& ctx, BucketName name, std::string owner,
                                                 std::string settings) = 0;
  virtual Result<BucketInfo> bucket(const BucketName& name) const = 0;  // from memory
  virtual std::vector<BucketInfo> buckets() const = 0;                  // ascending by name
  virtual Task<Result<>> delete_bucket(Ctx& ctx, BucketName name) = 0;

  // Objects. Also: no_such_key, precondition_failed, bad_digest, payload_hash_mismatch, incomplete_body,
  // too_large, closed.
  virtual Task<Result<RecordPtr>> put(Ctx& ctx, PutSpec spec, net::BodySource& body) = 0;
  // Conditions are not checked here: see check_read. with_data: a small object's bytes come with the same
  // round.
  virtual Task<Result<std::unique_ptr<OpenObject>>> get(Ctx& ctx, BucketName bucket, ObjectKey key,
                                                        bool with_data) = 0;
  virtual Task<Result<RecordPtr>> copy(Ctx& ctx, CopySpec spec) = 0;
  virtual Task<Result<>> erase(Ctx& ctx, DeleteSpec spec) = 0;  // absent keys succeed, as in S3
  virtual Task<std::vector<Result<>>> erase_many(Ctx& ctx,
                                                 std::vector<DeleteSpec> specs) = 0;  // several at a time

  // Multipart. Also: no_such_upload, invalid_part, invalid_part_order, part_too_small.
  virtual Task<Result<UploadInfo>> create_upload(Ctx& ctx, UploadSpec spec) = 0;
  virtual Task<Result<disk::PartRecord>> put_part(Ctx& ctx, PartSpec spec, net::BodySource& body) = 0;
  virtual Task<Result<disk::PartRecord>> copy_part(Ctx& ctx, PartCopySpec spec) = 0;
  virtual Task<Result<RecordPtr>> upload(Ctx& ctx, BucketName bucket, ObjectKey key,
                                         std::string upload_id) = 0;
  virtual Task<Result<RecordPtr>> complete_upload(
      Ctx& ctx, CompleteSpec spec) = 0;  // completing twice gives the same answer
  virtual Task<Result<>> abort_upload(Ctx& ctx, BucketName bucket, ObjectKey key, std::string upload_id) = 0;
  virtual Task<Result<PartsPage>> list_parts(Ctx& ctx, BucketName bucket, ObjectKey key,
                                             std::string upload_id, std::uint32_t after,
                                             std::size_t max_parts) = 0;
  virtual Task<Result<UploadsPage>> list_uploads(Ctx& ctx, UploadsQuery query) = 0;

  // Listing.
  virtual Task<Result<ObjectsPage>> list(Ctx& ctx, ListQuery query) = 0;
};

}  // namespace ostraka::object
