#include "cmd/rebalance_side.h"

#include <utility>

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

}  // namespace

RebalanceSide::RebalanceSide(const Deps& deps)
    : pacer_(deps.clock, deps.clients), rebalancer_(rebalancer_deps(deps, pacer_)) {}

}  // namespace ostraka::cmd
