// What HttpClient has of one peer: connections that are kept, and requests that still need one. Internal to
// it.
#pragma once

#include <boost/intrusive/list.hpp>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "net/http_client.h"
#include "net/input_buffer.h"
#include "net/tls_stream.h"
#include "runtime/event.h"

namespace ostraka::net {

// What the connections of one peer, and those who make them, know together.
struct HttpClient::Contact {
  explicit Contact(Key k) : key(std::move(k)) {}
  const Key key;
  std::uint64_t signs = 0;  // of life so far: what only the process there can have sent
};

// One connection.
struct HttpClient::Wire {
  Wire(StreamWatch& watch, std::shared_ptr<Contact> peer) : contact(std::move(peer)), stream(watch) {}
  const std::shared_ptr<Contact> contact;
  Stream stream;
  InputBuffer input;
  TimePoint idle_since{};
  std::uint64_t generation = 0;  // of the certificates
  bool reused = false;
  bool answered = false;  // a byte of the current response has come
  bool keep_alive = false;
};

// A request that has no connection yet: it makes one, or stands in line.
struct HttpClient::Seeker
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
  explicit Seeker(std::shared_ptr<Contact> peer) : contact(std::move(peer)), signs(contact->signs) {}
  const std::shared_ptr<Contact> contact;
  // Times as HttpClient::look() counts them.
  Duration spent{};   // in all
  Duration silent{};  // since the last sign of life
  std::uint64_t signs;
  // While it stands in line: set when it may connect, was given a connection or has failed.
  Event woken;
  std::unique_ptr<Wire> given;
  std::optional<Error> failure;
  // While it connects.
  Stream* stream = nullptr;
  TlsStream* tls = nullptr;
  int tls_state = 0;
  bool too_long = false;  // so its stream was closed
  bool refused = false;   // by the host, at each of its addresses: nobody listens there
};

struct HttpClient::Peer {
  using Seekers = boost::intrusive::list<Seeker, boost::intrusive::constant_time_size<false>>;
  explicit Peer(Key key) : contact(std::make_shared<Contact>(std::move(key))) {}
  const std::shared_ptr<Contact> contact;
  std::vector<std::unique_ptr<Wire>> idle;
  Seekers connecting;
  Seekers line;  // nobody stands here while another may connect
};

}  // namespace ostraka::net
