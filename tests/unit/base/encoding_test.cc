#include "base/encoding.h"

#include <gtest/gtest.h>

namespace ostraka {
namespace {

using namespace std::literals;

TEST(Hex, RoundTrip) {
  EXPECT_EQ(hex("\x00\x7f\xff"sv), "007fff");
  EXPECT_EQ(unhex("007FfF"), "\x00\x7f\xff"s);
  EXPECT_EQ(unhex(""), "");
  EXPECT_FALSE(unhex("0"));
  EXPECT_FALSE(unhex("0g"));
}

TEST(Base64, Rfc4648Vectors) {
  const std::pair<std::string_view, std::string_view> vectors[] = {{"", ""},
                                                                   {"f", "Zg=="},
                                                                   {"fo", "Zm8="},
                                                                   {"foo", "Zm9v"},
                                                                   {"foob", "Zm9vYg=="},
                                                                   {"fooba", "Zm9vYmE="},
                                                                   {"foobar", "Zm9vYmFy"}};
  for (const auto& [raw, text] : vectors) {
    EXPECT_EQ(base64(raw), text);
    EXPECT_EQ(unbase64(text), raw);
  }
}

TEST(Base64, RoundTripsEveryByte) {
  std::string raw;
  for (int i = 0; i < 256; ++i) raw += static_cast<char>(i);
  for (std::size_t size = 250; size <= 256; ++size) {
    EXPECT_EQ(unbase64(base64(std::string_view(raw).substr(0, size))), raw.substr(0, size));
  }
}

TEST(Base64, IsStrict) {
  for (const char* text :
       {"Zg", "Zg=", "Z===", "====", "Zh==", "Zm9=", "Zm 9", "Zm9v\n", "Zg==Zg==", "Z-_v"}) {
    EXPECT_FALSE(unbase64(text)) << text;
  }
}

TEST(PercentEncoding, EncodesAsSigV4Wants) {
  EXPECT_EQ(percent_encode("aZ09-_.~ /+%\xc3\xa9", Slash::keep), "aZ09-_.~%20/%2B%25%C3%A9");
  EXPECT_EQ(percent_encode("a/b", Slash::encode), "a%2Fb");
}

TEST(PercentEncoding, DecodesOnce) {
  EXPECT_EQ(percent_decode("a%2525+b%c3%A9", Plus::literal), "a%25+b\xc3\xa9");
  EXPECT_EQ(percent_decode("a+b%2B", Plus::blank), "a b+");
  EXPECT_EQ(percent_decode("%00", Plus::literal), "\0"s);
  for (const char* text : {"%", "%2", "a%", "%zz", "%2g"})
    EXPECT_FALSE(percent_decode(text, Plus::literal)) << text;
}

TEST(Utf8, AcceptsAndRefuses) {
  for (const auto good : {""sv, "plain"sv, "\xc3\xa9"sv, "\xe2\x82\xac"sv, "\xf0\x9f\x98\x80"sv,
                          "\xed\x9f\xbf"sv, "\xf4\x8f\xbf\xbf"sv, "a\0b"sv}) {
    EXPECT_TRUE(is_utf8(good)) << hex(good);
  }
  for (const auto bad : {"\x80"sv, "\xc3"sv, "\xc0\x80"sv, "\xc1\xbf"sv, "\xe0\x9f\xbf"sv, "\xed\xa0\x80"sv,
                         "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv, "\xf5\x80\x80\x80"sv, "\xe2\x82"sv,
                         "\xc3z"sv, "\xf0\x9f\x98\x01"sv}) {
    EXPECT_FALSE(is_utf8(bad)) << hex(bad);
  }
}

TEST(Text, ComparesAndTrims) {
  EXPECT_TRUE(iequals("X-Amz-Date", "x-aMZ-date"));
  EXPECT_FALSE(iequals("a", "ab"));
  EXPECT_FALSE(iequals("@", "`"));
  EXPECT_EQ(to_lower("ABC-xyz[\\]"), "abc-xyz[\\]");
  EXPECT_EQ(trim(" \t a b\t "), "a b");
  EXPECT_EQ(trim(" \t"), "");
}

TEST(ParseU64, TakesDecimalsOnly) {
  EXPECT_EQ(parse_u64("0"), 0U);
  EXPECT_EQ(parse_u64("18446744073709551615"), ~0ULL);
  for (const char* text :
       {"", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616", "99999999999999999999"}) {
    EXPECT_FALSE(parse_u64(text)) << text;
  }
}

constexpr std::int64_t kMoment = 1769862896789;  // 2026-01-31T12:34:56.789Z

TEST(Dates, Print) {
  EXPECT_EQ(iso8601(kMoment), "2026-01-31T12:34:56.789Z");
  EXPECT_EQ(http_date(kMoment), "Sat, 31 Jan 2026 12:34:56 GMT");
  EXPECT_EQ(amz_date(kMoment), "20260131T123456Z");
  EXPECT_EQ(iso8601(-1), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(iso8601(951'782'400'000), "2000-02-29T00:00:00.000Z");
}

TEST(Dates, ParseIso8601) {
  EXPECT_EQ(parse_iso8601("2026-01-31T12:34:56.789Z"), kMoment);
  EXPECT_EQ(parse_iso8601("2026-01-31T12:34:56Z"), kMoment - 789);
  EXPECT_EQ(parse_iso8601("2026-01-31T12:34:56.7891234Z"), kMoment);
  EXPECT_EQ(parse_iso8601("2026-01-31T12:34:56.7Z"), kMoment - 89);
  EXPECT_EQ(parse_iso8601("2026-01-31T14:04:56.789+01:30"), kMoment);
  EXPECT_EQ(parse_iso8601("2026-01-31T11:34:56.789-01:00"), kMoment);
  for (const char* text :
       {"", "2026-01-31", "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-31T24:00:00Z",
        "2026-01-31T12:60:00Z", "2026-01-31T12:34:56", "2026-01-31T12:34:56.Z", "2026-01-31T12:34:56Zx",
        "2026-01-31T12:34:56+1:00", "2026-01-31T12:34:56+24:00"}) {
    EXPECT_FALSE(parse_iso8601(text)) << text;
  }
}

TEST(Dates, ParseTheThreeFormsOfHttp) {
  constexpr std::int64_t kRfcMoment = 784'111'777'000;
  EXPECT_EQ(parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT"), kRfcMoment);
  EXPECT_EQ(parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT"), kRfcMoment);
  EXPECT_EQ(parse_http_date("Sun Nov  6 08:49:37 1994"), kRfcMoment);
  EXPECT_EQ(parse_http_date("Wed Nov 16 08:49:37 1994"), kRfcMoment + 10 * 86'400'000LL);
  EXPECT_EQ(parse_http_date("1994-11-06T08:49:37Z"), kRfcMoment);
  for (const char* text :
       {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 6 Nov 1994 08:49:37 GMT", "06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 PST", "Sun Nov 6 08:49:37 1994"}) {
    EXPECT_FALSE(parse_http_date(text)) << text;
  }
}

TEST(Dates, ParseAmz) {
  EXPECT_EQ(parse_amz_date("20260131T123456Z"), kMoment - 789);
  for (const char* text :
       {"", "20260131", "20260131T123456", "20260131T123456ZZ", "20260231T123456Z", "2026013xT123456Z"}) {
    EXPECT_FALSE(parse_amz_date(text)) << text;
  }
}

}  // namespace
}  // namespace ostraka
