#include "tests/unit/erasure/faulty_drive.h"

namespace ostraka::erasure {
namespace {

template <class Call>
Task<> deliver_late(Clock* clock, Duration after, Ctx ctx, Call call) {
  co_await sleep_for(*clock, after);
  auto task = call(ctx);
  const auto unheard = co_await std::move(task);
  static_cast<void>(unheard);
}

}  // namespace

void HeldMessage::arrive() {
  told_.set();
  if (deliver_) std::exchange(deliver_, nullptr)();
}

void HeldMessage::lose() {
  lost_ = true;
  deliver_ = nullptr;
  told_.set();
}

// call(ctx) makes the task; it owns what it needs.
template <class T, class Call>
Task<Result<T>> FaultyDrive::suffer(std::string_view name, Ctx ctx, Call call) {
  const Fate what = fate(name);
  if (what.held) {
    what.held->sent_ = true;
    co_await what.held->told_.wait();
    if (what.held->lost_) co_return fail(Errc::unavailable, "request lost");
    if (ctx.deadline < clock_.now()) co_return fail(Errc::deadline);
  }
  if (what.delay > Duration::zero()) co_await sleep_for(clock_, what.delay);
  if (what.request_lost) co_return fail(Errc::unavailable, "request lost");
  if (what.arrives_after_all) {
    gate_.spawn(ctx.shard.executor(), deliver_late(&clock_, *what.arrives_after_all, ctx, call));
    co_return fail(Errc::unavailable, "answer lost");
  }
  auto task = call(ctx);
  Result<T> answer = co_await std::move(task);
  if (what.answer_lost) co_return fail(Errc::unavailable, "answer lost");
  co_return answer;
}

class FaultyDrive::Writer final : public disk::ShardWriter {
 public:
  Writer(FaultyDrive& drive, std::unique_ptr<disk::ShardWriter> inner)
      : drive_(drive), inner_(std::move(inner)) {}
  Task<Result<>> append(Ctx& ctx, BufferChain blocks) override {
    if (ctx.deadline < drive_.clock_.now()) co_return fail(Errc::deadline);
    const Fate what = drive_.fate("append");
    const auto waiting = std::make_shared<BufferChain>(std::move(blocks));
    waiting_ = waiting;
    if (what.delay > Duration::zero()) co_await sleep_for(drive_.clock_, what.delay);
    if (waiting->empty()) co_return fail(Errc::closed, "cancelled");
    if (!what.healthy() && what.delay == Duration::zero()) co_return fail(Errc::io, "append fails");
    co_return co_await inner_->append(ctx, std::move(*waiting));
  }
  void cancel() noexcept override {
    if (const auto waiting = waiting_.lock()) waiting->clear();
  }
  Task<Result<>> finish(Ctx& ctx) override {
    if (ctx.deadline < drive_.clock_.now()) co_return fail(Errc::deadline);
    const Fate what = drive_.fate("finish");
    if (what.delay > Duration::zero()) co_await sleep_for(drive_.clock_, what.delay);
    if (!what.healthy() && what.delay == Duration::zero()) co_return fail(Errc::io, "finish fails");
    co_return co_await inner_->finish(ctx);
  }

 private:
  FaultyDrive& drive_;
  std::unique_ptr<disk::ShardWriter> inner_;
  std::weak_ptr<BufferChain> waiting_;  // as if it stood in a queue until the delay is over
};

class FaultyDrive::Reader final : public disk::ShardReader {
 public:
  Reader(FaultyDrive& drive, std::unique_ptr<disk::ShardReader> inner)
      : drive_(drive), inner_(std::move(inner)) {}
  Task<Result<>> read_blocks(Ctx& ctx, std::uint64_t first, std::vector<disk::BlockTarget> targets) override {
    const Fate what = drive_.fate("read_blocks");
    if (what.delay > Duration::zero()) {
      // a slow drive may have written some of it already, unverified
      for (disk::BlockTarget& target : targets) target.bytes[0] ^= 0x5a;
      co_await sleep_for(drive_.clock_, what.delay);
      for (disk::BlockTarget& target : targets) target.bytes[0] ^= 0x5a;
    }
    if (what.request_lost) co_return fail(Errc::io, "read fails");
    co_return co_await inner_->read_blocks(ctx, first, std::move(targets));
  }

 private:
  FaultyDrive& drive_;
  std::unique_ptr<disk::ShardReader> inner_;
};

Task<Result<std::unique_ptr<disk::ShardWriter>>> FaultyDrive::stage(Ctx& ctx, disk::StageSpec spec) {
  const Fate what = fate("stage");
  if (what.delay > Duration::zero()) co_await sleep_for(clock_, what.delay);
  if (what.request_lost) co_return fail(Errc::unavailable, "request lost");
  CO_TRY(inner, co_await inner_.stage(ctx, spec));
  std::unique_ptr<disk::ShardWriter> writer = std::make_unique<Writer>(*this, std::move(inner));
  co_return writer;
}

Task<Result<>> FaultyDrive::discard(Ctx& ctx, DataId data) {
  auto call = [this, data](Ctx& late) { return inner_.discard(late, data); };
  return suffer<void>("discard", ctx, std::move(call));
}

Task<Result<disk::CommitAnswer>> FaultyDrive::commit(Ctx& ctx, disk::ObjectRef ref,
                                                     disk::CommitRequest request) {
  auto call = [this, ref, request](Ctx& late) { return inner_.commit(late, ref, request); };
  return suffer<disk::CommitAnswer>("commit", ctx, std::move(call));
}

Task<Result<disk::FenceAnswer>> FaultyDrive::fence(Ctx& ctx, disk::ObjectRef ref, VersionId id) {
  auto call = [this, ref, id](Ctx& late) { return inner_.fence(late, ref, id); };
  return suffer<disk::FenceAnswer>("fence", ctx, std::move(call));
}

Task<Result<disk::Verdict>> FaultyDrive::withdraw(Ctx& ctx, disk::ObjectRef ref, VersionId id) {
  auto call = [this, ref, id](Ctx& late) { return inner_.withdraw(late, ref, id); };
  return suffer<disk::Verdict>("withdraw", ctx, std::move(call));
}

void FaultyDrive::retire(disk::ObjectRef ref, VersionId id) {
  const Fate what = fate("retire");
  if (what.held) {
    what.held->sent_ = true;
    what.held->deliver_ = [this, ref = std::move(ref), id] { inner_.retire(ref, id); };
    return;
  }
  if (!what.request_lost && !what.arrives_after_all) inner_.retire(std::move(ref), id);
}

Task<Result<disk::Verdict>> FaultyDrive::purge(Ctx& ctx, disk::ObjectRef ref, VersionId id) {
  auto call = [this, ref, id](Ctx& late) { return inner_.purge(late, ref, id); };
  return suffer<disk::Verdict>("purge", ctx, std::move(call));
}

Task<Result<disk::Held>> FaultyDrive::read(Ctx& ctx, disk::ObjectRef ref, disk::ReadSpec spec) {
  auto call = [this, ref, spec](Ctx& late) { return inner_.read(late, ref, spec); };
  return suffer<disk::Held>("read", ctx, std::move(call));
}

Task<Result<std::vector<Result<disk::Held>>>> FaultyDrive::read_many(Ctx& ctx,
                                                                     std::vector<disk::KeyRead> reads) {
  auto call = [this, reads](Ctx& late) { return inner_.read_many(late, reads); };
  return suffer<std::vector<Result<disk::Held>>>("read_many", ctx, std::move(call));
}

std::optional<Result<disk::Held>> FaultyDrive::try_read(const disk::ObjectRef& ref, disk::ReadSpec spec) {
  if (remote_ || (script_ && !remembers_)) return std::nullopt;
  return inner_.try_read(ref, spec);
}

Task<Result<std::unique_ptr<disk::ShardReader>>> FaultyDrive::open_shard(Ctx& ctx, disk::ShardRef ref) {
  const Fate what = fate("open_shard");
  if (what.delay > Duration::zero()) co_await sleep_for(clock_, what.delay);
  if (what.request_lost) co_return fail(Errc::unavailable, "request lost");
  CO_TRY(inner, co_await inner_.open_shard(ctx, ref));
  std::unique_ptr<disk::ShardReader> reader = std::make_unique<Reader>(*this, std::move(inner));
  co_return reader;
}

// Opens the file anew for each read, as if the other node had closed it.
class FaultyDrive::LateReader final : public disk::ShardReader {
 public:
  LateReader(FaultyDrive& drive, disk::ShardRef ref) : drive_(drive), ref_(ref) {}
  Task<Result<>> read_blocks(Ctx& ctx, std::uint64_t first, std::vector<disk::BlockTarget> targets) override {
    CO_TRY(reader, co_await drive_.open_shard(ctx, ref_));
    co_return co_await reader->read_blocks(ctx, first, std::move(targets));
  }

 private:
  FaultyDrive& drive_;
  const disk::ShardRef ref_;
};

std::unique_ptr<disk::ShardReader> FaultyDrive::open_shard_later(const disk::ShardRef& ref) {
  if (!remote_) return nullptr;
  return std::make_unique<LateReader>(*this, ref);
}

Task<Result<disk::ListPage>> FaultyDrive::list(Ctx& ctx, disk::ListSpec spec) {
  auto call = [this, spec](Ctx& late) { return inner_.list(late, spec); };
  return suffer<disk::ListPage>("list", ctx, std::move(call));
}

Task<Result<disk::ShardHealth>> FaultyDrive::verify(Ctx& ctx, disk::ShardRef ref) {
  auto call = [this, ref](Ctx& late) { return inner_.verify(late, ref); };
  return suffer<disk::ShardHealth>("verify", ctx, std::move(call));
}

Task<Result<bool>> FaultyDrive::begin_anew(Ctx& ctx, disk::ObjectRef ref) {
  auto call = [this, ref](Ctx& late) { return inner_.begin_anew(late, ref); };
  return suffer<bool>("begin_anew", ctx, std::move(call));
}

Task<Result<disk::Verdict>> FaultyDrive::readmit_key(Ctx& ctx, disk::ObjectRef ref, std::uint64_t birth) {
  auto call = [this, ref, birth](Ctx& late) { return inner_.readmit_key(late, ref, birth); };
  return suffer<disk::Verdict>("readmit_key", ctx, std::move(call));
}

Task<Result<>> FaultyDrive::readmit(Ctx& ctx, std::uint16_t group, std::uint64_t birth) {
  auto call = [this, group, birth](Ctx& late) { return inner_.readmit(late, group, birth); };
  return suffer<void>("readmit", ctx, std::move(call));
}

Task<Result<disk::RowPage>> FaultyDrive::scan(Ctx& ctx, disk::RowScanSpec spec) {
  auto call = [this, spec](Ctx& late) { return inner_.scan(late, spec); };
  return suffer<disk::RowPage>("scan", ctx, std::move(call));
}

Task<Result<>> FaultyDrive::put_system(Ctx& ctx, std::string name, std::string value) {
  auto call = [this, name, value](Ctx& late) { return inner_.put_system(late, name, value); };
  return suffer<void>("put_system", ctx, std::move(call));
}

}  // namespace ostraka::erasure
