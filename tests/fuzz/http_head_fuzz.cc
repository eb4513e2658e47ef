// links: net base
// Heads of requests and responses, and chunked framing. Beyond not crashing: what is accepted has one reading
// only, and how the bytes of a chunked body were cut into reads does not matter.
#include <cstdlib>
#include <optional>
#include <string>

#include "net/chunk_decoder.h"
#include "net/http_head.h"

namespace {

using namespace ostraka;
using namespace ostraka::net;

void require(bool condition) {
  if (!condition) std::abort();
}

std::optional<std::string> decode(std::string_view text, std::size_t step) {
  ChunkDecoder decoder;
  std::string out;
  std::size_t at = 0;
  while (!decoder.ended() && at < text.size()) {
    const std::string_view now = text.substr(at, step);
    std::size_t used = 0;
    if (decoder.data_left() > 0) {
      used = std::min<std::uint64_t>(now.size(), decoder.data_left());
      out += now.substr(0, used);
      decoder.took_data(used);
    } else {
      const auto parsed = decoder.parse(as_bytes(now));
      if (!parsed) return std::nullopt;
      used = *parsed;
    }
    at += used;
  }
  return decoder.ended() ? std::optional(out) : std::nullopt;
}

void check_request(std::string_view bytes) {
  const auto parsed = parse_request(bytes);
  if (!parsed) return;
  const RequestHead& head = parsed->head;
  require(bytes.ends_with("\r\n\r\n") && find_head_end(bytes) == bytes.size());
  require(head.chunked != head.content_length.has_value());
  require(head.target.size() <= kMaxTargetBytes && head.headers.all().size() <= kMaxHeadFields);
  require(head.headers.find("Transfer-Encoding") == nullptr || head.chunked);
  require(!head.chunked || head.headers.find("Content-Length") == nullptr);
  for (const auto& [name, value] : head.headers.all()) {
    require(!name.empty() && name.find_first_of(": \t\r\n") == std::string::npos);
    require(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
  }
  // Written out again it means the same.
  std::string again =
      head.method_text + " " + head.target + (parsed->http_1_0 ? " HTTP/1.0\r\n" : " HTTP/1.1\r\n");
  for (const auto& [name, value] : head.headers.all()) append_header(again, name, value);
  again += "\r\n";
  const auto twice = parse_request(again);
  require(twice.has_value() && twice->head.target == head.target && twice->keep_alive == parsed->keep_alive);
  require(twice->head.headers.all() == head.headers.all() &&
          twice->head.content_length == head.content_length);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  check_request(bytes);
  const auto end = find_head_end(bytes);
  if (end) check_request(bytes.substr(0, *end));
  const auto response = parse_response(end ? bytes.substr(0, *end) : bytes);
  if (response) require(!(response->chunked && response->content_length));
  const auto whole = decode(bytes, size);
  require(whole == decode(bytes, 1) && whole == decode(bytes, 3));
  return 0;
}
