#include "cluster/peer_frame.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/encoding.h"
#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

BufferChain chain_of(std::initializer_list<std::string_view> texts) {
  BufferChain out;
  for (const std::string_view text : texts) {
    Buffer buffer = Buffer::on_heap(text.size());
    std::memcpy(buffer.data(), text.data(), text.size());
    const ByteSpan bytes = buffer.span().first(text.size());
    out.push_back(Slice{std::move(buffer), bytes});
  }
  return out;
}

TEST(PeerFrame, GoldenBytes) {
  const std::string frame = encode_frame(FrameKind::call, "drive.commit", "head", chain_of({"bo", "dy"}));
  EXPECT_EQ(hex(frame),
            "4f504601010000000400000004000000db72b1157fb14dacb906025da0f007eb106ec7ea97c4f1cb4af7a6ffccef7a17"
            "104333d320bd18bd68656164");
  EXPECT_EQ(frame, encode_frame(FrameKind::call, "drive.commit", "head", chain_of({"body"})));
}

TEST(PeerFrame, DecodesWhatWasEncoded) {
  for (const FrameKind kind : {FrameKind::call, FrameKind::answer, FrameKind::error}) {
    const std::string text = encode_frame(kind, "a.b", "the head", chain_of({"12345"}));
    const auto frame = decode_frame(as_bytes(text).first(kPeerFrameBytes), "a.b");
    ASSERT_TRUE(frame) << frame.error().detail;
    EXPECT_EQ(frame->kind, kind);
    EXPECT_EQ(frame->head_bytes, 8U);
    EXPECT_EQ(frame->body_bytes, 5U);
    EXPECT_EQ(frame->body_hash, xxh3_128(as_bytes("12345")));
    EXPECT_TRUE(check_head(*frame, text.substr(kPeerFrameBytes)));
    EXPECT_TRUE(check_head(*frame, "the hEad").failed_with(Errc::corrupt));
  }
}

TEST(PeerFrame, TheHashOfTheBodyMayBeGiven) {
  const BufferChain body = chain_of({"12345"});
  const Hash128 known = xxh3_128(as_bytes("12345"));
  EXPECT_EQ(encode_frame(FrameKind::answer, "a.b", "h", body, known),
            encode_frame(FrameKind::answer, "a.b", "h", body));
  const std::string none = encode_frame(FrameKind::answer, "a.b", "h", body, Hash128());
  const auto frame = decode_frame(as_bytes(none).first(kPeerFrameBytes), "a.b");
  ASSERT_TRUE(frame) << frame.error().detail;
  EXPECT_EQ(frame->body_hash, Hash128());
  EXPECT_EQ(frame->body_bytes, 5U);
}

TEST(PeerFrame, EveryFlippedBitIsSeen) {
  const std::string good = encode_frame(FrameKind::answer, "a.b", "h", chain_of({"b"}));
  for (std::size_t bit = 0; bit < kPeerFrameBytes * 8; ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode_frame(as_bytes(bad).first(kPeerFrameBytes), "a.b")) << bit;
  }
  EXPECT_TRUE(decode_frame(as_bytes(good).first(kPeerFrameBytes), "a.c").failed_with(Errc::corrupt));
  EXPECT_TRUE(decode_frame(as_bytes(good).first(10), "a.b").failed_with(Errc::malformed));
  std::string newer = good;
  newer[3] = 2;
  EXPECT_TRUE(
      decode_frame(as_bytes(newer).first(kPeerFrameBytes), "a.b").failed_with(Errc::unsupported_version));
}

TEST(PeerFrame, ErrorsKeepCodeAndDetail) {
  for (unsigned i = 0; i <= static_cast<unsigned>(Errc::internal); ++i) {
    const Error error{static_cast<Errc>(i), "why: \xc3\xa9"};
    const Error back = decode_error(encode_error(error));
    EXPECT_EQ(back.code, error.code);
    EXPECT_EQ(back.detail, error.detail);
  }
  const Error unknown = decode_error("\x0bout_of_time" + std::string("detail"));
  EXPECT_EQ(unknown.code, Errc::internal);
  EXPECT_EQ(unknown.detail, "out_of_time: detail");
  for (const std::string& bad : {std::string(), std::string("\0", 1),
                                 std::string("\x09"
                                             "refused")})
    EXPECT_EQ(decode_error(bad).code, Errc::malformed);
  EXPECT_EQ(decode_error(encode_error({Errc::io, std::string(100'000, 'x')})).detail.size(), 4096U);
}

TEST(PeerFrame, Methods) {
  for (const char* good : {"drive.commit", "lock.take", "a", "a_b-c.9"}) EXPECT_TRUE(is_peer_method(good));
  for (const std::string& bad : {std::string(), std::string("A"), std::string("a/b"), std::string("a b"),
                                 std::string("a\n"), std::string(65, 'a')}) {
    EXPECT_FALSE(is_peer_method(bad)) << bad;
  }
}

}  // namespace
}  // namespace ostraka::cluster
