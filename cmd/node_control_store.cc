#include "cmd/node_control_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "cluster/limits.h"
#include "cluster/topology.h"
#include "cmd/drive_replacer.h"
#include "cmd/etcd_connection.h"

namespace ostraka::cmd {
namespace {

using cluster::StoreMark;

constexpr std::string_view kDocuments = "doc";  // system records of the embedded store, kBehindRecord too

std::vector<disk::Drive*> as_drives(const std::vector<disk::LocalDrive*>& drives) {
  return {drives.begin(), drives.end()};
}

// Of one drive; nullopt: it holds none.
Task<Result<std::optional<StoreMark>>> mark_of(Ctx& ctx, disk::LocalDrive* drive) {
  std::string name(cluster::kStoreMarkRecord);
  CO_TRY(records, co_await drive->scan_system(ctx, std::move(name), 2));
  for (const auto& record : records) {
    if (record.name != cluster::kStoreMarkRecord) continue;
    auto mark = cluster::decode_store_mark(record.value);
    if (!mark) co_return fail(mark.code(), drive->folder() + ": " + mark.error().detail);
    co_return std::optional(std::move(*mark));
  }
  co_return std::optional<StoreMark>();
}

// Whether an embedded store was kept on them. Error: unavailable (one that is online does not tell).
Task<Result<bool>> hold_documents(Ctx& ctx, std::vector<disk::LocalDrive*> drives) {
  for (disk::LocalDrive* drive : drives) {
    if (!drive->online()) continue;
    std::string prefix(kDocuments);
    const auto records = co_await drive->scan_system(ctx, std::move(prefix), 1);
    if (!records) {
      co_return fail(Errc::unavailable, drive->folder() + " does not tell whether documents are on it: " +
                                            records.error().detail);
    }
    if (!records->empty()) co_return true;
  }
  co_return false;
}

bool all_online(const std::vector<disk::LocalDrive*>& drives) {
  return std::all_of(drives.begin(), drives.end(),
                     [](const disk::LocalDrive* drive) { return drive->online(); });
}

bool any_online(const std::vector<disk::LocalDrive*>& drives) {
  return std::any_of(drives.begin(), drives.end(),
                     [](const disk::LocalDrive* drive) { return drive->online(); });
}

// Of one drive that is not marked with it yet.
Task<Result<>> write_mark(Ctx& ctx, disk::LocalDrive* drive, const StoreMark& mark) {
  CO_TRY(known, co_await mark_of(ctx, drive));
  if (known && *known == mark) co_return Result<>();
  if (known) {
    co_return fail(Errc::wrong_drive, fmt::format("it says that the documents are kept in etcd as {} ({})",
                                                  known->cluster, known->identity));
  }
  std::string name(cluster::kStoreMarkRecord);
  std::string value = cluster::encode_store_mark(mark);
  co_return co_await drive->put_system(ctx, std::move(name), std::move(value));
}

}  // namespace

Task<Result<MarkFound>> read_store_mark(Ctx& ctx, std::vector<disk::LocalDrive*> drives) {
  MarkFound found;
  for (disk::LocalDrive* drive : drives) {
    if (!drive->online()) continue;
    auto mark = co_await mark_of(ctx, drive);
    if (mark.failed_with(Errc::malformed) || mark.failed_with(Errc::unsupported_version))
      co_return tl::unexpected<Error>(mark.error());
    if (!mark || !*mark) continue;
    if (found.mark && *found.mark != **mark) {
      co_return fail(
          Errc::wrong_drive,
          fmt::format("{} says that the documents are kept in etcd as {} ({}), and other drives, as {} ({})",
                      drive->folder(), (*mark)->cluster, (*mark)->identity, found.mark->cluster,
                      found.mark->identity));
    }
    found.mark = std::move(*mark);
    ++found.drives;
  }
  co_return found;
}

Task<std::size_t> write_store_mark(Ctx& ctx, std::vector<disk::LocalDrive*> drives, StoreMark mark) {
  std::size_t marked = 0;
  for (disk::LocalDrive* drive : drives) {
    if (!drive->online()) continue;
    const Result<> written = co_await write_mark(ctx, drive, mark);
    if (written)
      ++marked;
    else
      log::error("drive not marked with where the control store is drive={} reason={}", drive->folder(),
                 written.error().detail);
  }
  co_return marked;
}

Error kept_in_etcd(const StoreMark& mark) {
  return {
      Errc::invalid_argument,
      fmt::format(
          "setting control.store: the documents of these drives are kept in etcd (cluster {}, identity {}), "
          "not on the drives: name its members, --control-store etcd://HOST:PORT,...",
          mark.cluster, mark.identity)};
}

NodeControlStore::NodeControlStore(NodeControlStoreDeps deps)
    : d_(std::move(deps)), lone_(d_.self), leader_of_one_(d_.self.name) {
  if (!d_.config.etcd.empty()) return;
  embedded_ = std::make_unique<cluster::EmbeddedControlStore>(d_.clock, d_.background, d_.locks,
                                                              as_drives(d_.drives));
  store_ = embedded_.get();
}

NodeControlStore::~NodeControlStore() = default;

std::size_t NodeControlStore::drives_to_load() const {
  return embedded_ ? embedded_->majority() : 1;
}

Task<Result<>> NodeControlStore::load(Ctx& ctx) {
  CO_TRY(found, co_await read_store_mark(ctx, d_.drives));
  if (embedded_) co_return co_await load_embedded(ctx, std::move(found.mark));
  co_return co_await load_from_etcd(ctx, std::move(found.mark));
}

Task<Result<>> NodeControlStore::load_embedded(Ctx& ctx, std::optional<StoreMark> mark) {
  if (mark) co_return tl::unexpected<Error>(kept_in_etcd(*mark));
  embedded_->set_replaced_drives(std::string(cluster::kDriveRegister), find_replaced(d_.drives));
  embedded_->set_lost_drives(find_lost(d_.clock, d_.drives));
  co_return co_await embedded_->load(ctx);
}

Task<Result<>> NodeControlStore::load_from_etcd(Ctx& ctx, std::optional<StoreMark> mark) {
  const std::string& cluster = d_.config.cluster;
  if (mark && mark->cluster != cluster) {
    co_return fail(
        Errc::invalid_argument,
        fmt::format(
            "setting control.cluster: {} is given, and the documents of these drives are kept in etcd as {}",
            cluster, mark->cluster));
  }
  // A node of a cluster that lost all its drives gets them filled by the others.
  const bool any = any_online(d_.drives), all = all_online(d_.drives);
  if (!any && !d_.in_cluster) co_return fail(Errc::unavailable, "no drive answers");
  was_marked_ = mark.has_value();
  if (!mark) {
    CO_TRY(used, co_await hold_documents(ctx, d_.drives));
    if (used) {
      co_return fail(Errc::invalid_argument,
                     "setting control.store: the documents are on these drives, not in etcd: move them with "
                     "`ostraka admin control-store migrate`");
    }
  }
  if (!client_) {
    CO_TRY_VOID(co_await connect(ctx));
  }
  if (!mark && !all) {  // the documents may be on a drive that is not there yet
    CO_TRY(founded, co_await in_etcd_->is_founded(ctx.deadline));
    if (!founded) {
      co_return fail(
          Errc::unavailable,
          "etcd holds no control store yet, and one is founded when all drives of this node answer");
    }
  }
  std::optional<std::string> expected;
  if (mark) expected = mark->identity;
  CO_TRY_VOID(co_await in_etcd_->load(ctx, std::move(expected)));
  // Alone it would take the drives of all other nodes for lost ones, and register others in their places.
  if (!d_.in_cluster && in_etcd_->get(cluster::kTopologyDocument)) {
    co_return fail(Errc::invalid_argument,
                   fmt::format("setting control.cluster: {} is the store of a cluster, and the drives are "
                               "named as folders of one node: name all drives of the cluster by their URLs, "
                               "http://NODE:PORT/FOLDER, or choose another name",
                               cluster));
  }
  StoreMark now;
  now.cluster = cluster;
  now.identity = in_etcd_->identity();
  const std::size_t marked = co_await write_store_mark(ctx, d_.drives, std::move(now));
  if (marked == 0 && any)
    co_return fail(Errc::unavailable, "no drive could be marked with where the documents are");
  store_ = in_etcd_.get();
  join();
  if (!etcd_members_) co_return Result<>();
  const TimePoint deadline = std::min(ctx.deadline, deadline_after(d_.clock.now(), cluster::kEtcdPatience));
  co_return co_await etcd_members_->wait_until_joined(deadline);
}

Task<Result<>> NodeControlStore::connect(Ctx& ctx) {
  CO_TRY(config, etcd_config(d_.fs, d_.config));
  config.dial = d_.dial;
  if (!config.user.empty() && !config.tls)
    log::warn(
        "setting control.user: the password goes to etcd in the clear (--control-store etcds:// for TLS)");
  client_ = std::make_unique<cluster::EtcdClient>(ctx.shard, std::move(config));
  follower_ = std::make_unique<cluster::EtcdFollower>(*client_, cluster::etcd_keys_of(d_.config.cluster));
  in_etcd_ = std::make_unique<cluster::EtcdControlStore>(*client_, *follower_, d_.random);
  for (auto& [prefix, watcher] : early_watchers_) in_etcd_->watch(std::move(prefix), std::move(watcher));
  early_watchers_.clear();
  if (!d_.in_cluster) co_return Result<>();
  session_ = std::make_unique<cluster::EtcdSession>(*client_, cluster::EtcdSessionSpec{});
  etcd_members_ = std::make_unique<cluster::EtcdMembership>(*client_, *follower_, *session_, d_.self,
                                                            [this] { return locks(); });
  etcd_election_ = std::make_unique<cluster::EtcdElection>(*client_, *follower_, *etcd_members_);
  in_etcd_->on_revision(
      [members = etcd_members_.get()](std::uint64_t revision) { members->set_revision(revision); });
  membership_ = etcd_members_.get();
  election_ = etcd_election_.get();
  co_return Result<>();
}

// Of the drives in service: no other process on this machine has one of them.
std::vector<std::string> NodeControlStore::locks() const {
  std::vector<std::string> out;
  for (const disk::LocalDrive* drive : d_.drives)
    if (const auto file = drive->lock_file())
      out.push_back(fmt::format("{:x}:{:x}", file->device, file->inode));
  return out;
}

Result<> NodeControlStore::check_not_displaced() const {
  if (!membership_->displaced()) return {};
  return fail(Errc::unavailable, "another process is the member " + d_.self.name);
}

// Once the documents are known, so that who sees this node knows what it knows.
void NodeControlStore::join() {
  if (!session_ || std::exchange(joined_, true)) return;
  session_->start();
  etcd_members_->join();
  etcd_election_->start();
}

Task<> NodeControlStore::close() {
  if (!in_etcd_) co_return;
  co_await follower_->close();
  client_->abort();
  co_await in_etcd_->close();
  if (!session_) co_return;
  co_await etcd_members_->close();
  co_await etcd_election_->close();
  co_await session_->close();
}

Task<Result<>> NodeControlStore::sync_drive(Ctx& ctx, disk::LocalDrive& drive) {
  if (embedded_) co_return co_await embedded_->sync_drive(ctx, drive);
  if (etcd_members_) etcd_members_->say_locks();
  const Result<> marked = co_await mark_late(ctx, drive);
  if (!marked && complained_of_.insert(&drive).second)
    log::error("drive not marked with where the control store is drive={} reason={}", drive.folder(),
               marked.error().detail);
  if (marked) complained_of_.erase(&drive);
  co_return marked;
}

Task<Result<>> NodeControlStore::mark_late(Ctx& ctx, disk::LocalDrive& drive) {
  if (!was_marked_) {  // otherwise it was away when the documents were moved
    std::vector<disk::LocalDrive*> one{&drive};
    CO_TRY(known, co_await read_store_mark(ctx, one));
    CO_TRY(used, co_await hold_documents(ctx, std::move(one)));
    if (used && !known.mark) {
      co_return fail(Errc::wrong_drive,
                     "documents are on it, and this server began with those in etcd: was it meant to?");
    }
  }
  StoreMark mark;
  mark.cluster = d_.config.cluster;
  mark.identity = in_etcd_->identity();
  co_return co_await write_mark(ctx, &drive, mark);
}

control::DocumentPtr NodeControlStore::get(std::string_view name) const {
  return store_ == nullptr ? nullptr : store_->get(name);
}

std::vector<control::DocumentPtr> NodeControlStore::list(std::string_view prefix) const {
  if (store_ == nullptr) return {};
  return store_->list(prefix);
}

Task<Result<control::DocumentPtr>> NodeControlStore::put(Ctx& ctx, std::string name, std::string content,
                                                         std::optional<std::uint64_t> expected) {
  if (store_ == nullptr) co_return fail(Errc::unavailable, "the control store is not loaded");
  CO_TRY_VOID(check_not_displaced());
  co_return co_await store_->put(ctx, std::move(name), std::move(content), expected);
}

Task<Result<>> NodeControlStore::erase(Ctx& ctx, std::string name, std::optional<std::uint64_t> expected) {
  if (store_ == nullptr) co_return fail(Errc::unavailable, "the control store is not loaded");
  CO_TRY_VOID(check_not_displaced());
  co_return co_await store_->erase(ctx, std::move(name), expected);
}

void NodeControlStore::watch(std::string prefix, Watcher watcher) {
  if (store_ != nullptr)
    store_->watch(std::move(prefix), std::move(watcher));
  else
    early_watchers_.emplace_back(std::move(prefix), std::move(watcher));
}

}  // namespace ostraka::cmd
