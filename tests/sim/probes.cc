#include "tests/sim/probes.h"

#include <algorithm>
#include <iterator>

#include "tests/sim/sabotage.h"

namespace ostraka::sim {
namespace {

// What a device, the process and the power do.
constexpr std::string_view kFaults[] = {
    "crash: killed",
    "crash: power cut",
    "crash: a batch that was written and never answered",
    "crash: a write that was cut off",
    "fault: a bit flipped on its way",
    "fault: a bit of a file flipped",
    "fault: a bit of the index flipped",
    "fault: a call that stalls",
    "fault: a call to a drive that is gone",
    "fault: a drive gone for good",
    "fault: a failed sync",
    "fault: a failed sync of a folder",
    "fault: a file cut short",
    "fault: a misdirected write",
    "fault: a page that a power cut tears",
    "fault: a page that was not synced is lost",
    "fault: a name that was not synced is lost",
    "fault: a read error",
    "fault: a write error",
    "fault: batches of the index that were not synced are lost",
    "fault: drives start in each other's bays",
    "fault: drives swapped while they serve",
    "fault: no space",
    "fault: no space for the index",
    "fault: the index could not be synced",
};

// Rules that make a difference too rarely in whole nodes, which have leases and one coordinator a key. Each
// has a story in tests/sabotage in which it does.
// The last two are of clusters.
constexpr std::string_view kRareRules[] = {"epoch", "final", "untold", "bare", "unlocked", "permit"};

// The protocol at work. The rules themselves ("rule: ...") count the cases in which they made the difference.
constexpr std::string_view kProtocol[] = {
    "ostraka_in_doubt_total",      "ostraka_purged_tombstones_total",
    "ostraka_roll_forwards_total", "ostraka_settled_gone_total",
    "ostraka_settled_kept_total",  "peace: a drive is filled and readmitted",
};

constexpr std::string_view kRepair[] = {
    "ostraka_corrupt_shards_total",
    "ostraka_decoded_stripes_total",
    "ostraka_dropped_writers_total",
    "ostraka_heal_entries_total",
    "ostraka_healed_shards_total",
    "ostraka_scanner_corrupt_rows_total",
    "ostraka_scanner_orphan_files_total",
    "ostraka_scanner_repaired_keys_total",
    "peace: a drive does not come back",
    "peace: a key in doubt is overwritten while a drive is gone for good",
    "peace: keys are read and written while a drive is gone for good",
};

// What hosts, the network and etcd do.
constexpr std::string_view kClusterFaults[] = {
    "crash: killed",
    "crash: power cut",
    "etcd: a change is carried out and nobody is told",
    "etcd: a lease ends by itself",
    "etcd: a watch ends since the leader has gone",
    "etcd: a watch from what is compacted",
    "etcd: another leader",
    "net: a connection breaks after one",
    "net: a connection breaks before a message",
    "net: a request arrives that nobody waits for",
    "net: a request comes after one that was sent later",
    "net: a request of a process that is dead",
    "net: a request on a connection that is dead",
    "net: connecting takes more than one try",
    "net: what is sent does not get through",
    "net: what was sent long ago arrives",
    "trouble: a clock is wrong by more than a minute",
    "trouble: a link is cut",
    "trouble: a link is cut in one direction",
    "trouble: a member of etcd lags",
    "trouble: a node is alone",
    "trouble: a node pauses",
    "trouble: a node pauses for longer than its lease",
    "trouble: a partition",
    "trouble: a partition in one direction",
    "trouble: clocks of nodes differ",
    "trouble: connections break",
    "trouble: etcd compacts its history",
    "trouble: etcd does not tell what became of a change",
    "trouble: etcd has no leader",
    "trouble: etcd is away from all nodes",
    "trouble: etcd is away from one node",
    "trouble: links are slow",
    "trouble: stopped and started",
};

// What a cluster has to do about it. A stale commit that a drive refuses: `expect`.
constexpr std::string_view kClusterWork[] = {
    "beyond: more is damaged than parity bears",
    "cluster: a bucket is deleted",
    "cluster: a bucket is deleted while a node that knows it stands",
    "cluster: a bucket that is written to is not deleted",
    "cluster: a commit lease goes on from a node that is not heard of",
    "cluster: a node that etcd does not reach does not know a new bucket",
    "cluster: a node with writes under way stands for longer than its leases last",
    "cluster: a write is acknowledged while no node reaches etcd",
    "cluster: the deletion of a bucket fails or is in doubt",
    "growth: a drain is taken back",
    "growth: a node is added",
    "growth: a node is drained",
    "growth: a node is removed",
    "growth: all that was to move has moved",
    "growth: shards have moved while clients are at work",
    "growth: shards move while clients are at work",
    "growth: who leads in moving shards dies",
    "ostraka_healed_shards_total",
    "ostraka_in_doubt_total",
    "ostraka_settled_gone_total",
    "peace: a drive is filled and readmitted",
    "rule: expect",
    "rule: permit",
    "rule: unlocked",
};

}  // namespace

std::string rule_probe(std::string_view rule) {
  return "rule: " + std::string(rule);
}

std::vector<std::string> required_probes() {
  std::vector<std::string> names;
  for (const std::string_view rule : all_sabotages())
    if (std::find(std::begin(kRareRules), std::end(kRareRules), rule) == std::end(kRareRules))
      names.push_back(rule_probe(rule));
  for (const std::string_view name : kFaults) names.emplace_back(name);
  for (const std::string_view name : kProtocol) names.emplace_back(name);
  for (const std::string_view name : kRepair) names.emplace_back(name);
  return names;
}

std::vector<std::string> required_cluster_probes() {
  std::vector<std::string> names(std::begin(kClusterFaults), std::end(kClusterFaults));
  names.insert(names.end(), std::begin(kClusterWork), std::end(kClusterWork));
  return names;
}

}  // namespace ostraka::sim
