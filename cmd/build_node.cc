#include "cmd/build_node.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "admin/admin_api.h"
#include "base/encoding.h"
#include "base/hash.h"
#include "base/hlc.h"
#include "base/log.h"
#include "cluster/drive_service.h"
#include "cluster/local_lock_service.h"
#include "cluster/lock_server.h"
#include "cluster/placement_change.h"
#include "cluster/quorum_lock_service.h"
#include "cluster/write_permit.h"
#include "cmd/cluster_gauges.h"
#include "cmd/drive_replacer.h"
#include "cmd/node_control_store.h"
#include "cmd/rebalance_side.h"
#include "cmd/shared_settings.h"
#include "cmd/starting_s3.h"
#include "cmd/table_follower.h"
#include "cmd/topology_follower.h"
#include "cmd/version.h"
#include "erasure/erasure_set.h"
#include "iam/credentials.h"
#include "iam/sigv4.h"
#include "object/bucket_store.h"
#include "object/erasure_object_layer.h"
#include "object/heal_service.h"
#include "object/object_sets.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "s3api/s3_service.h"

namespace ostraka::cmd {
namespace {

constexpr std::string_view kScannerMatter = "scanner";
constexpr Duration kDriveWatchPeriod = std::chrono::seconds(1);
constexpr Duration kDriveWatchDeadline = std::chrono::seconds(30);

std::shared_ptr<disk::DriveRoster> roster_of(const NodeDrives& drives) {
  auto out = std::make_shared<disk::DriveRoster>();
  for (std::size_t slot = 0; slot < drives.drives.size(); ++slot) {
    out->add({drives.drives[slot].get(), drives.nodes[slot], drives.paths[slot], drives.file_systems[slot]});
    if (slot < drives.removed.size() && drives.removed[slot]) out->set_removed(slot);
  }
  return out;
}

Task<Result<cluster::Placement>> load_placement(Ctx& ctx, control::ControlStore& control,
                                                const NodeDrives& drives) {
  if (const control::DocumentPtr document = control.get(kPlacementDocument)) {
    auto placement = cluster::Placement::from_json(drives.deployment, document->content);
    if (placement && placement->set_drives() != drives.geometry.drives()) {
      co_return fail(
          Errc::corrupt,
          fmt::format("the placement table is for sets of {} drives, the drives were formatted as {}+{}",
                      placement->set_drives(), drives.geometry.data_shards, drives.geometry.parity_shards));
    }
    co_return placement;
  }
  std::vector<cluster::PlacementDrive> placed;
  for (std::size_t slot = 0; slot < drives.ids.size(); ++slot) {
    if (slot < drives.removed.size() && drives.removed[slot]) continue;
    placed.push_back({drives.ids[slot], drives.nodes[slot]});
  }
  cluster::Placement placement = cluster::Placement::make(drives.deployment, placed, drives.geometry.drives(),
                                                          drives.geometry.parity_shards);
  std::string json = placement.to_json();
  const auto made = co_await control.put(ctx, std::string(kPlacementDocument), std::move(json), 0);
  if (made.failed_with(Errc::conflict))
    co_return fail(Errc::unavailable, "another node makes the placement table");
  if (!made) co_return fail(made.code(), "the placement table could not be written: " + made.error().detail);
  co_return placement;
}

// Every set of drives that the groups use, once, as slots.
admin::Layout layout_of(const object::SetTable& table, const disk::DriveRoster& roster,
                        const erasure::Geometry& geometry) {
  std::set<std::vector<std::uint16_t>> sets;
  for (const object::SetPtr& set : table.sets) {
    std::vector<std::uint16_t> slots;
    for (const disk::Drive* drive : set->drives())
      slots.push_back(static_cast<std::uint16_t>(roster.slot_of(drive->id()).value_or(UINT16_MAX)));
    std::sort(slots.begin(), slots.end());
    sets.insert(std::move(slots));
  }
  return admin::Layout{geometry, {sets.begin(), sets.end()}};
}

s3api::S3Config s3_config(const ServerConfig& config, const DeploymentId& deployment) {
  s3api::S3Config out;
  out.region = config.region;
  if (!config.domain.empty()) out.domains.push_back(config.domain);
  // Canonical user ids are 64 hexadecimal digits; this one is the same on every start.
  out.owner_id = hex(digest(DigestKind::sha256, "owner of " + to_string(deployment)));
  out.host_id = base64(digest(DigestKind::sha256, "host of " + to_string(deployment)));
  out.requests_max = config.requests_max;
  out.forms_max = (out.requests_max + 3) / 4;
  out.progress_timeout = config.request_timeout;
  out.access_log = config.access_log;
  return out;
}

std::uint32_t random_origin(Random& random) {
  return static_cast<std::uint32_t>(random_u64(random));  // two processes never give out the same version id
}

// Members are in the order of their needs: each uses only those above it.
class ServingNode final : public Node {
 public:
  ServingNode(Deps deps, NodeDrives drives, const ServerConfig& config, object::StorageClasses classes)
      : deps_(deps),
        config_(config),
        classes_(classes),
        drives_(std::move(drives)),
        roster_(roster_of(drives_)),
        settings_(deps.peers ? shared_settings(config, classes.reduced.parity_shards, drives_.deployment)
                             : nlohmann::json()),
        hlc_(random_origin(deps.random)),
        control_({deps.clock, deps.random, deps.fs, background_, locks_, here(drives_), config.control_store,
                  self_of(deps, settings_), deps.peers.has_value(), deps.dial}),
        epochs_(control_, drives_.deployment, std::string(kPlacementDocument)),
        console_({deps.clock,
                  deps.fs,
                  deps.metrics,
                  background_,
                  roster_,
                  drives_.geometry,
                  control_.drives_to_load(),
                  {std::string(version()), to_string(drives_.deployment), to_string(config.address)}}),
        probes_(console_),
        front_(config.s3_probes ? &probes_ : nullptr, starting_) {}

  Task<Result<>> load(Ctx& ctx) override {
    meet_peers(ctx.shard);
    CO_TRY_VOID(co_await control_.load(ctx));
    follow_the_cluster(ctx.shard);
    // So that whoever finds the node serving can write at once; and it knows by then who joined before it.
    if (permit_) co_await permit_->wait_for_one(deps_.clock.now() + std::chrono::seconds(5));
    if (deps_.peers) {
      const Result<> alike =
          check_shared_settings(deps_.peers->self, settings_, control_.membership().members());
      if (!alike) co_return alike;
    }
    replacer_ = std::make_unique<DriveReplacer>(replacer_deps());
    CO_TRY_VOID(co_await replacer_->begin(ctx));
    CO_TRY(placement, co_await load_placement(ctx, control_, drives_));
    CO_TRY_VOID(tables_->begin(std::move(placement)));
    tables_->watch(control_);
    buckets_ = std::make_unique<object::BucketStore>(control_, deps_.clock, deps_.random, config_.region,
                                                     bucket_cluster());
    buckets_->start(ctx.shard);
    objects_ = std::make_unique<object::ErasureObjectLayer>(
        object::LayerDeps{deps_.clock, deps_.random, hlc_, locks(), background_, *buckets_, sets()});
    credentials_ =
        std::make_unique<iam::RootCredentials>(config_.root_user, iam::Secret(config_.root_password));
    verifier_ = std::make_unique<iam::SigV4Verifier>(*credentials_, config_.region, deps_.clock);
    s3_ = std::make_unique<s3api::S3Service>(s3_config(config_, drives_.deployment), *objects_, *verifier_,
                                             deps_.metrics);
    front_.lead_to(*s3_);
    background_.spawn(ctx.shard.executor(), watch_drives(this, &ctx.shard));
    start_healing(ctx.shard);
    start_rebalancing(ctx.shard);
    start_scanning(ctx.shard);
    console_.lead_api_to(*api_);
    serve_peers(ctx.shard);
    console_.begin_serving(layout());  // last: whoever waits for it may use all of the above
    co_return Result<>{};
  }

  std::size_t drives_to_load() const noexcept override { return control_.drives_to_load(); }
  net::Service& s3() noexcept override { return front_; }
  admin::AdminService& console() noexcept override { return console_; }
  control::ControlStore& control_store() noexcept override { return control_; }
  Task<> close() override {
    stopping_.set();
    if (rebalance_) co_await rebalance_->close();
    if (scanner_) co_await scanner_->close();
    if (heal_) co_await heal_->close();
    co_await background_.close();
    if (buckets_) co_await buckets_->close();
    co_await control_.close();
    if (topology_) co_await topology_->close();
    for (cluster::RemoteDrive* drive : drives_.remote)
      if (drive != nullptr) co_await drive->close();
    if (!lock_server_) co_return;
    for (const std::string_view calls : kPeerCalls) deps_.peers->serve(std::string(calls), nullptr);
    co_await quorum_locks_->close();
    co_await lock_server_->close();
    if (permit_) co_await permit_->close();
    if (drive_service_) co_await drive_service_->close();
  }

 private:
  static std::vector<disk::LocalDrive*> here(const NodeDrives& drives) {
    std::vector<disk::LocalDrive*> out = drives.local;
    std::erase(out, nullptr);
    return out;
  }

  static control::Member self_of(const Deps& deps, const nlohmann::json& settings) {
    control::Member self;
    if (!deps.peers) return self;
    self.name = deps.peers->self;
    self.address = deps.peers->address;
    self.boot = deps.peers->boot;
    self.process = to_string(make_uuid(deps.random));
    self.facts = facts_of(settings);
    return self;
  }

  // --- of a cluster

  void meet_peers(Shard& shard) {
    if (!deps_.peers || lock_server_) return;
    for (std::size_t slot = 0; slot < drives_.remote.size(); ++slot) {
      cluster::RemoteDrive* drive = drives_.remote[slot];
      if (drive != nullptr && !roster_->removed(slot) && drives_.nodes[slot] != deps_.peers->self)
        drive->start();
    }
    lock_server_ = std::make_unique<cluster::LockServer>(cluster::LockServerDeps{deps_.clock, shard});
    lock_server_->start();
    deps_.peers->serve(std::string(kLockCalls), lock_server_.get());
    quorum_locks_ = std::make_unique<cluster::QuorumLockService>(
        cluster::QuorumLockDeps{deps_.peers->transport, *lock_server_, deps_.clock, deps_.random, shard},
        deps_.peers->self);
    quorum_locks_->start();
    quorum_locks_->set_nodes(nodes_at_start());
  }

  // To write; from now on this node tells its peers what it knows of the control store.
  void ask_for_permits(Shard& shard) {
    if (!deps_.peers) return;
    permit_ = std::make_unique<cluster::WritePermit>(
        cluster::WritePermitDeps{deps_.peers->transport, control_.membership(), deps_.clock, shard,
                                 control_.process()},
        deps_.peers->self, nodes_at_start());
    permit_->start();
    console_.ask_to_write(*permit_);
    deps_.peers->serve(std::string(kControlCalls), permit_.get());
  }

  object::BucketCluster bucket_cluster() {
    if (!deps_.peers) return {};
    return {&control_.membership(), permit_.get(), deps_.peers->self};
  }

  // Commit leases: of this node alone, or of the cluster.
  control::LockService& locks() noexcept {
    if (quorum_locks_) return *quorum_locks_;
    return locks_;
  }

  // From now on this node's drives serve its peers: those that were replaced are known, and all are
  // registered.
  void serve_peers(Shard& shard) {
    if (!deps_.peers) return;
    std::vector<disk::Drive*> own;
    for (disk::LocalDrive* drive : here(drives_)) own.push_back(drive);
    // A node that starts probes the drives of all others: they have its drives again at once, and do not go
    // on writing without them for the seconds between two probes.
    const auto probed_by = [this](const cluster::NodeName& node) {
      deps_.peers->transport.heard_from(node);
      for (std::size_t slot = 0; slot < roster_->size(); ++slot) {
        disk::Drive* drive = (*roster_)[slot];
        if (drive == nullptr || !drive->remote() || roster_->entry(slot).node != node) continue;
        static_cast<cluster::RemoteDrive*>(drive)->node_called();  // remote() says that it is one
      }
    };
    const auto pace = [&pacer = rebalance_->pacer()](std::uint64_t work, bool resting) {
      return pacer.asked(work, resting);
    };
    drive_service_ = std::make_unique<cluster::DriveService>(
        cluster::DriveServiceDeps{deps_.clock, deps_.random, shard, probed_by, pace}, own);
    drive_service_->start();
    deps_.peers->serve(std::string(kDriveCalls), drive_service_.get());
    deps_.peers->serve(std::string(admin::kAdminCalls), api_.get());
  }

  // While another process is the member of this node's name, the drives here are not the node's.
  void serve_drives_if_alone() {
    if (!drive_service_ || drives_withheld_ == control_.membership().displaced()) return;
    drives_withheld_ = !drives_withheld_;
    if (drives_withheld_)
      log::error("this node's drives serve nobody, since another process runs as this node");
    deps_.peers->serve(std::string(kDriveCalls), drives_withheld_ ? nullptr : drive_service_.get());
  }

  std::vector<cluster::NodeName> nodes_at_start() const {
    std::vector<cluster::NodeName> out;
    for (std::size_t slot = 0; slot < drives_.nodes.size(); ++slot)
      if (!roster_->removed(slot)) out.push_back(drives_.nodes[slot]);
    return out;
  }

  // From now on the node has the drives that the topology names. Once.
  void follow_the_cluster(Shard& shard) {
    if (tables_) return;
    make_tables();
    ask_for_permits(shard);
    if (!deps_.peers || !deps_.peers->remote) return;
    const auto meet = [this](const cluster::Topology& now) {
      const std::vector<cluster::NodeName> nodes = now.nodes();
      deps_.peers->meet(now);
      quorum_locks_->set_nodes(nodes);
      permit_->set_nodes(nodes);
      if (std::find(nodes.begin(), nodes.end(), deps_.peers->self) == nodes.end()) leave_the_cluster();
    };
    topology_ = std::make_unique<TopologyFollower>(
        TopologyFollower::Deps{deps_.peers->self, drives_.deployment, roster_, deps_.peers->remote, meet,
                               [this] { tables_->look_again(); }});
    topology_->watch(control_);
  }

  // The others do not call a node that was removed any more, so it must not lead them, and whoever sends it
  // clients should send them elsewhere. It may run until somebody stops it.
  void leave_the_cluster() {
    log::warn("this node was removed from the cluster: stop it");
    for (const std::string_view matter : {kScannerMatter, cluster::kRebalanceMatter})
      control_.election().resign(std::string(matter));
    console_.become_unready("removed from the cluster");
  }

  admin::Layout layout() { return layout_of(*sets().table(), *roster_, drives_.geometry); }

  std::vector<cluster::NodeName> members() {
    std::vector<cluster::NodeName> out;
    for (const control::MemberPtr& member : control_.membership().members()) out.push_back(member->name);
    return out;
  }

  bool is_here(std::size_t slot) const {
    return slot < drives_.local.size() && drives_.local[slot] != nullptr;
  }

  // One node does what has to be done for a group: that of its first drive in service.
  bool tends(std::uint16_t group) const {
    if (group >= kPlacementGroups) return true;  // an entry that says nothing: whoever finds it
    for (const disk::Drive* drive : tables_->sets().of_group(group).drives()) {
      if (!drive->online()) continue;
      const auto slot = roster_->slot_of(drive->id());
      return slot && is_here(*slot);
    }
    return true;
  }

  object::ObjectSets& sets() noexcept { return tables_->sets(); }

  void make_tables() {
    set_context_ = std::make_unique<erasure::SetContext>(erasure::SetContext{.clock = deps_.clock,
                                                                             .random = deps_.random,
                                                                             .hlc = hlc_,
                                                                             .locks = locks(),
                                                                             .background = background_,
                                                                             .metrics = deps_.metrics,
                                                                             .epochs = &epochs_});
    tables_ = std::make_unique<TableFollower>(
        TableFollower::Deps{drives_.deployment, drives_.geometry, classes_, *set_context_,
                            [this](const DriveId& id) { return roster_->find(id); },
                            [this] { console_.change_layout(layout()); }});
  }

  void start_healing(Shard& shard) {
    object::HealDeps deps{deps_.clock, deps_.metrics, sets(), *buckets_, roster_, deps_.shards};
    if (deps.shards.empty()) deps.shards.push_back(&shard);
    deps.clients = [this] { return s3_->client_load(); };
    if (deps_.peers) {
      deps.refills = [this](std::size_t drive) { return is_here(drive); };
      deps.tends = [this](std::uint16_t group) { return tends(group); };
    }
    heal_ = std::make_unique<object::HealService>(std::move(deps));
    heal_->start();
  }

  void start_rebalancing(Shard& shard) {
    if (!deps_.peers || rebalance_) return;
    rebalance_ = std::make_unique<RebalanceSide>(
        RebalanceSide::Deps{deps_.clock, deps_.random, deps_.metrics, control_, control_.membership(),
                            control_.election(), deps_.peers->transport, deps_.peers->self,
                            drives_.deployment, roster_, [this] { return s3_->client_load(); }});
    rebalance_->start(shard);
  }

  void start_scanning(Shard& shard) {
    object::ScannerDeps deps{deps_.clock, deps_.metrics, sets(), *buckets_, roster_, {}, {}};
    deps.requests_in_flight = [this] { return s3_->client_load().in_flight; };
    deps.heal = [this](Ctx& ctx, disk::ObjectRef ref, erasure::HealSpec spec) {
      return heal_->heal(ctx, std::move(ref), spec, object::HealCause::scanner);
    };
    object::ScannerConfig scanner{config_.scanner_period, deps_.clock.unix_ms()};
    if (deps_.peers) {
      scanner.no_writer_before_ms = 0;  // other nodes write, too
      control::Election& election = control_.election();
      election.stand(std::string(kScannerMatter));
      deps.leads = [&election] { return election.leading(kScannerMatter).has_value(); };
      deps.leader = [&election] { return election.leader(kScannerMatter); };
    }
    scanner_ = std::make_unique<object::Scanner>(std::move(deps), scanner);
    usage_ = std::make_unique<object::Usage>(object::UsageDeps{deps_.clock, deps_.metrics, *buckets_, roster_,
                                                               sets().set_drives(), background_,
                                                               [this] { return sets().any_moving(); }});
    admin::ApiContext api{deps_.clock, *verifier_, *buckets_,
                          sets(),      *heal_,     *scanner_,
                          *usage_,     roster_,    [this](std::size_t slot) { return trust_drive(slot); }};
    if (deps_.peers) {
      api.rebalancer = &rebalance_->rebalancer();
      api.peers.emplace(admin::ApiPeers{deps_.peers->self, deps_.peers->transport, background_,
                                        [this] { return members(); },
                                        [this] { return control_.election().leader(kScannerMatter); }});
    }
    api_ = std::make_unique<admin::AdminApi>(std::move(api));
    console_.lead_usage_to(*usage_);
    scanner_->start_loop(deps_.shards.empty() ? shard : *deps_.shards.front());
  }

  Result<> trust_drive(std::size_t slot) {
    if (!is_here(slot))
      return fail(Errc::invalid_argument, fmt::format("{} is a drive of {}: ask that node (--url)",
                                                      roster_->entry(slot).path, roster_->entry(slot).node));
    drives_.local[slot]->trust_again();
    return {};
  }

  DriveReplacer::Deps replacer_deps() {
    return {.clock = deps_.clock,
            .random = deps_.random,
            .control = control_,
            .embedded = control_.embedded(),
            .in_cluster = deps_.peers.has_value(),
            .deployment = drives_.deployment,
            .placement_document = std::string(kPlacementDocument),
            .is_this_node =
                [this] { return !deps_.peers || control_.membership().lease_until() > deps_.clock.now(); },
            .drives = drives_.local,
            .raise_epoch = [this](std::uint16_t group,
                                  std::uint64_t epoch) { sets().of_group(group).raise_epoch(epoch); }};
  }

  // Looks once a second which drives have gone or come back.
  static Task<> watch_drives(ServingNode* self, Shard* shard) {
    for (const auto& drive : self->drives_.drives) self->watched_.push_back({drive->online(), false});
    std::optional<ClusterGauges> cluster;
    if (self->permit_) cluster.emplace(self->deps_.metrics);
    for (;;) {
      if (cluster) {
        const TimePoint now = self->deps_.clock.now();
        cluster->set(self->control_.membership(), now, *self->permit_, *self->quorum_locks_);
        self->serve_drives_if_alone();
      }
      const TimePoint next = self->deps_.clock.now() + kDriveWatchPeriod;
      const bool stopping = co_await self->stopping_.wait_until(self->deps_.clock, next);
      if (stopping) co_return;
      for (std::size_t slot = 0; slot < self->watched_.size(); ++slot) {
        // The folder of a drive that was removed may be emptied for another one.
        if (!self->is_here(slot) || self->roster_->removed(slot)) continue;
        Watched& watched = self->watched_[slot];
        if (watched.busy || (watched.in_service && self->drives_.drives[slot]->online())) continue;
        watched.busy = true;  // a drive that hangs keeps nobody from looking after the others
        self->background_.spawn(shard->executor(), look_after(self, shard, slot));
      }
    }
  }

  // A drive that was away gets the documents it missed as soon as it is back. One whose folder is empty is
  // replaced.
  static Task<> look_after(ServingNode* self, Shard* shard, std::size_t slot) {
    disk::LocalDrive& drive = *self->drives_.local[slot];
    Ctx ctx{*shard, self->deps_.clock.now() + kDriveWatchDeadline, "look-after-drive"};
    if (drive.online()) {
      const Result<> synced = co_await self->control_.sync_drive(ctx, drive);
      if (synced) co_await self->replacer_->note_place(ctx, slot);
      self->watched_[slot].in_service = synced.has_value();
    } else {
      self->watched_[slot].in_service = false;
      co_await self->replacer_->replace_if_lost(ctx, slot);
    }
    self->watched_[slot].busy = false;
  }

  const Deps deps_;
  const ServerConfig& config_;
  const object::StorageClasses classes_;
  const NodeDrives drives_;                          // that the node began with
  const std::shared_ptr<disk::DriveRoster> roster_;  // all that there are now
  const nlohmann::json settings_;                    // that all nodes have to be told alike
  Gate background_;
  Event stopping_;
  Hlc hlc_;
  cluster::LocalLockService locks_;
  NodeControlStore control_;
  cluster::PlacementEpochs epochs_;
  admin::AdminService console_;
  admin::ProbeService probes_;
  StartingS3 starting_;
  admin::FrontService front_;
  struct Watched {
    bool in_service = false;  // and has all documents
    bool busy = false;        // being looked after
  };
  std::vector<Watched> watched_;
  // made by load()
  std::unique_ptr<cluster::LockServer> lock_server_;
  std::unique_ptr<cluster::QuorumLockService> quorum_locks_;
  std::unique_ptr<DriveReplacer> replacer_;
  std::unique_ptr<erasure::SetContext> set_context_;
  std::unique_ptr<cluster::WritePermit> permit_;
  std::unique_ptr<TableFollower> tables_;
  std::unique_ptr<TopologyFollower> topology_;
  std::unique_ptr<object::BucketStore> buckets_;
  std::unique_ptr<object::ErasureObjectLayer> objects_;
  std::unique_ptr<iam::RootCredentials> credentials_;
  std::unique_ptr<iam::SigV4Verifier> verifier_;
  std::unique_ptr<s3api::S3Service> s3_;
  std::unique_ptr<object::HealService> heal_;
  std::unique_ptr<object::Scanner> scanner_;
  std::unique_ptr<object::Usage> usage_;
  std::unique_ptr<RebalanceSide> rebalance_;
  std::unique_ptr<admin::AdminApi> api_;
  std::unique_ptr<cluster::DriveService> drive_service_;
  bool drives_withheld_ = false;
};

}  // namespace

Result<std::unique_ptr<Node>> make_node(Deps deps, NodeDrives drives, const ServerConfig& config) {
  TRY(classes, object::make_storage_classes(drives.geometry, config.reduced_parity.value_or(0)));
  std::unique_ptr<Node> node = std::make_unique<ServingNode>(deps, std::move(drives), config, classes);
  return node;
}

Task<Result<std::unique_ptr<Node>>> build_node(Ctx& ctx, Deps deps, NodeDrives drives,
                                               const ServerConfig& config) {
  CO_TRY(node, make_node(deps, std::move(drives), config));
  const Result<> loaded = co_await node->load(ctx);
  if (loaded) co_return std::move(node);
  co_await node->close();
  co_return tl::unexpected<Error>(loaded.error());
}

std::size_t slab_bytes(const erasure::Geometry& standard, const erasure::Geometry& reduced) {
  std::size_t bytes = 0;
  for (const erasure::Geometry& geometry : {standard, reduced}) {
    const std::size_t block = disk::shard_block_bytes(kStripeBytes, geometry.data_shards);
    bytes = std::max(bytes, block * geometry.drives());
  }
  return (bytes + 4095) / 4096 * 4096;
}

}  // namespace ostraka::cmd
