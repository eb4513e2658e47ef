// An object world with a scanner.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "object/scanner.h"
#include "object_world.h"

namespace ostraka::object {

class ScanWorld : public ObjectWorld {
 public:
  explicit ScanWorld(ObjectWorldSpec spec = {}) : ObjectWorld(spec) {
    config.period = Duration::zero();  // only on demand, unless a test says otherwise
  }
  ~ScanWorld() { stop(); }

  void start() {
    ScannerDeps deps{clock, metrics, *sets, *buckets, roster(), [this] { return in_flight; }, heal};
    scanner = std::make_unique<Scanner>(std::move(deps), config);
    scanner->start_loop(shard);
    pass(std::chrono::milliseconds(10));
  }
  void stop() {
    if (!scanner) return;
    run(scanner->close());
    scanner.reset();
  }
  // A whole pass on demand.
  ScanReport scan(bool deep = true) {
    if (!scanner) start();
    const auto number = scanner->start(deep);
    EXPECT_TRUE(number.has_value());
    if (!number) return {};
    const auto ended = run(wait_task(this, *number));
    EXPECT_TRUE(ended.has_value()) << (ended ? "" : ended.error().detail);
    return *scanner->report(*number);
  }
  static Task<Result<ScanPass>> wait_task(ScanWorld* world, std::uint64_t number) {
    Ctx ctx{world->shard, deadline_after(world->clock.now(), std::chrono::hours(24)), "wait"};
    co_return co_await world->scanner->wait(ctx, number);
  }

  BucketId bucket_id(const std::string& name = "bucket") {
    return (*buckets->find(BucketName(name)))->info.id;
  }
  // As the key's set gives it to its drives.
  disk::ObjectRef ref(const std::string& key) {
    disk::ObjectRef out = sets->object(bucket_id(), ObjectKey(key));
    out.epoch = placement.group(out.group).epoch;
    return out;
  }
  // The drive that has the slot of the key's group.
  erasure::MemoryDrive& drive_of(const std::string& key, unsigned slot) {
    const DriveId id = placement.group(ref(key).group).drives[slot];
    for (const auto& drive : memory)
      if (drive->id() == id) return *drive;
    std::abort();
  }
  // Files of the key's object on that drive.
  std::vector<erasure::MemoryDrive::File*> files_of(const std::string& key, unsigned slot) {
    std::vector<erasure::MemoryDrive::File*> out;
    erasure::MemoryDrive& drive = drive_of(key, slot);
    const disk::KeyState* state = drive.state(ref(key));
    if (state == nullptr) return out;
    const auto record = disk::decode_version_record(as_bytes(*state->versions.front().record));
    for (const disk::PartRecord& part : record->parts)
      if (const auto file = drive.files().find(part.data); file != drive.files().end())
        out.push_back(file->second.get());
    return out;
  }

  // A writer of now, whose clock is ahead, reaches the drives that have these slots of the key's group, and
  // dies.
  Task<VersionId> leave_behind(std::string key, std::vector<unsigned> slots, std::int64_t ahead_ms = 0) {
    disk::VersionRecord record;
    record.id = hlc.next(clock.unix_ms() + ahead_ms);
    record.data_shards = 4;
    record.parity_shards = 2;
    record.write_quorum = 4;
    record.inline_data = true;
    record.size = 100;
    record.epoch = ref(key).epoch;
    disk::CommitRequest request;
    request.encoded = std::make_shared<const std::string>(disk::encode(record));
    request.record = std::make_shared<const disk::VersionRecord>(record);
    request.inline_shard.owner = Buffer::on_heap(64);
    request.inline_shard.bytes = request.inline_shard.owner.span().first(64);
    Ctx ctx = this->ctx();
    for (const unsigned slot : slots) {
      const disk::ObjectRef asked = ref(key);
      const auto answer = co_await drive_of(key, slot).commit(ctx, asked, request);
      EXPECT_TRUE(answer && answer->verdict == disk::Verdict::ok);
    }
    co_return record.id;
  }
  bool any_holds(const std::string& key, VersionId version) {
    for (unsigned slot = 0; slot < 6; ++slot) {
      const disk::KeyState* state = drive_of(key, slot).state(ref(key));
      if (state != nullptr && state->find(version) != nullptr) return true;
    }
    return false;
  }

  ScannerConfig config;
  std::size_t in_flight = 0;
  decltype(ScannerDeps::heal) heal;  // empty: by the key's set
  std::unique_ptr<Scanner> scanner;
};

}  // namespace ostraka::object
