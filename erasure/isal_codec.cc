#include <isa-l/erasure_code.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <deque>
#include <unordered_map>
#include <vector>

#include "base/check.h"
#include "base/limits.h"
#include "erasure/codec.h"
#include "erasure/limits.h"

namespace ostraka::erasure {
namespace {

constexpr std::size_t kTableBytes = 32;  // of ISA-L's expanded form of one coefficient

using Tables = std::vector<unsigned char>;
using ShardMask = std::uint32_t;
static_assert(kMaxSetDrives <= 32);

constexpr ShardMask bit(unsigned shard) noexcept {
  return ShardMask{1} << shard;
}

class IsalCodec final : public Codec {
 public:
  explicit IsalCodec(Geometry geometry)
      : k_(geometry.data_shards), m_(geometry.parity_shards), matrix_(std::size_t{k_ + m_} * k_) {
    gf_gen_cauchy1_matrix(matrix_.data(), static_cast<int>(k_ + m_), static_cast<int>(k_));
    encode_tables_.resize(kTableBytes * k_ * m_);
    if (m_ > 0)
      ec_init_tables(static_cast<int>(k_), static_cast<int>(m_), matrix_.data() + std::size_t{k_} * k_,
                     encode_tables_.data());
  }

  Geometry geometry() const noexcept override {
    return {static_cast<std::uint8_t>(k_), static_cast<std::uint8_t>(m_)};
  }

  void encode(std::span<const ByteSpan> data, std::span<const MutableByteSpan> parity) const override {
    CHECK(data.size() == k_ && parity.size() == m_);
    if (m_ == 0 || data[0].empty()) return;
    const std::size_t bytes = data[0].size();
    for (const ByteSpan shard : data) CHECK(shard.size() == bytes);
    for (const MutableByteSpan shard : parity) CHECK(shard.size() == bytes);
    if (k_ == 1) {  // copies
      std::memcpy(parity[0].data(), data[0].data(), bytes);
      return;
    }
    std::array<unsigned char*, kMaxDataShards> in{};
    std::array<unsigned char*, kMaxParityShards> out{};
    // ISA-L's prototypes lack const; it does not write through these
    for (unsigned i = 0; i < k_; ++i) in[i] = const_cast<unsigned char*>(data[i].data());
    for (unsigned i = 0; i < m_; ++i) out[i] = parity[i].data();
    run(bytes, m_, encode_tables_, in.data(), out.data());
  }

  Result<> reconstruct(std::span<const MutableByteSpan> shards, std::span<const bool> present,
                       std::span<const std::uint8_t> wanted) const override {
    CHECK(shards.size() == k_ + m_ && present.size() == k_ + m_);
    if (wanted.empty()) return {};
    ShardMask survivors = 0;
    std::array<unsigned char*, kMaxDataShards> in{};
    unsigned found = 0;
    for (unsigned i = 0; i < k_ + m_ && found < k_; ++i) {
      if (!present[i]) continue;
      survivors |= bit(i);
      in[found++] = shards[i].data();
    }
    if (found < k_) return fail(Errc::unavailable, "fewer shards than needed to reconstruct");
    const std::size_t bytes = shards[wanted[0]].size();
    if (bytes == 0) return {};
    std::array<unsigned char*, kMaxSetDrives> out{};
    ShardMask missing = 0;
    for (const std::uint8_t shard : wanted) {
      CHECK(shard < k_ + m_ && !present[shard] && shards[shard].size() == bytes);
      missing |= bit(shard);
    }
    if (k_ == 1) {
      for (const std::uint8_t shard : wanted) std::memcpy(shards[shard].data(), in[0], bytes);
      return {};
    }
    unsigned rows = 0;
    for (unsigned i = 0; i < k_ + m_; ++i)
      if (missing & bit(i)) out[rows++] = shards[i].data();
    const std::shared_ptr<const Tables> tables = decode_tables(survivors, missing);
    run(bytes, rows, *tables, in.data(), out.data());
    return {};
  }

 private:
  void run(std::size_t bytes, unsigned rows, const Tables& tables, unsigned char** in,
           unsigned char** out) const {
    ec_encode_data(static_cast<int>(bytes), static_cast<int>(k_), static_cast<int>(rows),
                   const_cast<unsigned char*>(tables.data()), in, out);
  }

  // The rows that turn the survivors (k of them, ascending) into the missing shards (ascending).
  std::shared_ptr<const Tables> decode_tables(ShardMask survivors, ShardMask missing) const {
    const std::uint64_t name = std::uint64_t{survivors} << 32 | missing;
    {
      const std::lock_guard lock(mutex_);
      if (const auto known = cache_.find(name); known != cache_.end()) return known->second;
    }
    auto tables = make_tables(survivors, missing);
    const std::lock_guard lock(mutex_);
    if (cache_.emplace(name, tables).second) {
      order_.push_back(name);
      if (order_.size() > kDecodeTables) {
        cache_.erase(order_.front());
        order_.pop_front();
      }
    }
    return tables;
  }

  std::shared_ptr<const Tables> make_tables(ShardMask survivors, ShardMask missing) const {
    std::array<unsigned char, kMaxDataShards * kMaxDataShards> kept{}, inverse{};
    unsigned row = 0;
    for (unsigned i = 0; i < k_ + m_; ++i) {
      if (!(survivors & bit(i))) continue;
      std::memcpy(kept.data() + std::size_t{row} * k_, matrix_.data() + std::size_t{i} * k_, k_);
      ++row;
    }
    // any k rows of a Cauchy matrix below an identity are independent
    CHECK(gf_invert_matrix(kept.data(), inverse.data(), static_cast<int>(k_)) == 0);
    const auto rows = static_cast<unsigned>(std::popcount(missing));
    std::vector<unsigned char> decode(std::size_t{rows} * k_);
    row = 0;
    for (unsigned i = 0; i < k_ + m_; ++i) {
      if (!(missing & bit(i))) continue;
      for (unsigned column = 0; column < k_; ++column) {
        unsigned char sum = 0;
        for (unsigned j = 0; j < k_; ++j)
          sum = static_cast<unsigned char>(
              sum ^ gf_mul(matrix_[std::size_t{i} * k_ + j], inverse[std::size_t{j} * k_ + column]));
        decode[std::size_t{row} * k_ + column] = sum;
      }
      ++row;
    }
    auto tables = std::make_shared<Tables>(kTableBytes * k_ * rows);
    ec_init_tables(static_cast<int>(k_), static_cast<int>(rows), decode.data(), tables->data());
    return tables;
  }

  const unsigned k_, m_;
  std::vector<unsigned char> matrix_;  // n rows of k: the identity, then parity
  Tables encode_tables_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::uint64_t, std::shared_ptr<const Tables>> cache_;
  mutable std::deque<std::uint64_t> order_;  // oldest first
};

}  // namespace

std::unique_ptr<Codec> make_isal_codec(Geometry geometry) {
  CHECK(make_geometry(geometry.data_shards, geometry.parity_shards).has_value());
  return std::make_unique<IsalCodec>(geometry);
}

std::shared_ptr<const Codec> CodecCache::get(Geometry geometry) {
  const std::lock_guard lock(mutex_);
  auto& codec = codecs_[{geometry.data_shards, geometry.parity_shards}];
  if (!codec) codec = make_isal_codec(geometry);
  return codec;
}

}  // namespace ostraka::erasure
