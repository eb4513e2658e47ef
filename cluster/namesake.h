// Whether another process runs under this node's name: another machine with a copy of its certificate, or the
// one that this machine replaces. It would be taken for this node, and its drives for this node's.
#pragma once

#include <memory>

#include "base/result.h"
#include "cluster/transport.h"
#include "net/address.h"
#include "net/tls.h"
#include "runtime/random.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

// Calls this node where the others would: at `address`, before it answers peers itself. tls: with its own
// certificate. Whoever does not answer within two seconds is not there; so one that hangs is not found, nor
// one that this machine's own notion of the name does not lead to. Error: unavailable, when one answers.
Task<Result<>> check_no_namesake(Shard& shard, Random& random, std::shared_ptr<const net::TlsConnector> tls,
                                 NodeName self, net::HostPort address);

}  // namespace ostraka::cluster
