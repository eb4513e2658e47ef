#include "disk/rocks_index.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/rate_limiter.h>
#include <rocksdb/slice.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <optional>
#include <system_error>

#include "base/log.h"
#include "disk/rocks_env.h"

namespace ostraka::disk {

struct IndexBudget::Shared {
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<rocksdb::WriteBufferManager> memtables;
  std::shared_ptr<rocksdb::RateLimiter> rate;
  std::size_t write_buffer_bytes = 0;  // of one column of one drive
};

IndexBudget::IndexBudget(Spec spec) : shared_(std::make_shared<Shared>()) {
  rocksdb::LRUCacheOptions cache;
  cache.capacity = spec.memory_bytes;
  cache.num_shard_bits = 4;
  cache.high_pri_pool_ratio = 0.3;  // indexes and filters
  shared_->cache = rocksdb::NewLRUCache(cache);
  shared_->memtables =
      std::make_shared<rocksdb::WriteBufferManager>(spec.memtable_bytes, shared_->cache, false);
  shared_->rate.reset(rocksdb::NewGenericRateLimiter(static_cast<std::int64_t>(spec.background_bytes_per_s)));
  const std::size_t share = spec.memtable_bytes / std::max(1U, spec.drives);
  shared_->write_buffer_bytes = std::clamp<std::size_t>(share, 1U << 20, 64U << 20);
}
IndexBudget::~IndexBudget() = default;
std::size_t IndexBudget::cache_bytes() const {
  return shared_->cache->GetUsage();
}
std::size_t IndexBudget::memtable_bytes() const {
  return shared_->memtables->memory_usage();
}

namespace {

rocksdb::Slice slice(std::string_view text) {
  return {text.data(), text.size()};
}
std::string_view view(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

// RocksDB keeps only the text of what the system said.
bool is_of_the_process(const rocksdb::Status& status) {
  if (status.IsMemoryLimit()) return true;
  if (!status.IsIOError()) return false;
  const std::string text = status.ToString();
  const auto says = [&](int error) {
    return text.find(std::generic_category().message(error)) != std::string::npos;
  };
  return says(EMFILE) || says(ENFILE) || says(ENOMEM);
}

tl::unexpected<Error> failed(const rocksdb::Status& status, const std::string& folder) {
  Errc code = Errc::io;
  if (status.IsNoSpace()) {
    code = Errc::no_space;
  } else if (status.IsCorruption()) {
    code = Errc::corrupt;
  } else if (status.IsPathNotFound()) {
    code = Errc::not_found;
  } else if (is_of_the_process(status)) {
    code = Errc::overloaded;  // no more files or memory: the drive may be well
  }
  return fail(code, folder + ": " + status.ToString());
}

class ErrorsToLog final : public rocksdb::Logger {
 public:
  explicit ErrorsToLog(std::string folder) : Logger(rocksdb::ERROR_LEVEL), folder_(std::move(folder)) {}
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override { Logv(rocksdb::ERROR_LEVEL, format, arguments); }
  void Logv(const rocksdb::InfoLogLevel level, const char* format, va_list arguments) override {
    if (level < rocksdb::ERROR_LEVEL || level >= rocksdb::HEADER_LEVEL) return;
    std::array<char, 512> line;  // NOLINT(cppcoreguidelines-pro-type-member-init): written by vsnprintf
    if (std::vsnprintf(line.data(), line.size(), format, arguments) < 0) return;
    log::warn("rocksdb folder={} {}", folder_, line.data());
  }

 private:
  const std::string folder_;
};

class BackgroundErrors final : public rocksdb::EventListener {
 public:
  void OnBackgroundError(rocksdb::BackgroundErrorReason, rocksdb::Status* status) override {
    const std::lock_guard lock(mutex_);
    error_ = *status;
  }
  void OnErrorRecoveryEnd(const rocksdb::BackgroundErrorRecoveryInfo& info) override {
    if (info.new_bg_error.ok()) clear();
  }
  void clear() {
    const std::lock_guard lock(mutex_);
    error_ = rocksdb::Status::OK();
  }
  rocksdb::Status error() {
    const std::lock_guard lock(mutex_);
    return error_;
  }

 private:
  std::mutex mutex_;
  rocksdb::Status error_;
};

using Columns = std::array<rocksdb::ColumnFamilyHandle*, kColumns>;

class RocksBatch final : public IndexBatch {
 public:
  explicit RocksBatch(const Columns& columns) : columns_(columns) {}
  void put(Column column, std::string_view key, std::span<const std::string_view> parts) override {
    slices_.clear();
    for (const std::string_view part : parts) slices_.push_back(slice(part));
    const rocksdb::Slice whole_key = slice(key);
    const rocksdb::SliceParts keys(&whole_key, 1);
    const rocksdb::SliceParts values(slices_.data(), static_cast<int>(slices_.size()));
    batch_.Put(columns_[static_cast<std::size_t>(column)], keys, values).PermitUncheckedError();
  }
  void erase(Column column, std::string_view key) override {
    batch_.Delete(columns_[static_cast<std::size_t>(column)], slice(key)).PermitUncheckedError();
  }
  std::size_t bytes() const override { return batch_.GetDataSize(); }
  bool empty() const override { return batch_.Count() == 0; }
  void clear() override { batch_.Clear(); }
  rocksdb::WriteBatch& batch() { return batch_; }

 private:
  const Columns& columns_;
  rocksdb::WriteBatch batch_;
  std::vector<rocksdb::Slice> slices_;
};

class RocksCursor final : public IndexCursor {
 public:
  RocksCursor(rocksdb::DB& db, rocksdb::ColumnFamilyHandle* column, std::string_view lower,
              std::string_view upper, const std::string& folder)
      : lower_(lower), upper_(upper), upper_slice_(upper_), folder_(folder) {
    rocksdb::ReadOptions options;
    if (!upper_.empty()) options.iterate_upper_bound = &upper_slice_;
    options.auto_prefix_mode = false;
    iterator_.reset(db.NewIterator(options, column));
  }
  void seek(std::string_view key) override {
    iterator_->Seek(slice(std::max(key, std::string_view(lower_))));
  }
  bool valid() const override { return iterator_->Valid(); }
  void next() override { iterator_->Next(); }
  std::string_view key() const override { return view(iterator_->key()); }
  std::string_view value() const override { return view(iterator_->value()); }
  Result<> status() const override {
    const rocksdb::Status status = iterator_->status();
    if (!status.ok()) return failed(status, folder_);
    return {};
  }

 private:
  const std::string lower_, upper_;
  const rocksdb::Slice upper_slice_;
  const std::string& folder_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

class RocksIndex final : public MetaIndex {
 public:
  RocksIndex(std::string folder, std::unique_ptr<rocksdb::Env> env, std::shared_ptr<BackgroundErrors> errors)
      : folder_(std::move(folder)), env_(std::move(env)), errors_(std::move(errors)) {}
  ~RocksIndex() override {
    if (!db_) return;
    for (rocksdb::ColumnFamilyHandle* column : columns_) {
      db_->DestroyColumnFamilyHandle(column).PermitUncheckedError();
    }
    db_->Close().PermitUncheckedError();
  }
  rocksdb::Status open(const rocksdb::DBOptions& options,
                       const std::vector<rocksdb::ColumnFamilyDescriptor>& columns) {
    rocksdb::DB* db = nullptr;
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::Status status = rocksdb::DB::Open(options, folder_, columns, &handles, &db);
    if (!status.ok()) return status;
    db_.reset(db);
    std::copy(handles.begin(), handles.end(), columns_.begin());
    return status;
  }

  Result<Lookup> get(Column column, std::string_view key, std::string& value, Tier tier) override {
    rocksdb::PinnableSlice found;
    rocksdb::Status status;
    if (tier == Tier::memory) {
      const NoWaitScope no_wait;
      status = db_->Get(read_options_, handle(column), slice(key), &found);
      if (!status.ok() && !status.IsNotFound())
        return Lookup::not_in_memory;  // a real failure shows with Tier::all
    } else {
      status = db_->Get(read_options_, handle(column), slice(key), &found);
    }
    if (status.IsNotFound()) return Lookup::missing;
    if (!status.ok()) return failed(status, folder_);
    value.assign(found.data(), found.size());
    return Lookup::found;
  }
  std::vector<IndexValue> get_many(Column column, const std::vector<std::string>& keys) override {
    std::vector<rocksdb::Slice> slices;
    for (const std::string& key : keys) slices.push_back(slice(key));
    std::vector<rocksdb::PinnableSlice> values(keys.size());
    std::vector<rocksdb::Status> states(keys.size());
    const bool sorted = std::is_sorted(keys.begin(), keys.end());
    db_->MultiGet(read_options_, handle(column), keys.size(), slices.data(), values.data(), states.data(),
                  sorted);
    std::vector<IndexValue> out(keys.size());
    for (std::size_t i = 0; i < keys.size(); ++i) {
      if (states[i].IsNotFound()) continue;
      if (!states[i].ok()) {
        out[i].found = failed(states[i], folder_);
        continue;
      }
      out[i].found = Lookup::found;
      out[i].value.assign(values[i].data(), values[i].size());
    }
    return out;
  }
  std::unique_ptr<IndexBatch> make_batch() override { return std::make_unique<RocksBatch>(columns_); }
  Result<> write(IndexBatch& batch, Sync sync) override {
    rocksdb::WriteOptions options;
    options.sync = sync == Sync::yes;
    const rocksdb::Status status = db_->Write(options, &static_cast<RocksBatch&>(batch).batch());
    if (!status.ok()) return failed(status, folder_);
    return {};
  }
  std::unique_ptr<IndexCursor> scan(Column column, std::string_view lower, std::string_view upper) override {
    return std::make_unique<RocksCursor>(*db_, handle(column), lower, upper, folder_);
  }
  Result<> health() override {
    const rocksdb::Status status = errors_->error();
    if (!status.ok()) return failed(status, folder_);
    return {};
  }
  Result<> resume() override {
    if (errors_->error().ok()) return {};  // it has recovered by itself
    const rocksdb::Status status = db_->Resume();
    if (status.IsBusy()) return fail(Errc::no_space, folder_ + ": recovering");
    if (!status.ok()) return failed(status, folder_);
    errors_->clear();
    return {};
  }
  void prepare_close() override {
    const std::vector<rocksdb::ColumnFamilyHandle*> all(columns_.begin(), columns_.end());
    db_->Flush(rocksdb::FlushOptions(), all).PermitUncheckedError();  // otherwise the log is replayed
  }

 private:
  rocksdb::ColumnFamilyHandle* handle(Column column) const {
    return columns_[static_cast<std::size_t>(column)];
  }
  const std::string folder_;
  const std::unique_ptr<rocksdb::Env> env_;
  const std::shared_ptr<BackgroundErrors> errors_;
  const rocksdb::ReadOptions read_options_;
  std::unique_ptr<rocksdb::DB> db_;
  Columns columns_{};
};

rocksdb::DBOptions db_options(IndexMode mode, const std::string& folder) {
  rocksdb::DBOptions options;
  options.create_if_missing = options.create_missing_column_families = mode == IndexMode::create;
  options.paranoid_checks = true;
  options.info_log = std::make_shared<ErrorsToLog>(folder);
  // A process that was killed, or a machine that lost power, leaves a torn end behind the last synced batch:
  // nothing there was acknowledged. kAbsoluteConsistency would not open such a log, and
  // kTolerateCorruptedTailRecords not one whose torn end is full of garbage. Point in time replays up to the
  // first record that does not check. What it cannot tell from a torn end is a bit flipped in the live log,
  // which is seconds to minutes of writes: they are lost to this drive then, and healed from the others.
  // Older logs must be whole: their sizes are in the manifest.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.track_and_verify_wals_in_manifest = true;
  options.max_total_wal_size = 12U << 20;  // bounds the replay at start, too
  options.avoid_flush_during_recovery = true;
  options.avoid_flush_during_shutdown = true;
  options.max_background_jobs = 2;
  options.max_open_files =
      4096;  // high: readers that stay open are what makes reads without waiting possible
  options.allow_concurrent_memtable_write = false;  // one writer
  options.enable_write_thread_adaptive_yield = false;
  options.avoid_unnecessary_blocking_io = true;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  options.max_manifest_file_size = 4U << 20;
  options.bytes_per_sync = 1U << 20;
  return options;
}

rocksdb::ColumnFamilyOptions column_options(const std::shared_ptr<rocksdb::Cache>& cache,
                                            std::size_t write_buffer_bytes) {
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = write_buffer_bytes;
  options.max_write_buffer_number = 4;
  options.arena_block_size = 64U << 10;
  options.memtable_prefix_bloom_size_ratio = 0.02;
  options.memtable_whole_key_filtering = true;
  options.compression =
      rocksdb::kNoCompression;  // records are mostly hashes and ids, and CPU is what is short
  options.target_file_size_base = 16U << 20;
  options.target_file_size_multiplier = 2;
  options.max_bytes_for_level_base = 128U << 20;
  options.level_compaction_dynamic_level_bytes = true;
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10, false));
  table.whole_key_filtering = true;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  table.block_size = 8U << 10;
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

// What a process that was killed had not synced of its logs is read again and built upon: were it lost in a
// power cut later on, all synced after it would be lost with it.
Result<> sync_logs(Fs& fs, const std::string& folder) {
  TRY(there, fs.exists(folder));
  if (!there) return {};
  TRY(names, fs.list_dir(folder));
  for (const std::string& name : names) {
    if (!name.ends_with(".log")) continue;
    TRY(file, fs.open(folder + "/" + name, OpenMode::read_write));
    TRY_VOID(file->sync());
  }
  return fs.sync_dir(folder);
}

}  // namespace

RocksIndexFactory::RocksIndexFactory(IndexBudget& budget, Fs& fs)
    : RocksIndexFactory(budget, fs, *rocksdb::Env::Default()) {}

RocksIndexFactory::RocksIndexFactory(IndexBudget& budget, Fs& fs, rocksdb::Env& below)
    : budget_(budget), fs_(fs), below_(below) {}

Result<std::unique_ptr<MetaIndex>> RocksIndexFactory::open(const std::string& folder, IndexMode mode) {
  const IndexBudget::Shared& shared = *budget_.shared_;
  if (mode == IndexMode::create) TRY_VOID(fs_.make_dirs(folder));
  TRY_VOID(sync_logs(fs_, folder));
  auto env = make_drive_env(fs_, below_);
  auto errors = std::make_shared<BackgroundErrors>();
  rocksdb::DBOptions options = db_options(mode, folder);
  options.env = env.get();
  options.write_buffer_manager = shared.memtables;
  options.rate_limiter = shared.rate;
  options.listeners.push_back(errors);

  const rocksdb::ColumnFamilyOptions rows = column_options(shared.cache, shared.write_buffer_bytes);
  rocksdb::ColumnFamilyOptions inline_data = column_options(shared.cache, shared.write_buffer_bytes);
  inline_data.enable_blob_files = true;
  inline_data.min_blob_size = 256;
  inline_data.blob_file_size = 256U << 20;
  inline_data.enable_blob_garbage_collection = true;
  inline_data.blob_garbage_collection_age_cutoff = 0.25;
  inline_data.blob_garbage_collection_force_threshold = 0.5;
  inline_data.blob_compaction_readahead_size = 256U << 10;
  const rocksdb::ColumnFamilyOptions system = column_options(shared.cache, 1U << 20);

  std::vector<rocksdb::ColumnFamilyDescriptor> columns;
  columns.emplace_back(rocksdb::kDefaultColumnFamilyName, rows);
  columns.emplace_back("inline", inline_data);
  columns.emplace_back("system", system);

  auto index = std::make_unique<RocksIndex>(folder, std::move(env), std::move(errors));
  const rocksdb::Status status = index->open(options, columns);
  if (status.ok()) return index;
  if (status.IsInvalidArgument() && mode == IndexMode::existing) {
    return fail(Errc::not_found, folder + ": no index there (" + status.ToString() + ")");
  }
  return failed(status, folder);
}

}  // namespace ostraka::disk
