// Calls on shard files, as DriveService answers them.
#include <utility>

#include "base/hash.h"
#include "cluster/drive_service_core.h"
#include "disk/shard_file.h"

namespace ostraka::cluster {
namespace {

bool same(const disk::ShardRef& a, const disk::ShardRef& b) noexcept {
  return a.data == b.data && a.shard_index == b.shard_index && a.part_bytes == b.part_bytes &&
         a.data_shards == b.data_shards && a.parity_shards == b.parity_shards;
}

// Cuts a body, which is one slice, into blocks.
Result<BufferChain> cut_body(const BufferChain& body,
                             const google::protobuf::RepeatedField<std::uint32_t>& block_bytes) {
  TRY_VOID(check_blocks(block_bytes));
  if (body.size() != 1) return fail(Errc::malformed, "blocks without a body");
  ByteSpan left = body[0].bytes;
  BufferChain blocks;
  blocks.reserve(static_cast<std::size_t>(block_bytes.size()));
  for (const std::uint32_t bytes : block_bytes) {
    if (bytes > left.size()) return fail(Errc::malformed, "a body that is shorter than its blocks");
    blocks.push_back(Slice{body[0].owner, left.first(bytes)});
    left = left.subspan(bytes);
  }
  if (!left.empty()) return fail(Errc::malformed, "a body that is longer than its blocks");
  return blocks;
}

Task<Result<Buffer>> room_for(DriveServiceCore& core, TimePoint deadline, std::size_t bytes) {
  if (bytes <= kSmallBlocks) co_return Buffer::on_heap(bytes);
  auto acquiring = core.read_slabs.acquire(core.deps.clock, deadline);
  Result<Buffer> slab = co_await std::move(acquiring);
  co_return slab;
}

}  // namespace

Task<Result<PeerAnswer>> serve_stage(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::StageRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(spec, take_stage(in));
  const auto opened = core.writers.open(from, in.writer(), *drive, spec.data, ctx.shard);
  if (!opened) co_return answered(*drive, Result<>(tl::unexpected<Error>(opened.error())));
  const OpenWriterPtr& writer = *opened;
  auto staging = drive->stage(ctx, spec);
  auto staged = co_await std::move(staging);
  if (!staged) {
    core.writers.close(from, in.writer(), writer);
    co_return answered(*drive, Result<>(tl::unexpected<Error>(staged.error())));
  }
  writer->writer = std::move(*staged);
  writer->kept_digest = writer->writer->digest().has_value();
  const bool wanted = core.writers.give_back(from, in.writer(), writer, 0);
  if (!wanted) co_return answered(*drive, Result<>(fail(Errc::closed, "given up meanwhile")));
  co_return answered(*drive, Result<>());
}

Task<Result<PeerAnswer>> serve_append(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::AppendRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(blocks, cut_body(call.body, in.block_bytes()));
  call.body.clear();
  const auto taken = core.writers.take(from, in.writer(), *drive, in.first(), ctx.shard);
  if (!taken) co_return answered(*drive, Result<>(tl::unexpected<Error>(taken.error())));
  const OpenWriterPtr& writer = *taken;
  const std::size_t count = blocks.size();
  if (!writer->kept_digest)
    for (const Slice& block : blocks)
      writer->digest = disk::fold_digest(writer->digest, xxh3_128(block.bytes));
  writer->appending = true;
  auto appending = writer->writer->append(ctx, std::move(blocks));
  const Result<> appended = co_await std::move(appending);
  writer->appending = false;
  if (appended) {
    core.writers.give_back(from, in.writer(), writer, count);
  } else {
    writer->writer->cancel();  // it may wait for a drive that hangs, and must not keep the body
    core.writers.close(from, in.writer(), writer);  // the peer cannot go on with it
  }
  co_return answered(*drive, appended);
}

Task<Result<PeerAnswer>> serve_finish(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::FinishRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  Result<Hash128> digest = fail(Errc::closed);
  const auto taken = core.writers.take(from, in.writer(), *drive, in.blocks(), ctx.shard);
  if (taken) {
    const OpenWriterPtr& writer = *taken;
    auto finishing = writer->writer->finish(ctx);
    const Result<> finished = co_await std::move(finishing);
    const bool wanted = core.writers.close(from, in.writer(), writer);
    if (!finished) {
      digest = tl::unexpected<Error>(finished.error());
    } else if (wanted) {
      digest = writer->kept_digest ? writer->writer->digest().value_or(Hash128()) : writer->digest;
    } else {
      // given up while it was being finished: nobody will ever name the file
      const Result<> discarded = co_await drive->discard(ctx, writer->data);
      digest = fail(Errc::closed, discarded ? "given up meanwhile" : discarded.error().detail);
    }
  } else {
    digest = tl::unexpected<Error>(taken.error());
  }
  const auto put = [](pb::FinishAnswer& out, const Hash128& said) {
    out.mutable_digest()->set_low(said.low);
    out.mutable_digest()->set_high(said.high);
  };
  co_return answered<pb::FinishAnswer>(*drive, digest, put);
}

Task<Result<PeerAnswer>> serve_discard(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                       PeerCall call) {
  pb::DataRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  DataId data;
  CO_TRY_VOID(take_uuid(in.data(), data));
  const Result<> discarded = co_await drive->discard(ctx, data);
  co_return answered(*drive, discarded);
}

Task<Result<PeerAnswer>> serve_open(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::ShardRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(ref, take_shard(in.shard()));
  auto opening = drive->open_shard(ctx, ref);
  Result<std::unique_ptr<disk::ShardReader>> opened = co_await std::move(opening);
  const auto put = [&](pb::OpenAnswer& out, std::unique_ptr<disk::ShardReader>& reader) {
    out.set_reader(core.readers.add(from, OpenReader{drive, ref, std::move(reader)}).value_or(0));
  };
  co_return answered<pb::OpenAnswer>(*drive, opened, put);
}

Task<Result<PeerAnswer>> serve_read_blocks(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                           PeerCall call) {
  pb::BlocksRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY_VOID(check_blocks(in.block_bytes()));
  CO_TRY(ref, take_shard(in.shard()));
  std::size_t total = 0;
  for (const std::uint32_t bytes : in.block_bytes()) total += bytes;
  if (total > kMaxReadBody) co_return fail(Errc::malformed, "size of all blocks");

  std::uint64_t id = in.reader();
  std::shared_ptr<disk::ShardReader> reader;
  if (auto open = core.readers.find(from, id); open && open->drive == drive && same(open->ref, ref))
    reader = std::move(open->reader);
  if (!reader) {  // it was closed for want of use, or of room
    auto opening = drive->open_shard(ctx, ref);
    auto opened = co_await std::move(opening);
    if (!opened) co_return answered(*drive, Result<>(tl::unexpected<Error>(opened.error())));
    reader = std::move(*opened);
    id = core.readers.add(from, OpenReader{drive, ref, reader}).value_or(0);
  }

  auto making_room = room_for(core, ctx.deadline, total);
  CO_TRY(buffer, co_await std::move(making_room));
  std::vector<disk::BlockTarget> targets;
  std::size_t at = 0;
  for (const std::uint32_t bytes : in.block_bytes()) {
    targets.push_back(disk::BlockTarget{buffer, buffer.span().subspan(at, bytes)});
    at += bytes;
  }
  auto reading = reader->read_blocks(ctx, in.first(), std::move(targets));
  const Result<> read = co_await std::move(reading);
  if (!read) {
    core.readers.remove(from, id);  // opened anew, it may do better
    co_return answered(*drive, read);
  }
  pb::BlocksAnswer out;
  out.set_reader(id);
  at = 0;
  for (int i = 0; i < in.block_bytes_size(); ++i) {
    const std::uint64_t block = in.first() + static_cast<std::uint64_t>(i);
    std::optional<Hash128> digest = reader->digest(block);
    if (!digest) digest = xxh3_128(buffer.span().subspan(at, in.block_bytes(i)));
    at += in.block_bytes(i);
    out.add_digests(digest->low);
    out.add_digests(digest->high);
  }
  PeerAnswer answer;
  answer.head = out.SerializeAsString();
  const ByteSpan bytes = buffer.span().first(total);
  answer.body.push_back(Slice{std::move(buffer), bytes});
  if (in.checks_blocks()) answer.body_hash = Hash128();  // the digests are under the head's hash
  co_return std::move(answer);
}

Task<Result<PeerAnswer>> serve_verify(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::ShardRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(ref, take_shard(in.shard()));
  auto verifying = drive->verify(ctx, ref);
  Result<disk::ShardHealth> health = co_await std::move(verifying);
  co_return answered<pb::HealthAnswer>(*drive, health, put_health);
}

}  // namespace ostraka::cluster
