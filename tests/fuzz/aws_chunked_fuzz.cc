// links: iam net runtime base
// The first two bytes choose the kind of payload and the decoded length, the rest is the coded body. It is
// decoded twice, in large reads and byte by byte: both must agree, and never give more than the announced
// length.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "iam/aws_chunked.h"
#include "runtime/shard.h"

namespace {

using namespace ostraka;

class BytesSource final : public net::BodySource {
 public:
  BytesSource(ByteSpan bytes, std::size_t step) : bytes_(bytes), step_(step) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    const std::size_t n = std::min({out.size(), step_, bytes_.size()});
    std::copy_n(bytes_.begin(), n, out.begin());
    bytes_ = bytes_.subspan(n);
    co_return n;
  }

 private:
  ByteSpan bytes_;
  const std::size_t step_;
};

struct Outcome {
  std::string payload;
  std::vector<net::Header> trailers;
  bool ok = false;
  Errc error = Errc::internal;
  bool operator==(const Outcome&) const = default;
};

Task<Outcome> drain(iam::AwsChunkedSource& source, std::size_t out_bytes) {
  Outcome outcome;
  std::vector<std::uint8_t> out(out_bytes);
  while (true) {
    const auto got = co_await source.read(out);
    if (!got) {
      outcome.error = got.code();
      // How much of an unfinished chunk was handed out before depends on the reads.
      outcome.payload.clear();
      co_return outcome;
    }
    if (*got == 0) break;
    outcome.payload.append(as_text(ByteSpan(out).first(*got)));
  }
  outcome.ok = true;
  outcome.trailers = source.trailers().all();
  co_return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static SystemClock clock;
  static Shard shard(0, clock, {});
  if (size < 2) return 0;
  iam::Authentication authentication;
  const iam::PayloadKind kinds[] = {iam::PayloadKind::streaming_unsigned_trailer,
                                    iam::PayloadKind::streaming_signed,
                                    iam::PayloadKind::streaming_signed_trailer};
  authentication.payload = kinds[data[0] % 3];
  authentication.decoded_length = data[1];
  if (iam::has_chunk_signatures(authentication.payload)) {
    authentication.chunk_signing = iam::ChunkSigning{.key = {},
                                                     .amz_date = "20130524T000000Z",
                                                     .scope = "20130524/us-east-1/s3/aws4_request",
                                                     .seed_signature = std::string(64, '0')};
  }
  const ByteSpan coded(data + 2, size - 2);
  BytesSource large(coded, 1U << 16), small(coded, 1);
  iam::AwsChunkedSource large_source(large, authentication), small_source(small, authentication);
  const Outcome a = run_to_end(shard, drain(large_source, 1U << 16));
  const Outcome b = run_to_end(shard, drain(small_source, 1));
  if (!(a == b)) std::abort();
  if (a.ok && a.payload.size() != authentication.decoded_length) std::abort();
  return 0;
}
