#include "net/chunk_decoder.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "net/limits.h"

namespace ostraka::net {
namespace {

// Decodes `text`, given `step` bytes at a time; nullopt when malformed. `rest`: what is behind the body.
std::optional<std::string> decode(std::string_view text, std::size_t step, std::string* rest = nullptr) {
  ChunkDecoder decoder;
  std::string out;
  std::size_t at = 0;
  std::size_t seen = 0;
  while (!decoder.ended() && at < text.size()) {
    seen = std::min(text.size(), std::max(seen, at + step));
    const std::string_view now = text.substr(at, seen - at);
    if (decoder.data_left() > 0) {
      const std::size_t take = std::min<std::uint64_t>(now.size(), decoder.data_left());
      out += now.substr(0, take);
      decoder.took_data(take);
      at += take;
      continue;
    }
    const auto used = decoder.parse(as_bytes(now));
    if (!used) return std::nullopt;
    at += *used;
  }
  if (rest != nullptr) *rest = text.substr(at);
  return decoder.ended() ? std::optional(out) : std::nullopt;
}

TEST(ChunkDecoderTest, DecodesHoweverItIsCut) {
  const std::string text =
      "4\r\nWiki\r\n0005;a=b;c=\"d\"\r\npedia\r\nA \r\n0123456789\r\n00\r\nTrailer: x\r\nOther: "
      "y\r\n\r\nnext";
  for (std::size_t step = 1; step <= text.size(); ++step) {
    std::string rest;
    EXPECT_EQ(decode(text, step, &rest), "Wikipedia0123456789") << step;
    EXPECT_EQ(rest, "next");
  }
  EXPECT_EQ(decode("0\r\n\r\n", 100), "");
}

TEST(ChunkDecoderTest, RefusesWhatIsNotChunked) {
  const std::string long_extension = "1;" + std::string(kMaxChunkLineBytes, 'x') + "\r\na\r\n0\r\n\r\n";
  const std::string long_trailer = "0\r\nX: " + std::string(kMaxTrailerBytes, 'x') + "\r\n\r\n";
  const std::vector<std::string> bad = {"\r\n",
                                        "g\r\n",
                                        "-1\r\na\r\n",
                                        "0x1\r\na\r\n0\r\n\r\n",
                                        " 1\r\na\r\n0\r\n\r\n",
                                        "1\na\r\n0\r\n\r\n",
                                        "1\r\nab\r\n0\r\n\r\n",
                                        "1\r\na\n0\r\n\r\n",
                                        "1\r\na\r0\r\n\r\n",
                                        "1\r\na\r\n0\r\n\n",
                                        "1\r\r\na\r\n0\r\n\r\n",
                                        "1;\n\r\na\r\n0\r\n\r\n",
                                        "fffffffffffffffff\r\n",
                                        "0000000000000001\r\na\r\n0\r\n\r\n",
                                        "1\r\na\r\n0\r\nX: a\nb\r\n\r\n",
                                        ";x\r\n\r\n",
                                        long_extension,
                                        long_trailer};
  for (const std::string& text : bad) {
    for (const std::size_t step : {std::size_t{1}, text.size()}) EXPECT_FALSE(decode(text, step)) << text;
  }
}

TEST(ChunkDecoderTest, ATruncatedBodyHasNotEnded) {
  const std::string text = "3\r\nabc\r\n0\r\n\r\n";
  for (std::size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(decode(text.substr(0, size), 100)) << size;
}

}  // namespace
}  // namespace ostraka::net
