#include "cmd/control_store_file.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>

#include "base/log.h"
#include "cluster/embedded_control_store.h"
#include "cluster/limits.h"
#include "cluster/local_lock_service.h"
#include "cmd/drive_pattern.h"
#include "cmd/drive_replacer.h"
#include "cmd/etcd_connection.h"
#include "cmd/node_control_store.h"
#include "cmd/open_drives.h"
#include "disk/rocks_index.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "runtime/worker_pool.h"

namespace ostraka::cmd {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(60);

// A deployment that is not served, opened.
struct Offline {
  cluster::EmbeddedControlStore& store;
  const std::vector<disk::LocalDrive*>& drives;
  Random& random;
};

Task<Result<>> load(Ctx& ctx, Offline& offline) {
  CO_TRY(found, co_await read_store_mark(ctx, offline.drives));
  if (found.mark) co_return tl::unexpected<Error>(kept_in_etcd(*found.mark));
  co_return co_await offline.store.load(ctx);
}

Task<Result<std::string>> export_all(Ctx& ctx, Offline& offline) {
  CO_TRY_VOID(co_await load(ctx, offline));
  co_return offline.store.export_json();
}

Task<Result<std::string>> import_all(Ctx& ctx, Offline& offline, std::string text) {
  CO_TRY_VOID(co_await load(ctx, offline));
  CO_TRY_VOID(co_await offline.store.import_json(ctx, std::move(text)));
  co_return std::string();
}

std::vector<control::DocumentPtr> to_move(const cluster::EmbeddedControlStore& store) {
  std::vector<control::DocumentPtr> out = store.list("");
  std::erase_if(out, [](const auto& document) { return document->name == cluster::kGenerationDocument; });
  return out;
}

// All documents are there, and no others.
bool are_equal(const std::vector<control::DocumentPtr>& documents, const control::ControlStore& copy) {
  if (copy.list("").size() != documents.size()) return false;
  for (const auto& document : documents) {
    const control::DocumentPtr there = copy.get(document->name);
    if (!there || there->content != document->content) return false;
  }
  return true;
}

Task<Result<>> copy_documents(Ctx& ctx, const cluster::EmbeddedControlStore& from,
                              cluster::EtcdControlStore& to) {
  for (const auto& there : to.list("")) {
    const control::DocumentPtr here = from.get(there->name);
    if (here && here->content == there->content) continue;
    co_return fail(Errc::conflict,
                   "etcd holds documents of another deployment or time already, for example " + there->name +
                       ": choose another name with --control-cluster, or remove them");
  }
  const std::vector<control::DocumentPtr> documents = to_move(from);
  for (const auto& document : documents) {
    if (to.get(document->name)) continue;  // of an earlier try
    std::string name = document->name;
    std::string content = document->content;
    CO_TRY_VOID(co_await to.put(ctx, std::move(name), std::move(content), 0));
  }
  co_return Result<>();
}

// With a store that reads all from etcd, as a server that starts does.
Task<Result<>> verify_copy(Ctx& ctx, const cluster::EmbeddedControlStore& from,
                           cluster::EtcdControlStore& copy, std::string identity) {
  CO_TRY_VOID(co_await copy.load(ctx, std::move(identity)));
  if (are_equal(to_move(from), copy)) co_return Result<>();
  co_return fail(Errc::conflict, "etcd does not hold what was written: does somebody else write there?");
}

Task<Result<std::string>> migrate_all(Ctx& ctx, Offline& offline, cluster::EtcdConfig etcd,
                                      std::string name) {
  // Some drives are marked already where it was interrupted.
  CO_TRY(found, co_await read_store_mark(ctx, offline.drives));
  if (found.mark && (found.mark->cluster != name || found.drives >= offline.store.majority()))
    co_return tl::unexpected<Error>(kept_in_etcd(*found.mark));
  CO_TRY_VOID(co_await offline.store.load(ctx));
  std::optional<std::string> expected;
  if (found.mark) expected = found.mark->identity;
  cluster::EtcdClient client(ctx.shard, etcd);
  const std::string keys = cluster::etcd_keys_of(name);
  cluster::EtcdFollower follower(client, keys), second_follower(client, keys);
  cluster::EtcdControlStore to(client, follower, offline.random);
  cluster::EtcdControlStore again(client, second_follower, offline.random);
  Result<> moved = co_await to.load(ctx, std::move(expected));
  if (moved) moved = co_await copy_documents(ctx, offline.store, to);
  std::string identity = to.identity();
  if (moved) moved = co_await verify_copy(ctx, offline.store, again, identity);
  cluster::StoreMark mark;
  mark.cluster = name;
  mark.identity = std::move(identity);
  if (moved) {
    const std::size_t marked = co_await write_store_mark(ctx, offline.drives, std::move(mark));
    if (marked < offline.store.majority())
      moved = fail(Errc::unavailable, "too few drives could be marked with where the documents are now");
  }
  co_await second_follower.close();
  co_await follower.close();
  co_await again.close();
  co_await to.close();
  if (!moved) co_return tl::unexpected<Error>(moved.error());
  co_return fmt::format(
      "{} documents are in etcd at {} now, as cluster {}, and were read back.\n"
      "From now on start the server with --control-store and, unless it is \"default\", --control-cluster; "
      "without "
      "them it\nrefuses these drives. The copy on the drives stays as it is, and is not used any more.\n",
      to_move(offline.store).size(), to_string(etcd), name);
}

Task<Result<std::string>> then_close(Task<Result<std::string>> work, Gate& background) {
  Result<std::string> out = co_await std::move(work);
  co_await background.close();
  co_return out;
}

// Opens the drives and gives them to `work`.
template <class Work>
Result<std::string> with_store(const std::vector<std::string>& patterns, Work work) {
  log::set_level(log::Level::warn);
  TRY(folders, expand_drives(patterns));
  SystemClock clock;
  SystemRandom random;
  PosixFs fs;
  WorkerPools workers;
  MetricRegistry metrics;
  disk::IndexBudget budget({});
  disk::RocksIndexFactory indexes(budget, fs);
  Shard shard(0, clock, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0});
  TRY(drives,
      open_drives({clock, random, fs, indexes, workers, metrics, std::move(folders), std::nullopt, false}));
  std::vector<disk::Drive*> pointers;
  for (const auto& drive : drives.drives) pointers.push_back(drive.get());
  Gate background;
  cluster::LocalLockService locks;
  cluster::EmbeddedControlStore store(clock, background, locks, std::move(pointers));
  store.set_replaced_drives(std::string(cluster::kDriveRegister), find_replaced(drives.local));
  store.set_lost_drives(find_lost(clock, drives.local));
  Ctx ctx{shard, clock.now() + kTimeout, "control-store"};
  Offline offline{store, drives.local, random};
  return run_to_end(shard, then_close(work(ctx, offline), background));
}

Result<std::string> read_standard_input() {
  std::string text;
  std::array<char, 65536> piece;
  for (;;) {
    const std::size_t got = std::fread(piece.data(), 1, piece.size(), stdin);
    text.append(piece.data(), got);
    if (text.size() > cluster::kMaxImportBytes)
      return fail(Errc::too_large, "standard input: too long for a control store");
    if (got < piece.size()) break;
  }
  if (std::ferror(stdin) != 0) return fail(Errc::io, "standard input cannot be read");
  return text;
}

Result<> say(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return {};
  return fail(Errc::io, "standard output cannot be written");
}

}  // namespace

Result<> export_control_store(const std::vector<std::string>& folders) {
  TRY(json, with_store(folders, export_all));
  json += '\n';
  return say(json);
}

Result<> import_control_store(const std::vector<std::string>& folders) {
  TRY(text, read_standard_input());
  return with_store(folders,
                    [&text](Ctx& ctx, Offline& offline) { return import_all(ctx, offline, std::move(text)); })
      .map([](const std::string&) {});
}

Result<> migrate_control_store(const std::vector<std::string>& folders, const ControlStoreConfig& config) {
  if (config.etcd.empty())
    return fail(Errc::invalid_argument,
                "setting control.store: where to? Give --control-store etcd://HOST:PORT,...");
  PosixFs fs;
  TRY(etcd, etcd_config(fs, config));
  TRY(text, with_store(folders, [&](Ctx& ctx, Offline& offline) {
        return migrate_all(ctx, offline, std::move(etcd), config.cluster);
      }));
  return say(text);
}

}  // namespace ostraka::cmd
