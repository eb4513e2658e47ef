// BodyHasher: the one seam through which the bytes of a body are hashed. It updates every digest that a body
// needs slice by slice; the MD5 of all bodies on a shard is taken side by side.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/checksum.h"
#include "base/hash.h"
#include "base/md5_lanes.h"
#include "object/object_layer.h"
#include "runtime/shard.h"

namespace ostraka::object {

struct BodyDigests {
  std::string md5;       // raw
  std::string checksum;  // raw, of the algorithm that is stored; empty for none
};

// Not thread safe.
class BodyHasher {
 public:
  // expect: outlives the hasher; stored: the algorithm of the checksum to be kept, which need not be the one
  // the client sent.
  BodyHasher(const BodyExpectations& expect, ChecksumAlgorithm stored);
  // At most kHashSliceBytes, while they are warm in the cache; longer slices share more (see Md5Queue). Other
  // requests of the shard run meanwhile.
  Task<> update(Shard& shard, ByteSpan slice);
  // Once, after the whole body: all digests, when they are what the client said. trailer: the checksum that
  // followed the body, if one did. Errors: bad_digest, payload_hash_mismatch.
  Result<BodyDigests> finish(const std::optional<std::string>& trailer);

 private:
  void need(ChecksumAlgorithm algorithm);

  const BodyExpectations& expect_;
  const ChecksumAlgorithm stored_;
  Md5 md5_;
  std::optional<Digest> sha256_;
  struct Sum {
    ChecksumAlgorithm algorithm = ChecksumAlgorithm::none;
    std::unique_ptr<Checksum> checksum;
  };
  Sum sums_[2];  // the stored one and the client's, where they are neither MD5 nor SHA-256
};

}  // namespace ostraka::object
