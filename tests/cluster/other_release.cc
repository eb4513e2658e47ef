// The server as another release of it: it speaks the versions of the peer protocol that OSTRAKA_PEER_VERSIONS
// names, "1-2" say (cluster/peer_versions.cc). In all else it is the same, so calls of version 2 are like
// those of version 1.
#include <cstdlib>
#include <string_view>

#include "base/encoding.h"
#include "cluster/peer_exchange.h"

namespace {

// Before any thread is started. Without a range it must not pass for this release.
unsigned named(bool newest) {
  const char* range = std::getenv("OSTRAKA_PEER_VERSIONS");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  if (range == nullptr) std::abort();
  const std::string_view text(range);
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) std::abort();
  const auto version = ostraka::parse_u64(newest ? text.substr(dash + 1) : text.substr(0, dash));
  if (!version) std::abort();
  return static_cast<unsigned>(*version);
}

}  // namespace

namespace ostraka::cluster {

const unsigned kOldestPeerVersion = named(false), kNewestPeerVersion = named(true);

}  // namespace ostraka::cluster
