#include "cmd/rebalance_side.h"

#include <utility>
#include <vector>

#include "cmd/build_node.h"
#include "erasure/heal_queue.h"

namespace ostraka::cmd {
namespace {

// What waits to be healed moves with its group.
std::optional<std::uint16_t> group_of(const disk::Drive::SystemRecord& record) {
  const auto entry = erasure::decode_heal_entry(as_bytes(record.value));
  return entry ? std::optional<std::uint16_t>(entry->group) : std::nullopt;
}

cluster::RebalancerDeps rebalancer_deps(const RebalanceSide::Deps& deps, MovePacer& pacer) {
  cluster::SlotMoveDeps moves{deps.clock,
                              deps.random,
                              deps.control,
                              deps.deployment,
                              std::string(kPlacementDocument),
                              {},
                              group_of,
                              std::string(erasure::kHealPrefix),
                              [&pacer](std::uint64_t bytes) { return pacer.keep(bytes); }};
  return {std::move(moves), deps.election, deps.membership, deps.metrics,
          [drives = deps.drives](const DriveId& id) { return drives->find(id); }};
}

// Those that are members: one that is away has no clients.
cluster::OtherPaces::Nodes others_of(const RebalanceSide::Deps& deps) {
  return [&membership = deps.membership, self = deps.self] {
    std::vector<cluster::NodeName> out;
    for (const control::MemberPtr& member : membership.members())
      if (member->name != self) out.push_back(member->name);
    return out;
  };
}

}  // namespace

RebalanceSide::RebalanceSide(const Deps& deps)
    : others_(deps.transport, deps.clock, others_of(deps)),
      pacer_(deps.clock, deps.clients, &others_),
      rebalancer_(rebalancer_deps(deps, pacer_)) {}

void RebalanceSide::start(Shard& shard) {
  others_.start(shard);
  rebalancer_.start(shard);
}

Task<> RebalanceSide::close() {
  co_await rebalancer_.close();
  co_await others_.close();
}

}  // namespace ostraka::cmd
