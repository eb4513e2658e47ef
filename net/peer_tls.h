// Mutual TLS between the nodes of a cluster, on the port that S3 clients use too. A peer says so in its first
// message (ALPN "ostraka-peer/1"), must show a certificate of the cluster's own authority, and is who its
// SPIFFE ID says. TLS 1.3 only, no resumption.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "net/certificate_expiry.h"
#include "net/spiffe.h"
#include "net/tls.h"
#include "runtime/fs.h"
#include "runtime/task.h"
#include "runtime/worker_pool.h"

namespace ostraka::net {

// One folder: ca.crt (the authorities to trust, more than one while they are changed), node.crt (this node's
// certificate, with its chain) and node.key, in PEM. Thread safe.
class PeerTls final : public TlsConnector {
 public:
  // The files must be there and usable now. Errors: those of Fs; malformed (naming what is wrong: a
  // certificate that names no node, that the authorities have not signed, that is not valid today).
  static Result<std::shared_ptr<PeerTls>> load(Fs& fs, std::string folder);
  // Reads the files again and takes them when they changed and are usable for the same node; otherwise the
  // old ones stay, and why is logged once. Sessions that run keep theirs.
  Task<> refresh();
  const NodeIdentity& self() const noexcept { return self_; }
  // Changes when new files were taken.
  std::uint64_t generation() const noexcept override { return generation_.load(std::memory_order_relaxed); }
  std::int64_t expires_unix_s() const noexcept { return expires_unix_s_.load(std::memory_order_relaxed); }

  // Logs that the certificate in use is about to expire, when it is time to say so. now: unix seconds.
  // Returns whether it did.
  bool tell_expiry(std::int64_t now);

  // node: the only one that is accepted at the other end.
  std::unique_ptr<TlsStream> connect(int socket, const std::string& node) const override;
  // A server's session: a peer is checked, and its name is TlsStream::peer(). All others get the certificate
  // of `others`, or are refused when it is nullptr. nullptr when out of memory.
  std::unique_ptr<TlsStream> accept(int socket, const TlsContext* others) const;

 private:
  using Context = std::shared_ptr<ssl_ctx_st>;
  struct Files {
    std::string authorities, certificate, key;
    bool operator==(const Files&) const = default;
  };
  struct Sides {
    Context client, server, nobody;  // nobody: refuses all that are no peers
    NodeIdentity self;
    Validity validity;
  };
  PeerTls(Fs& fs, std::string folder, Sides sides, Files files);
  static Result<Files> read_files(Fs& fs, const std::string& folder);
  static Result<Sides> build(const Files& files, const std::string& folder);
  Sides sides() const;
  void complain(const std::string& why);

  Fs& fs_;
  const std::string folder_;
  const NodeIdentity self_;
  mutable std::mutex mutex_;
  Sides sides_;
  Files in_use_;
  std::string complained_;  // of what was logged last
  CertificateExpiry expiry_{folder_ + "/node.crt"};
  std::atomic<std::uint64_t> generation_{1};
  std::atomic<std::int64_t> expires_unix_s_;
  WorkerPool reader_{"peer-tls-reader", 1};  // the folder may be on a slow or dead drive
};

}  // namespace ostraka::net
