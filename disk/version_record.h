// VersionRecord: what a version of an object is. The same bytes lie on every drive of the set; what differs
// from drive to drive (which shard it holds) lies in the row around it. Byte format: disk/FORMAT.md, "Version
// record" (protobuf message in version_record.proto).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/checksum.h"
#include "base/ids.h"
#include "base/result.h"

namespace ostraka::disk {

enum class RecordKind : std::uint8_t {  // stored: never renumber
  object = 1,
  tombstone = 2,      // the key is absent as of this version (unversioned delete)
  delete_marker = 3,  // S3 delete marker of a versioned bucket
  upload = 4,         // a multipart upload in progress
  part = 5,           // a part of one
};

// One staged body: a part of a multipart object, or the whole of a simple one (number 0).
struct PartRecord {
  std::uint32_t number = 0;
  std::uint64_t size = 0;  // bytes of object data
  DataId data;             // names the shard files; nil when the shards are inline or size is 0
  std::string md5;         // raw 16 bytes
  std::string checksum;    // raw, of the record's checksum algorithm; empty when none
  std::int64_t modified_ms = 0;
};

using StringPairs = std::vector<std::pair<std::string, std::string>>;

struct VersionRecord {
  // what the commit protocol looks at
  VersionId id;
  VersionId expect = kAnyVersion;  // expected predecessor: kNoVersion none, kAnyVersion any
  std::uint64_t epoch = 0;
  RecordKind kind = RecordKind::object;
  std::uint8_t data_shards = 1;    // k
  std::uint8_t parity_shards = 0;  // m
  std::uint8_t write_quorum = 1;   // w
  // where the data is
  bool inline_data = false;       // shards lie in the index; then parts is empty
  std::uint64_t size = 0;         // bytes of object data, all parts together
  std::vector<PartRecord> parts;  // in order of number
  // what S3 shows
  std::int64_t modified_ms = 0;
  std::string etag;           // without quotes
  std::string storage_class;  // empty: STANDARD
  ChecksumAlgorithm checksum_algorithm = ChecksumAlgorithm::none;
  ChecksumType checksum_type = ChecksumType::full_object;
  std::string checksum;       // raw bytes; for composite without the "-parts" suffix
  StringPairs headers;        // lower-case names: content-type, cache-control, content-encoding, ...
  StringPairs user_metadata;  // names without x-amz-meta-, lower case
  StringPairs tags;
  std::string upload_id;  // of the multipart upload this version was completed from, or that this upload or
                          // part record belongs to
};

std::string encode(const VersionRecord& record);
Result<VersionRecord> decode_version_record(ByteSpan bytes);  // corrupt, unsupported_version

// Kind and size alone, without decoding the rest; for bytes that encode() has made.
struct RecordGist {
  RecordKind kind = RecordKind::object;
  std::uint64_t size = 0;
};
Result<RecordGist> decode_record_gist(std::string_view bytes);  // corrupt

}  // namespace ostraka::disk
