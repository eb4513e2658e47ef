// links: cluster
// What nodes ask each other about the control store (control.proto). The first byte is the length of a
// question that a peer asks this node; what follows it is what all peers answer when this node asks them
// whether it may still write.
#include "base/check.h"
#include "cluster/control.pb.h"
#include "cluster/write_permit.h"
#include "tests/unit/cluster/fake_membership.h"
#include "tests/unit/erasure/manual_clock.h"

namespace {

using namespace ostraka;

constexpr std::uint64_t kKnown = 7;

class OneAnswer final : public cluster::Transport {
 public:
  explicit OneAnswer(std::string head) : head_(std::move(head)) {}
  Task<Result<cluster::PeerAnswer>> call(Ctx&, const cluster::NodeName&, cluster::PeerCall call,
                                         std::vector<disk::BlockTarget>) override {
    cluster::pb::RevisionQuestion asked;
    CHECK(asked.ParseFromString(call.head) && asked.revision() == kKnown && asked.for_permit());
    cluster::PeerAnswer answer;
    answer.head = head_;
    co_return std::move(answer);
  }

 private:
  const std::string head_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string all(reinterpret_cast<const char*>(data), size);
  const std::size_t bytes = std::min<std::size_t>(data[0], size - 1);
  const std::string question = all.substr(1, bytes), answer = all.substr(1 + bytes);

  erasure::ManualClock clock;
  Shard shard(0, clock, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0});
  OneAnswer transport(answer);
  cluster::FakeMembership membership;
  membership.known = kKnown;
  cluster::WritePermit permit({transport, membership, clock, shard}, "node1", {"node1", "node2", "node3"});

  Ctx ctx{shard, clock.now() + std::chrono::seconds(1), "fuzz"};
  cluster::PeerCall call;
  call.method = "control.revision";
  call.head = question;
  const auto served = run_to_end(shard, permit.serve(ctx, "node2", std::move(call)));
  cluster::pb::RevisionQuestion asked;
  CHECK(served.has_value() == asked.ParseFromString(question));
  cluster::pb::RevisionAnswer told;
  CHECK(!served || (told.ParseFromString(served->head) && told.revision() == kKnown));
  CHECK(served || served.failed_with(Errc::malformed));

  permit.start();
  for (shard.io().restart(); shard.io().poll() > 0; shard.io().restart()) {
  }
  cluster::pb::RevisionAnswer said;
  const bool knows_no_more = said.ParseFromString(answer) && said.revision() > 0 && said.revision() <= kKnown;
  CHECK(permit.may_write() == knows_no_more);
  run_to_end(shard, permit.close());
  return 0;
}
