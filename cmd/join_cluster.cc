#include "cmd/join_cluster.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cluster/drive_register.h"
#include "cluster/etcd_client.h"
#include "cluster/etcd_control_store.h"
#include "cluster/etcd_follower.h"
#include "cmd/build_node.h"
#include "cmd/drive_plan.h"
#include "cmd/etcd_connection.h"
#include "disk/drive_format.h"

namespace ostraka::cmd {
namespace {

// A deployment that one of this node's folders belongs to already, and which folder that is.
struct Owner {
  std::string folder;
  DeploymentId deployment;
};

std::vector<Owner> owners_of(const JoinDeps& deps) {
  std::vector<Owner> out;
  for (const cluster::DriveUrl& url : deps.config.cluster_drives) {
    if (url.node != deps.self) continue;
    const auto format = disk::inspect_drive(deps.fs, url.folder);  // what is wrong with it is told later
    if (format && *format) out.push_back({url.folder, (*format)->deployment});
  }
  return out;
}

Error no_topology(const JoinDeps& deps, const Owner& owner) {
  return {
      Errc::wrong_drive,
      fmt::format("{} holds a drive of deployment {}, and etcd knows of no cluster named {}. Is it the right "
                  "etcd (control.store), the right name (control.cluster)? If etcd lost its data, restore "
                  "it from a snapshot: see \"Disaster recovery\" in docs/cluster.md",
                  owner.folder, to_string(owner.deployment), deps.config.control_store.cluster)};
}

Task<Result<cluster::Topology>> make_or_read(Ctx& ctx, const JoinDeps& deps, control::ControlStore& store,
                                             const std::vector<Owner>& owners) {
  control::DocumentPtr document = store.get(cluster::kTopologyDocument);
  if (!document) {
    if (store.get(kPlacementDocument)) {
      co_return fail(
          Errc::invalid_argument,
          fmt::format("setting control.cluster: {} is the store of one node in etcd, which does not "
                      "become a cluster: start one under another name, on empty drives, and copy "
                      "the buckets",
                      deps.config.control_store.cluster));
    }
    if (!owners.empty()) co_return tl::unexpected<Error>(no_topology(deps, owners.front()));
    const std::vector<cluster::DriveUrl>& drives = deps.config.cluster_drives;
    const erasure::Geometry geometry = deps.config.erasure_set.value_or(default_geometry(drives.size()));
    const cluster::Topology mine = cluster::make_topology(deps.random, deps.clock.unix_ms(), drives,
                                                          geometry.data_shards, geometry.parity_shards);
    std::string name(cluster::kTopologyDocument);
    std::string text = cluster::encode_topology(mine);
    const auto put = co_await store.put(ctx, std::move(name), std::move(text), 0);
    if (put) {
      log::info("founded a cluster deployment={} nodes={} drives={} geometry={}+{}",
                to_string(mine.deployment), mine.nodes().size(), drives.size(), geometry.data_shards,
                geometry.parity_shards);
      co_return mine;
    }
    if (!put.failed_with(Errc::conflict)) co_return tl::unexpected<Error>(put.error());
    document = store.get(cluster::kTopologyDocument);  // another node was faster
    if (!document) co_return fail(Errc::unavailable, "the cluster is being founded by another node");
  }
  co_return cluster::decode_topology(document->content);
}

Result<> compare(const JoinDeps& deps, const cluster::Topology& topology, const std::vector<Owner>& owners) {
  const std::string difference = cluster::first_difference(topology, deps.config.cluster_drives);
  if (!difference.empty()) {
    return fail(
        Errc::invalid_argument,
        fmt::format("this node was told of other drives than the others: {}. Start every node with the "
                    "same list of drives",
                    difference));
  }
  const auto& wanted = deps.config.erasure_set;
  if (wanted &&
      (wanted->data_shards != topology.data_shards || wanted->parity_shards != topology.parity_shards)) {
    return fail(Errc::invalid_argument,
                fmt::format("setting erasure_set: {}+{} is wanted, but the cluster is {}+{}, which is fixed",
                            wanted->data_shards, wanted->parity_shards, topology.data_shards,
                            topology.parity_shards));
  }
  for (const Owner& owner : owners) {
    if (owner.deployment == topology.deployment) continue;
    return fail(
        Errc::wrong_drive,
        fmt::format("{} holds a drive of deployment {}, and this cluster is {}; it is left as it is. Name "
                    "an empty folder, or empty this one by hand if nothing in it is needed",
                    owner.folder, to_string(owner.deployment), to_string(topology.deployment)));
  }
  return {};
}

Task<Result<Membership>> ask(Ctx& ctx, const JoinDeps& deps, control::ControlStore& store) {
  const std::vector<Owner> owners = owners_of(deps);
  Membership out;
  CO_TRY(topology, co_await make_or_read(ctx, deps, store, owners));
  out.topology = std::move(topology);
  CO_TRY_VOID(compare(deps, out.topology, owners));
  if (const control::DocumentPtr table = store.get(kPlacementDocument)) {
    CO_TRY(placement, cluster::Placement::from_json(out.topology.deployment, table->content));
    out.table = std::move(placement);
  }
  out.seen.resize(out.topology.slots.size());
  if (const control::DocumentPtr document = store.get(cluster::kDriveRegister)) {
    CO_TRY(known, cluster::decode_drive_register(document->content));
    for (std::size_t slot = 0; slot < out.seen.size() && slot < known.size(); ++slot)
      out.seen[slot] = known[slot].has_value();
  }
  co_return out;
}

}  // namespace

Task<Result<Membership>> join_cluster(Ctx& ctx, JoinDeps deps) {
  CO_TRY(config, etcd_config(deps.fs, deps.config.control_store));
  config.dial = deps.dial;
  cluster::EtcdClient client(ctx.shard, std::move(config));
  const std::string keys = cluster::etcd_keys_of(deps.config.control_store.cluster);
  cluster::EtcdFollower follower(client, keys);
  cluster::EtcdControlStore store(client, follower, deps.random);
  const Result<> loaded = co_await store.load(ctx, std::nullopt);
  Result<Membership> out = fail(Errc::unavailable);
  if (loaded)
    out = co_await ask(ctx, deps, store);
  else
    out = tl::unexpected<Error>(loaded.error());
  co_await follower.close();
  client.abort();
  co_await store.close();
  co_return out;
}

std::vector<std::string> own_folders(const Membership& cluster, const cluster::NodeName& self,
                                     const std::vector<cluster::DriveUrl>& told) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < cluster.topology.slots.size(); ++i) {
    const cluster::Topology::Slot& slot = cluster.topology.slots[i];
    if (slot.url.node != self || slot.state == cluster::SlotState::removed) continue;
    const bool named = std::find(told.begin(), told.end(), slot.url) != told.end();
    if (named || cluster.seen[i]) {
      out.push_back(slot.url.folder);
    } else {
      log::warn("{} was added to this node, and is not named here: it is left out until it is",
                to_string(slot.url));
    }
  }
  return out;
}

}  // namespace ostraka::cmd
