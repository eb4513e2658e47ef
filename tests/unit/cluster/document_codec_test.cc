#include "cluster/document_codec.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace ostraka::cluster {
namespace {

StoredDocument document(std::uint64_t revision, std::string content) {
  return {revision, false, std::move(content)};
}

TEST(DocumentCodec, RoundTrip) {
  for (const auto& stored : {document(1, "{}"), document(~0ULL, std::string(100000, 'x')), document(7, ""),
                             StoredDocument{9, true, ""}}) {
    const auto decoded = decode_document("bucket/a", encode_document("bucket/a", stored));
    ASSERT_TRUE(decoded.has_value());
    EXPECT_EQ(*decoded, stored);
  }
}

TEST(DocumentCodec, GoldenBytes) {
  EXPECT_EQ(hex(encode_document("bucket/a", document(258, "{}"))),
            "010002010000000000007b7d37a9def6af0a812f");
}

TEST(DocumentCodec, EveryFlippedBitIsSeen) {
  const std::string good = encode_document("bucket/a", document(5, "{\"id\":1}"));
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(decode_document("bucket/a", bad).has_value()) << bit;
  }
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_TRUE(decode_document("bucket/a", good.substr(0, size)).failed_with(Errc::corrupt));
}

TEST(DocumentCodec, AnotherNameOrANewerVersionIsRefused) {
  std::string bytes = encode_document("bucket/a", document(5, "{}"));
  EXPECT_TRUE(decode_document("bucket/b", bytes).failed_with(Errc::corrupt));
  bytes[0] = 2;
  EXPECT_TRUE(decode_document("bucket/a", bytes).failed_with(Errc::unsupported_version));
}

}  // namespace
}  // namespace ostraka::cluster
