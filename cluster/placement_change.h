// Changing the placement table in the control store: read, change, put, again when somebody else was faster.
#pragma once

#include <functional>
#include <string>

#include "cluster/placement.h"
#include "control/control_store.h"
#include "control/group_epochs.h"

namespace ostraka::cluster {

// The document that holds the table. Errors: those of ControlStore::put and Placement::from_json; unavailable
// (there is none). change: may be called more than once, each time with what is there.
Task<Result<Placement>> change_placement(control::ControlStore& control, Ctx& ctx, DeploymentId deployment,
                                         std::string document, std::function<void(Placement&)> change);

class PlacementEpochs final : public control::GroupEpochs {
 public:
  PlacementEpochs(control::ControlStore& control, const DeploymentId& deployment, std::string document)
      : control_(control), deployment_(deployment), document_(std::move(document)) {}
  Task<Result<std::uint64_t>> raise(Ctx& ctx, std::uint16_t group, std::uint64_t known) override;

 private:
  control::ControlStore& control_;
  const DeploymentId deployment_;
  const std::string document_;
};

}  // namespace ostraka::cluster
