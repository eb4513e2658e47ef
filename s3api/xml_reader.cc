#include "s3api/xml_reader.h"

#include <algorithm>
#include <pugixml.hpp>

#include "base/encoding.h"

namespace ostraka::s3api {

namespace {

constexpr unsigned kParseOptions = pugi::parse_escapes | pugi::parse_cdata | pugi::parse_eol |
                                   pugi::parse_wconv_attribute | pugi::parse_ws_pcdata_single;

bool is_hex_digit(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// text begins after '&'. The length of a reference with its ';', or 0 when it is not one of the five names or
// a character of Unicode.
std::size_t reference_length(std::string_view text) noexcept {
  for (const std::string_view name : {"amp;", "lt;", "gt;", "quot;", "apos;"}) {
    if (text.starts_with(name)) return name.size();
  }
  if (!text.starts_with('#')) return 0;
  const bool is_hex = text.substr(1).starts_with('x');
  std::size_t at = is_hex ? 2 : 1;
  const std::size_t digits_begin = at;
  std::uint32_t value = 0;
  for (; at < text.size() && is_hex_digit(text[at]); ++at) {
    const char c = text[at];
    const auto digit = static_cast<std::uint32_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    if (!is_hex && digit > 9) return 0;
    value = value * (is_hex ? 16 : 10) + digit;
    if (value > 0x10FFFF) return 0;
  }
  if (at == digits_begin || at >= text.size() || text[at] != ';') return 0;
  if (value == 0 || (value >= 0xD800 && value <= 0xDFFF)) return 0;
  return at + 1;
}

// Walks over a document once, without building anything. pugixml checks that tags match; this bounds what it
// will build.
class Scan {
 public:
  Scan(std::string_view text, std::size_t max_nodes) noexcept : rest_(text), max_nodes_(max_nodes) {}

  bool acceptable() noexcept {
    while (!rest_.empty()) {
      const std::size_t markup = std::min(rest_.find('<'), rest_.size());
      if (!references_ok(rest_.substr(0, markup))) return false;
      rest_.remove_prefix(markup);
      if (!rest_.empty() && !skip_markup()) return false;
    }
    return has_root_ && depth_ == 0;
  }

 private:
  static bool references_ok(std::string_view text) noexcept {
    for (std::size_t at = text.find('&'); at != std::string_view::npos; at = text.find('&', at)) {
      const std::size_t length = reference_length(text.substr(at + 1));
      if (length == 0) return false;
      at += 1 + length;
    }
    return true;
  }

  bool skip_past(std::string_view end) noexcept {
    const std::size_t at = rest_.find(end);
    if (at == std::string_view::npos) return false;
    rest_.remove_prefix(at + end.size());
    return true;
  }

  bool skip_markup() noexcept {
    if (!rest_.starts_with("</") && ++nodes_ > max_nodes_) return false;
    if (rest_.starts_with("<!--")) return skip_past("-->");
    if (rest_.starts_with("<![CDATA[")) return depth_ > 0 && skip_past("]]>");
    if (rest_.starts_with("<!")) return false;  // a DTD
    if (rest_.starts_with("<?")) return skip_past("?>");
    return skip_tag();
  }

  bool skip_tag() noexcept {
    const bool closes = rest_.starts_with("</");
    char quote = '\0';
    std::size_t end = 1;
    for (; end < rest_.size(); ++end) {
      const char c = rest_[end];
      if (quote != '\0') {
        if (c == quote) quote = '\0';
      } else if (c == '"' || c == '\'') {
        quote = c;
      } else if (c == '=') {
        ++nodes_;  // an attribute
      } else if (c == '>') {
        break;
      } else if (c == '<') {
        return false;
      }
    }
    if (end >= rest_.size() || !references_ok(rest_.substr(0, end))) return false;
    const bool empty = rest_[end - 1] == '/';
    rest_.remove_prefix(end + 1);
    if (nodes_ > max_nodes_) return false;
    if (closes) return depth_-- > 0;
    if (depth_ == 0 && has_root_) return false;
    has_root_ = true;
    if (!empty) ++depth_;
    return depth_ <= kMaxXmlDepth;
  }

  std::string_view rest_;
  const std::size_t max_nodes_;
  std::size_t depth_ = 0;
  std::size_t nodes_ = 0;
  bool has_root_ = false;
};

pugi::xml_node_struct* skip_to_element(pugi::xml_node node) noexcept {
  while (node && node.type() != pugi::node_element) node = node.next_sibling();
  return node.internal_object();
}

}  // namespace

std::string_view XmlElement::name() const noexcept {
  const std::string_view full = pugi::xml_node(node_).name();
  const std::size_t colon = full.rfind(':');
  return colon == std::string_view::npos ? full : full.substr(colon + 1);
}

std::string XmlElement::text() const {
  std::string out;  // a comment or a CDATA section divides a text into several nodes
  for (auto node = pugi::xml_node(node_).first_child(); node; node = node.next_sibling()) {
    if (node.type() == pugi::node_element) return {};
    out += node.value();
  }
  return out;
}

std::optional<XmlElement> XmlElement::first_child() const noexcept {
  auto* node = skip_to_element(pugi::xml_node(node_).first_child());
  if (node == nullptr) return std::nullopt;
  return XmlElement(node);
}

std::optional<XmlElement> XmlElement::next_sibling() const noexcept {
  auto* node = skip_to_element(pugi::xml_node(node_).next_sibling());
  if (node == nullptr) return std::nullopt;
  return XmlElement(node);
}

std::optional<XmlElement> XmlElement::child(std::string_view name) const noexcept {
  for (auto element = first_child(); element; element = element->next_sibling()) {
    if (element->name() == name) return element;
  }
  return std::nullopt;
}

std::string XmlElement::child_text(std::string_view name) const {
  const auto element = child(name);
  return element ? element->text() : std::string();
}

XmlDocument::XmlDocument()
    : text_(std::make_unique<std::string>()), document_(std::make_unique<pugi::xml_document>()) {}
XmlDocument::XmlDocument(XmlDocument&&) noexcept = default;
XmlDocument& XmlDocument::operator=(XmlDocument&&) noexcept = default;
XmlDocument::~XmlDocument() = default;

S3Result<XmlDocument> XmlDocument::parse(std::string text, const XmlLimits& limits) {
  if (text.size() > limits.bytes) return refuse(error::kMaxMessageLengthExceeded);
  if (text.find('\0') != std::string::npos || !is_utf8(text) || !Scan(text, limits.nodes).acceptable()) {
    return refuse(error::kMalformedXml);
  }
  XmlDocument out;
  *out.text_ = std::move(text);
  const auto parsed = out.document_->load_buffer_inplace(out.text_->data(), out.text_->size(), kParseOptions,
                                                         pugi::encoding_utf8);
  if (!parsed || !out.document_->document_element()) return refuse(error::kMalformedXml);
  return out;
}

XmlElement XmlDocument::root() const noexcept {
  return XmlElement(document_->document_element().internal_object());
}

}  // namespace ostraka::s3api
