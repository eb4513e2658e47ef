#include "disk/local_drive.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"
#include "disk/found_files.h"
#include "disk/row_key.h"
#include "disk/row_read.h"
#include "disk/scan.h"
#include "disk/shard_io.h"

namespace ostraka::disk {
namespace {

std::unique_ptr<DriveOp> key_op(OpKind kind, ObjectRef ref, VersionId id) {
  auto op = std::make_unique<DriveOp>();
  op->kind = kind;
  op->row = row_key(ref);
  op->ref = std::move(ref);
  op->id = id;
  return op;
}

HeldVersion held_version(const ObjectRef& ref, const CommitRequest& request) {
  const VersionRecord& record = *request.record;
  HeldVersion version;
  version.id = record.id;
  version.expect = record.expect;
  version.epoch = record.epoch;
  version.tombstone = record.kind == RecordKind::tombstone;
  version.data_shards = record.data_shards;
  version.write_quorum = record.write_quorum;
  version.shard_index = request.shard_index;
  version.has_inline = record.inline_data && !request.inline_shard.bytes.empty();
  version.has_files = std::any_of(record.parts.begin(), record.parts.end(),
                                  [](const PartRecord& part) { return !part.data.is_nil(); });
  version.from_upload =
      ref.space == KeySpace::object && record.kind == RecordKind::object && !record.upload_id.empty();
  version.record = request.encoded;
  return version;
}

Result<> check_request(const CommitRequest& request) {
  if (!request.record || !request.encoded) return fail(Errc::invalid_argument, "a commit without a record");
  const VersionRecord& record = *request.record;
  if (request.encoded->size() > kMaxRecordBytes) return fail(Errc::too_large, "version record too large");
  if (record.id.is_none() || record.id == kAnyVersion)
    return fail(Errc::invalid_argument, "a commit without an id");
  if (request.inline_shard.bytes.size() > kMaxInlineShardBytes)
    return fail(Errc::too_large, "inline shard too large");
  if (record.inline_data && record.size > 0 && request.inline_shard.bytes.empty()) {
    return fail(Errc::invalid_argument, "an inline version without its shard");
  }
  if (request.retire && request.mode != CommitMode::heal)
    return fail(Errc::invalid_argument, "a commit that retires what may not be committed");
  return {};
}

// Which of the files are on the drive. Blocks.
std::vector<DataId> verified_files(DriveCore& core, const VersionRecord& record, std::uint8_t shard_index,
                                   const std::vector<DataId>& unknown) {
  std::vector<DataId> good;
  for (const PartRecord& part : record.parts) {
    if (std::find(unknown.begin(), unknown.end(), part.data) == unknown.end()) continue;
    const ShardRef ref = shard_ref(part, record.data_shards, record.parity_shards, shard_index);
    const Result<> durable = check_durable_shard(core, ref);
    if (durable) {
      good.push_back(part.data);
    } else {
      log::warn("commit names a shard file that is not there drive={} reason=\"{}\"", core.path,
                durable.error().detail);
    }
  }
  return good;
}

}  // namespace

LocalDrive::LocalDrive(const DriveDeps& deps, std::string path, DriveFormat expected)
    : core_(deps, std::move(path), std::move(expected)),
      committer_(core_, deps.workers),
      moves_(core_, committer_),
      watch_(core_, committer_, deps.workers) {}

LocalDrive::~LocalDrive() = default;

Result<> LocalDrive::start() {
  Result<> opened = core_.try_open();
  if (!opened) {
    core_.set_problem(opened.error().detail);
    core_.metrics.online.set(0);
  }
  core_.metrics.show(core_.state());
  committer_.start();
  watch_.start();
  return opened;
}

std::optional<FileId> LocalDrive::lock_file() const {
  const std::shared_ptr<OpenDrive> life = core_.open();
  if (!life) return std::nullopt;
  return life->folder.lock_file;
}

Task<Result<DriveInfo>> LocalDrive::info(Ctx&) {
  DriveInfo info;
  info.id = id();
  info.path = core_.path;
  info.slot = core_.expected.slot;
  info.online = core_.online();
  info.refilling = core_.groups.refilling();
  info.problem = core_.problem();
  info.total_bytes = core_.space.total();
  info.free_bytes = core_.space.free();
  info.used_bytes = core_.space.used();
  info.errors = core_.metrics.errors.value();
  info.heal_queue = core_.heal_entries();
  info.heal_recorded = core_.heal_recorded();
  info.state = core_.state();
  const TimePoint now = core_.clock.now();
  info.recent_errors = core_.health.recent_errors(now);
  info.reads = core_.health.latency(CallKind::read, now);
  info.writes = core_.health.latency(CallKind::write, now);
  info.smart = core_.smart();
  if (info.online && info.total_bytes > 0 && !core_.space.has_room(0)) {
    info.problem = fmt::format(
        "full: less than the reserve of {} MiB is free; new objects are refused until something is deleted",
        core_.space.reserve() >> 20);
  } else if (info.online && info.problem.empty() && info.smart && info.smart->passed == false) {
    info.problem = fmt::format("{} expects to fail soon (SMART): replace it in time", info.smart->device);
  }
  co_return info;
}

Task<Result<std::unique_ptr<ShardWriter>>> LocalDrive::stage(Ctx& ctx, StageSpec spec) {
  const CallTimer timer(core_.metrics.stage, core_.clock);
  if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core_.noted(core_.use()));
  if (spec.data.is_nil() || spec.block_bytes == 0 || spec.block_bytes % 64 != 0 ||
      spec.block_bytes > kMaxBlockBytes || spec.data_shards == 0) {
    co_return fail(Errc::invalid_argument, "a shard file without id or with blocks of an odd size");
  }
  if (!core_.space.has_room(spec.expected_bytes / spec.data_shards)) {
    co_return core_.noted(
        Result<std::unique_ptr<ShardWriter>>(fail(Errc::no_space, core_.path + ": the reserve is reached")));
  }
  co_return make_shard_writer(core_, life, spec);
}

Task<Result<>> LocalDrive::discard(Ctx&, DataId data) {
  core_.files->discard(data);
  co_return Result<>();
}

Task<Result<OpAnswer>> LocalDrive::submit(Ctx& ctx, std::unique_ptr<DriveOp> op) {
  return submit_change(core_, committer_, ctx, std::move(op));
}

Task<Result<CommitAnswer>> LocalDrive::commit(Ctx& ctx, ObjectRef ref, CommitRequest request) {
  const CallTimer timer(core_.metrics.commit, core_.clock);
  CO_TRY_VOID(check_ref(ref));
  CO_TRY_VOID(check_request(request));
  const RecordKind kind = request.record->kind;
  const bool frees =
      kind == RecordKind::tombstone || kind == RecordKind::delete_marker || request.mode == CommitMode::heal;
  if (!frees && !core_.space.has_room(0)) {
    co_return core_.noted(
        Result<CommitAnswer>(fail(Errc::no_space, core_.path + ": the reserve is reached")));
  }
  FoundFiles found_files(*core_.files);
  std::vector<DataId>& verified = found_files.verified;
  for (;;) {
    auto op = key_op(OpKind::commit, ref, request.record->id);
    op->mode = request.mode;
    op->version = held_version(ref, request);
    op->record = request.record;
    op->inline_shard = request.inline_shard;
    op->retires = request.retire;
    op->verified = verified;
    auto submitting = submit(ctx, std::move(op));
    CO_TRY(answer, co_await std::move(submitting));
    CommitAnswer out;
    out.verdict = answer.verdict;
    out.newest = answer.newest;
    out.final_id = answer.final_id;
    if (answer.unknown.empty()) co_return out;
    const std::size_t wanted = verified.size() + answer.unknown.size();
    found_files.look_at(answer.unknown);
    CO_TRY(life, core_.use());
    auto look = [&core = core_, record = request.record, shard = request.shard_index,
                 unknown = std::move(answer.unknown)](OpenDrive&) -> Result<std::vector<DataId>> {
      return verified_files(core, *record, shard, unknown);
    };
    auto looking = core_.run(std::move(life), ctx.deadline, std::move(look));
    CO_TRY(found, co_await std::move(looking));
    verified.insert(verified.end(), found.begin(), found.end());
    if (verified.size() < wanted) {
      out.verdict = Verdict::refused;
      co_return out;
    }
  }
}

Task<Result<OpAnswer>> LocalDrive::change_key(Ctx& ctx, OpKind kind, ObjectRef ref, VersionId id) {
  const CallTimer timer(core_.metrics.commit, core_.clock);
  CO_TRY_VOID(check_ref(ref));
  auto op = key_op(kind, std::move(ref), id);
  auto submitting = submit(ctx, std::move(op));
  Result<OpAnswer> answer = co_await std::move(submitting);
  if (answer.failed_with(Errc::overloaded)) {  // no room for a fence in the key's row
    const Errc cause = core_.space.has_room(0) ? Errc::unavailable : Errc::no_space;
    co_return fail(cause, core_.path + ": " + answer.error().detail);
  }
  co_return answer;
}

Task<Result<FenceAnswer>> LocalDrive::fence(Ctx& ctx, ObjectRef ref, VersionId id) {
  auto changing = change_key(ctx, OpKind::fence, std::move(ref), id);
  CO_TRY(answer, co_await std::move(changing));
  FenceAnswer out;
  out.has = answer.has;
  out.birth = answer.birth;
  out.final_id = answer.final_id;
  co_return out;
}

Task<Result<Verdict>> LocalDrive::withdraw(Ctx& ctx, ObjectRef ref, VersionId id) {
  auto changing = change_key(ctx, OpKind::withdraw, std::move(ref), id);
  CO_TRY(answer, co_await std::move(changing));
  co_return answer.verdict;
}

Task<Result<Verdict>> LocalDrive::purge(Ctx& ctx, ObjectRef ref, VersionId id) {
  auto changing = change_key(ctx, OpKind::purge, std::move(ref), id);
  CO_TRY(answer, co_await std::move(changing));
  co_return answer.verdict;
}

void LocalDrive::retire(ObjectRef ref, VersionId id) {
  if (!check_ref(ref) || !core_.open()) return;
  auto op = key_op(OpKind::retire, std::move(ref), id);
  committer_.submit_lazy(std::move(op));
}

std::optional<Result<Held>> LocalDrive::try_read(const ObjectRef& ref, ReadSpec spec) {
  const auto life = core_.open();
  if (!life || core_.hesitates() || !core_.online()) return std::nullopt;
  if (!check_ref(ref) || !core_.places.serves(ref.group)) return std::nullopt;
  if (ref.epoch > core_.groups.state(ref.group).epoch) return std::nullopt;
  const CallTimer timer(core_.metrics.read, core_.clock);
  auto held = read_row(core_, *life, ref, spec, Tier::memory);
  if (held && !*held) core_.note(held->code());
  return held;
}

Task<Result<>> LocalDrive::learn_epoch(Ctx& ctx, const ObjectRef& ref) {
  auto op = key_op(OpKind::learn_epoch, ref, kNoVersion);
  auto learning = submit(ctx, std::move(op));
  CO_TRY_VOID(co_await std::move(learning));
  co_return Result<>();
}

void LocalDrive::learn_epoch_lazily(const ObjectRef& ref) {
  committer_.submit_lazy(key_op(OpKind::learn_epoch, ref, kNoVersion));
}

Task<Result<Held>> LocalDrive::read(Ctx& ctx, ObjectRef ref, ReadSpec spec) {
  const CallTimer timer(core_.metrics.read, core_.clock);
  CO_TRY_VOID(check_ref(ref));
  if (!core_.places.serves(ref.group)) co_return moved_away();
  if (knows_not(ref)) {
    auto learning = learn_epoch(ctx, ref);
    CO_TRY_VOID(co_await std::move(learning));
  }
  if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core_.noted(core_.use()));
  auto look = [&core = core_, ref = std::move(ref), spec](OpenDrive& drive) -> Result<Held> {
    return *read_row(core, drive, ref, spec, Tier::all);
  };
  auto looking = core_.run(std::move(life), ctx.deadline, std::move(look));
  Result<Held> held = co_await std::move(looking);
  co_return core_.noted(std::move(held));
}

Task<Result<std::unique_ptr<ShardReader>>> LocalDrive::open_shard(Ctx& ctx, ShardRef ref) {
  const CallTimer timer(core_.metrics.open_shard, core_.clock);
  if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core_.noted(core_.use()));
  if (!core_.hesitates()) {  // a thread hop costs more than opening what lies in memory
    auto at_hand = open_shard_file(core_, ref, Tier::memory);
    if (at_hand) co_return make_shard_reader(core_, std::move(*at_hand));
  }
  auto look = [&core = core_, ref](OpenDrive&) { return open_shard_file(core, ref); };
  auto looking = core_.run(std::move(life), ctx.deadline, std::move(look));
  Result<OpenedShard> shard = co_await std::move(looking);
  if (!shard)
    co_return core_.noted(Result<std::unique_ptr<ShardReader>>(fail(shard.code(), shard.error().detail)));
  co_return make_shard_reader(core_, std::move(*shard));
}

namespace {

// A page of the groups that the drive can tell about, before the scan and behind it: those that came while it
// ran may not be whole in it, and of those that left meanwhile there may be newer rows elsewhere.
Result<ScannedPage> scan_told_groups(const DriveCore& core, OpenDrive& drive, const ListSpec& spec) {
  const GroupBits asked = spec.groups ? *spec.groups : GroupBits().set();
  for (int tries = 0; tries < kListTries; ++tries) {
    const GroupBits silent = core.silent_groups();
    const GroupFilter filter{core.expected.deployment, asked & ~silent};
    TRY(scanned, scan_rows(*drive.index, spec, filter.groups.all() ? nullptr : &filter));
    if ((core.silent_groups() & filter.groups).any()) continue;
    scanned.page.silent = asked & silent;
    return scanned;
  }
  return fail(Errc::unavailable, core.path + ": groups leave it while it is listed");
}

}  // namespace

Task<Result<ListPage>> LocalDrive::list(Ctx& ctx, ListSpec spec) {
  const CallTimer timer(core_.metrics.list, core_.clock);
  if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core_.noted(core_.use()));
  auto scan = [&core = core_, spec = std::move(spec)](OpenDrive& drive) {
    return scan_told_groups(core, drive, spec);
  };
  auto scanning = core_.run(std::move(life), ctx.deadline, std::move(scan));
  Result<ScannedPage> scanned = co_await std::move(scanning);
  if (!scanned) co_return core_.noted(Result<ListPage>(fail(scanned.code(), scanned.error().detail)));
  if (scanned->nameless_rows > 0) core_.note(Errc::corrupt);
  co_return std::move(scanned->page);
}

Task<Result<ShardHealth>> LocalDrive::verify(Ctx& ctx, ShardRef ref) {
  if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core_.noted(core_.use()));
  auto look = [&core = core_, ref](OpenDrive&) { return verify_shard_file(core, ref); };
  auto looking = core_.run(std::move(life), ctx.deadline, std::move(look), CallKind::upkeep);
  Result<ShardHealth> health = co_await std::move(looking);
  co_return core_.noted(std::move(health));
}

Task<Result<Verdict>> LocalDrive::change_system(Ctx& ctx, OpKind kind, std::string name, std::string value,
                                                bool only_if_value) {
  const CallTimer timer(core_.metrics.system, core_.clock);
  if (name.empty() || name.size() > kMaxSystemNameBytes || name.starts_with(kOwnRecords) ||
      value.size() > kMaxSystemValueBytes) {
    co_return fail(Errc::invalid_argument, "name or value of a system record");
  }
  auto op = std::make_unique<DriveOp>();
  op->kind = kind;
  op->name = std::move(name);
  op->value = std::move(value);
  op->only_if_value = only_if_value;
  auto submitting = submit(ctx, std::move(op));
  CO_TRY(answer, co_await std::move(submitting));
  co_return answer.verdict;
}

Task<Result<>> LocalDrive::put_system(Ctx& ctx, std::string name, std::string value) {
  auto changing = change_system(ctx, OpKind::put_system, std::move(name), std::move(value));
  CO_TRY_VOID(co_await std::move(changing));
  co_return Result<>();
}

Task<Result<>> LocalDrive::erase_system(Ctx& ctx, std::string name) {
  auto changing = change_system(ctx, OpKind::erase_system, std::move(name), std::string());
  CO_TRY_VOID(co_await std::move(changing));
  co_return Result<>();
}

Task<Result<>> LocalDrive::erase_system_if(Ctx& ctx, std::string name, std::string value) {
  auto changing = change_system(ctx, OpKind::erase_system, std::move(name), std::move(value), true);
  CO_TRY(verdict, co_await std::move(changing));
  if (verdict != Verdict::ok) co_return fail(Errc::conflict, "the record has another value by now");
  co_return Result<>();
}

Task<Result<std::vector<Drive::SystemRecord>>> LocalDrive::scan_system(Ctx& ctx, std::string prefix,
                                                                       std::size_t max) {
  auto scanning = scan_system_after(ctx, std::move(prefix), std::string(), max);
  Result<std::vector<SystemRecord>> records = co_await std::move(scanning);
  co_return records;
}

Task<Result<std::vector<Drive::SystemRecord>>> LocalDrive::scan_system_after(Ctx& ctx, std::string prefix,
                                                                             std::string after,
                                                                             std::size_t max) {
  const CallTimer timer(core_.metrics.system, core_.clock);
  if (ctx.deadline < core_.clock.now()) co_return fail(Errc::deadline);
  CO_TRY(life, core_.noted(core_.use()));
  auto scan = [&core = core_, prefix = std::move(prefix), after = std::move(after),
               max](OpenDrive& drive) -> Result<std::vector<SystemRecord>> {
    std::vector<SystemRecord> records;
    std::string first = prefix.empty() ? std::string("\x01", 1) : prefix;  // past the drive's own records
    if (!after.empty()) first = std::max(first, after + '\0');
    const auto cursor = drive.index->scan(Column::system, first, after_prefix(prefix));
    for (cursor->seek(first); cursor->valid() && records.size() < max; cursor->next()) {
      if (cursor->key().starts_with(kOwnRecords)) continue;
      const auto value = unseal(cursor->value());
      if (!value) {
        core.note(Errc::corrupt);
        log::error("system record failed its checksum and is left out drive={} name={}", core.path,
                   cursor->key());
        continue;
      }
      records.push_back({std::string(cursor->key()), std::string(*value)});
    }
    TRY_VOID(cursor->status());
    return records;
  };
  auto scanning = core_.run(std::move(life), ctx.deadline, std::move(scan));
  Result<std::vector<SystemRecord>> records = co_await std::move(scanning);
  co_return core_.noted(std::move(records));
}

}  // namespace ostraka::disk
