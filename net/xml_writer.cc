#include "net/xml_writer.h"

#include <array>
#include <charconv>

namespace ostraka::net {
namespace {

constexpr std::array<bool, 256> kNeedsEscape = [] {
  std::array<bool, 256> table{};
  for (std::size_t c = 0; c < 0x20; ++c) table[c] = true;
  for (const char c : {'&', '<', '>', '"', '\x7f'}) table[static_cast<unsigned char>(c)] = true;
  return table;
}();

void append_reference(std::string& out, unsigned char c) {
  switch (c) {
    case '&':
      out += "&amp;";
      return;
    case '<':
      out += "&lt;";
      return;
    case '>':
      out += "&gt;";
      return;
    case '"':
      out += "&quot;";
      return;
    default:
      break;
  }
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  out += "&#x";
  if (c >= 16) out += kDigits[c / 16];
  out += kDigits[c % 16];
  out += ';';
}

}  // namespace

void append_xml_escaped(std::string& out, std::string_view text) {
  std::size_t plain = 0;  // start of the run that needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (!kNeedsEscape[c]) continue;
    out += text.substr(plain, i - plain);
    append_reference(out, c);
    plain = i + 1;
  }
  out += text.substr(plain);
}

XmlWriter::XmlWriter() : out_("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {}

XmlWriter& XmlWriter::open(std::string_view name) {
  out_ += '<';
  out_ += name;
  out_ += '>';
  return *this;
}

XmlWriter& XmlWriter::open(std::string_view name, std::string_view xmlns) {
  out_ += '<';
  out_ += name;
  out_ += " xmlns=\"";
  append_xml_escaped(out_, xmlns);
  out_ += "\">";
  return *this;
}

XmlWriter& XmlWriter::open_with(std::string_view name, std::string_view attributes) {
  out_ += '<';
  out_ += name;
  out_ += ' ';
  out_ += attributes;
  out_ += '>';
  return *this;
}

XmlWriter& XmlWriter::close(std::string_view name) {
  out_ += "</";
  out_ += name;
  out_ += '>';
  return *this;
}

XmlWriter& XmlWriter::element(std::string_view name, std::string_view text) {
  open(name);
  append_xml_escaped(out_, text);
  return close(name);
}

XmlWriter& XmlWriter::number_element(std::string_view name, std::uint64_t number) {
  std::array<char, 20> digits{};
  const auto end = std::to_chars(digits.begin(), digits.end(), number).ptr;
  open(name);
  out_.append(digits.begin(), end);
  return close(name);
}

XmlWriter& XmlWriter::flag(std::string_view name, bool value) {
  return element(name, value ? std::string_view("true") : std::string_view("false"));
}

XmlWriter& XmlWriter::text(std::string_view text) {
  append_xml_escaped(out_, text);
  return *this;
}

}  // namespace ostraka::net
