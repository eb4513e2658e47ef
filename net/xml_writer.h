// XML text into a string, as S3 answers are written: a declaration, elements without white space between
// them, text escaped as AWS does.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace ostraka::net {

// Appends `text` with & < > " and control characters as references: keys may hold any of them.
void append_xml_escaped(std::string& out, std::string_view text);

// Not thread safe. Names are the program's own and go out as they are; only text is escaped.
class XmlWriter {
 public:
  XmlWriter();  // starts with the declaration
  // For answers of which the size is known roughly, such as listings.
  void reserve(std::size_t bytes) { out_.reserve(bytes); }
  XmlWriter& open(std::string_view name);
  XmlWriter& open(std::string_view name, std::string_view xmlns);  // with the attribute xmlns="..."
  // A raw attribute list, for example xsi:type="CanonicalUser": escape what comes from outside.
  XmlWriter& open_with(std::string_view name, std::string_view attributes);
  XmlWriter& close(std::string_view name);
  XmlWriter& element(std::string_view name, std::string_view text);
  XmlWriter& element(std::string_view name, const char* text) {
    return element(name, std::string_view(text));
  }
  template <std::integral Number>
    requires(!std::same_as<Number, bool>)
  XmlWriter& element(std::string_view name, Number number) {
    return number_element(name, static_cast<std::uint64_t>(number));  // not negative
  }
  XmlWriter& element(std::string_view name, bool value) = delete;  // say flag()
  XmlWriter& flag(std::string_view name, bool value);              // true or false
  XmlWriter& text(std::string_view text);
  const std::string& str() const noexcept { return out_; }
  std::string take() { return std::move(out_); }

 private:
  XmlWriter& number_element(std::string_view name, std::uint64_t number);
  std::string out_;
};

inline constexpr std::string_view kS3Namespace = "http://s3.amazonaws.com/doc/2006-03-01/";

}  // namespace ostraka::net
