#include "cmd/etcd_connection.h"

#include "net/limits.h"
#include "net/tls.h"

namespace ostraka::cmd {

Result<cluster::EtcdConfig> etcd_config(Fs& fs, const ControlStoreConfig& config) {
  cluster::EtcdConfig out;
  out.endpoints = config.etcd;
  out.user = config.user;
  out.password = config.password;
  if (!config.etcd_tls) return out;
  std::string authorities;
  if (!config.certs_dir.empty()) {
    TRY(text, fs.read_file(config.certs_dir + "/ca.crt", net::kMaxPemBytes));
    authorities = std::move(text);
  }
  TRY(tls, net::TlsClientContext::trust(authorities));
  if (!config.certs_dir.empty()) {
    const auto chain = fs.read_file(config.certs_dir + "/public.crt", net::kMaxPemBytes);
    if (chain) {
      TRY(key, fs.read_file(config.certs_dir + "/private.key", net::kMaxPemBytes));
      TRY_VOID(tls->show(*chain, key, config.certs_dir));
    } else if (!chain.failed_with(Errc::not_found)) {
      return tl::unexpected<Error>(chain.error());
    }
  }
  out.tls = std::move(tls);
  return out;
}

}  // namespace ostraka::cmd
