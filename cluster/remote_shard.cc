#include "cluster/remote_shard.h"

#include <atomic>
#include <utility>

#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "cluster/drive_ask.h"
#include "disk/limits.h"
#include "disk/shard_file.h"

namespace ostraka::cluster {
namespace {

// How many of the blocks from `begin` on fit into one body.
template <class Blocks>
std::size_t fitting(const Blocks& blocks, std::size_t begin, std::size_t max_bytes) {
  std::size_t bytes = 0;
  std::size_t end = begin;
  while (end < blocks.size() && end - begin < kMaxPeerBlocks) {
    bytes += blocks[end].bytes.size();
    if (end > begin && bytes > max_bytes) break;
    ++end;
  }
  return end - begin;
}

template <class Blocks>
Result<> check_sizes(const Blocks& blocks) {
  for (const auto& block : blocks)
    if (block.bytes.empty() || block.bytes.size() > disk::kMaxBlockBytes)
      return fail(Errc::invalid_argument, "size of a block of a shard file");
  return {};
}

class RemoteShardWriter final : public disk::ShardWriter {
 public:
  RemoteShardWriter(std::shared_ptr<DriveLink> link, DataId data, std::uint64_t writer)
      : link_(std::move(link)), data_(data), writer_(writer) {
    link_->errands().hold_writer(writer_);
  }
  ~RemoteShardWriter() override {
    if (finished_) return;
    link_->errands().end_writer(writer_, data_);
    link_->errands_wait();
  }

  Task<Result<>> append(Ctx& ctx, BufferChain blocks) override {
    if (broken_) co_return fail(Errc::closed, "the write was given up");
    CO_TRY_VOID(check_sizes(blocks));
    std::size_t hashed = 0;
    for (const Slice& block : blocks) {
      if (hashed > kHashSliceBytes) {  // small requests keep their latency
        co_await boost::asio::post(ctx.shard.executor(), kAwait);
        hashed = 0;
        if (broken_) co_return fail(Errc::closed, "the write was given up");
      }
      digest_ = disk::fold_digest(digest_, xxh3_128(block.bytes));
      hashed += block.bytes.size();
    }
    while (!blocks.empty()) {
      const std::size_t count = fitting(blocks, 0, kMaxPeerBody);
      BufferChain rest(std::make_move_iterator(blocks.begin() + static_cast<std::ptrdiff_t>(count)),
                       std::make_move_iterator(blocks.end()));
      blocks.resize(count);
      auto appending = append_some(ctx, std::move(blocks));
      Result<> appended = co_await std::move(appending);
      if (!appended) {
        broken_ = true;  // what the other side has of it nobody knows
        co_return appended;
      }
      blocks = std::move(rest);
    }
    co_return Result<>();
  }

  void cancel() noexcept override {
    broken_ = true;
    if (stop_) stop_->request();
  }

  Task<Result<>> finish(Ctx& ctx) override {
    if (broken_) co_return fail(Errc::closed, "the write was given up");
    broken_ = true;  // whatever comes of it, no call follows
    pb::FinishRequest request;
    request.set_writer(writer_);
    request.set_blocks(blocks_);
    auto asking = ask<pb::FinishAnswer>(link_, ctx, "drive.finish", std::move(request));
    CO_TRY(answer, co_await std::move(asking));
    if (Hash128{answer.digest().low(), answer.digest().high()} != digest_) {
      log::error("a shard file was written with other bytes than were sent node={} drive={} data={}",
                 link_->spec().node, link_->spec().path, to_string(data_));
      co_return fail(Errc::closed, link_->spec().node + ": a shard file was damaged on the way");
    }
    finished_ = true;
    link_->errands().forget_writer(writer_);
    co_return Result<>();
  }

 private:
  Task<Result<>> append_some(Ctx& ctx, BufferChain blocks) {
    pb::AppendRequest request;
    request.set_writer(writer_);
    request.set_first(blocks_);
    for (const Slice& block : blocks) request.add_block_bytes(static_cast<std::uint32_t>(block.bytes.size()));
    const std::size_t count = blocks.size();
    stop_ = std::make_shared<CallStop>();
    Cargo cargo;
    cargo.body = std::move(blocks);
    cargo.stop = stop_;
    auto asking = ask_with<pb::PlainAnswer>(link_, ctx, "drive.append", std::move(request), std::move(cargo));
    const auto answer = co_await std::move(asking);
    stop_.reset();
    if (!answer) co_return tl::unexpected<Error>(answer.error());
    blocks_ += count;
    co_return Result<>();
  }

  const std::shared_ptr<DriveLink> link_;
  const DataId data_;
  const std::uint64_t writer_;
  std::shared_ptr<CallStop> stop_;  // of the append that is out
  std::uint64_t blocks_ = 0;
  Hash128 digest_;
  bool broken_ = false;
  bool finished_ = false;
};

class RemoteShardReader final : public disk::ShardReader {
 public:
  RemoteShardReader(std::shared_ptr<DriveLink> link, const disk::ShardRef& ref, std::uint64_t reader)
      : link_(std::move(link)), ref_(ref), reader_(reader) {}
  ~RemoteShardReader() override {
    if (reader_ == 0) return;
    link_->errands().close_reader(reader_);
    link_->errands_wait();
  }

  Task<Result<>> read_blocks(Ctx& ctx, std::uint64_t first, std::vector<disk::BlockTarget> targets) override {
    CO_TRY_VOID(check_sizes(targets));
    for (std::size_t at = 0; at < targets.size();) {
      const std::size_t count = fitting(targets, at, kMaxReadBody);
      const auto begin = targets.begin() + static_cast<std::ptrdiff_t>(at);
      std::vector<disk::BlockTarget> some(begin, begin + static_cast<std::ptrdiff_t>(count));
      auto reading = read_some(ctx, first + at, std::move(some));
      CO_TRY_VOID(co_await std::move(reading));
      at += count;
    }
    co_return Result<>();
  }

 private:
  Task<Result<>> read_some(Ctx& ctx, std::uint64_t first, std::vector<disk::BlockTarget> targets) {
    pb::BlocksRequest request;
    request.set_reader(reader_);
    put_shard(*request.mutable_shard(), ref_);
    request.set_first(first);
    for (const disk::BlockTarget& target : targets)
      request.add_block_bytes(static_cast<std::uint32_t>(target.bytes.size()));
    request.set_checks_blocks(true);
    Cargo cargo;
    cargo.into = targets;
    cargo.checks_body = true;
    auto asking =
        ask_with<pb::BlocksAnswer>(link_, ctx, "drive.read_blocks", std::move(request), std::move(cargo));
    CO_TRY(answer, co_await std::move(asking));
    keep(answer.reader());
    if (answer.digests_size() != static_cast<int>(2 * targets.size()))
      co_return tl::unexpected<Error>(link_->garbage("blocks without their digests"));
    std::size_t hashed = 0;
    for (std::size_t i = 0; i < targets.size(); ++i) {
      if (hashed > kHashSliceBytes) {  // small requests keep their latency
        co_await boost::asio::post(ctx.shard.executor(), kAwait);
        hashed = 0;
      }
      hashed += targets[i].bytes.size();
      const int at = static_cast<int>(2 * i);
      const Hash128 digest{answer.digests(at), answer.digests(at + 1)};
      if (xxh3_128(targets[i].bytes) != digest)
        co_return tl::unexpected<Error>(link_->garbage("a block that is not what the drive read"));
    }
    co_return Result<>();
  }
  // Calls may overlap: when two of them made the other node open the file anew, one of the two is let go of.
  void keep(std::uint64_t reader) {
    const std::uint64_t before = reader_.exchange(reader);
    if (before == reader || before == 0) return;
    link_->errands().close_reader(before);
    link_->errands_wait();
  }

  const std::shared_ptr<DriveLink> link_;
  const disk::ShardRef ref_;
  std::atomic<std::uint64_t> reader_;
};

}  // namespace

std::unique_ptr<disk::ShardWriter> make_remote_writer(std::shared_ptr<DriveLink> link, DataId data,
                                                      std::uint64_t writer) {
  return std::make_unique<RemoteShardWriter>(std::move(link), data, writer);
}

std::unique_ptr<disk::ShardReader> make_remote_reader(std::shared_ptr<DriveLink> link, disk::ShardRef ref,
                                                      std::uint64_t reader) {
  return std::make_unique<RemoteShardReader>(std::move(link), ref, reader);
}

}  // namespace ostraka::cluster
