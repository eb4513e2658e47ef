#include "cluster/remote_drive.h"

#include <utility>

#include "cluster/drive_ask.h"
#include "cluster/remote_group_moves.h"
#include "cluster/remote_shard.h"
#include "disk/limits.h"

namespace ostraka::cluster {
namespace {

// Shard files of a `read` stay on the other node's drive while this lives there, or its lease.
class RemotePin {
 public:
  RemotePin(std::shared_ptr<DriveLink> link, std::uint64_t pin) : link_(std::move(link)), pin_(pin) {
    link_->errands().hold_pin(pin_);
  }
  RemotePin(const RemotePin&) = delete;
  RemotePin& operator=(const RemotePin&) = delete;
  ~RemotePin() {
    link_->errands().release_pin(pin_);
    link_->errands_wait();
  }

 private:
  const std::shared_ptr<DriveLink> link_;
  const std::uint64_t pin_;
};

// An answer without it says nothing; it does not say that nothing is held.
template <class Answer>
Result<disk::Held> take_read(const std::shared_ptr<DriveLink>& link, Answer& answer) {
  if (!answer.has_held())
    return tl::unexpected<Error>(link->garbage("an answer to a read that says nothing"));
  pb::Held& in = *answer.mutable_held();
  std::shared_ptr<const void> pin;
  if (in.pin() != 0) pin = std::make_shared<const RemotePin>(link, in.pin());
  TRY(held, believed(*link, take_held(in)));
  held.pin = std::move(pin);
  return held;
}

pb::KeyRequest key_request(const disk::ObjectRef& ref, VersionId id) {
  pb::KeyRequest request;
  put_key(*request.mutable_key(), ref);
  put_version(*request.mutable_version(), id);
  return request;
}

}  // namespace

RemoteDrive::RemoteDrive(const RemoteDriveDeps& deps, RemoteDriveSpec spec)
    : link_(std::make_shared<DriveLink>(deps, std::move(spec))),
      moves_(std::make_unique<RemoteGroupMoves>(link_)) {}

disk::GroupMoves* RemoteDrive::moves() noexcept {
  return moves_.get();
}

void RemoteDrive::leave() {
  link_->leave();
}

void RemoteDrive::start() {
  link_->start();
}

Task<> RemoteDrive::close() {
  return link_->close();
}

const NodeName& RemoteDrive::node() const noexcept {
  return link_->spec().node;
}

void RemoteDrive::node_called() {
  link_->node_called();
}

std::uint64_t RemoteDrive::dropped_retires() const {
  return link_->errands().dropped();
}

DriveId RemoteDrive::id() const noexcept {
  return link_->spec().drive;
}

bool RemoteDrive::online() const noexcept {
  return link_->online();
}

Task<Result<disk::DriveInfo>> RemoteDrive::info(Ctx& ctx) {
  pb::PlainRequest request;
  auto asking = ask<pb::InfoAnswer>(link_, ctx, "drive.info", std::move(request));
  auto answer = co_await std::move(asking);
  if (answer) {
    auto info = believed(*link_, take_info(*answer));
    if (info) link_->learn(std::move(*info));
  }
  co_return link_->known();
}

Task<Result<std::unique_ptr<disk::ShardWriter>>> RemoteDrive::stage(Ctx& ctx, disk::StageSpec spec) {
  const std::uint64_t id = link_->new_writer();
  pb::StageRequest request;
  put_stage(request, spec);
  request.set_writer(id);
  auto asking = ask<pb::PlainAnswer>(link_, ctx, "drive.stage", std::move(request));
  const auto answer = co_await std::move(asking);
  if (answer) co_return make_remote_writer(link_, spec.data, id);
  if (answer.failed_with(Errc::deadline) || answer.failed_with(Errc::closed)) {  // it may be open there
    link_->errands().end_writer(id, spec.data);
    link_->errands_wait();
  }
  co_return tl::unexpected<Error>(answer.error());
}

Task<Result<>> RemoteDrive::discard(Ctx& ctx, DataId data) {
  pb::DataRequest request;
  request.set_data(put_uuid(data));
  auto asking = ask<pb::PlainAnswer>(link_, ctx, "drive.discard", std::move(request));
  CO_TRY_VOID(co_await std::move(asking));
  co_return Result<>();
}

Task<Result<disk::CommitAnswer>> RemoteDrive::commit(Ctx& ctx, disk::ObjectRef ref,
                                                     disk::CommitRequest request) {
  pb::CommitRequest message;
  put_commit(message, ref, request);
  request = disk::CommitRequest();
  auto asking = ask<pb::CommitAnswer>(link_, ctx, "drive.commit", std::move(message));
  CO_TRY(answer, co_await std::move(asking));
  CO_TRY(verdict, believed(*link_, take_verdict(answer.verdict())));
  disk::CommitAnswer out;
  out.verdict = verdict;
  out.newest = take_version(answer.newest());
  out.final_id = take_version(answer.final_id());
  co_return out;
}

Task<Result<disk::FenceAnswer>> RemoteDrive::fence(Ctx& ctx, disk::ObjectRef ref, VersionId id) {
  pb::KeyRequest request = key_request(ref, id);
  auto asking = ask<pb::FenceAnswer>(link_, ctx, "drive.fence", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  if (!answer.has_final_id())
    co_return tl::unexpected<Error>(link_->garbage("an answer to a fence that says nothing"));
  disk::FenceAnswer out;
  out.has = answer.has();
  out.birth = answer.birth();
  out.final_id = take_version(answer.final_id());
  co_return out;
}

Task<Result<disk::Verdict>> RemoteDrive::withdraw(Ctx& ctx, disk::ObjectRef ref, VersionId id) {
  pb::KeyRequest request = key_request(ref, id);
  auto asking = ask<pb::VerdictAnswer>(link_, ctx, "drive.withdraw", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_verdict(answer.verdict()));
}

Task<Result<disk::Verdict>> RemoteDrive::purge(Ctx& ctx, disk::ObjectRef ref, VersionId id) {
  pb::KeyRequest request = key_request(ref, id);
  auto asking = ask<pb::VerdictAnswer>(link_, ctx, "drive.purge", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_verdict(answer.verdict()));
}

void RemoteDrive::retire(disk::ObjectRef ref, VersionId id) {
  link_->errands().retire(ref, id);
  link_->errands_wait();
}

Task<Result<disk::Held>> RemoteDrive::read(Ctx& ctx, disk::ObjectRef ref, disk::ReadSpec spec) {
  pb::ReadRequest request;
  put_key(*request.mutable_key(), ref);
  put_read_spec(*request.mutable_spec(), spec);
  auto asking = ask<pb::ReadAnswer>(link_, ctx, "drive.read", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return take_read(link_, answer);
}

Task<Result<std::vector<Result<disk::Held>>>> RemoteDrive::read_many(Ctx& ctx,
                                                                     std::vector<disk::KeyRead> reads) {
  pb::ReadManyRequest request;
  for (const disk::KeyRead& read : reads) {
    pb::ReadManyRequest::One& one = *request.add_reads();
    put_key(*one.mutable_key(), read.ref);
    put_read_spec(*one.mutable_spec(), read.spec);
  }
  auto asking = ask<pb::ReadManyAnswer>(link_, ctx, "drive.read_many", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  const auto count = static_cast<std::size_t>(answer.answers_size());
  if (count > reads.size() || (count == 0 && !reads.empty()))
    co_return tl::unexpected<Error>(link_->garbage("answers to another number of reads"));
  std::vector<Result<disk::Held>> out;
  out.reserve(count);
  for (pb::ReadManyAnswer::One& one : *answer.mutable_answers()) {
    const Result<> status = take_status(one.status());
    out.push_back(status ? take_read(link_, one) : Result<disk::Held>(tl::unexpected<Error>(status.error())));
  }
  co_return out;
}

std::optional<Result<disk::Held>> RemoteDrive::try_read(const disk::ObjectRef&, disk::ReadSpec) {
  return std::nullopt;
}

Task<Result<std::unique_ptr<disk::ShardReader>>> RemoteDrive::open_shard(Ctx& ctx, disk::ShardRef ref) {
  pb::ShardRequest request;
  put_shard(*request.mutable_shard(), ref);
  auto asking = ask<pb::OpenAnswer>(link_, ctx, "drive.open", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return make_remote_reader(link_, ref, answer.reader());
}

std::unique_ptr<disk::ShardReader> RemoteDrive::open_shard_later(const disk::ShardRef& ref) {
  return make_remote_reader(link_, ref, 0);
}

Task<Result<disk::ShardHealth>> RemoteDrive::verify(Ctx& ctx, disk::ShardRef ref) {
  pb::ShardRequest request;
  put_shard(*request.mutable_shard(), ref);
  auto asking = ask<pb::HealthAnswer>(link_, ctx, "drive.verify", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_health(answer, ref));
}

Task<Result<disk::ListPage>> RemoteDrive::list(Ctx& ctx, disk::ListSpec spec) {
  pb::ListRequest request;
  put_list(request, spec);
  auto asking = ask<pb::PageAnswer>(link_, ctx, "drive.list", std::move(request));
  CO_TRY(answer, co_await std::move(asking));
  co_return believed(*link_, take_list_page(std::move(answer), spec));
}

}  // namespace ostraka::cluster
