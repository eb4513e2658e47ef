// A drive that has only system records, in memory, and fails on demand: what the control store needs of a
// drive.
#pragma once

#include <map>
#include <string>

#include "disk/drive.h"
#include "runtime/shard.h"

namespace ostraka::cluster {

class SystemDrive final : public disk::Drive {
 public:
  enum class Fault { none, away, lost_answer, hangs, fails };

  explicit SystemDrive(std::uint8_t number) { id_.bytes.fill(number); }
  std::map<std::string, std::string> records;
  Fault fault = Fault::none;
  int writes = 0;

  DriveId id() const noexcept override { return id_; }
  bool online() const noexcept override { return fault != Fault::away; }

  Task<Result<>> put_system(Ctx& ctx, std::string name, std::string value) override {
    if (fault == Fault::away) co_return fail(Errc::unavailable, "away");
    if (fault == Fault::hangs) co_await sleep_for(ctx.shard.clock(), std::chrono::milliseconds(50));
    if (fault == Fault::hangs || fault == Fault::fails) co_return fail(Errc::io, "injected");
    records[name] = value;
    ++writes;
    if (fault == Fault::lost_answer) co_return fail(Errc::io, "injected after the write");
    co_return Result<>{};
  }
  Task<Result<>> erase_system(Ctx&, std::string name) override {
    if (fault != Fault::none) co_return fail(Errc::unavailable, "away");
    records.erase(name);
    co_return Result<>{};
  }
  Task<Result<std::vector<SystemRecord>>> scan_system(Ctx&, std::string prefix, std::size_t max) override {
    if (fault == Fault::away || fault == Fault::hangs) co_return fail(Errc::unavailable, "away");
    std::vector<SystemRecord> out;
    for (const auto& [name, value] : records) {
      if (name.compare(0, prefix.size(), prefix) != 0 || out.size() >= max) continue;
      SystemRecord record;
      record.name = name;
      record.value = value;
      out.push_back(std::move(record));
    }
    co_return out;
  }

  Task<Result<disk::DriveInfo>> info(Ctx&) override { co_return absent(); }
  Task<Result<std::unique_ptr<disk::ShardWriter>>> stage(Ctx&, disk::StageSpec) override {
    co_return absent();
  }
  Task<Result<>> discard(Ctx&, DataId) override { co_return absent(); }
  Task<Result<disk::CommitAnswer>> commit(Ctx&, disk::ObjectRef, disk::CommitRequest) override {
    co_return absent();
  }
  Task<Result<disk::FenceAnswer>> fence(Ctx&, disk::ObjectRef, VersionId) override { co_return absent(); }
  Task<Result<disk::Verdict>> withdraw(Ctx&, disk::ObjectRef, VersionId) override { co_return absent(); }
  void retire(disk::ObjectRef, VersionId) override {}
  Task<Result<disk::Verdict>> purge(Ctx&, disk::ObjectRef, VersionId) override { co_return absent(); }
  Task<Result<disk::Held>> read(Ctx&, disk::ObjectRef, disk::ReadSpec) override { co_return absent(); }
  Task<Result<bool>> begin_anew(Ctx&, disk::ObjectRef) override { co_return absent(); }
  Task<Result<disk::Verdict>> readmit_key(Ctx&, disk::ObjectRef, std::uint64_t) override {
    co_return absent();
  }
  Task<Result<std::vector<Result<disk::Held>>>> read_many(Ctx&, std::vector<disk::KeyRead>) override {
    co_return absent();
  }
  std::optional<Result<disk::Held>> try_read(const disk::ObjectRef&, disk::ReadSpec) override {
    return std::nullopt;
  }
  Task<Result<std::unique_ptr<disk::ShardReader>>> open_shard(Ctx&, disk::ShardRef) override {
    co_return absent();
  }
  Task<Result<disk::ListPage>> list(Ctx&, disk::ListSpec) override { co_return absent(); }
  Task<Result<disk::ShardHealth>> verify(Ctx&, disk::ShardRef) override { co_return absent(); }
  Task<Result<std::vector<SystemRecord>>> scan_system_after(Ctx&, std::string, std::string,
                                                            std::size_t) override {
    co_return absent();
  }
  Task<Result<>> erase_system_if(Ctx&, std::string, std::string) override { co_return absent(); }
  Task<Result<>> readmit(Ctx&, std::uint16_t, std::uint64_t) override { co_return absent(); }
  Task<Result<std::vector<disk::GroupState>>> groups(Ctx&) override { co_return absent(); }
  Task<Result<disk::RowPage>> scan(Ctx&, disk::RowScanSpec) override { co_return absent(); }
  Task<Result<std::vector<disk::BucketUsage>>> usage(Ctx&) override { co_return absent(); }
  Task<Result<bool>> recount_usage(Ctx&, BucketId) override { co_return absent(); }
  Task<Result<disk::OrphanReport>> find_orphans(Ctx&, disk::OrphanSpec) override { co_return absent(); }

 private:
  static tl::unexpected<Error> absent() {
    return ostraka::fail(Errc::not_implemented, "system records only");
  }
  DriveId id_;
};

}  // namespace ostraka::cluster
