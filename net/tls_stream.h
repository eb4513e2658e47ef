// One TLS session directly on a non-blocking socket (asio::ssl would copy everything through a BIO pair).
#pragma once

#include <sys/uio.h>

#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/bytes.h"
#include "base/result.h"

struct ssl_st;
struct ssl_ctx_st;

namespace ostraka::net {

struct TlsWire;

// On a connected socket that it does not own. Nothing blocks: a step says what to wait for before trying it
// again.
class TlsStream {
 public:
  enum class Want : std::uint8_t { nothing, read, write };
  struct Step {
    Want want = Want::nothing;
    std::size_t bytes = 0;  // done; 0 from read(): the peer has ended
    bool failed = false;
  };
  // Looks at the session when hands are shaken, and gives the name of the peer ("" for one without). An error
  // refuses the peer, and is then failure().
  using Check = std::function<Result<std::string>(ssl_st*)>;

  // keeps: a context that the session may still need while it shakes hands.
  TlsStream(std::shared_ptr<ssl_ctx_st> context, int socket, Check check,
            std::shared_ptr<ssl_ctx_st> keeps = {});
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();
  explicit operator bool() const noexcept { return session_ != nullptr; }  // false: out of memory
  ssl_st* session() noexcept { return session_; }

  Step handshake();
  const std::string& peer() const noexcept { return peer_; }  // once hands are shaken
  Step read(MutableByteSpan out);
  // Part of the bytes, at least one. What was taken may lie in our own buffer still: flush() until it wants
  // nothing before waiting for an answer. After a step that wants something, call it again with the same
  // bytes.
  Step write(std::span<const iovec> parts);
  Step flush();
  void close_notify();  // best effort
  const std::string& failure() const noexcept { return failure_; }

 private:
  Step failed_or_wants(int outcome);
  Step write_record(const std::uint8_t* bytes, std::size_t count);

  const std::unique_ptr<TlsWire> wire_;
  const std::shared_ptr<ssl_ctx_st> keeps_;
  const Check check_;
  ssl_st* session_;
  std::unique_ptr<std::uint8_t[]> staging_;  // small parts put together, so that they share a record
  std::string peer_;
  std::string failure_;
};

}  // namespace ostraka::net
