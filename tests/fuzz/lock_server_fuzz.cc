// links: cluster
// What peers send to a lock server, and what it may answer them: calls one after the other, each a byte that
// chooses method and node, a byte with the length of the head, and the head.
#include <array>

#include "base/check.h"
#include "cluster/lock_message.h"
#include "cluster/lock_server.h"

namespace {

constexpr std::array kMethods{"lock.claim", "lock.release", "lock.renew"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ostraka;
  const std::string all(reinterpret_cast<const char*>(data), size);
  if (const auto verdict = cluster::take_lock_verdict(all))
    CHECK(cluster::take_lock_verdict(cluster::put_lock_verdict(*verdict)) == *verdict);
  if (const auto since = cluster::take_lock_since(all))
    CHECK(*cluster::take_lock_since(cluster::put_lock_since(*since)) == *since);
  SystemClock clock;
  Shard shard(0, clock, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0});
  cluster::LockServer server({clock, shard}, {.claims = 8, .peer = 5, .line = 3, .parked = 2, .ended = 4});
  for (std::size_t at = 0; at + 2 <= size;) {
    const std::size_t bytes = std::min<std::size_t>(data[at + 1], size - at - 2);
    cluster::PeerCall call;
    call.method = (data[at] & 0x40) != 0 ? "lock.since" : kMethods[data[at] % kMethods.size()];
    call.head = all.substr(at + 2, bytes);
    const cluster::NodeName from = (data[at] & 0x80) != 0 ? "node1" : "node2";
    Ctx ctx{shard, clock.now() + std::chrono::milliseconds(1), "fuzz"};
    const auto answer = run_to_end(shard, server.serve(ctx, from, std::move(call)));
    CHECK(answer || answer.failed_with(Errc::malformed) || answer.failed_with(Errc::deadline));
    CHECK(server.size().held <= 8 && server.size().waiting <= 8);
    at += 2 + bytes;
  }
  run_to_end(shard, server.close());
  CHECK(server.size().held == 0);
  return 0;
}
