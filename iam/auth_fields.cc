#include "iam/auth_fields.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/encoding.h"
#include "iam/canonical.h"

namespace ostraka::iam {

namespace {

bool lists(std::string_view signed_headers, std::string_view header) noexcept {
  std::string_view name;
  while (next_signed_header(signed_headers, name)) {
    if (iequals(name, header)) return true;
  }
  return false;
}

}  // namespace

bool read_header_auth(std::string_view text, HeaderAuth& out) noexcept {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    const std::string_view field = trim(part);
    if (field.empty()) continue;
    const auto equals = field.find('=');
    if (equals == std::string_view::npos) return false;
    const std::string_view name = field.substr(0, equals);
    std::string_view* const to = name == "Credential"      ? &out.credential
                                 : name == "SignedHeaders" ? &out.signed_headers
                                 : name == "Signature"     ? &out.signature
                                                           : nullptr;
    if (to == nullptr || !to->empty()) return false;
    *to = field.substr(equals + 1);
  }
  return true;
}

QueryAuth read_query_auth(std::string_view raw_query) {
  struct Known {
    std::string_view name;
    std::string QueryAuth::* field;
    bool marks_v4;  // a bare token or hash does not make a request a presigned one
  };
  static constexpr std::array<Known, 8> kKnown{{{"X-Amz-Algorithm", &QueryAuth::algorithm, true},
                                                {"X-Amz-Credential", &QueryAuth::credential, true},
                                                {"X-Amz-Date", &QueryAuth::date, false},
                                                {"X-Amz-Expires", &QueryAuth::expires, false},
                                                {"X-Amz-SignedHeaders", &QueryAuth::signed_headers, false},
                                                {"X-Amz-Signature", &QueryAuth::signature, true},
                                                {"X-Amz-Security-Token", &QueryAuth::token, false},
                                                {"X-Amz-Content-Sha256", &QueryAuth::content_sha256, false}}};
  QueryAuth out;
  bool v2_key = false, v2_signature = false;
  RawParameter parameter;
  while (next_parameter(raw_query, parameter)) {
    v2_key = v2_key || parameter.name == "AWSAccessKeyId";
    v2_signature = v2_signature || parameter.name == "Signature";
    if (!parameter.name.starts_with("X-Amz-")) continue;
    for (const Known& known : kKnown) {
      if (parameter.name != known.name) continue;
      std::string& field = out.*known.field;
      out.repeated = out.repeated || !field.empty();
      out.v4 = out.v4 || known.marks_v4;
      auto value = percent_decode(parameter.value, Plus::blank);
      out.malformed = out.malformed || !value;
      if (value) field = *std::move(value);
    }
  }
  out.v2 = v2_key && v2_signature;
  return out;
}

std::string uncovered_headers(const net::Headers& headers, std::string_view signed_headers) {
  constexpr std::string_view kPrefix = "x-amz-";
  std::string out;
  const auto add = [&out](std::string_view name) {
    if (!out.empty()) out += ", ";
    out += to_lower(name);
  };
  if (!lists(signed_headers, "host")) add("host");
  for (const auto& [name, value] : headers.all()) {
    const bool must_be_covered = iequals(std::string_view(name).substr(0, kPrefix.size()), kPrefix);
    if (must_be_covered && !lists(signed_headers, name)) add(name);
  }
  return out;
}

std::string signing_date(const net::Headers& headers) {
  const std::string* date = headers.find("x-amz-date");
  if (date == nullptr) date = headers.find("date");
  if (date == nullptr) return {};
  if (parse_amz_date(*date)) return *date;
  const auto time = parse_http_date(*date);
  return time ? amz_date(*time) : std::string();
}

}  // namespace ostraka::iam
