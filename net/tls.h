// TLS over OpenSSL 3, directly on the non-blocking socket (asio::ssl would copy everything through a BIO
// pair). TLS 1.2 and later.
#pragma once

#include <sys/uio.h>

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/fs.h"
#include "runtime/task.h"
#include "runtime/worker_pool.h"

struct ssl_st;
struct ssl_ctx_st;

namespace ostraka::net {

// One session on a connected, non-blocking socket that it does not own. Nothing blocks: a step says what to
// wait for before trying it again.
class TlsStream {
 public:
  enum class Want : std::uint8_t { nothing, read, write };
  struct Step {
    Want want = Want::nothing;
    std::size_t bytes = 0;  // done; 0 from read(): the peer has ended
    bool failed = false;
  };
  explicit TlsStream(ssl_st* session);  // takes it over
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;
  ~TlsStream();
  Step handshake();
  Step read(MutableByteSpan out);
  // Part of the bytes, at least one. After a step that wants something, call it again with the same bytes.
  Step write(std::span<const iovec> parts);
  void close_notify();  // best effort
  const std::string& failure() const noexcept { return failure_; }

 private:
  Step failed_or_wants(int outcome);
  ssl_st* session_;
  std::unique_ptr<std::uint8_t[]> staging_;  // small parts put together, so that they share a record
  std::string failure_;
};

// The certificate of a server: public.crt (the chain) and private.key in PEM in one folder. Thread safe.
class TlsContext {
 public:
  // The folder must hold a certificate and its key now. Errors: those of Fs, malformed.
  static Result<std::shared_ptr<TlsContext>> load(Fs& fs, std::string folder);
  // Reads the files again and takes them when they changed and fit together; otherwise the old ones stay, and
  // a bad pair is logged once. Sessions that run keep theirs.
  Task<> refresh();
  std::unique_ptr<TlsStream> accept(int socket) const;  // nullptr when out of memory

 private:
  using Context = std::shared_ptr<ssl_ctx_st>;
  struct Files {
    std::string certificate, key;
    bool operator==(const Files&) const = default;
  };
  TlsContext(Fs& fs, std::string folder) : fs_(fs), folder_(std::move(folder)) {}
  static Result<Files> read_files(Fs& fs, const std::string& folder);
  static Result<Context> build(const Files& files, const std::string& folder);

  Fs& fs_;
  const std::string folder_;
  mutable std::mutex mutex_;
  Context context_;
  Files seen_;
  WorkerPool reader_{"tls-reader", 1};  // the folder may be on a slow or dead drive
};

// What a client trusts. Thread safe.
class TlsClientContext {
 public:
  // certificates: PEM of the authorities to trust; empty: those of the system. Error: malformed.
  static Result<std::shared_ptr<TlsClientContext>> trust(std::string_view certificates);
  // host: a name or an address, which the server's certificate must carry.
  std::unique_ptr<TlsStream> connect(int socket, const std::string& host) const;

 private:
  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace ostraka::net
