#include "runtime/random.h"

#include <sys/random.h>

#include <cerrno>

#include "base/check.h"

namespace ostraka {

void SystemRandom::fill(MutableByteSpan out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    CHECK(got >= 0 || errno == EINTR);  // the kernel has no other way to fail here
    if (got > 0) out = out.subspan(static_cast<std::size_t>(got));
  }
}

Uuid make_uuid(Random& random) {
  Uuid id;
  random.fill(id.bytes);
  id.bytes[6] = static_cast<std::uint8_t>((id.bytes[6] & 0x0fU) | 0x40U);  // RFC 9562, version 4
  id.bytes[8] = static_cast<std::uint8_t>((id.bytes[8] & 0x3fU) | 0x80U);
  return id;
}

std::uint64_t random_u64(Random& random) {
  std::array<std::uint8_t, sizeof(std::uint64_t)> bytes{};
  random.fill(bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), sizeof value);
  return value;
}

}  // namespace ostraka
