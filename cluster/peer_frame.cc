#include "cluster/peer_frame.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/xxh3_stream.h"
#include "cluster/limits.h"

namespace ostraka::cluster {
namespace {

constexpr std::string_view kMagic = "OPF";
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kKindAt = 4, kHeadBytesAt = 8, kBodyBytesAt = 12, kHeadHashAt = 16, kBodyHashAt = 32,
                      kChecksumAt = 48;
constexpr std::size_t kMaxMethodBytes = 64;
constexpr std::size_t kMaxDetailBytes = 4096;
static_assert(kChecksumAt + 8 == kPeerFrameBytes);

template <class T>
void put(std::string& out, std::size_t at, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

template <class T>
T get(ByteSpan bytes, std::size_t at) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    value |= static_cast<T>(static_cast<T>(bytes[at + i]) << (8 * i));
  return value;
}

void put_hash(std::string& out, std::size_t at, const Hash128& hash) {
  put(out, at, hash.low);
  put(out, at + 8, hash.high);
}

Hash128 get_hash(ByteSpan bytes, std::size_t at) {
  return {get<std::uint64_t>(bytes, at), get<std::uint64_t>(bytes, at + 8)};
}

// Covers the method, so that no call is taken for another's.
std::uint64_t checksum(ByteSpan fields, std::string_view method) {
  std::string covered(as_text(fields));
  covered += method;
  return xxh3_64(as_bytes(covered));
}

Hash128 hash_of(const BufferChain& body) {
  if (body.empty()) return xxh3_128({});
  if (body.size() == 1) return xxh3_128(body[0].bytes);
  Xxh3Stream stream;
  for (const Slice& slice : body) stream.update(slice.bytes);
  return stream.value();
}

// The code of that name.
bool find_code(std::string_view name, Errc& out) {
  for (unsigned i = 0; i <= static_cast<unsigned>(Errc::internal); ++i) {
    const auto code = static_cast<Errc>(i);
    if (to_string(code) != name) continue;
    out = code;
    return true;
  }
  return false;
}

}  // namespace

bool is_peer_method(std::string_view method) noexcept {
  return !method.empty() && method.size() <= kMaxMethodBytes &&
         std::all_of(method.begin(), method.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
         });
}

std::uint64_t total_bytes(const BufferChain& body) noexcept {
  std::uint64_t bytes = 0;
  for (const Slice& slice : body) bytes += slice.bytes.size();
  return bytes;
}

std::string encode_frame(FrameKind kind, std::string_view method, std::string_view head,
                         const BufferChain& body, std::optional<Hash128> body_hash) {
  const std::uint64_t body_bytes = total_bytes(body);
  CHECK(head.size() <= kMaxPeerHead && body_bytes <= kMaxPeerBody);
  std::string out;
  out.reserve(kPeerFrameBytes + head.size());
  out.append(kMagic).push_back(static_cast<char>(kVersion));
  out.resize(kPeerFrameBytes);
  out[kKindAt] = static_cast<char>(kind);
  put(out, kHeadBytesAt, static_cast<std::uint32_t>(head.size()));
  put(out, kBodyBytesAt, static_cast<std::uint32_t>(body_bytes));
  put_hash(out, kHeadHashAt, xxh3_128(as_bytes(head)));
  put_hash(out, kBodyHashAt, body_hash ? *body_hash : hash_of(body));
  put(out, kChecksumAt, checksum(as_bytes(out).first(kChecksumAt), method));
  out += head;
  return out;
}

Result<PeerFrame> decode_frame(ByteSpan prefix, std::string_view method) {
  if (prefix.size() != kPeerFrameBytes || as_text(prefix.first(kMagic.size())) != kMagic)
    return fail(Errc::malformed, "not a peer frame");
  if (prefix[kMagic.size()] != kVersion) {
    return fail(Errc::unsupported_version, "a peer frame of version " +
                                               std::to_string(prefix[kMagic.size()]) + ", and we know " +
                                               std::to_string(kVersion));
  }
  if (get<std::uint64_t>(prefix, kChecksumAt) != checksum(prefix.first(kChecksumAt), method))
    return fail(Errc::corrupt, "a peer frame is not what was sent, or belongs to another call");
  PeerFrame frame;
  const std::uint8_t kind = prefix[kKindAt];
  if (kind < static_cast<std::uint8_t>(FrameKind::call) ||
      kind > static_cast<std::uint8_t>(FrameKind::error) || prefix[5] != 0 || prefix[6] != 0 ||
      prefix[7] != 0) {
    return fail(Errc::malformed, "a peer frame of unknown kind");
  }
  frame.kind = static_cast<FrameKind>(kind);
  frame.head_bytes = get<std::uint32_t>(prefix, kHeadBytesAt);
  frame.body_bytes = get<std::uint32_t>(prefix, kBodyBytesAt);
  frame.head_hash = get_hash(prefix, kHeadHashAt);
  frame.body_hash = get_hash(prefix, kBodyHashAt);
  if (frame.head_bytes > kMaxPeerHead || frame.body_bytes > kMaxPeerBody)
    return fail(Errc::too_large, "a peer call over the limit");
  return frame;
}

Result<> check_head(const PeerFrame& frame, std::string_view head) {
  if (xxh3_128(as_bytes(head)) == frame.head_hash) return {};
  return fail(Errc::corrupt, "the head of a peer call is not what was sent");
}

std::string encode_error(const Error& error) {
  const std::string_view name = to_string(error.code);
  std::string out(1, static_cast<char>(name.size()));
  out.append(name).append(error.detail, 0, kMaxDetailBytes);
  return out;
}

Error decode_error(std::string_view head) {
  const std::size_t length = head.empty() ? 0 : static_cast<unsigned char>(head[0]);
  if (length == 0 || head.size() < 1 + length) return {Errc::malformed, "a peer's error that does not parse"};
  const std::string_view name = head.substr(1, length);
  const std::string_view detail = head.substr(1 + length, kMaxDetailBytes);
  Error error;
  if (find_code(name, error.code)) {
    error.detail = detail;
  } else {
    error.detail = std::string(name) + ": " + std::string(detail);
  }
  return error;
}

}  // namespace ostraka::cluster
