#include "net/peer_tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <array>
#include <ctime>

#include "base/bytes.h"
#include "base/log.h"
#include "net/aes_gcm.h"
#include "net/limits.h"
#include "net/openssl.h"

namespace ostraka::net {
namespace {

constexpr std::string_view kProtocol = "ostraka-peer/1";
constexpr std::string_view kProtocolList = "\x0eostraka-peer/1";  // as ALPN has it: lengths before names
static_assert(static_cast<std::size_t>(kProtocolList[0]) == kProtocol.size());
// AES-128 is the cheapest where the CPU has instructions for it; all nodes are ours, so nothing else is
// needed.
constexpr const char* kCiphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384";
constexpr unsigned char kSessions[] = "ostraka-peer";

const unsigned char* bytes_of(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Whether a ClientHello's ALPN extension (RFC 7301) offers the peer protocol.
bool offers_peer_protocol(SSL* session) {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(session, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &size) !=
      1) {
    return false;
  }
  std::string_view list = as_text({data, size});
  if (list.size() < 2) return false;
  list.remove_prefix(2);  // its own length
  while (!list.empty()) {
    const std::size_t length = static_cast<unsigned char>(list[0]);
    if (length + 1 > list.size()) return false;
    if (list.substr(1, length) == kProtocol) return true;
    list.remove_prefix(length + 1);
  }
  return false;
}

int choose_peer_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                         unsigned in_size, void*) {
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, bytes_of(kProtocolList),
                            static_cast<unsigned>(kProtocolList.size()), in,
                            in_size) != OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

// SSL_set_SSL_CTX brings certificate and key, the store and the callbacks of the new context, and nothing
// else: the rest is set on the session.
bool become_peer(SSL* session, SSL_CTX* peers) {
  if (SSL_set_SSL_CTX(session, peers) != peers) return false;
  SSL_set_verify(session, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_set_options(session, SSL_OP_NO_TICKET);
  SSL_set_default_read_buffer_len(session, kTlsReadBytes);
  return SSL_set1_verify_cert_store(session, SSL_CTX_get_cert_store(peers)) == 1 &&
         SSL_set_min_proto_version(session, TLS1_3_VERSION) == 1 &&
         SSL_set_ciphersuites(session, kCiphers) == 1 && SSL_set_num_tickets(session, 0) == 1 &&
         SSL_set_session_id_context(session, static_cast<const unsigned char*>(kSessions),
                                    sizeof kSessions - 1) == 1;
}

bool is_peer_protocol(SSL* session) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(session, &name, &size);
  return name != nullptr && as_text({name, size}) == kProtocol;
}

// All that must be true of a session between peers, whatever was configured before: then the peer's name.
Result<std::string> check_peer(SSL* session, const std::string& trust_domain) {
  if (!is_peer_protocol(session))
    return fail(Errc::access_denied, "the other side does not speak the peer protocol");
  X509* certificate = SSL_get0_peer_certificate(session);
  if (SSL_version(session) != TLS1_3_VERSION || SSL_session_reused(session) != 0 || certificate == nullptr ||
      SSL_get_verify_result(session) != X509_V_OK) {
    return fail(Errc::access_denied, "the peer showed no certificate that counts");
  }
  if (X509_check_ca(certificate) != 0) return fail(Errc::access_denied, "an authority is not a node");
  TRY(identity, identity_of(certificate));
  if (identity.trust_domain != trust_domain) {
    return fail(Errc::access_denied, "the peer's certificate is of the trust domain " +
                                         identity.trust_domain + ", and ours is " + trust_domain);
  }
  return identity.node;
}

// What a client and a server side have in common.
Result<std::shared_ptr<SSL_CTX>> context_of(const SSL_METHOD* method, const CertificateFiles& pair,
                                            std::string_view authorities, const std::string& folder) {
  const AesGcm& ciphers = aes_gcm();
  std::shared_ptr<SSL_CTX> context = new_context(method, ciphers.library, ciphers.properties);
  if (!context) return fail(Errc::internal, openssl_error());
  TRY_VOID(use_certificate(context.get(), pair));
  const auto trusted = add_trusted(SSL_CTX_get_cert_store(context.get()), authorities);
  if (!trusted) return fail(Errc::malformed, folder + "/ca.crt: " + trusted.error().detail);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_default_read_buffer_len(context.get(), kTlsReadBytes);
  if (SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) != 1 ||
      SSL_CTX_set_ciphersuites(context.get(), kCiphers) != 1) {
    return fail(Errc::internal, openssl_error());
  }
  return context;
}

std::string time_text(const ASN1_TIME* time) {
  const BioPtr out(BIO_new(BIO_s_mem()));
  ASN1_TIME_print(out.get(), time);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

// That others will accept the certificate that a context has: as a client's and as a server's.
Result<> check_own(SSL_CTX* context, const std::string& path) {
  using ContextPtr = std::unique_ptr<X509_STORE_CTX, FreeBy<X509_STORE_CTX_free>>;
  X509* leaf = SSL_CTX_get0_certificate(context);
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context, &chain);
  for (const char* purpose : {"ssl_client", "ssl_server"}) {
    const ContextPtr verify(X509_STORE_CTX_new());
    if (!verify || X509_STORE_CTX_init(verify.get(), SSL_CTX_get_cert_store(context), leaf, chain) != 1 ||
        X509_STORE_CTX_set_default(verify.get(), purpose) != 1) {
      return fail(Errc::internal, openssl_error());
    }
    const bool good = X509_verify_cert(verify.get()) == 1;
    ERR_clear_error();
    if (good) continue;
    const int why = X509_STORE_CTX_get_error(verify.get());
    std::string text = path + ": " + X509_verify_cert_error_string(why);
    if (why == X509_V_ERR_CERT_HAS_EXPIRED) text += " (on " + time_text(X509_get0_notAfter(leaf)) + ")";
    return fail(Errc::malformed, text);
  }
  return {};
}

std::int64_t unix_seconds(const ASN1_TIME* time) {
  std::tm parts{};
  return ASN1_TIME_to_tm(time, &parts) == 1 ? static_cast<std::int64_t>(::timegm(&parts)) : 0;
}

}  // namespace

// Declared in net/openssl.h: every context that accepts has it. The session's own data: the peers' context.
int choose_side(SSL* session, int* alert, void* refuses_others) {
  auto* peers = static_cast<SSL_CTX*>(SSL_get_app_data(session));
  *alert = SSL_AD_INTERNAL_ERROR;
  if (peers != nullptr && offers_peer_protocol(session))
    return become_peer(session, peers) ? SSL_CLIENT_HELLO_SUCCESS : SSL_CLIENT_HELLO_ERROR;
  if (refuses_others == nullptr) return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_NO_APPLICATION_PROTOCOL;
  return SSL_CLIENT_HELLO_ERROR;
}

PeerTls::PeerTls(Fs& fs, std::string folder, Sides sides, Files files)
    : fs_(fs),
      folder_(std::move(folder)),
      self_(sides.self),
      sides_(std::move(sides)),
      in_use_(std::move(files)),
      expires_unix_s_(sides_.validity.until) {}

Result<PeerTls::Files> PeerTls::read_files(Fs& fs, const std::string& folder) {
  TRY(authorities, fs.read_file(folder + "/ca.crt", kMaxPemBytes));
  TRY(certificate, fs.read_file(folder + "/node.crt", kMaxPemBytes));
  TRY(key, fs.read_file(folder + "/node.key", kMaxPemBytes));
  return Files{std::move(authorities), std::move(certificate), std::move(key)};
}

Result<PeerTls::Sides> PeerTls::build(const Files& files, const std::string& folder) {
  ERR_clear_error();
  const std::string chain_path = folder + "/node.crt";
  const std::string key_path = folder + "/node.key";
  const CertificateFiles pair{files.certificate, chain_path, files.key, key_path};
  Sides out;
  TRY(client, context_of(TLS_client_method(), pair, files.authorities, folder));
  out.client = std::move(client);
  if (SSL_CTX_set_alpn_protos(out.client.get(), bytes_of(kProtocolList),
                              static_cast<unsigned>(kProtocolList.size())) != 0) {
    return fail(Errc::internal, openssl_error());
  }
  TRY(server, context_of(TLS_server_method(), pair, files.authorities, folder));
  out.server = std::move(server);
  SSL_CTX_set_alpn_select_cb(out.server.get(), choose_peer_protocol, nullptr);
  out.nobody = new_context(TLS_server_method());
  if (!out.nobody) return fail(Errc::internal, openssl_error());
  static char refuse = 0;  // an address; its value means nothing
  SSL_CTX_set_client_hello_cb(out.nobody.get(), choose_side, &refuse);

  TRY_VOID(check_own(out.client.get(), chain_path));
  const X509* leaf = SSL_CTX_get0_certificate(out.client.get());
  auto self = identity_of(leaf);
  if (!self) return fail(Errc::malformed, chain_path + ": " + self.error().detail);
  out.self = std::move(*self);
  out.validity.from = unix_seconds(X509_get0_notBefore(leaf));
  out.validity.until = unix_seconds(X509_get0_notAfter(leaf));
  return out;
}

Result<std::shared_ptr<PeerTls>> PeerTls::load(Fs& fs, std::string folder) {
  TRY(files, read_files(fs, folder));
  TRY(sides, build(files, folder));
  log::info("TLS between nodes aes_gcm={}", aes_gcm().used);
  return std::shared_ptr<PeerTls>(new PeerTls(fs, std::move(folder), std::move(sides), std::move(files)));
}

void PeerTls::complain(const std::string& why) {
  if (std::exchange(complained_, why) == why) return;
  log::warn("the cluster's certificates cannot be read again, keeping those in use error={}", why);
}

Task<> PeerTls::refresh() {
  auto read = [&fs = fs_, folder = folder_] { return read_files(fs, folder); };
  Result<Files> files = co_await reader_.run(std::move(read));
  const std::lock_guard lock(mutex_);
  if (!files) {
    complain(files.error().detail);
    co_return;
  }
  if (*files == in_use_) {
    complained_.clear();
    co_return;
  }
  auto fresh = build(*files, folder_);
  if (fresh && fresh->self != self_) {
    fresh = fail(Errc::malformed,
                 folder_ + "/node.crt is of " + to_uri(fresh->self) + ", and this node is " + to_uri(self_));
  }
  if (!fresh) {
    complain(fresh.error().detail);
    co_return;
  }
  sides_ = std::move(*fresh);
  in_use_ = std::move(*files);
  complained_.clear();
  expires_unix_s_.store(sides_.validity.until, std::memory_order_relaxed);
  generation_.fetch_add(1, std::memory_order_relaxed);
  log::info("cluster certificates reloaded folder={}", folder_);
}

bool PeerTls::tell_expiry(std::int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto notice = expiry_.look(now, sides_.validity);
  if (notice && log::enabled(notice->level)) log::write(notice->level, notice->text);
  return notice.has_value();
}

PeerTls::Sides PeerTls::sides() const {
  const std::lock_guard lock(mutex_);
  return sides_;
}

std::unique_ptr<TlsStream> PeerTls::connect(int socket, const std::string& node) const {
  auto check = [domain = self_.trust_domain, node](SSL* session) -> Result<std::string> {
    TRY(name, check_peer(session, domain));
    if (name != node)
      return fail(Errc::access_denied, "the certificate there is of the node " + name + ", not of " + node);
    return name;
  };
  auto stream = std::make_unique<TlsStream>(sides().client, socket, std::move(check));
  if (!*stream) return nullptr;
  SSL_set_connect_state(stream->session());
  return stream;
}

std::unique_ptr<TlsStream> PeerTls::accept(int socket, const TlsContext* others) const {
  const Sides now = sides();
  auto check = [domain = self_.trust_domain, peers = now.server.get()](SSL* session) -> Result<std::string> {
    if (SSL_get_SSL_CTX(session) == peers) return check_peer(session, domain);
    if (is_peer_protocol(session)) return fail(Errc::internal, "a peer that was not checked");
    return std::string();
  };
  const Context front = others != nullptr ? others->context() : now.nobody;
  auto stream = std::make_unique<TlsStream>(front, socket, std::move(check), now.server);
  if (!*stream) return nullptr;
  SSL_set_app_data(stream->session(), now.server.get());
  SSL_set_accept_state(stream->session());
  return stream;
}

}  // namespace ostraka::net
