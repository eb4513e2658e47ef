// The data path of PutObject, CopyObject, UploadPart and UploadPartCopy: from the body straight into the slab
// that is encoded, hashed as it arrives, verified against all that the client said, and staged on the drives.
// Only the first bytes of a stripe are copied on the way, and nothing is committed here.
#pragma once

#include <string>

#include "erasure/erasure_set.h"
#include "net/service.h"
#include "object/body_hasher.h"
#include "object/object_layer.h"

namespace ostraka::object {

enum class SmallBodies : std::uint8_t {
  into_index,  // up to kMaxInlineBytes: shards lie in the index
  into_files,  // parts: the completed version will name their files
};

struct ReceiveSpec {
  erasure::Geometry geometry;
  SmallBodies small = SmallBodies::into_index;
  ChecksumAlgorithm stored = ChecksumAlgorithm::crc64nvme;
};

struct ReceivedBody {
  erasure::StagedBody staged;
  BodyDigests digests;
};

// Errors: those of the body, of the set and of the expectations: incomplete_body, malformed (longer than
// announced), bad_digest, payload_hash_mismatch. On an error nothing stays behind.
Task<Result<ReceivedBody>> receive_body(Ctx& ctx, erasure::ErasureSet& set, ReceiveSpec spec,
                                        const BodyExpectations& expect, net::BodySource& body);

// A verified object as a body: what CopyObject and UploadPartCopy read. The reader and ctx outlive it.
class ReaderSource final : public net::BodySource {
 public:
  ReaderSource(Ctx& ctx, OpenObject::Reader& reader) : ctx_(ctx), reader_(reader) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override;

 private:
  Ctx& ctx_;
  OpenObject::Reader& reader_;
  BufferChain chain_;
  std::size_t slice_ = 0;   // first slice of chain_ that is not used up
  std::size_t offset_ = 0;  // in it
};

}  // namespace ostraka::object
