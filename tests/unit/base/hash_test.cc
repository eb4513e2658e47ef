#include "base/hash.h"

#include <gtest/gtest.h>

#include "base/encoding.h"

namespace ostraka {
namespace {

TEST(Digest, PublishedValues) {
  EXPECT_EQ(hex(digest(DigestKind::md5, "abc")), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(hex(digest(DigestKind::sha1, "abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
  EXPECT_EQ(hex(digest(DigestKind::sha256, "abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(digest(DigestKind::sha256, "")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(digest(DigestKind::sha512, "abc")),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
            "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

TEST(Digest, StreamsAndStartsAnew) {
  for (const auto kind : {DigestKind::md5, DigestKind::sha1, DigestKind::sha256, DigestKind::sha512}) {
    Digest stream(kind);
    stream.update("a");
    stream.update("");
    stream.update("bc");
    EXPECT_EQ(stream.finish(), digest(kind, "abc"));
    stream.update("other");
    Digest moved(std::move(stream));
    EXPECT_EQ(moved.finish(), digest(kind, "other"));
    EXPECT_EQ(moved.finish(), digest(kind, ""));
    stream = std::move(moved);
    stream.update("abc");
    EXPECT_EQ(stream.finish(), digest(kind, "abc"));
  }
}

std::string hmac_hex(const std::string& key, std::string_view message) {
  return hex(ByteSpan(hmac_sha256(as_bytes(key), message)));
}

TEST(Hmac, Rfc4231) {
  EXPECT_EQ(hmac_hex(std::string(20, '\x0b'), "Hi There"),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hmac_hex("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hmac_hex(std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First"),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(hmac_hex("", ""), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(ConstantTimeEqual, Compares) {
  EXPECT_TRUE(constant_time_equal("", ""));
  EXPECT_TRUE(constant_time_equal("abc", "abc"));
  EXPECT_FALSE(constant_time_equal("abc", "abd"));
  EXPECT_FALSE(constant_time_equal("abc", "ab"));
}

// The reference vectors of the SipHash paper: key 00..0f, message 00..(n-1).
TEST(SipHash, ReferenceVectors) {
  std::array<std::uint8_t, 16> key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  std::string message;
  for (int i = 0; i < 15; ++i) message += static_cast<char>(i);
  EXPECT_EQ(siphash24(key, message), 0xa129ca6149be45e5ULL);
  EXPECT_EQ(siphash24(key, std::string_view(message).substr(0, 8)), 0x93f5f5799a932462ULL);
  EXPECT_EQ(siphash24(key, ""), 0x726fdb47dd0e0e31ULL);
}

TEST(Xxh3, KnownValuesOfNothing) {
  EXPECT_EQ(xxh3_64({}), 0x2d06800538d394c2ULL);
  EXPECT_EQ(xxh3_128({}), (Hash128{0x6001c324468d497fULL, 0x99aa06d3014798d8ULL}));
}

}  // namespace
}  // namespace ostraka
