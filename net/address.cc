#include "net/address.h"

#include <arpa/inet.h>

#include <array>

#include "base/encoding.h"

namespace ostraka::net {

Result<HostPort> parse_host_port(std::string_view text) {
  const auto bad = [text] {
    return fail(
        Errc::invalid_argument,
        "\"" + std::string(text) + "\" is not an address of the form host:port, [IPv6]:port or :port");
  };
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  const auto port = parse_u64(text.substr(colon + 1));
  if (!port || *port > 65535) return bad();
  std::string_view host = text.substr(0, colon);
  if (host.starts_with('[')) {
    if (host.size() < 3 || !host.ends_with(']')) return bad();
    host = host.substr(1, host.size() - 2);
  } else if (host.find_first_of(":[]") != std::string_view::npos) {
    return bad();  // an IPv6 address without brackets: where would it end?
  }
  return HostPort{.host = std::string(host), .port = static_cast<std::uint16_t>(*port)};
}

std::string to_string(const HostPort& address) {
  const bool is_v6 = address.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

bool is_ip_address(const std::string& host) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

}  // namespace ostraka::net
