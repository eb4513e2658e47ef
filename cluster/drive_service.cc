#include "cluster/drive_service.h"

#include <array>
#include <string_view>

#include "base/log.h"
#include "cluster/drive_service_core.h"

namespace ostraka::cluster {
namespace {

struct Method {
  std::string_view name;
  ServeCall* serve;
};
constexpr std::array kMethods{
    Method{"drive.read", serve_read},
    Method{"drive.read_blocks", serve_read_blocks},
    Method{"drive.append", serve_append},
    Method{"drive.commit", serve_commit},
    Method{"drive.open", serve_open},
    Method{"drive.stage", serve_stage},
    Method{"drive.finish", serve_finish},
    Method{"drive.list", serve_list},
    Method{"drive.errands", serve_errands},
    Method{"drive.info", serve_info},
    Method{"drive.fence", serve_fence},
    Method{"drive.withdraw", serve_withdraw},
    Method{"drive.purge", serve_purge},
    Method{"drive.discard", serve_discard},
    Method{"drive.verify", serve_verify},
    Method{"drive.read_many", serve_read_many},
    Method{"drive.begin_anew", serve_begin_anew},
    Method{"drive.readmit_key", serve_readmit_key},
    Method{"drive.groups", serve_groups},
    Method{"drive.usage", serve_usage},
    Method{"drive.scan", serve_scan},
    Method{"drive.readmit", serve_readmit},
    Method{"drive.recount_usage", serve_recount_usage},
    Method{"drive.find_orphans", serve_find_orphans},
    Method{"drive.put_system", serve_put_system},
    Method{"drive.erase_system", serve_erase_system},
    Method{"drive.erase_system_if", serve_erase_system_if},
    Method{"drive.scan_system", serve_scan_system},
    Method{"drive.move_leave", serve_move_leave},
    Method{"drive.move_arrive", serve_move_arrive},
    Method{"drive.move_status", serve_move_status},
    Method{"drive.move_rows", serve_move_rows},
    Method{"drive.move_changes", serve_move_changes},
    Method{"drive.move_forget", serve_move_forget},
    Method{"drive.move_seal", serve_move_seal},
    Method{"drive.move_take_back", serve_move_take_back},
    Method{"drive.move_import", serve_move_import},
    Method{"drive.move_own", serve_move_own},
    Method{"drive.move_drop", serve_move_drop},
    Method{"drive.move_pace", serve_move_pace},
};

std::unordered_map<DriveId, disk::Drive*, std::hash<Uuid>> by_id(const std::vector<disk::Drive*>& drives) {
  std::unordered_map<DriveId, disk::Drive*, std::hash<Uuid>> out;
  for (disk::Drive* drive : drives) out.emplace(drive->id(), drive);
  return out;
}

Task<Result<PeerAnswer>> refuse(Errc code, std::string detail) {
  co_return fail(code, std::move(detail));
}

// Files of writers that are here no more: staged perhaps, and nobody's.
Task<> discard_files(disk::Drive* drive, Ctx ctx, std::vector<DataId> files) {
  for (const DataId& data : files) {
    const Result<> discarded = co_await drive->discard(ctx, data);
    if (!discarded) log::debug("a file that a peer gave up stays behind data={}", to_string(data));
  }
}

// A call still has the writer: what it has not begun to write lets go of its buffers.
void cancel_append(const OpenWriterPtr& writer) {
  if (writer->appending) writer->writer->cancel();
}

}  // namespace

DriveServiceCore::DriveServiceCore(const DriveServiceDeps& with, const std::vector<disk::Drive*>& served)
    : deps(with),
      drives(by_id(served)),
      pins(deps.clock, {kMaxPins, kMaxPeerPins, kPeerLease}, random_u64(deps.random)),
      readers(deps.clock, {kMaxReaders, kMaxPeerReaders, kReaderIdle}, random_u64(deps.random)),
      writers(deps.clock) {}

void DriveServiceCore::run_errands(const Ctx& ctx, const NodeName& from, disk::Drive& drive,
                                   pb::Errands& errands) {
  const std::int64_t now_ms = deps.clock.unix_ms();
  for (pb::Errands::Retire& retire : *errands.mutable_retires()) {
    if (retire.until_ms() < now_ms) continue;
    auto key = take_key(*retire.mutable_key());
    if (key) drive.retire(std::move(*key), take_version(retire.version()));
  }
  for (const std::uint64_t pin : errands.keep_pins()) pins.renew(from, pin);
  for (const std::uint64_t pin : errands.unpin()) pins.remove(from, pin);
  for (const std::uint64_t reader : errands.close_readers()) readers.remove(from, reader);
  for (const std::uint64_t writer : errands.keep_writers()) writers.renew(from, writer);
  std::vector<DataId> staged;
  for (const pb::Errands::Writer& end : errands.end_writers()) {
    Shard* busy = nullptr;
    const OpenWriterPtr writer = writers.give_up(from, end.writer(), drive, busy);
    DataId data;
    if (!writer && take_uuid(end.data(), data)) staged.push_back(data);
    if (busy != nullptr) boost::asio::post(busy->executor(), [writer] { cancel_append(writer); });
  }
  if (!staged.empty()) gate.spawn(ctx.shard.executor(), discard_files(&drive, ctx, std::move(staged)));
}

Task<> DriveServiceCore::sweep_leases(DriveServiceCore* self) {
  Clock& clock = self->deps.clock;
  while (!self->stopping) {
    self->wake.reset();
    co_await self->wake.wait_until(clock, clock.now() + kLeaseSweep);
    self->pins.sweep();
    self->readers.sweep();
    self->writers.sweep();
    self->read_slabs.trim();
  }
}

Task<> DriveServiceCore::stop(DriveServiceCore* self) {
  self->stopping = true;
  self->wake.set();
  co_return;
}

Result<PeerAnswer> answered(const disk::Drive& drive, const Result<>& said) {
  Result<bool> done = true;
  if (!said) done = tl::unexpected<Error>(said.error());
  return answered<pb::PlainAnswer>(drive, done, [](pb::PlainAnswer&, bool) {});
}

DriveService::DriveService(const DriveServiceDeps& deps, const std::vector<disk::Drive*>& drives)
    : core_(std::make_unique<DriveServiceCore>(deps, drives)) {}

DriveService::~DriveService() = default;

void DriveService::start() {
  core_->gate.spawn(core_->deps.home.executor(), DriveServiceCore::sweep_leases(core_.get()));
}

Task<> DriveService::close() {
  core_->gate.spawn(core_->deps.home.executor(), DriveServiceCore::stop(core_.get()));
  co_await core_->gate.close();
  core_->pins.clear();
  core_->readers.clear();
  core_->writers.clear();
}

Task<Result<PeerAnswer>> DriveService::serve(Ctx& ctx, const NodeName& from, PeerCall call) {
  if (ctx.deadline < core_->deps.clock.now()) return refuse(Errc::deadline, "arrived too late");
  for (const Method& method : kMethods)
    if (method.name == call.method) return method.serve(*core_, ctx, from, std::move(call));
  return refuse(Errc::unsupported_version, "no call " + call.method.substr(0, 64));
}

DriveService::Kept DriveService::kept() const {
  return {core_->pins.size(), core_->readers.size(), core_->writers.size()};
}

}  // namespace ostraka::cluster
