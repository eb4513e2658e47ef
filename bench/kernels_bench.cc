// The kernels of the data path, one by one: build/release/bin/kernels_bench
#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "base/checksum.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/md5_lanes.h"
#include "disk/drive.h"
#include "disk/key_state.h"
#include "disk/version_record.h"
#include "erasure/codec.h"
#include "iam/credentials.h"
#include "iam/signer.h"
#include "iam/sigv4.h"
#include "runtime/clock.h"

namespace ostraka {
namespace {

std::vector<std::uint8_t> bytes(std::size_t size) {
  std::vector<std::uint8_t> out(size);
  for (std::size_t i = 0; i < size; ++i) out[i] = static_cast<std::uint8_t>((i * 2654435761U) >> 13);
  return out;
}

void count_bytes(benchmark::State& state, std::size_t each) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations()) * static_cast<std::int64_t>(each));
}

void digest_of(benchmark::State& state, DigestKind kind) {
  const auto data = bytes(static_cast<std::size_t>(state.range(0)));
  Digest digest(kind);
  for (auto _ : state) {
    digest.update(ByteSpan{data});
    benchmark::DoNotOptimize(digest.finish());
  }
  count_bytes(state, data.size());
}
BENCHMARK_CAPTURE(digest_of, md5, DigestKind::md5)->Arg(4096)->Arg(1 << 20);
BENCHMARK_CAPTURE(digest_of, sha1, DigestKind::sha1)->Arg(1 << 20);
BENCHMARK_CAPTURE(digest_of, sha256, DigestKind::sha256)->Arg(4096)->Arg(1 << 20);

// Several messages side by side, slices as an upload hashes them; beside digest_of/md5, which is OpenSSL's.
void md5_lanes(benchmark::State& state, Md5Kernel kernel) {
  if (!is_supported(kernel)) return state.SkipWithError("not on this CPU");
  const auto lanes = static_cast<std::size_t>(state.range(0));
  const std::vector<std::vector<std::uint8_t>> data(lanes, bytes(kHashSliceBytes));
  std::vector<Md5> messages(lanes);
  for (auto _ : state) {
    Md5Batch batch;
    for (std::size_t i = 0; i < lanes; ++i) batch.add(messages[i], data[i]);
    batch.run(kernel);
  }
  count_bytes(state, lanes * kHashSliceBytes);
}
BENCHMARK_CAPTURE(md5_lanes, scalar, Md5Kernel::scalar)->Arg(1)->Arg(2)->Arg(4)->Arg(8);
BENCHMARK_CAPTURE(md5_lanes, avx2, Md5Kernel::avx2)->Arg(1)->Arg(2)->Arg(4)->Arg(8);
BENCHMARK_CAPTURE(md5_lanes, avx512, Md5Kernel::avx512)->Arg(1)->Arg(2)->Arg(4)->Arg(8);

void checksum_of(benchmark::State& state, ChecksumAlgorithm algorithm) {
  const auto data = bytes(1U << 20);
  const auto checksum = make_checksum(algorithm);
  for (auto _ : state) {
    checksum->update(data);
    benchmark::DoNotOptimize(checksum->finish());
  }
  count_bytes(state, data.size());
}
BENCHMARK_CAPTURE(checksum_of, crc32, ChecksumAlgorithm::crc32);
BENCHMARK_CAPTURE(checksum_of, crc32c, ChecksumAlgorithm::crc32c);
BENCHMARK_CAPTURE(checksum_of, crc64nvme, ChecksumAlgorithm::crc64nvme);
BENCHMARK_CAPTURE(checksum_of, xxhash3, ChecksumAlgorithm::xxhash3);

void block_hash(benchmark::State& state) {
  const auto data = bytes(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(xxh3_128(data));
  count_bytes(state, data.size());
}
BENCHMARK(block_hash)->Arg(1024)->Arg(176128);

// One stripe of 1 MiB in the geometry k+m.
struct Stripe {
  Stripe(unsigned k, unsigned m)
      : geometry(*erasure::make_geometry(k, m)),
        codec(erasure::make_isal_codec(geometry)),
        block(disk::shard_block_bytes(kStripeBytes, k)),
        memory(bytes(block * (k + m))) {
    for (unsigned i = 0; i < k + m; ++i) {
      shards.emplace_back(memory.data() + i * block, block);
      if (i < k)
        data.emplace_back(memory.data() + i * block, block);
      else
        parity.emplace_back(memory.data() + i * block, block);
    }
  }
  erasure::Geometry geometry;
  std::unique_ptr<erasure::Codec> codec;
  std::size_t block;
  std::vector<std::uint8_t> memory;
  std::vector<MutableByteSpan> shards, parity;
  std::vector<ByteSpan> data;
};

void encode_stripe(benchmark::State& state) {
  Stripe stripe(static_cast<unsigned>(state.range(0)), static_cast<unsigned>(state.range(1)));
  for (auto _ : state) stripe.codec->encode(stripe.data, stripe.parity);
  count_bytes(state, kStripeBytes);
}
BENCHMARK(encode_stripe)->Args({4, 2})->Args({6, 2})->Args({8, 4})->Args({16, 16});

void decode_stripe(benchmark::State& state) {
  Stripe stripe(static_cast<unsigned>(state.range(0)), static_cast<unsigned>(state.range(1)));
  stripe.codec->encode(stripe.data, stripe.parity);
  const auto present = std::make_unique<bool[]>(stripe.shards.size());
  std::vector<std::uint8_t> wanted;
  for (std::size_t i = 0; i < stripe.shards.size(); ++i) present[i] = i >= stripe.parity.size();
  for (std::uint8_t i = 0; i < stripe.parity.size(); ++i) wanted.push_back(i);
  for (auto _ : state) {
    const auto done = stripe.codec->reconstruct(stripe.shards, {present.get(), stripe.shards.size()}, wanted);
    if (!done) state.SkipWithError("reconstruct failed");
  }
  count_bytes(state, kStripeBytes);
}
BENCHMARK(decode_stripe)->Args({4, 2})->Args({6, 2})->Args({8, 4});

disk::VersionRecord sample_record() {
  disk::VersionRecord record;
  record.id = {0x0190000000000000ULL, 7};
  record.data_shards = 6;
  record.parity_shards = 2;
  record.write_quorum = 6;
  record.size = 4096;
  record.inline_data = true;
  record.etag = std::string(32, 'a');
  record.checksum_algorithm = ChecksumAlgorithm::crc64nvme;
  record.checksum = std::string(8, 'c');
  record.headers = {{"content-type", "application/octet-stream"}};
  record.user_metadata = {{"mtime", "1712345678.123"}};
  return record;
}

void encode_version_record(benchmark::State& state) {
  const auto record = sample_record();
  for (auto _ : state) benchmark::DoNotOptimize(disk::encode(record));
}
BENCHMARK(encode_version_record);

void decode_version_record(benchmark::State& state) {
  const std::string encoded = disk::encode(sample_record());
  for (auto _ : state) benchmark::DoNotOptimize(disk::decode_version_record(as_bytes(encoded)));
}
BENCHMARK(decode_version_record);

void key_row_round_trip(benchmark::State& state) {
  disk::KeyState key;
  disk::HeldVersion version;
  version.id = {0x0190000000000000ULL, 7};
  version.record = std::make_shared<const std::string>(disk::encode(sample_record()));
  key.versions.push_back(version);
  key.final_id = version.id;
  for (auto _ : state) benchmark::DoNotOptimize(disk::decode_key_row(disk::encode_key_row(key)));
}
BENCHMARK(key_row_round_trip);

// A request as SDKs send it, signed in the header.
void verify_signature(benchmark::State& state) {
  SystemClock clock;
  const iam::Secret secret("bench-secret-of-forty-characters-000000");
  const iam::RootCredentials store("bench-access-key", secret);
  const iam::SigV4Verifier verifier(store, "us-east-1", clock);
  net::RequestHead head;
  head.method = net::Method::head;
  head.method_text = "HEAD";
  head.target = "/bucket/some/folder/and%20an%20object.bin";
  head.headers = {{"Host", "127.0.0.1:9000"}, {"User-Agent", "bench"}};
  const iam::SigningSpec spec{
      .access_key = "bench-access-key", .secret = secret, .region = "us-east-1", .unix_ms = clock.unix_ms()};
  iam::sign_request(head, spec, "UNSIGNED-PAYLOAD");
  for (auto _ : state) {
    if (!verifier.verify(head)) state.SkipWithError("the signature does not verify");
  }
}
BENCHMARK(verify_signature);

}  // namespace
}  // namespace ostraka
