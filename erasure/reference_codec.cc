// The oracle of the tests: the same code as isal_codec.cc from the definition, byte by byte. The parity of
// shard i is the sum of data[j] / (i xor j) over GF(2^8) with the polynomial 0x11d (Blömer et al. 1995, "An
// XOR-based erasure-resilient coding scheme").
#include <array>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "erasure/codec.h"

namespace ostraka::erasure {
namespace {

using Byte = std::uint8_t;

Byte multiply(Byte a, Byte b) noexcept {
  unsigned product = 0;
  unsigned factor = a;
  for (unsigned rest = b; rest != 0; rest >>= 1) {
    if (rest & 1) product ^= factor;
    factor <<= 1;
    if (factor & 0x100) factor ^= 0x11d;
  }
  return static_cast<Byte>(product);
}

Byte invert(Byte a) noexcept {
  for (unsigned candidate = 1; candidate < 256; ++candidate)
    if (multiply(a, static_cast<Byte>(candidate)) == 1) return static_cast<Byte>(candidate);
  return 0;
}

class ReferenceCodec final : public Codec {
 public:
  explicit ReferenceCodec(Geometry geometry)
      : geometry_(geometry), k_(geometry.data_shards), n_(geometry.drives()) {}

  Geometry geometry() const noexcept override { return geometry_; }

  void encode(std::span<const ByteSpan> data, std::span<const MutableByteSpan> parity) const override {
    CHECK(data.size() == k_ && parity.size() == n_ - k_);
    for (unsigned p = 0; p < parity.size(); ++p) {
      const auto row = row_of(k_ + p);
      for (std::size_t at = 0; at < parity[p].size(); ++at) {
        Byte sum = 0;
        for (unsigned j = 0; j < k_; ++j) sum = static_cast<Byte>(sum ^ multiply(row[j], data[j][at]));
        parity[p][at] = sum;
      }
    }
  }

  // Solves the k equations that the survivors are, by Gauss and Jordan, then computes what is wanted from the
  // data.
  Result<> reconstruct(std::span<const MutableByteSpan> shards, std::span<const bool> present,
                       std::span<const std::uint8_t> wanted) const override {
    if (wanted.empty()) return {};
    std::vector<std::vector<Byte>> rows;
    std::vector<std::vector<Byte>> values;
    for (unsigned i = 0; i < n_ && rows.size() < k_; ++i) {
      if (!present[i]) continue;
      rows.push_back(row_of(i));
      values.emplace_back(shards[i].begin(), shards[i].end());
    }
    if (rows.size() < k_) return fail(Errc::unavailable, "fewer shards than needed to reconstruct");
    for (unsigned column = 0; column < k_; ++column) {
      unsigned pivot = column;
      while (rows[pivot][column] == 0) CHECK(++pivot < k_);
      std::swap(rows[column], rows[pivot]);
      std::swap(values[column], values[pivot]);
      const Byte scale = invert(rows[column][column]);
      scale_row(rows[column], scale);
      scale_row(values[column], scale);
      for (unsigned other = 0; other < k_; ++other) {
        const Byte factor = rows[other][column];
        if (other == column || factor == 0) continue;
        add_row(rows[other], rows[column], factor);
        add_row(values[other], values[column], factor);
      }
    }
    for (const std::uint8_t shard : wanted) {
      const auto row = row_of(shard);
      for (std::size_t at = 0; at < shards[shard].size(); ++at) {
        Byte sum = 0;
        for (unsigned j = 0; j < k_; ++j) sum = static_cast<Byte>(sum ^ multiply(row[j], values[j][at]));
        shards[shard][at] = sum;
      }
    }
    return {};
  }

 private:
  std::vector<Byte> row_of(unsigned shard) const {
    std::vector<Byte> row(k_);
    for (unsigned j = 0; j < k_; ++j)
      row[j] = shard < k_ ? static_cast<Byte>(shard == j) : invert(static_cast<Byte>(shard ^ j));
    return row;
  }
  static void scale_row(std::vector<Byte>& row, Byte factor) {
    for (Byte& byte : row) byte = multiply(byte, factor);
  }
  static void add_row(std::vector<Byte>& row, const std::vector<Byte>& other, Byte factor) {
    for (std::size_t at = 0; at < row.size(); ++at)
      row[at] = static_cast<Byte>(row[at] ^ multiply(other[at], factor));
  }

  const Geometry geometry_;
  const unsigned k_, n_;
};

}  // namespace

std::unique_ptr<Codec> make_reference_codec(Geometry geometry) {
  CHECK(make_geometry(geometry.data_shards, geometry.parity_shards).has_value());
  return std::make_unique<ReferenceCodec>(geometry);
}

}  // namespace ostraka::erasure
