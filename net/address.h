// "host:port" as people write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace ostraka::net {

struct HostPort {
  std::string host;  // a name or an address, IPv6 without brackets; empty: all addresses
  std::uint16_t port = 0;
};

// host:port, [v6]:port or :port. Error: invalid_argument, naming the text.
Result<HostPort> parse_host_port(std::string_view text);
std::string to_string(const HostPort& address);  // with brackets around IPv6
bool is_ip_address(const std::string& host);     // and not a name

}  // namespace ostraka::net
