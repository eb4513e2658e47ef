#include "cluster/placement_change.h"

#include <utility>

#include "cluster/limits.h"

namespace ostraka::cluster {

Task<Result<Placement>> change_placement(control::ControlStore& control, Ctx& ctx, DeploymentId deployment,
                                         std::string document, std::function<void(Placement&)> change) {
  for (int tries = 0;; ++tries) {
    const control::DocumentPtr now = control.get(document);
    if (!now) co_return fail(Errc::unavailable, "there is no placement table");
    CO_TRY(placement, Placement::from_json(deployment, now->content));
    change(placement);
    std::string json = placement.to_json();
    auto putting = control.put(ctx, document, std::move(json), now->revision);
    const auto put = co_await std::move(putting);
    if (put) co_return std::move(placement);
    if (!put.failed_with(Errc::conflict) || tries == kPlacementPuts)
      co_return fail(put.code(), put.error().detail);
  }
}

Task<Result<std::uint64_t>> PlacementEpochs::raise(Ctx& ctx, std::uint16_t group, std::uint64_t known) {
  std::function<void(Placement&)> change = [group, known](Placement& placement) {
    placement.raise_epoch(group, known);
  };
  auto changing = change_placement(control_, ctx, deployment_, document_, std::move(change));
  CO_TRY(placement, co_await std::move(changing));
  co_return placement.group(group).epoch;
}

}  // namespace ostraka::cluster
