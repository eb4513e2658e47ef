#include "s3api/access_log.h"

#include <fmt/format.h>

#include "base/encoding.h"

namespace ostraka::s3api {

namespace {

// A bare word: percent-encoded, "-" when empty, as in AWS's server access logs.
std::string word(std::string_view text) {
  return text.empty() ? "-" : percent_encode(text, Slash::keep);
}

std::string quoted_text(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out += '"';
}

}  // namespace

std::string access_line(const AccessRecord& record) {
  return fmt::format(
      "access request_id={} remote={} access_key={} method={} operation={} bucket={} key={} status={} "
      "error={} bytes_in={} "
      "bytes_out={} us={} user_agent={}",
      word(record.request_id), record.remote, word(record.access_key), word(record.method), record.operation,
      word(record.bucket), word(record.key), record.status, word(record.error), record.bytes_in,
      record.bytes_out, record.us, quoted_text(record.user_agent));
}

}  // namespace ostraka::s3api
