#include "disk/shard_io.h"

#include <fmt/format.h>

#include <mutex>

#include "base/fault_point.h"
#include "base/hash.h"
#include "base/sabotage.h"
#include "runtime/shard.h"

namespace ostraka::disk {
namespace {

constexpr std::size_t kTailGuess = 4096;
constexpr int kReplacementTries = 1000;

// What the jobs of one writer work on; they may outlive the writer.
struct Writing {
  std::mutex mutex;  // held by the job that runs
  std::unique_ptr<File> file;
  std::string path;  // once created
  bool begun = false;
  bool replaces = false;  // a file of this name is there: it is replaced by rename at the end
  bool abandoned = false;
  bool finished = false;
  ShardFooter footer;
  std::uint64_t offset = 0;
};

// The blocks of an append until the job that writes them begins, or nobody wants it any more: jobs queue up
// on a drive that hangs, and buffers must not wait with them.
class WaitingBlocks {
 public:
  explicit WaitingBlocks(BufferChain blocks) : blocks_(std::move(blocks)) {}
  BufferChain take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(blocks_, {});
  }

 private:
  std::mutex mutex_;
  BufferChain blocks_;
};

// Under a name of its own: a heal that was given up may be at work on the same file still.
Result<> create_replacement(DriveCore& core, Writing& w, const std::string& path) {
  for (int tries = 0;; ++tries) {
    const std::string fresh =
        fmt::format("{}.{}{}", path, core.files->next_replacement(), kReplacementSuffix);
    auto file = core.fs.open(fresh, OpenMode::create_new);
    if (file) {
      w.path = fresh;
      w.file = std::move(*file);
      return {};
    }
    TRY(taken, core.fs.exists(fresh));  // by a heal that a crash cut off
    if (!taken || tries == kReplacementTries) return fail(file.code(), file.error().detail);
  }
}

Result<> create(DriveCore& core, Writing& w) {
  if (w.file) return {};
  if (!w.begun) core.files->begin_write(w.footer.data);
  w.begun = true;
  const std::string path = data_path(core.path, w.footer.data);
  auto file = core.fs.open(path, OpenMode::create_new);
  if (!file) {
    TRY(taken, core.fs.exists(path));
    if (!taken) {  // not_found is for readers
      return fail(file.failed_with(Errc::not_found) ? Errc::io : file.code(), file.error().detail);
    }
    w.replaces = true;
    return create_replacement(core, w, path);
  }
  w.path = path;
  w.file = std::move(*file);
  return {};
}

Result<> append_blocks(DriveCore& core, Writing& w, const BufferChain& blocks) {
  const std::lock_guard lock(w.mutex);
  if (w.abandoned) return fail(Errc::closed);
  TRY_VOID(create(core, w));
  std::vector<ByteSpan> parts;
  parts.reserve(blocks.size());
  std::uint64_t bytes = 0;
  for (const Slice& block : blocks) {
    parts.push_back(block.bytes);
    bytes += block.bytes.size();
    w.footer.blocks.push_back(xxh3_128(block.bytes));
  }
  fault_point("shard.append");
  TRY_VOID(w.file->pwritev(parts, w.offset));
  w.offset += bytes;
  w.footer.last_block_bytes = static_cast<std::uint32_t>(blocks.back().bytes.size());
  core.space.wrote(bytes);
  core.metrics.bytes_written.add(bytes);
  return {};
}

Result<> finish_file(DriveCore& core, Writing& w) {
  const std::lock_guard lock(w.mutex);
  if (w.abandoned) return fail(Errc::closed);
  TRY_VOID(create(core, w));
  const std::string tail = encode_shard_tail(w.footer);
  const ByteSpan part = as_bytes(tail);
  TRY_VOID(w.file->pwritev(std::span<const ByteSpan>(&part, 1), w.offset));
  fault_point("shard.before_sync");
  if (!sabotaged(Sabotage::nosync)) TRY_VOID(w.file->sync());
  fault_point("shard.synced");
  if (w.replaces) {
    const std::string path = data_path(core.path, w.footer.data);
    TRY_VOID(core.fs.rename(w.path, path));
    w.path.clear();  // the file is in place: no longer this writer's to remove
  }
  TRY_VOID(core.fs.sync_dir(data_folder(core.path, w.footer.data)));
  fault_point("shard.staged");
  w.file.reset();
  w.finished = true;
  core.files->staged(w.footer.data, w.replaces);
  return {};
}

void abandon(DriveCore& core, Writing& w) {
  const std::lock_guard lock(w.mutex);
  w.abandoned = true;
  w.file.reset();
  if (w.finished) {
    core.files->discard(w.footer.data);
    return;
  }
  if (!w.begun) return;
  const auto remove = [&](const DataId&) { static_cast<void>(core.fs.remove(w.path)); };
  const bool created = !w.path.empty();
  if (created && w.replaces) remove(w.footer.data);
  if (core.files->abandoned(w.footer.data, created && !w.replaces))
    core.files->remove_file(w.footer.data, remove);
}

class LocalShardWriter final : public ShardWriter {
 public:
  LocalShardWriter(DriveCore& core, const std::shared_ptr<OpenDrive>& life, const StageSpec& spec)
      : core_(core), life_(life), writing_(std::make_shared<Writing>()) {
    ShardFooter& footer = writing_->footer;
    footer.data = spec.data;
    footer.shard_index = spec.shard_index;
    footer.data_shards = spec.data_shards;
    footer.parity_shards = spec.parity_shards;
    footer.block_bytes = spec.block_bytes;
  }
  ~LocalShardWriter() override {
    if (finished_ || !begun_) return;
    core_.post([&core = core_, writing = writing_] { abandon(core, *writing); });
  }

  Task<Result<>> append(Ctx& ctx, BufferChain blocks) override {
    const CallTimer timer(core_.metrics.append, core_.clock);
    CO_TRY_VOID(check(blocks));
    if (blocks.empty()) co_return Result<>();
    if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
    CO_TRY(life, same_life());
    begun_ = true;
    waiting_ = std::make_shared<WaitingBlocks>(std::move(blocks));
    auto job = [&core = core_, writing = writing_, waiting = waiting_](OpenDrive&) -> Result<> {
      const BufferChain taken = waiting->take();
      if (taken.empty()) return fail(Errc::closed, "the write was cancelled");
      return append_blocks(core, *writing, taken);
    };
    auto running = core_.run(std::move(life), ctx.deadline, std::move(job), CallKind::write);
    Result<> done = co_await std::move(running);
    co_return core_.noted(std::move(done));
  }

  void cancel() noexcept override {
    if (waiting_) static_cast<void>(waiting_->take());
  }

  Task<Result<>> finish(Ctx& ctx) override {
    const CallTimer timer(core_.metrics.finish, core_.clock);
    if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
    CO_TRY(life, same_life());
    begun_ = true;
    auto job = [&core = core_, writing = writing_](OpenDrive&) { return finish_file(core, *writing); };
    auto running = core_.run(std::move(life), ctx.deadline, std::move(job), CallKind::write);
    Result<> done = co_await std::move(running);
    finished_ = done.has_value();
    co_return core_.noted(std::move(done));
  }

  std::optional<Hash128> digest() const override {
    const std::lock_guard lock(writing_->mutex);
    Hash128 out;
    for (const Hash128& block : writing_->footer.blocks) out = fold_digest(out, block);
    return out;
  }

 private:
  Result<std::shared_ptr<OpenDrive>> same_life() {
    TRY(life, core_.use());
    if (life != life_.lock())
      return fail(Errc::unavailable, core_.path + ": was away while the shard file was written");
    return life;
  }
  // One slice is one block; after one that is shorter than a full block no other may come.
  Result<> check(const BufferChain& blocks) {
    for (const Slice& block : blocks) {
      const std::size_t bytes = block.bytes.size();
      if (bytes == 0 || bytes > writing_->footer.block_bytes || short_seen_) {
        return fail(Errc::invalid_argument,
                    "blocks of a shard file: each of block_bytes, only the last may be shorter");
      }
      short_seen_ = bytes < writing_->footer.block_bytes;
      if (++blocks_ > kMaxShardBlocks) return fail(Errc::too_large, "too many blocks for one shard file");
    }
    return {};
  }

  DriveCore& core_;
  const std::weak_ptr<OpenDrive> life_;  // a file of an earlier life may lie in a folder that is gone
  const std::shared_ptr<Writing> writing_;
  std::shared_ptr<WaitingBlocks> waiting_;  // of the append that is out, or was the last
  std::uint64_t blocks_ = 0;
  bool short_seen_ = false;
  bool begun_ = false;
  bool finished_ = false;
};

// Errc::unavailable without waiting: not all of the block lies in memory.
Result<> read_verified(DriveCore& core, const OpenedShard& shard, std::uint64_t block, MutableByteSpan out,
                       Tier tier = Tier::all) {
  const std::uint64_t offset = block * shard.footer.block_bytes;
  TRY(got, tier == Tier::memory ? shard.file->pread_now(out, offset) : shard.file->pread(out, offset));
  if (got == out.size() && xxh3_128(out) == shard.footer.blocks[block]) {
    core.metrics.bytes_read.add(got);
    return {};
  }
  return fail(Errc::corrupt, fmt::format("{}: block {} of the shard file failed its checksum",
                                         data_path(core.path, shard.footer.data), block));
}

class LocalShardReader final : public ShardReader {
 public:
  LocalShardReader(DriveCore& core, OpenedShard shard)
      : core_(core), shard_(std::make_shared<const OpenedShard>(std::move(shard))) {}

  Task<Result<>> read_blocks(Ctx& ctx, std::uint64_t first, std::vector<BlockTarget> targets) override {
    const CallTimer timer(core_.metrics.read_blocks, core_.clock);
    if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
    CO_TRY(life, core_.noted(core_.use()));
    CO_TRY_VOID(check(first, targets));
    // What the page cache holds is read here, by the thread that sends it: two thread hops a block cost more
    // than its copy, and the bytes are still in this core's cache when they leave.
    std::size_t done = 0;
    while (done < targets.size() && !core_.hesitates()) {
      co_await boost::asio::post(ctx.shard.executor(), kAwait);  // small requests keep their latency
      const Result<> block = read_verified(core_, *shard_, first + done, targets[done].bytes, Tier::memory);
      if (block.failed_with(Errc::unavailable)) break;
      if (!block) co_return core_.noted(block);
      ++done;
    }
    if (done == targets.size()) co_return Result<>();
    targets.erase(targets.begin(), targets.begin() + static_cast<std::ptrdiff_t>(done));
    auto job = [&core = core_, shard = shard_, begin = first + done,
                targets = std::move(targets)](OpenDrive&) { return read_all(core, *shard, begin, targets); };
    auto running = core_.run(std::move(life), ctx.deadline, std::move(job));
    Result<> read = co_await std::move(running);
    co_return core_.noted(std::move(read));
  }

  std::optional<Hash128> digest(std::uint64_t block) const noexcept override {
    if (block >= shard_->footer.blocks.size()) return std::nullopt;
    return shard_->footer.blocks[block];
  }

 private:
  Result<> check(std::uint64_t first, const std::vector<BlockTarget>& targets) const {
    for (std::size_t i = 0; i < targets.size(); ++i) {
      const std::uint64_t block = first + i;
      if (block >= shard_->footer.blocks.size() ||
          targets[i].bytes.size() != shard_->footer.bytes_of(block)) {
        return fail(Errc::invalid_argument, "no such block of the shard file, or a target of another size");
      }
    }
    return {};
  }
  static Result<> read_all(DriveCore& core, const OpenedShard& shard, std::uint64_t first,
                           const std::vector<BlockTarget>& targets) {
    for (std::size_t i = 0; i < targets.size(); ++i)
      TRY_VOID(read_verified(core, shard, first + i, targets[i].bytes));
    return {};
  }
  DriveCore& core_;
  const std::shared_ptr<const OpenedShard> shard_;
};

}  // namespace

std::unique_ptr<ShardWriter> make_shard_writer(DriveCore& core, const std::shared_ptr<OpenDrive>& life,
                                               const StageSpec& spec) {
  return std::make_unique<LocalShardWriter>(core, life, spec);
}

std::unique_ptr<ShardReader> make_shard_reader(DriveCore& core, OpenedShard shard) {
  return std::make_unique<LocalShardReader>(core, std::move(shard));
}

Result<OpenedShard> open_shard_file(DriveCore& core, const ShardRef& ref, Tier tier) {
  const bool now = tier == Tier::memory;
  const std::string path = data_path(core.path, ref.data);
  OpenedShard shard;
  TRY(file, now ? core.fs.open_now(path) : core.fs.open(path, OpenMode::read));
  shard.file = std::move(file);
  TRY(bytes, shard.file->size());
  const auto named = [&](const Error& error) { return fail(error.code, path + ": " + error.detail); };
  const StripeLayout layout{.data_shards = ref.data_shards, .part_bytes = ref.part_bytes};
  const std::size_t expected = std::max(kTailGuess, shard_tail_bytes(layout.stripes()));
  const std::size_t length = static_cast<std::size_t>(std::min<std::uint64_t>(bytes, expected));
  std::vector<std::uint8_t> tail(length);
  TRY(got, now ? shard.file->pread_now(tail, bytes - length) : shard.file->pread(tail, bytes - length));
  if (got != length) return fail(Errc::corrupt, path + ": shorter than it was a moment ago");
  auto footer = decode_shard_tail(tail, bytes);
  if (!footer) return named(footer.error());
  if (const auto same = check_shard(*footer, ref); !same) return named(same.error());
  shard.footer = std::move(*footer);
  return shard;
}

Result<ShardHealth> verify_shard_file(DriveCore& core, const ShardRef& ref) {
  ShardHealth health;
  auto shard = open_shard_file(core, ref);
  if (!shard) {
    if (shard.failed_with(Errc::not_found)) return health;
    if (!shard.failed_with(Errc::corrupt)) return fail(shard.code(), shard.error().detail);
    health.present = true;  // there, but without a footer to go by: no block of it is good
    health.blocks = StripeLayout{.data_shards = ref.data_shards, .part_bytes = ref.part_bytes}.stripes();
    for (std::uint64_t i = 0; i < health.blocks; ++i) health.corrupt_blocks.push_back(i);
    return health;
  }
  health.present = true;
  health.blocks = shard->footer.blocks.size();
  std::vector<std::uint8_t> buffer(shard->footer.block_bytes);
  for (std::uint64_t i = 0; i < health.blocks; ++i) {
    const auto good =
        read_verified(core, *shard, i, MutableByteSpan(buffer).first(shard->footer.bytes_of(i)));
    core.job_progress();
    if (good) continue;
    if (!good.failed_with(Errc::corrupt) && !good.failed_with(Errc::io))
      return fail(good.code(), good.error().detail);
    health.corrupt_blocks.push_back(i);
  }
  return health;
}

}  // namespace ostraka::disk
