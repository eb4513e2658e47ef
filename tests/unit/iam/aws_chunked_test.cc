#include "iam/aws_chunked.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/encoding.h"
#include "runtime/shard.h"
#include "tests/unit/iam/auth_support.h"

namespace ostraka::iam {
namespace {

using testing::Example;
using testing::request;

// Gives at most `step` bytes a read.
class TextSource final : public net::BodySource {
 public:
  TextSource(std::string text, std::size_t step) : text_(std::move(text)), step_(step) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    const std::size_t n = std::min({out.size(), step_, text_.size() - at_});
    std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(at_), n, out.begin());
    at_ += n;
    co_return n;
  }

 private:
  const std::string text_;
  const std::size_t step_;
  std::size_t at_ = 0;
};

struct Decoded {
  std::string payload;
  net::Headers trailers;
  Errc error = Errc::internal;
  bool ok = false;
};

Task<Decoded> read_to_end(AwsChunkedSource& source, std::size_t out_bytes) {
  Decoded decoded;
  std::vector<std::uint8_t> out(out_bytes);
  while (true) {
    const auto got = co_await source.read(out);
    if (!got) {
      decoded.error = got.code();
      const auto again = co_await source.read(out);
      EXPECT_TRUE(again.failed_with(got.code()));  // an error is for good
      co_return decoded;
    }
    if (*got == 0) break;
    decoded.payload.append(as_text(ByteSpan(out).first(*got)));
  }
  decoded.ok = true;
  decoded.trailers = source.trailers();
  co_return decoded;
}

Decoded decode(std::string coded, const Authentication& authentication, std::size_t step = 1U << 20,
               std::size_t out_bytes = 64U << 10) {
  SystemClock clock;
  Shard shard(0, clock, {});
  TextSource inner(std::move(coded), step);
  AwsChunkedSource source(inner, authentication);
  return run_to_end(shard, read_to_end(source, out_bytes));
}

Authentication unsigned_trailer(std::uint64_t decoded_length) {
  Authentication out;
  out.payload = PayloadKind::streaming_unsigned_trailer;
  out.decoded_length = decoded_length;
  return out;
}

// A signed upload as a client makes it.
struct Upload {
  Authentication authentication;
  ChunkSigning signing;
  std::string coded;

  Upload(PayloadKind kind, std::uint64_t decoded_length) {
    const Example example;
    net::RequestHead head =
        request(net::Method::put, "/b/k",
                {{"Host", "h"}, {"x-amz-decoded-content-length", std::to_string(decoded_length)}});
    signing =
        sign_request(head, example.spec(),
                     kind == PayloadKind::streaming_signed ? "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
                                                           : "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER");
    authentication = *example.verifier.verify(head);
  }
  Upload& chunk(std::string_view payload) {
    coded += fmt::format("{:x};chunk-signature={}\r\n{}\r\n", payload.size(), sign_chunk(signing, payload),
                         payload);
    return *this;
  }
  Upload& end() {
    coded += fmt::format("0;chunk-signature={}\r\n", sign_chunk(signing, ""));
    return *this;
  }
  Upload& trailer(std::string_view name, std::string_view value) {
    coded += fmt::format("{}:{}\r\n", name, value);
    canonical += fmt::format("{}:{}\n", to_lower(name), value);
    return *this;
  }
  Upload& sign_trailer() {
    coded += fmt::format("x-amz-trailer-signature:{}\r\n", sign_trailers(signing, canonical));
    return *this;
  }
  std::string canonical;
};

// "Transferring Payload in Multiple Chunks": 65 KiB of 'a' in chunks of 64 KiB.
TEST(AwsChunkedExamples, SignedChunks) {
  const Example example;
  const net::RequestHead head =
      request(net::Method::put, "/examplebucket/chunkObject.txt",
              {{"Host", "s3.amazonaws.com"},
               {"x-amz-date", "20130524T000000Z"},
               {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
               {"Authorization",
                "AWS4-HMAC-SHA256 "
                "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-"
                "encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-"
                "amz-storage-class,"
                "Signature=4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"},
               {"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"},
               {"Content-Encoding", "aws-chunked"},
               {"x-amz-decoded-content-length", "66560"},
               {"Content-Length", "66824"}});
  const auto authentication = example.verifier.verify(head);
  ASSERT_TRUE(authentication) << authentication.error().message;
  const std::string coded =
      "10000;chunk-signature=ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648\r\n" +
      std::string(65536, 'a') +
      "\r\n400;chunk-signature=0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497\r\n" +
      std::string(1024, 'a') +
      "\r\n0;chunk-signature=b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9\r\n\r\n";
  EXPECT_EQ(coded.size(), 66824U);
  const Decoded decoded = decode(coded, *authentication);
  EXPECT_TRUE(decoded.ok);
  EXPECT_EQ(decoded.payload, std::string(66560, 'a'));
}

TEST(AwsChunkedExamples, SignedChunksWithTrailer) {
  const Example example;
  const net::RequestHead head =
      request(net::Method::put, "/examplebucket/chunkObject.txt",
              {{"Host", "s3.amazonaws.com"},
               {"x-amz-date", "20130524T000000Z"},
               {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
               {"Authorization",
                "AWS4-HMAC-SHA256 "
                "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=content-"
                "encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-"
                "class;x-amz-trailer,"
                "Signature=106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"},
               {"x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"},
               {"Content-Encoding", "aws-chunked"},
               {"x-amz-decoded-content-length", "66560"},
               {"x-amz-trailer", "x-amz-checksum-crc32c"}});
  const auto authentication = example.verifier.verify(head);
  ASSERT_TRUE(authentication) << authentication.error().message;
  const std::string chunks =
      "10000;chunk-signature=b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n" +
      std::string(65536, 'a') +
      "\r\n400;chunk-signature=1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n" +
      std::string(1024, 'a') +
      "\r\n0;chunk-signature=2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n";
  const std::string checksum = "x-amz-checksum-crc32c:sOO8/Q==";
  const std::string signature =
      "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435";
  // As the SDKs write it, as the documentation prints it, and without the last line ends.
  for (const std::string& trailers :
       {checksum + "\r\n" + signature + "\r\n\r\n", checksum + "\n\r\n" + signature + "\n\r\n",
        "\r\n" + checksum + "\r\n" + signature + "\r\n"}) {
    const Decoded decoded = decode(chunks + trailers, *authentication);
    EXPECT_TRUE(decoded.ok) << to_string(decoded.error);
    EXPECT_EQ(decoded.payload, std::string(66560, 'a'));
    ASSERT_EQ(decoded.trailers.all().size(), 1U);
    EXPECT_EQ(decoded.trailers.get("x-amz-checksum-crc32c"), "sOO8/Q==");
  }
}

TEST(AwsChunked, UnsignedWithTrailers) {
  const std::string coded =
      "5\r\nhello\r\n6;ext=1\r\n world\r\n0\r\nX-Amz-Checksum-CRC32: DUoRhQ== \r\nx-other:1\r\n\r\n";
  for (const std::size_t step : {1U, 2U, 7U, 4096U}) {
    for (const std::size_t out_bytes : {1U, 3U, 4096U}) {
      const Decoded decoded = decode(coded, unsigned_trailer(11), step, out_bytes);
      EXPECT_TRUE(decoded.ok) << to_string(decoded.error);
      EXPECT_EQ(decoded.payload, "hello world");
      EXPECT_EQ(decoded.trailers.get("x-amz-checksum-crc32"), "DUoRhQ==");
      EXPECT_EQ(decoded.trailers.get("x-other"), "1");
    }
  }
}

TEST(AwsChunked, EmptyBodiesOfEachKind) {
  for (const char* coded :
       {"0\r\n\r\n", "0\r\n", "0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", "0\r\n\r\n\r\n"}) {
    const Decoded decoded = decode(coded, unsigned_trailer(0));
    EXPECT_TRUE(decoded.ok) << coded;
    EXPECT_EQ(decoded.payload, "");
  }
  Upload chunks(PayloadKind::streaming_signed, 0);
  chunks.end();
  EXPECT_TRUE(decode(chunks.coded + "\r\n", chunks.authentication).ok);
  Upload trailer(PayloadKind::streaming_signed_trailer, 0);
  trailer.end().trailer("x-amz-checksum-crc32", "AAAAAA==").sign_trailer();
  EXPECT_TRUE(decode(trailer.coded + "\r\n", trailer.authentication).ok);
}

TEST(AwsChunked, SignedChunksOfAnySizeInAnySplit) {
  Upload upload(PayloadKind::streaming_signed, 1 + 2000 + 300'000 + 5);
  const std::string big(300'000, 'x'), middle(2000, 'y');
  upload.chunk("1").chunk(middle).chunk(big).chunk("tail!").end();
  for (const std::size_t step : {1U, 100U, 1U << 20}) {
    const Decoded decoded = decode(upload.coded + "\r\n", upload.authentication, step, 1U << 20);
    EXPECT_TRUE(decoded.ok) << to_string(decoded.error);
    EXPECT_EQ(decoded.payload, "1" + middle + big + "tail!");
  }
}

TEST(AwsChunked, TrailersAreSignedInTheOrderOfTheirNames) {
  Upload upload(PayloadKind::streaming_signed_trailer, 2);
  upload.chunk("ab").end().trailer("x-amz-checksum-crc32", "a").trailer("x-amz-meta-z", "b").sign_trailer();
  std::string swapped = upload.coded;
  const std::string first = "x-amz-checksum-crc32:a\r\n", second = "x-amz-meta-z:b\r\n";
  const auto at = swapped.find(first);
  swapped.replace(at, first.size() + second.size(), second + first);
  EXPECT_TRUE(decode(upload.coded + "\r\n", upload.authentication).ok);
  EXPECT_TRUE(decode(swapped + "\r\n", upload.authentication).ok);
}

TEST(AwsChunked, NoFlippedByteChangesWhatIsAccepted) {
  Upload upload(PayloadKind::streaming_signed_trailer, 8);
  upload.chunk("abcd").chunk("efgh").end().trailer("x-amz-checksum-crc32", "AAAAAA==").sign_trailer();
  const std::string good = upload.coded + "\r\n";
  const Decoded whole = decode(good, upload.authentication);
  ASSERT_TRUE(whole.ok);
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 4);
    const Decoded decoded = decode(bad, upload.authentication);
    if (decoded.ok) {  // a blank in place of a carriage return, at the most
      EXPECT_EQ(good[i], '\r') << i;
      EXPECT_EQ(decoded.payload, whole.payload) << i;
      EXPECT_EQ(decoded.trailers.all(), whole.trailers.all()) << i;
    }
    EXPECT_TRUE(std::string_view("abcdefgh").starts_with(decoded.payload)) << i;
  }
}

TEST(AwsChunked, ABadChunkIsNotedBeforeItsLastBytesAreHandedOut) {
  Upload upload(PayloadKind::streaming_signed, 8);
  upload.chunk("abcd").chunk("efgh").end();
  std::string bad = upload.coded + "\r\n";
  bad[bad.find("efgh") + 1] = 'F';
  const Decoded decoded = decode(bad, upload.authentication);
  EXPECT_EQ(decoded.error, Errc::signature_mismatch);
  EXPECT_EQ(decoded.payload, "abcd");
}

TEST(AwsChunked, ChunksCannotBeReorderedOrDropped) {
  Upload one(PayloadKind::streaming_signed, 8);
  one.chunk("abcd");
  const std::string first = one.coded;
  one.chunk("efgh");
  const std::string second = one.coded.substr(first.size());
  one.end();
  const std::string last = one.coded.substr(first.size() + second.size()) + "\r\n";
  EXPECT_TRUE(decode(first + second + last, one.authentication).ok);
  EXPECT_EQ(decode(second + first + last, one.authentication).error, Errc::signature_mismatch);
  EXPECT_EQ(decode(first + first + last, one.authentication).error, Errc::signature_mismatch);
  EXPECT_EQ(decode(first + last, one.authentication).error, Errc::incomplete_body);
}

TEST(AwsChunked, EveryCutIsNoticed) {
  Upload upload(PayloadKind::streaming_signed_trailer, 8);
  upload.chunk("abcd").chunk("efgh").end().trailer("x-amz-checksum-crc32", "AAAAAA==").sign_trailer();
  for (std::size_t size = 0; size < upload.coded.size(); ++size) {
    const Decoded decoded = decode(upload.coded.substr(0, size), upload.authentication);
    EXPECT_FALSE(decoded.ok) << size;
    EXPECT_TRUE(decoded.error == Errc::incomplete_body || decoded.error == Errc::malformed) << size;
  }
}

TEST(AwsChunked, RefusesWhatIsMalformed) {
  const struct {
    std::string coded;
    std::uint64_t length;
    Errc error;
  } cases[] = {
      {"", 0, Errc::incomplete_body},
      {"\r\n", 0, Errc::malformed},
      {"z\r\n", 1, Errc::malformed},
      {"-1\r\n", 1, Errc::malformed},
      {"0x1\r\na\r\n0\r\n\r\n", 1, Errc::malformed},
      {"00000000000000001\r\na\r\n0\r\n\r\n", 1, Errc::malformed},
      {"ffffffffffffffff\r\na", 1, Errc::incomplete_body},
      {"1\r\nab\r\n0\r\n\r\n", 1, Errc::malformed},
      {"2\r\nab\r\n0\r\n\r\n", 1, Errc::incomplete_body},
      {"2\r\nab\r\n0\r\n\r\n", 3, Errc::incomplete_body},
      {"2\r\na", 2, Errc::incomplete_body},
      {"2\r\nab\r\n", 2, Errc::incomplete_body},
      {"2\r\nab\r\n0", 2, Errc::incomplete_body},
      {"0\r\nno colon\r\n\r\n", 0, Errc::malformed},
      {"0\r\n:value\r\n\r\n", 0, Errc::malformed},
      {"0\r\na:1", 0, Errc::incomplete_body},
      {"0\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0, Errc::malformed},
      {"0\r\n\r\n" + std::string(40, '\n'), 0, Errc::malformed},
      {std::string(5000, '0'), 0, Errc::malformed},
      {"0\r\na:" + std::string(5000, 'x') + "\r\n\r\n", 0, Errc::malformed},
  };
  for (const auto& c : cases) {
    const Decoded decoded = decode(c.coded, unsigned_trailer(c.length));
    EXPECT_FALSE(decoded.ok) << c.coded;
    EXPECT_EQ(decoded.error, c.error) << c.coded;
  }
  std::string many = "0\r\n";
  for (int i = 0; i < 17; ++i) many += fmt::format("x-{}:1\r\n", i);
  EXPECT_EQ(decode(many + "\r\n", unsigned_trailer(0)).error, Errc::malformed);
}

TEST(AwsChunked, SignedKindsWantSignatures) {
  Upload chunks(PayloadKind::streaming_signed, 1);
  EXPECT_EQ(decode("1\r\na\r\n0\r\n\r\n", chunks.authentication).error, Errc::malformed);
  EXPECT_EQ(decode("1;chunk-signature=\r\na\r\n", chunks.authentication).error, Errc::signature_mismatch);
  Upload trailer(PayloadKind::streaming_signed_trailer, 1);
  trailer.chunk("a").end();
  EXPECT_EQ(decode(trailer.coded + "x-amz-checksum-crc32:AAAAAA==\r\n\r\n", trailer.authentication).error,
            Errc::malformed);
  EXPECT_EQ(decode(trailer.coded + "x-amz-trailer-signature:00\r\n\r\n", trailer.authentication).error,
            Errc::signature_mismatch);
  EXPECT_EQ(decode(trailer.coded + "x-amz-trailer-signature:00\r\na:b\r\n\r\n", trailer.authentication).error,
            Errc::malformed);
}

}  // namespace
}  // namespace ostraka::iam
