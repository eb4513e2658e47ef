// The two ends of ordinary TLS: the certificate of the S3 server, and what a client trusts. TLS 1.2 and
// later.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "net/tls_stream.h"
#include "runtime/fs.h"
#include "runtime/task.h"
#include "runtime/worker_pool.h"

namespace ostraka::net {

// Opens sessions as a client. Thread safe.
class TlsConnector {
 public:
  virtual ~TlsConnector() = default;
  // host: what the other side's certificate must carry. nullptr: no session can be made for it.
  virtual std::unique_ptr<TlsStream> connect(int socket, const std::string& host) const = 0;
  // Changes with the certificates: what was opened under another is not kept for long.
  virtual std::uint64_t generation() const noexcept { return 0; }
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
  std::shared_ptr<ssl_ctx_st> context() const;          // the one that new sessions use

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
class TlsClientContext final : public TlsConnector {
 public:
  // certificates: PEM of the authorities to trust; empty: those of the system. Error: malformed.
  static Result<std::shared_ptr<TlsClientContext>> trust(std::string_view certificates);
  // Shows itself to servers that ask for it, with the contents of public.crt (the chain) and private.key in
  // PEM. folder: for messages. Before the first connect(). Error: malformed.
  Result<> show(std::string_view chain, std::string_view key, const std::string& folder);
  // host: a name or an address.
  std::unique_ptr<TlsStream> connect(int socket, const std::string& host) const override;

 private:
  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace ostraka::net
