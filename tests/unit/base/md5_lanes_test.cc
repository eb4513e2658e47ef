#include "base/md5_lanes.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "base/encoding.h"
#include "base/hash.h"

namespace ostraka {

void PrintTo(Md5Kernel kernel, std::ostream* out) {
  constexpr const char* kNames[] = {"scalar", "avx2", "avx512"};
  *out << kNames[static_cast<std::size_t>(kernel)];
}

namespace {

class Md5Kernels : public testing::TestWithParam<Md5Kernel> {
 protected:
  void SetUp() override {
    if (!is_supported(GetParam())) GTEST_SKIP() << "not on this CPU";
  }
  std::string text(std::size_t bytes) {
    std::string out(bytes, '\0');
    for (char& c : out) c = static_cast<char>(random_());
    return out;
  }
  std::size_t below(std::size_t bound) { return random_() % bound; }
  std::mt19937_64 random_{20260301};
};

TEST_P(Md5Kernels, Rfc1321) {
  const std::pair<std::string_view, std::string_view> cases[] = {
      {"", "d41d8cd98f00b204e9800998ecf8427e"},
      {"a", "0cc175b9c0f1b6a831c399e269772661"},
      {"abc", "900150983cd24fb0d6963f7d28e17f72"},
      {"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
      {"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
      {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", "d174ab98d277d9f5a5611c2c9f419d9f"},
      {"12345678901234567890123456789012345678901234567890123456789012345678901234567890",
       "57edf4a22be3c955ac49da2e2107b67a"}};
  for (const auto& [message, expected] : cases) {
    Md5 alone;
    alone.update(as_bytes(message), GetParam());
    EXPECT_EQ(hex(alone.finish()), expected);
    Md5 messages[3];
    Md5Batch batch;
    for (Md5& each : messages) batch.add(each, as_bytes(message));
    batch.run(GetParam());
    for (Md5& each : messages) EXPECT_EQ(hex(each.finish()), expected);
  }
}

TEST_P(Md5Kernels, EveryLengthAroundTheBlocks) {
  for (std::size_t length = 0; length <= 200; ++length) {
    const std::string message = text(length);
    Md5 alone;
    alone.update(as_bytes(message), GetParam());
    EXPECT_EQ(alone.finish(), digest(DigestKind::md5, message)) << length;
  }
}

// Messages of different lengths in pieces of different lengths, some alone, some side by side with others
// that come and go: what OpenSSL says of each whole message.
TEST_P(Md5Kernels, AgreesWithOpenSsl) {
  struct Message {
    std::string text;
    std::size_t taken = 0;
    Md5 md5;
  };
  for (int round = 0; round < 150; ++round) {
    std::vector<Message> messages(1 + below(2 * kMd5Lanes));
    for (Message& message : messages) message.text = text(below(round % 10 == 0 ? 20000 : 700));
    const auto piece_of = [&](Message& message) {
      const std::size_t left = message.text.size() - message.taken;
      const std::size_t bytes = below(4) == 0 ? left : below(left + 1);
      const std::string_view piece = std::string_view(message.text).substr(message.taken, bytes);
      message.taken += bytes;
      return as_bytes(piece);
    };
    for (bool all = false; !all;) {
      all = true;
      Md5Batch batch;
      for (Message& message : messages) {
        if (below(3) == 0 && !batch.is_full()) {
          batch.add(message.md5, piece_of(message));
        } else if (below(3) == 0) {
          message.md5.update(piece_of(message), GetParam());
        }
        all = all && message.taken == message.text.size();
      }
      batch.run(GetParam());
      EXPECT_EQ(batch.size(), 0U);
    }
    for (Message& message : messages) ASSERT_EQ(message.md5.finish(), digest(DigestKind::md5, message.text));
  }
}

TEST_P(Md5Kernels, AMessageMayChangeItsKernel) {
  const std::string message = text(5000);
  Md5 md5;
  md5.update(as_bytes(message).first(1000), Md5Kernel::scalar);
  md5.update(as_bytes(message).subspan(1000, 3000), GetParam());
  md5.update(as_bytes(message).subspan(4000), Md5Kernel::scalar);
  EXPECT_EQ(md5.finish(), digest(DigestKind::md5, message));
  EXPECT_EQ(md5.finish(), digest(DigestKind::md5, ""));  // ready for a new one
}

INSTANTIATE_TEST_SUITE_P(All, Md5Kernels,
                         testing::Values(Md5Kernel::scalar, Md5Kernel::avx2, Md5Kernel::avx512),
                         testing::PrintToStringParamName());

TEST(Md5Kernel, TheBestOneIsSupported) {
  EXPECT_TRUE(is_supported(Md5Kernel::scalar));
  EXPECT_TRUE(is_supported(best_md5_kernel()));
}

}  // namespace
}  // namespace ostraka
