#include "net/tls.h"

#include <openssl/err.h>

#include <array>

#include "base/log.h"
#include "net/address.h"
#include "net/limits.h"
#include "net/openssl.h"

namespace ostraka::net {
namespace {

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

}  // namespace

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
  SSL_CTX_set_client_hello_cb(context.get(), choose_side, nullptr);
  const std::string chain_path = folder + "/public.crt";
  const std::string key_path = folder + "/private.key";
  const CertificateFiles pair{files.certificate, chain_path, files.key, key_path};
  TRY_VOID(use_certificate(context.get(), pair));
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

TlsContext::Context TlsContext::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

std::unique_ptr<TlsStream> TlsContext::accept(int socket) const {
  auto stream = std::make_unique<TlsStream>(context(), socket, nullptr);
  if (!*stream) return nullptr;
  SSL_set_accept_state(stream->session());
  return stream;
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
  TRY_VOID(add_trusted(SSL_CTX_get_cert_store(context), certificates));
  return out;
}

Result<> TlsClientContext::show(std::string_view chain, std::string_view key, const std::string& folder) {
  ERR_clear_error();
  const std::string chain_path = folder + "/public.crt";
  const std::string key_path = folder + "/private.key";
  const CertificateFiles pair{chain, chain_path, key, key_path};
  return use_certificate(context_.get(), pair);
}

std::unique_ptr<TlsStream> TlsClientContext::connect(int socket, const std::string& host) const {
  auto stream = std::make_unique<TlsStream>(context_, socket, nullptr);
  if (!*stream) return nullptr;
  SSL* session = stream->session();
  SSL_set_connect_state(session);
  bool fits = false;
  if (is_ip_address(host)) {
    fits = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host.c_str()) == 1;
  } else {
    fits = SSL_set1_host(session, host.c_str()) == 1 && SSL_set_tlsext_host_name(session, host.c_str()) == 1;
  }
  if (!fits) return nullptr;
  return stream;
}

}  // namespace ostraka::net
