#include "net/xml_writer.h"

#include <gtest/gtest.h>

namespace ostraka::net {
namespace {

TEST(XmlWriterTest, WritesElementsWithoutWhiteSpace) {
  XmlWriter xml;
  xml.open("ListBucketResult", kS3Namespace)
      .element("Name", "b")
      .element("MaxKeys", 1000)
      .flag("IsTruncated", false);
  xml.open("Contents")
      .element("Size", std::uint64_t{18446744073709551615U})
      .element("ETag", "\"abc\"")
      .close("Contents");
  xml.open_with("Grantee", "xsi:type=\"CanonicalUser\"").text("a<b").close("Grantee");
  xml.close("ListBucketResult");
  EXPECT_EQ(xml.take(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<ListBucketResult "
            "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name><MaxKeys>1000</MaxKeys>"
            "<IsTruncated>false</IsTruncated><Contents><Size>18446744073709551615</"
            "Size><ETag>&quot;abc&quot;</ETag></Contents>"
            "<Grantee xsi:type=\"CanonicalUser\">a&lt;b</Grantee></ListBucketResult>");
}

TEST(XmlWriterTest, EscapesWhatXmlAndClientsWouldLose) {
  std::string out;
  append_xml_escaped(out, std::string_view("a&b<c>d\"e'f\r\n\t\x01\x1f\x7f\xc3\xa9\0", 20));
  EXPECT_EQ(out, "a&amp;b&lt;c&gt;d&quot;e'f&#xD;&#xA;&#x9;&#x1;&#x1F;&#x7F;\xc3\xa9&#x0;");
  out.clear();
  append_xml_escaped(out, "");
  append_xml_escaped(out, "plain");
  EXPECT_EQ(out, "plain");
}

}  // namespace
}  // namespace ostraka::net
