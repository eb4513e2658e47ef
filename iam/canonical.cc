#include "iam/canonical.h"

#include <algorithm>
#include <array>
#include <vector>

#include "base/encoding.h"
#include "base/hash.h"

namespace ostraka::iam {

namespace {

constexpr char kHexUpper[] = "0123456789ABCDEF";

enum class Coding { path, query };

constexpr auto kUnreserved = [] {
  std::array<bool, 256> table{};
  for (const char c :
       std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

constexpr int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Decodes and encodes in one pass, since this runs for every request.
bool append_recoded(std::string& out, std::string_view raw, Coding coding) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    auto byte = static_cast<unsigned char>(raw[i]);
    if (byte == '%') {
      if (i + 2 >= raw.size()) return false;
      const int high = hex_value(raw[i + 1]);
      const int low = hex_value(raw[i + 2]);
      if (high < 0 || low < 0) return false;
      byte = static_cast<unsigned char>(high << 4 | low);
      i += 2;
    } else if (byte == '+' && coding == Coding::query) {
      byte = ' ';
    }
    if (kUnreserved[byte] || (byte == '/' && coding == Coding::path)) {
      out += static_cast<char>(byte);
    } else {
      out += '%';
      out += kHexUpper[byte >> 4];
      out += kHexUpper[byte & 15];
    }
  }
  return true;
}

bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}

void append_header_value(std::string& out, std::string_view value) {
  value = trim(value);
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!is_blank(value[i])) {
      out += value[i];
    } else if (!is_blank(value[i - 1])) {  // trimmed: a blank is never first
      out += ' ';
    }
  }
}

}  // namespace

Target split_target(std::string_view target) noexcept {
  if (!target.starts_with('/')) {
    // absolute-form (RFC 9112, 3.2.2): skip scheme and authority
    const auto scheme = target.find("://");
    if (scheme != std::string_view::npos && scheme < target.find('?')) {
      const auto path = target.find_first_of("/?", scheme + 3);
      target = path == std::string_view::npos ? std::string_view() : target.substr(path);
    }
  }
  const auto question = target.find('?');
  if (question == std::string_view::npos) return {target, {}};
  return {target.substr(0, question), target.substr(question + 1)};
}

bool next_parameter(std::string_view& query, RawParameter& out) noexcept {
  while (query.starts_with('&')) query.remove_prefix(1);
  if (query.empty()) return false;
  const std::string_view pair = query.substr(0, query.find('&'));
  query.remove_prefix(pair.size());
  const auto equals = pair.find('=');
  out = equals == std::string_view::npos ? RawParameter{pair, {}}
                                         : RawParameter{pair.substr(0, equals), pair.substr(equals + 1)};
  return true;
}

bool next_signed_header(std::string_view& list, std::string_view& name) noexcept {
  if (list.empty()) return false;
  name = list.substr(0, list.find(';'));
  list.remove_prefix(std::min(list.size(), name.size() + 1));
  return true;
}

bool append_canonical_path(std::string& out, std::string_view raw_path) {
  if (raw_path.empty()) {
    out += '/';
    return true;
  }
  return append_recoded(out, raw_path, Coding::path);
}

bool append_canonical_query(std::string& out, std::string_view raw_query, std::string_view left_out_name) {
  if (raw_query.empty()) return true;
  // All encoded parameters one after the other in one string, and where each lies in it, sorted.
  struct Place {
    std::size_t name, value, end;
  };
  std::string encoded;
  encoded.reserve(raw_query.size() + 32);
  std::vector<Place> places;
  RawParameter parameter;
  while (next_parameter(raw_query, parameter)) {
    if (!left_out_name.empty() && parameter.name == left_out_name) continue;
    Place place{.name = encoded.size(), .value = 0, .end = 0};
    if (!append_recoded(encoded, parameter.name, Coding::query)) return false;
    place.value = encoded.size();
    if (!append_recoded(encoded, parameter.value, Coding::query)) return false;
    place.end = encoded.size();
    places.push_back(place);
  }
  const std::string_view all = encoded;
  const auto name_of = [all](const Place& p) { return all.substr(p.name, p.value - p.name); };
  const auto value_of = [all](const Place& p) { return all.substr(p.value, p.end - p.value); };
  std::sort(places.begin(), places.end(), [&](const Place& a, const Place& b) {
    const int order = name_of(a).compare(name_of(b));
    return order != 0 ? order < 0 : value_of(a) < value_of(b);
  });
  bool first = true;
  for (const Place& place : places) {
    if (!first) out += '&';
    first = false;
    out += name_of(place);
    out += '=';
    out += value_of(place);
  }
  return true;
}

void append_canonical_headers(std::string& out, const net::Headers& headers,
                              std::string_view signed_headers) {
  std::string_view name;
  while (next_signed_header(signed_headers, name)) {
    out += name;
    out += ':';
    bool first = true;
    for (const auto& [header, value] : headers.all()) {
      if (!iequals(header, name)) continue;
      if (!first) out += ',';
      first = false;
      append_header_value(out, value);
    }
    out += '\n';
  }
}

std::optional<std::string> canonical_request(const CanonicalSpec& spec) {
  std::string out;
  out.reserve(768);
  out += spec.method;
  out += '\n';
  if (!append_canonical_path(out, spec.target.path)) return std::nullopt;
  out += '\n';
  if (!append_canonical_query(out, spec.target.query, spec.left_out_parameter)) return std::nullopt;
  out += '\n';
  append_canonical_headers(out, spec.headers, spec.signed_headers);
  out += '\n';
  out += spec.signed_headers;
  out += '\n';
  out += spec.payload_hash;
  return out;
}

std::string string_to_sign(std::string_view amz_date, std::string_view scope,
                           std::string_view canonical_request) {
  std::string out;
  out.reserve(160);
  out += "AWS4-HMAC-SHA256\n";
  out += amz_date;
  out += '\n';
  out += scope;
  out += '\n';
  out += hex(digest(DigestKind::sha256, canonical_request));
  return out;
}

}  // namespace ostraka::iam
