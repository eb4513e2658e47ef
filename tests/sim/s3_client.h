// S3 requests as a client makes them, without a socket: signed, given to a net::Service, the answer recorded.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/service.h"
#include "runtime/event.h"
#include "tests/sim/sim_random.h"

namespace ostraka::sim {

inline constexpr std::string_view kRootUser = "simulated-root";
inline constexpr std::string_view kRootPassword = "simulated-password";

struct S3Request {
  std::string method = "GET";
  std::string target = "/";
  net::Headers headers;
  std::string body;
  bool admin = false;  // to the console address
};

struct S3Reply {
  unsigned status = 0;  // 0: the connection ended without an answer
  net::Headers headers;
  std::string body;
  bool complete = false;
  std::size_t node = 0;  // that was asked
  bool ok() const noexcept { return status >= 200 && status < 300 && complete; }
  std::string etag() const;  // without quotes
  std::string code() const;  // of an error document
};

// One exchange. The server's side keeps it too: when the server dies, the client stops waiting and the
// server's coroutines still have somebody to talk to.
struct Exchange {
  S3Request request;
  S3Reply reply;
  bool over = false;
  Event answered;
  void end() {
    if (over) return;
    over = true;
    answered.set();
  }
};

// Signs the request and lets the service answer it. Ends the exchange.
Task<> serve(std::shared_ptr<Exchange> exchange, net::Service* service, Shard* shard, std::uint64_t seed);

// The texts of all elements of this name, in order; our own answers need no more of XML.
std::vector<std::string> elements(std::string_view xml, std::string_view name);
std::string element(std::string_view xml, std::string_view name);  // "": none
std::string unquoted(std::string etag);                            // as it stands in XML or in a header

}  // namespace ostraka::sim
