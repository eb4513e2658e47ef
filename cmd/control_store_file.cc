#include "cmd/control_store_file.h"

#include <array>
#include <cstdio>

#include "base/log.h"
#include "cluster/embedded_control_store.h"
#include "cluster/limits.h"
#include "cluster/local_lock_service.h"
#include "cmd/drive_pattern.h"
#include "cmd/drive_replacer.h"
#include "cmd/open_drives.h"
#include "disk/rocks_index.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "runtime/worker_pool.h"

namespace ostraka::cmd {
namespace {

constexpr Duration kTimeout = std::chrono::seconds(60);

Task<Result<std::string>> export_all(Ctx& ctx, cluster::EmbeddedControlStore& store) {
  CO_TRY_VOID(co_await store.load(ctx));
  co_return store.export_json();
}

Task<Result<std::string>> import_all(Ctx& ctx, cluster::EmbeddedControlStore& store, std::string text) {
  CO_TRY_VOID(co_await store.load(ctx));
  CO_TRY_VOID(co_await store.import_json(ctx, std::move(text)));
  co_return std::string();
}

Task<Result<std::string>> then_close(Task<Result<std::string>> work, Gate& background) {
  Result<std::string> out = co_await std::move(work);
  co_await background.close();
  co_return out;
}

// Opens the drives offline and gives the store to `work`.
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
  return run_to_end(shard, then_close(work(ctx, store), background));
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

}  // namespace

Result<> export_control_store(const std::vector<std::string>& folders) {
  TRY(json, with_store(folders, export_all));
  json += '\n';
  if (std::fwrite(json.data(), 1, json.size(), stdout) != json.size() || std::fflush(stdout) != 0) {
    return fail(Errc::io, "standard output cannot be written");
  }
  return {};
}

Result<> import_control_store(const std::vector<std::string>& folders) {
  TRY(text, read_standard_input());
  return with_store(folders,
                    [&text](Ctx& ctx, cluster::EmbeddedControlStore& store) {
                      return import_all(ctx, store, std::move(text));
                    })
      .map([](const std::string&) {});
}

}  // namespace ostraka::cmd
