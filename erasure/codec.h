// Reed-Solomon over GF(2^8) with a Cauchy matrix, by ISA-L (its plain RS matrix is not always invertible, as
// its header warns).
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace ostraka::erasure {

struct Geometry {
  std::uint8_t data_shards = 1;    // k, 1..16
  std::uint8_t parity_shards = 0;  // m, 0..k
  unsigned drives() const noexcept { return unsigned{data_shards} + parity_shards; }
  // w = max(k, n/2 + 1) and r = n - w + 1, so that any two quorums meet.
  unsigned write_quorum() const noexcept;
  unsigned read_quorum() const noexcept { return drives() - write_quorum() + 1; }
  bool operator==(const Geometry&) const = default;
};
Result<Geometry> make_geometry(
    unsigned data_shards, unsigned parity_shards);  // invalid_argument: more parity than data, out of range
unsigned default_parity(unsigned drives) noexcept;  // 1: 0, 2-3: 1, 4-7: 2, 8 and more: 4

// One geometry's encoder and decoder. Immutable but for a cache of decode tables; thread safe.
class Codec {
 public:
  virtual ~Codec() = default;
  virtual Geometry geometry() const noexcept = 0;
  // data: k spans, parity: m spans, all of one size.
  virtual void encode(std::span<const ByteSpan> data, std::span<const MutableByteSpan> parity) const = 0;
  // shards: n spans of one size in shard order; present[i] tells which are filled. Fills those of `wanted`
  // (indices of missing shards). Errc::unavailable when fewer than k are present.
  virtual Result<> reconstruct(std::span<const MutableByteSpan> shards, std::span<const bool> present,
                               std::span<const std::uint8_t> wanted) const = 0;
};

std::unique_ptr<Codec> make_isal_codec(Geometry geometry);
std::unique_ptr<Codec> make_reference_codec(
    Geometry geometry);  // slow, table-free arithmetic: the oracle of the tests

// The codecs in use, one a geometry, shared by all sets of a node: their decode tables are worth keeping.
// Thread safe.
class CodecCache {
 public:
  std::shared_ptr<const Codec> get(Geometry geometry);

 private:
  std::mutex mutex_;
  std::map<std::pair<std::uint8_t, std::uint8_t>, std::shared_ptr<const Codec>> codecs_;
};

}  // namespace ostraka::erasure
