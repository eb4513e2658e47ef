#include "cluster/peer_exchange.h"

namespace ostraka::cluster {

const unsigned kOldestPeerVersion = 1, kNewestPeerVersion = 1;

}  // namespace ostraka::cluster
