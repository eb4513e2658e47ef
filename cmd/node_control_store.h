// NodeControlStore: the control store of a node, wherever it is kept: on the node's own drives, or in etcd.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cluster/embedded_control_store.h"
#include "cluster/etcd_control_store.h"
#include "cluster/etcd_election.h"
#include "cluster/etcd_membership.h"
#include "cluster/etcd_session.h"
#include "cluster/lone_node.h"
#include "cluster/store_mark.h"
#include "cmd/config.h"
#include "disk/local_drive.h"

namespace ostraka::cmd {

struct NodeControlStoreDeps {
  Clock& clock;
  Random& random;
  Fs& fs;
  Gate& background;
  control::LockService& locks;
  std::vector<disk::LocalDrive*> drives;  // of the node, by slot
  const ControlStoreConfig& config;
  control::Member self;     // as the other members of a cluster see this node
  bool in_cluster = false;  // one of several: then its documents are in etcd
  net::HttpDial dial = {};  // how etcd is reached; empty: over the network
};

// What the drives that are online say about where the documents are kept. Errors: wrong_drive (two of them
// contradict each other), and those of decode_store_mark.
struct MarkFound {
  std::optional<cluster::StoreMark> mark;
  std::size_t drives = 0;  // that have it
};
Task<Result<MarkFound>> read_store_mark(Ctx& ctx, std::vector<disk::LocalDrive*> drives);
// Marks the drives that are online and not marked yet; gives their number, with those that were. One with
// another mark keeps it.
Task<std::size_t> write_store_mark(Ctx& ctx, std::vector<disk::LocalDrive*> drives, cluster::StoreMark mark);
// For people who want the documents on the drives, and find the mark.
Error kept_in_etcd(const cluster::StoreMark& mark);

// What its arguments refer to outlives it. Until load() it is empty and unavailable; later it is as thread
// safe as any ControlStore.
class NodeControlStore final : public control::ControlStore {
 public:
  explicit NodeControlStore(NodeControlStoreDeps deps);
  ~NodeControlStore() override;

  // Call it again after unavailable. In etcd, its work runs on ctx.shard from then on, and a store that is
  // not there yet is founded, but only when all drives answer and none says that there are documents. In a
  // cluster it waits until this process is the member of its name, and is unavailable while another one is.
  // Other errors, for people: those of load() of the two stores; invalid_argument (the drives say that the
  // documents are kept elsewhere). From then on changes are unavailable as well while this process is
  // displaced.
  Task<Result<>> load(Ctx& ctx);
  // On the shard of load().
  Task<> close();
  std::size_t drives_to_load() const;  // that must answer
  // null: not on the drives.
  cluster::EmbeddedControlStore* embedded() noexcept { return embedded_.get(); }
  // Of this node alone, or of a cluster after load(). Thread safe as they are.
  control::Membership& membership() noexcept { return *membership_; }
  control::Election& election() noexcept { return *election_; }
  const std::string& process() const noexcept { return d_.self.process; }
  // A drive has come into service: gives it what it lacks. Errors also: wrong_drive (what is on it
  // contradicts where the documents are; logged once).
  Task<Result<>> sync_drive(Ctx& ctx, disk::LocalDrive& drive);

  control::DocumentPtr get(std::string_view name) const override;
  std::vector<control::DocumentPtr> list(std::string_view prefix) const override;
  Task<Result<control::DocumentPtr>> put(Ctx& ctx, std::string name, std::string content,
                                         std::optional<std::uint64_t> expected) override;
  Task<Result<>> erase(Ctx& ctx, std::string name, std::optional<std::uint64_t> expected) override;
  void watch(std::string prefix, Watcher watcher) override;

 private:
  Task<Result<>> load_embedded(Ctx& ctx, std::optional<cluster::StoreMark> mark);
  Task<Result<>> connect(Ctx& ctx);
  std::vector<std::string> locks() const;
  Result<> check_not_displaced() const;
  void join();
  Task<Result<>> mark_late(Ctx& ctx, disk::LocalDrive& drive);
  Task<Result<>> load_from_etcd(Ctx& ctx, std::optional<cluster::StoreMark> mark);

  const NodeControlStoreDeps d_;
  std::unique_ptr<cluster::EmbeddedControlStore> embedded_;
  std::unique_ptr<cluster::EtcdClient> client_;
  std::unique_ptr<cluster::EtcdFollower> follower_;
  std::unique_ptr<cluster::EtcdControlStore> in_etcd_;
  std::unique_ptr<cluster::EtcdSession> session_;
  std::unique_ptr<cluster::EtcdMembership> etcd_members_;
  std::unique_ptr<cluster::EtcdElection> etcd_election_;
  cluster::LoneMembership lone_;
  cluster::LoneElection leader_of_one_;
  control::Membership* membership_ = &lone_;
  control::Election* election_ = &leader_of_one_;
  bool joined_ = false;
  bool was_marked_ = false;  // a drive said at the start where the documents are
  std::set<const disk::LocalDrive*> complained_of_;
  control::ControlStore* store_ = nullptr;                       // one of them, once it is there
  std::vector<std::pair<std::string, Watcher>> early_watchers_;  // from before that
};

}  // namespace ostraka::cmd
