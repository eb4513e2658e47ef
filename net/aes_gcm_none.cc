// In place of aes_gcm_provider.cc where there is no libipsec-mb to build with.
#include "net/aes_gcm.h"

namespace ostraka::net {

const AesGcm& aes_gcm() {
  static const AesGcm ours{.used = "OpenSSL (built without libipsec-mb)"};
  return ours;
}

std::uint64_t aes_gcm_keys() {
  return 0;
}

}  // namespace ostraka::net
