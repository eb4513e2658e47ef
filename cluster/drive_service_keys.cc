// Calls on keys, as DriveService answers them.
#include <utility>

#include "cluster/drive_service_core.h"
#include "disk/limits.h"

namespace ostraka::cluster {
namespace {

constexpr std::size_t kMaxCommitHead = disk::kMaxRecordBytes + disk::kMaxInlineShardBytes + kMaxCallHead;

Result<PeerAnswer> answer_verdict(const disk::Drive& drive, Result<disk::Verdict> verdict) {
  const auto put = [](pb::VerdictAnswer& out, disk::Verdict said) { out.set_verdict(wire_verdict(said)); };
  return answered<pb::VerdictAnswer>(drive, verdict, put);
}

// The pin goes into the peer's keeping.
Result<> put_pinned(DriveServiceCore& core, const NodeName& from, pb::Held& out, disk::Held& held) {
  put_held(out, held);
  if (!held.pin) return {};
  const auto pin = core.pins.add(from, std::move(held.pin));
  if (!pin) return fail(Errc::unavailable, "too many files are kept for other nodes");
  out.set_pin(*pin);
  return {};
}

}  // namespace

Task<Result<PeerAnswer>> serve_commit(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::CommitRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call, kMaxCommitHead));
  CO_TRY(ref, take_key(*in.mutable_key()));
  CO_TRY(request, take_commit(in));
  auto committing = drive->commit(ctx, std::move(ref), std::move(request));
  Result<disk::CommitAnswer> answer = co_await std::move(committing);
  const auto put = [](pb::CommitAnswer& out, const disk::CommitAnswer& said) {
    out.set_verdict(wire_verdict(said.verdict));
    put_version(*out.mutable_newest(), said.newest);
    put_version(*out.mutable_final_id(), said.final_id);
  };
  co_return answered<pb::CommitAnswer>(*drive, answer, put);
}

Task<Result<PeerAnswer>> serve_fence(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::KeyRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(ref, take_key(*in.mutable_key()));
  auto fencing = drive->fence(ctx, std::move(ref), take_version(in.version()));
  Result<disk::FenceAnswer> answer = co_await std::move(fencing);
  const auto put = [](pb::FenceAnswer& out, const disk::FenceAnswer& said) {
    out.set_has(said.has);
    out.set_birth(said.birth);
    put_version(*out.mutable_final_id(), said.final_id);
  };
  co_return answered<pb::FenceAnswer>(*drive, answer, put);
}

Task<Result<PeerAnswer>> serve_withdraw(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                        PeerCall call) {
  pb::KeyRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(ref, take_key(*in.mutable_key()));
  auto withdrawing = drive->withdraw(ctx, std::move(ref), take_version(in.version()));
  Result<disk::Verdict> answer = co_await std::move(withdrawing);
  co_return answer_verdict(*drive, std::move(answer));
}

Task<Result<PeerAnswer>> serve_purge(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::KeyRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(ref, take_key(*in.mutable_key()));
  auto purging = drive->purge(ctx, std::move(ref), take_version(in.version()));
  Result<disk::Verdict> answer = co_await std::move(purging);
  co_return answer_verdict(*drive, std::move(answer));
}

Task<Result<PeerAnswer>> serve_read(DriveServiceCore& core, Ctx& ctx, const NodeName& from, PeerCall call) {
  pb::ReadRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(ref, take_key(*in.mutable_key()));
  const disk::ReadSpec spec = take_read_spec(in.spec());
  // what lies in memory is answered without another thread
  Result<disk::Held> held = fail(Errc::unavailable);
  auto quick = drive->try_read(ref, spec);
  if (quick && *quick && ctx.deadline >= core.deps.clock.now()) {
    held = std::move(*quick);
  } else {
    auto reading = drive->read(ctx, std::move(ref), spec);
    held = co_await std::move(reading);
  }
  const auto put = [&core, &from](pb::ReadAnswer& out, disk::Held& said) {
    return put_pinned(core, from, *out.mutable_held(), said);
  };
  co_return answered<pb::ReadAnswer>(*drive, held, put);
}

Task<Result<PeerAnswer>> serve_read_many(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                         PeerCall call) {
  pb::ReadManyRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  std::vector<disk::KeyRead> reads;
  for (pb::ReadManyRequest::One& one : *in.mutable_reads()) {
    CO_TRY(ref, take_key(*one.mutable_key()));
    disk::KeyRead& read = reads.emplace_back();
    read.ref = std::move(ref);
    read.spec = take_read_spec(one.spec());
  }
  auto reading = drive->read_many(ctx, std::move(reads));
  auto answers = co_await std::move(reading);
  const auto put = [&core, &from](pb::ReadManyAnswer& out, std::vector<Result<disk::Held>>& said) {
    for (Result<disk::Held>& held : said) {
      pb::ReadManyAnswer::One& one = *out.add_answers();
      Result<> done;
      if (held) done = put_pinned(core, from, *one.mutable_held(), *held);
      if (!held) done = tl::unexpected<Error>(held.error());
      if (done) continue;
      one.clear_held();
      put_status(*one.mutable_status(), done.error());
    }
  };
  co_return answered<pb::ReadManyAnswer>(*drive, answers, put);
}

Task<Result<PeerAnswer>> serve_begin_anew(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                          PeerCall call) {
  pb::KeyRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(ref, take_key(*in.mutable_key()));
  auto beginning = drive->begin_anew(ctx, std::move(ref));
  Result<bool> changed = co_await std::move(beginning);
  const auto put = [](pb::ChangedAnswer& out, bool said) { out.set_changed(said); };
  co_return answered<pb::ChangedAnswer>(*drive, changed, put);
}

Task<Result<PeerAnswer>> serve_readmit_key(DriveServiceCore& core, Ctx& ctx, const NodeName& from,
                                           PeerCall call) {
  pb::ReadmitRequest in;
  CO_TRY(drive, core.begin(in, ctx, from, call));
  CO_TRY(ref, take_key(*in.mutable_key()));
  auto readmitting = drive->readmit_key(ctx, std::move(ref), in.birth());
  Result<disk::Verdict> answer = co_await std::move(readmitting);
  co_return answer_verdict(*drive, std::move(answer));
}

}  // namespace ostraka::cluster
