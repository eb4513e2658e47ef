#include "object/body_hasher.h"

#include "base/check.h"
#include "base/limits.h"

namespace ostraka::object {

BodyHasher::BodyHasher(const BodyExpectations& expect, ChecksumAlgorithm stored)
    : expect_(expect), stored_(stored) {
  if (expect.sha256) sha256_.emplace(DigestKind::sha256);
  need(stored);
  if (expect.checksum || expect.trailer_checksum) need(expect.algorithm);
}

void BodyHasher::need(ChecksumAlgorithm algorithm) {
  if (algorithm == ChecksumAlgorithm::none || algorithm == ChecksumAlgorithm::md5) return;
  if (algorithm == ChecksumAlgorithm::sha256) {
    if (!sha256_) sha256_.emplace(DigestKind::sha256);
    return;
  }
  for (Sum& sum : sums_) {
    if (sum.algorithm == algorithm) return;
    if (sum.checksum) continue;
    sum.algorithm = algorithm;
    sum.checksum = make_checksum(algorithm);
    CHECK(sum.checksum != nullptr);
    return;
  }
}

Task<> BodyHasher::update(Shard& shard, ByteSpan slice) {
  if (sha256_) sha256_->update(slice);
  for (Sum& sum : sums_) {
    if (sum.checksum) sum.checksum->update(slice);
  }
  return shard.md5().update(md5_, slice);
}

Result<BodyDigests> BodyHasher::finish(const std::optional<std::string>& trailer) {
  BodyDigests out;
  out.md5 = md5_.finish();
  const std::string sha256 = sha256_ ? sha256_->finish() : std::string();
  std::string finished[2];
  for (std::size_t i = 0; i < 2; ++i) {
    if (sums_[i].checksum) finished[i] = sums_[i].checksum->finish();
  }
  const auto value = [&](ChecksumAlgorithm algorithm) -> std::string {
    if (algorithm == ChecksumAlgorithm::none) return {};
    if (algorithm == ChecksumAlgorithm::md5) return out.md5;
    if (algorithm == ChecksumAlgorithm::sha256) return sha256;
    return algorithm == sums_[0].algorithm ? finished[0] : finished[1];
  };
  if (expect_.sha256 && *expect_.sha256 != sha256) return fail(Errc::payload_hash_mismatch);
  if (expect_.md5 && *expect_.md5 != out.md5) return fail(Errc::bad_digest, "Content-MD5");
  const bool claimed = expect_.algorithm != ChecksumAlgorithm::none;
  if (claimed && expect_.checksum && *expect_.checksum != value(expect_.algorithm))
    return fail(Errc::bad_digest, std::string(to_string(expect_.algorithm)));
  if (claimed && trailer && *trailer != value(expect_.algorithm))
    return fail(Errc::bad_digest, std::string(to_string(expect_.algorithm)) + " in the trailer");
  out.checksum = value(stored_);
  return out;
}

}  // namespace ostraka::object
