#include "net/tls.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/check.h"
#include "base/log.h"

namespace ostraka::net {
namespace {

constexpr std::size_t kRecordBytes = 16U << 10;  // the most that one TLS record carries
constexpr std::size_t kMaxPemBytes = 1U << 20;

template <auto Free>
struct FreeBy {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
using BioPtr = std::unique_ptr<BIO, FreeBy<BIO_free>>;
using X509Ptr = std::unique_ptr<X509, FreeBy<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeBy<EVP_PKEY_free>>;
using SslPtr = std::unique_ptr<SSL, FreeBy<SSL_free>>;

std::string openssl_error() {
  const unsigned long code = ERR_peek_last_error();
  std::string text = "unknown error";
  if (code != 0) {
    std::array<char, 256> buffer{};
    ERR_error_string_n(code, buffer.data(), buffer.size());
    text = buffer.data();
  }
  ERR_clear_error();
  return text;
}

// The socket BIO of OpenSSL raises SIGPIPE when the peer is gone; this one does not. Its data is the
// descriptor.
int bio_socket(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int socket_write(BIO* bio, const char* bytes, int count) {
  BIO_clear_retry_flags(bio);
  const ssize_t sent = ::send(bio_socket(bio), bytes, static_cast<std::size_t>(count), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int socket_read(BIO* bio, char* out, int count) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(bio_socket(bio), out, static_cast<std::size_t>(count), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long socket_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* socket_method() {
  static const std::unique_ptr<BIO_METHOD, FreeBy<BIO_meth_free>> method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ostraka socket");
    CHECK(m != nullptr);
    BIO_meth_set_write(m, socket_write);
    BIO_meth_set_read(m, socket_read);
    BIO_meth_set_ctrl(m, socket_control);
    return std::unique_ptr<BIO_METHOD, FreeBy<BIO_meth_free>>(m);
  }();
  return method.get();
}

SslPtr new_session(SSL_CTX* context, int socket) {
  SslPtr session(SSL_new(context));
  BIO* bio = BIO_new(socket_method());
  if (!session || bio == nullptr) {
    BIO_free(bio);
    return nullptr;
  }
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
  BIO_set_init(bio, 1);
  SSL_set_bio(session.get(), bio, bio);  // takes both references
  return session;
}

std::shared_ptr<SSL_CTX> new_context(const SSL_METHOD* method) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
  if (!context) return nullptr;
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(),
                      SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                      SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_read_ahead(context.get(), 1);  // a record's header and body in one recv
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  return context;
}

int choose_http_1_1(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                    unsigned in_size, void*) {
  static constexpr std::array<unsigned char, 9> kHttp11{8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kHttp11.data(), kHttp11.size(), in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

BioPtr bio_of(std::string_view text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(std::min<std::size_t>(text.size(), INT_MAX))));
}

int no_password(char*, int, int, void*) {
  return -1;
}  // never ask on the terminal

}  // namespace

TlsStream::TlsStream(SSL* session) : session_(session) {}
TlsStream::~TlsStream() {
  SSL_free(session_);
}

TlsStream::Step TlsStream::failed_or_wants(int outcome) {
  switch (SSL_get_error(session_, outcome)) {
    case SSL_ERROR_WANT_READ:
      return {.want = Want::read};
    case SSL_ERROR_WANT_WRITE:
      return {.want = Want::write};
    case SSL_ERROR_ZERO_RETURN:
      return {};
    default:
      failure_ = openssl_error();
      return {.failed = true};
  }
}

TlsStream::Step TlsStream::handshake() {
  ERR_clear_error();
  const int outcome = SSL_do_handshake(session_);
  if (outcome == 1) return {};
  Step step = failed_or_wants(outcome);
  step.failed = step.failed || step.want == Want::nothing;  // ended in the middle
  return step;
}

TlsStream::Step TlsStream::read(MutableByteSpan out) {
  ERR_clear_error();
  std::size_t have = 0;
  while (have < out.size()) {  // a record at a time
    std::size_t got = 0;
    const int outcome = SSL_read_ex(session_, out.data() + have, out.size() - have, &got);
    if (outcome == 1) {
      have += got;
      continue;
    }
    if (have > 0) break;  // what is wrong will show again
    return failed_or_wants(outcome);
  }
  return {.bytes = have};
}

TlsStream::Step TlsStream::write(std::span<const iovec> parts) {
  ERR_clear_error();
  std::size_t done = 0;
  std::size_t skip = 0;  // of parts[0]
  while (!parts.empty()) {
    const auto* bytes = static_cast<const std::uint8_t*>(parts[0].iov_base) + skip;
    std::size_t count = parts[0].iov_len - skip;
    if (count < kRecordBytes && parts.size() > 1) {
      if (!staging_) staging_ = std::make_unique_for_overwrite<std::uint8_t[]>(kRecordBytes);
      std::memcpy(staging_.get(), bytes, count);
      for (const iovec& part : parts.subspan(1)) {
        const std::size_t more = std::min(part.iov_len, kRecordBytes - count);
        if (more > 0) std::memcpy(staging_.get() + count, part.iov_base, more);
        count += more;
        if (count == kRecordBytes) break;
      }
      bytes = staging_.get();
    }
    if (count == 0) break;
    std::size_t wrote = 0;
    const int outcome = SSL_write_ex(session_, bytes, count, &wrote);
    if (outcome != 1) {
      if (done > 0) break;
      Step step = failed_or_wants(outcome);
      step.failed = step.failed || step.want == Want::nothing;
      return step;
    }
    done += wrote;
    skip += wrote;
    while (!parts.empty() && skip >= parts[0].iov_len) {
      skip -= parts[0].iov_len;
      parts = parts.subspan(1);
    }
  }
  return {.bytes = done};
}

void TlsStream::close_notify() {
  if (!failure_.empty()) return;
  ERR_clear_error();
  SSL_shutdown(session_);
  ERR_clear_error();
}

Result<TlsContext::Files> TlsContext::read_files(Fs& fs, const std::string& folder) {
  TRY(certificate, fs.read_file(folder + "/public.crt", kMaxPemBytes));
  TRY(key, fs.read_file(folder + "/private.key", kMaxPemBytes));
  return Files{std::move(certificate), std::move(key)};
}

Result<TlsContext::Context> TlsContext::build(const Files& files, const std::string& folder) {
  ERR_clear_error();
  Context context = new_context(TLS_server_method());
  if (!context) return fail(Errc::internal, openssl_error());
  SSL_CTX_set_alpn_select_cb(context.get(), choose_http_1_1, nullptr);
  const std::string certificate_path = folder + "/public.crt: ";
  const BioPtr chain = bio_of(files.certificate);
  const X509Ptr leaf(PEM_read_bio_X509_AUX(chain.get(), nullptr, no_password, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context.get(), leaf.get()) != 1) {
    return fail(Errc::malformed, certificate_path + "not a certificate in PEM: " + openssl_error());
  }
  for (;;) {
    X509Ptr next(PEM_read_bio_X509(chain.get(), nullptr, no_password, nullptr));
    if (!next) break;
    if (SSL_CTX_add0_chain_cert(context.get(), next.get()) != 1) {
      return fail(Errc::malformed, certificate_path + openssl_error());
    }
    next.release();  // the context's now
  }
  ERR_clear_error();
  const BioPtr key_text = bio_of(files.key);
  const KeyPtr key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, no_password, nullptr));
  if (!key)
    return fail(Errc::malformed, folder + "/private.key: not a private key in PEM: " + openssl_error());
  if (SSL_CTX_use_PrivateKey(context.get(), key.get()) != 1 ||
      SSL_CTX_check_private_key(context.get()) != 1) {
    return fail(Errc::malformed,
                folder + ": public.crt and private.key do not belong together: " + openssl_error());
  }
  return context;
}

Result<std::shared_ptr<TlsContext>> TlsContext::load(Fs& fs, std::string folder) {
  TRY(files, read_files(fs, folder));
  TRY(context, build(files, folder));
  std::shared_ptr<TlsContext> out(new TlsContext(fs, std::move(folder)));
  out->context_ = std::move(context);
  out->seen_ = std::move(files);
  return out;
}

Task<> TlsContext::refresh() {
  auto read = [&fs = fs_, folder = folder_] { return read_files(fs, folder); };
  const Result<Files> files = co_await reader_.run(std::move(read));
  if (!files) {
    log::warn("cannot read the certificate again, keeping the one in use error={}", files.error().detail);
    co_return;
  }
  const std::lock_guard lock(mutex_);
  if (*files == seen_) co_return;
  seen_ = *files;
  auto context = build(*files, folder_);
  if (!context) {
    log::warn("the new certificate is not usable, keeping the one in use error={}", context.error().detail);
    co_return;
  }
  context_ = std::move(*context);
  log::info("certificate reloaded folder={}", folder_);
}

std::unique_ptr<TlsStream> TlsContext::accept(int socket) const {
  Context context;
  {
    const std::lock_guard lock(mutex_);
    context = context_;
  }
  SslPtr session = new_session(context.get(), socket);
  if (!session) return nullptr;
  SSL_set_accept_state(session.get());
  return std::make_unique<TlsStream>(session.release());
}

Result<std::shared_ptr<TlsClientContext>> TlsClientContext::trust(std::string_view certificates) {
  ERR_clear_error();
  auto out = std::make_shared<TlsClientContext>();
  out->context_ = new_context(TLS_client_method());
  SSL_CTX* context = out->context_.get();
  if (context == nullptr) return fail(Errc::internal, openssl_error());
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (certificates.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) return fail(Errc::internal, openssl_error());
    return out;
  }
  const BioPtr text = bio_of(certificates);
  std::size_t count = 0;
  for (;; ++count) {
    const X509Ptr certificate(PEM_read_bio_X509(text.get(), nullptr, no_password, nullptr));
    if (!certificate) break;
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate.get()) != 1) {
      return fail(Errc::malformed, openssl_error());
    }
  }
  ERR_clear_error();
  if (count == 0) return fail(Errc::malformed, "no certificate in PEM among the authorities to trust");
  return out;
}

std::unique_ptr<TlsStream> TlsClientContext::connect(int socket, const std::string& host) const {
  SslPtr session = new_session(context_.get(), socket);
  if (!session) return nullptr;
  SSL_set_connect_state(session.get());
  std::array<unsigned char, sizeof(in6_addr)> address{};
  const bool is_address = ::inet_pton(AF_INET, host.c_str(), address.data()) == 1 ||
                          ::inet_pton(AF_INET6, host.c_str(), address.data()) == 1;
  bool fits = false;
  if (is_address) {
    fits = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session.get()), host.c_str()) == 1;
  } else {
    fits = SSL_set1_host(session.get(), host.c_str()) == 1 &&
           SSL_set_tlsext_host_name(session.get(), host.c_str()) == 1;
  }
  if (!fits) return nullptr;
  return std::make_unique<TlsStream>(session.release());
}

}  // namespace ostraka::net
