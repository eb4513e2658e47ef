#include "s3api/xml_reader.h"

#include <gtest/gtest.h>

#include "s3api/limits.h"
#include "s3api/xml_requests.h"

namespace ostraka::s3api {
namespace {

bool parses(std::string text) {
  return XmlDocument::parse(std::move(text), kSmallXml).has_value();
}

TEST(XmlReader, GivesLocalNamesAndText) {
  auto document = XmlDocument::parse(
      "\xEF\xBB\xBF<?xml version=\"1.0\"?><!-- c --><s3:Root xmlns:s3='x'>\n <A>1</A><B/><s3:A>2</s3:A> "
      "</s3:Root>",
      kSmallXml);
  ASSERT_TRUE(document);
  const XmlElement root = document->root();
  EXPECT_EQ(root.name(), "Root");
  EXPECT_EQ(root.text(), "");
  EXPECT_EQ(root.child_text("A"), "1");
  EXPECT_EQ(root.child_text("B"), "");
  EXPECT_EQ(root.child("C"), std::nullopt);
  EXPECT_EQ(root.first_child()->next_sibling()->next_sibling()->text(), "2");
  EXPECT_FALSE(root.first_child()->next_sibling()->next_sibling()->next_sibling());
}

TEST(XmlReader, KeepsTextWhole) {
  const auto text_of = [](std::string inner) {
    auto document = XmlDocument::parse("<A>" + inner + "</A>", kSmallXml);
    return document ? document->root().text() : "?";
  };
  EXPECT_EQ(text_of(" "), " ");
  EXPECT_EQ(text_of(" a b "), " a b ");
  EXPECT_EQ(text_of("a<!-- c -->b"), "ab");
  EXPECT_EQ(text_of("a<![CDATA[<&>]]>b"), "a<&>b");
  EXPECT_EQ(text_of("&lt;&gt;&amp;&quot;&apos;&#65;&#x20AC;&#x1;"), "<>&\"'A\xE2\x82\xAC\x01");
}

TEST(XmlReader, RefusesWhatARequestNeverNeeds) {
  EXPECT_TRUE(parses("<A/>"));
  EXPECT_FALSE(parses(""));
  EXPECT_FALSE(parses("text"));
  EXPECT_FALSE(parses("<A>"));
  EXPECT_FALSE(parses("<A></B>"));
  EXPECT_FALSE(parses("</A>"));
  EXPECT_FALSE(parses("<A/><B/>"));
  EXPECT_FALSE(parses("<!DOCTYPE A><A/>"));
  EXPECT_FALSE(parses("<A>&entity;</A>"));
  EXPECT_FALSE(parses("<A>a & b</A>"));
  EXPECT_FALSE(parses("<A>&#0;</A>"));
  EXPECT_FALSE(parses("<A>&#x110000;</A>"));
  EXPECT_FALSE(parses("<A>&#xD800;</A>"));
  EXPECT_FALSE(parses("<A>\xFF</A>"));
  EXPECT_FALSE(parses(std::string("<A>\0</A>", 8)));
  EXPECT_FALSE(parses("<A b='&nope;'/>"));
  EXPECT_FALSE(parses("<A><![CDATA[</A>"));
  EXPECT_FALSE(parses("<A><!-- </A>"));
}

TEST(XmlReader, BoundsDepthElementsAndSize) {
  const auto nested = [](std::size_t depth) {
    std::string out;
    for (std::size_t i = 0; i < depth; ++i) out += "<A>";
    for (std::size_t i = 0; i < depth; ++i) out += "</A>";
    return out;
  };
  EXPECT_TRUE(parses(nested(kMaxXmlDepth)));
  EXPECT_FALSE(parses(nested(kMaxXmlDepth + 1)));
  std::string wide = "<A>";
  for (int i = 0; i < 9; ++i) wide += "<B/>";
  constexpr XmlLimits kTen{.bytes = 1000, .nodes = 10};
  EXPECT_TRUE(XmlDocument::parse(wide + "</A>", kTen));
  EXPECT_FALSE(XmlDocument::parse(wide + "<B/></A>", kTen));
  for (const char* node : {"<!---->", "<?a?>", "<![CDATA[]]>"}) {
    std::string nine = "<A>";
    for (int i = 0; i < 9; ++i) nine += node;
    EXPECT_TRUE(XmlDocument::parse(nine + "</A>", kTen)) << node;
    EXPECT_FALSE(XmlDocument::parse(nine + node + "</A>", kTen)) << node;
  }
  std::string attributes = "<A";
  for (int i = 0; i < 9; ++i) attributes += " a='='";
  EXPECT_TRUE(XmlDocument::parse(attributes + "/>", kTen));
  EXPECT_FALSE(XmlDocument::parse(attributes + " b='>'/>", kTen));
  const auto large = XmlDocument::parse("<A>" + std::string(1000, 'x') + "</A>", kTen);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().code(), "MaxMessageLengthExceeded");
}

TEST(XmlRequests, DeleteAThousandKeys) {
  const auto list = [](int keys, std::string_view more) {
    std::string out = "<Delete>";
    for (int i = 0; i < keys; ++i) {
      out += "<Object><Key>k</Key><VersionId>null</VersionId><ETag>e</ETag><Size>1</Size></Object>";
    }
    return parse_delete_objects(out.append(more) + "</Delete>");
  };
  EXPECT_TRUE(list(1000, "<Quiet>true</Quiet>"));
  const auto more = list(1001, "");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code(), "MalformedXML");
}

TEST(XmlRequests, ReadTenThousandParts) {
  std::string body = "<CompleteMultipartUpload>";
  for (int i = 1; i <= 10'000; ++i) {
    body += "<Part><PartNumber>" + std::to_string(i) +
            "</PartNumber><ETag>\"0123456789abcdef0123456789abcdef\"</ETag>" +
            "<ChecksumSHA256>LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=</ChecksumSHA256></Part>";
  }
  auto parts = parse_complete_upload(body + "</CompleteMultipartUpload>");
  ASSERT_TRUE(parts) << parts.error().message();
  ASSERT_EQ(parts->size(), 10'000U);
  EXPECT_EQ(parts->back().number, 10'000U);
  EXPECT_EQ(parts->back().etag, "0123456789abcdef0123456789abcdef");
  EXPECT_EQ(parts->back().algorithm, ChecksumAlgorithm::sha256);
  body += "<Part><PartNumber>1</PartNumber><ETag>\"0\"</ETag></Part></CompleteMultipartUpload>";
  EXPECT_FALSE(parse_complete_upload(body));
}

TEST(XmlRequests, ReadTags) {
  const auto tags = parse_tagging(
      "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>c</Key><Value/></Tag></TagSet></"
      "Tagging>");
  ASSERT_TRUE(tags);
  EXPECT_EQ(*tags, (disk::StringPairs{{"a", "b"}, {"c", ""}}));
  const auto twice = parse_tagging(
      "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag><Tag><Key>a</Key><Value>c</Value></Tag></"
      "TagSet></Tagging>");
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code(), "InvalidTag");
  EXPECT_FALSE(parse_tagging("<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>"));
}

}  // namespace
}  // namespace ostraka::s3api
