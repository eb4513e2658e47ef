#include "cmd/topology_follower.h"

#include "base/log.h"

namespace ostraka::cmd {

void TopologyFollower::watch(control::ControlStore& control) {
  control.watch(std::string(cluster::kTopologyDocument),
                [this](const std::string& name, const control::DocumentPtr& now) {
                  if (name == cluster::kTopologyDocument) take(now);
                });
  take(control.get(cluster::kTopologyDocument));  // what changed before it was watched
}

void TopologyFollower::take(const control::DocumentPtr& document) {
  if (!document) return;
  const auto now = cluster::decode_topology(document->content);
  if (!now || now->deployment != deps_.deployment) {
    log::error("the topology cannot be read, and is used as it was: {}",
               now ? "it is of another deployment" : now.error().detail);
    return;
  }
  const std::lock_guard lock(mutex_);
  if (document->revision <= revision_) return;
  revision_ = document->revision;
  deps_.meet(*now);
  if (add_drives(*now)) deps_.grown();
  for (std::size_t slot = 0; slot < now->slots.size(); ++slot)
    if (now->slots[slot].state == cluster::SlotState::removed) remove_drive(slot);
}

bool TopologyFollower::add_drives(const cluster::Topology& now) {
  const std::size_t before = deps_.roster->size();
  for (std::size_t slot = before; slot < now.slots.size(); ++slot) {
    const cluster::Topology::Slot& added = now.slots[slot];
    const std::string path = to_string(added.url);
    auto drive = deps_.remote({added.url.node, added.id, path, static_cast<unsigned>(slot)});
    if (added.url.node == deps_.self) {
      log::warn(
          "{} was added to this node, which uses it from its next start on: name it in its list of drives "
          "and start it anew",
          path);
    } else {
      log::info("a drive was added to the cluster drive={} slot={}", path, slot);
      if (added.state != cluster::SlotState::removed) drive->start();
    }
    deps_.roster->add({drive.get(), added.url.node, path, 0});
    drives_.push_back(std::move(drive));
  }
  return now.slots.size() > before;
}

void TopologyFollower::remove_drive(std::size_t slot) {
  deps_.roster->set_removed(slot);
  disk::Drive* const drive = (*deps_.roster)[slot];
  if (drive->remote()) static_cast<cluster::RemoteDrive*>(drive)->leave();
}

Task<> TopologyFollower::close() {
  for (const auto& drive : drives_) co_await drive->close();
}

}  // namespace ostraka::cmd
