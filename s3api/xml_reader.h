// XML request bodies: pugixml behind a scan that bounds size, depth and number of nodes and refuses what a
// request never needs (DTDs, undefined entities, NUL), so that nothing expands and no text is cut short.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "s3api/limits.h"
#include "s3api/s3_error.h"

namespace pugi {
class xml_document;
class xml_node;
struct xml_node_struct;
}  // namespace pugi

namespace ostraka::s3api {

// An element of a document that outlives it. Names are local: a namespace prefix is left out.
class XmlElement {
 public:
  std::string_view name() const noexcept;
  std::string text() const;  // of the element itself; "" when empty or when it has elements inside
  // Iterates over the elements inside, in order.
  std::optional<XmlElement> first_child() const noexcept;
  std::optional<XmlElement> next_sibling() const noexcept;
  std::optional<XmlElement> child(std::string_view name) const noexcept;  // the first of that name
  std::string child_text(std::string_view name) const;                    // "" when absent

 private:
  friend class XmlDocument;
  explicit XmlElement(pugi::xml_node_struct* node) noexcept : node_(node) {}
  pugi::xml_node_struct* node_;
};

class XmlDocument {
 public:
  // Errors: MalformedXML; MaxMessageLengthExceeded beyond the bytes.
  static S3Result<XmlDocument> parse(std::string text, const XmlLimits& limits);
  XmlDocument(XmlDocument&&) noexcept;
  XmlDocument& operator=(XmlDocument&&) noexcept;
  ~XmlDocument();
  XmlElement root() const noexcept;

 private:
  XmlDocument();
  std::unique_ptr<std::string> text_;  // parsed in place
  std::unique_ptr<pugi::xml_document> document_;
};

}  // namespace ostraka::s3api
