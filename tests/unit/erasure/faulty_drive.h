// A drive that answers late, never, or with an error, loses the request or the answer: whatever its script
// says, call by call.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "disk/drive.h"
#include "runtime/clock.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/shard.h"

namespace ostraka::erasure {

// One request that is kept back until somebody says that it arrives, or that it never does.
class HeldMessage {
 public:
  HeldMessage() = default;
  bool sent() const noexcept { return sent_; }
  void arrive();
  void lose();

 private:
  friend class FaultyDrive;
  Event told_;
  bool sent_ = false;
  bool lost_ = false;
  std::function<void()> deliver_;  // of a call that nobody waits for
};

struct Fate {
  std::shared_ptr<HeldMessage> held{};  // before anything else
  Duration delay{0};                    // before the request arrives
  bool request_lost = false;            // it never arrives; the caller gets an error after the delay
  bool answer_lost = false;             // it arrives and is done; the caller gets an error
  // The caller gets an error now, and the request arrives that much later.
  std::optional<Duration> arrives_after_all{};
  bool healthy() const noexcept {
    return !held && delay == Duration::zero() && !request_lost && !answer_lost && !arrives_after_all;
  }
};

class FaultyDrive final : public disk::Drive {
 public:
  using Script = std::function<Fate(std::string_view call)>;
  FaultyDrive(disk::Drive& inner, Clock& clock, Gate& gate) : inner_(inner), clock_(clock), gate_(gate) {}
  // An empty script: no faults.
  void follow(Script script) { script_ = std::move(script); }
  // As a drive of another node: it is asked for many blocks at once, and the first read opens a file.
  void set_remote(bool remote) noexcept { remote_ = remote; }
  bool remote() const noexcept override { return remote_; }
  // What lies in its memory is read at once, whatever the script says of calls.
  void set_remembers(bool remembers) noexcept { remembers_ = remembers; }

  DriveId id() const noexcept override { return inner_.id(); }
  bool online() const noexcept override { return inner_.online(); }
  Task<Result<disk::DriveInfo>> info(Ctx& ctx) override { return inner_.info(ctx); }
  Task<Result<std::unique_ptr<disk::ShardWriter>>> stage(Ctx& ctx, disk::StageSpec spec) override;
  Task<Result<>> discard(Ctx& ctx, DataId data) override;
  Task<Result<disk::CommitAnswer>> commit(Ctx& ctx, disk::ObjectRef ref,
                                          disk::CommitRequest request) override;
  Task<Result<disk::FenceAnswer>> fence(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  Task<Result<disk::Verdict>> withdraw(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  void retire(disk::ObjectRef ref, VersionId id) override;
  Task<Result<disk::Verdict>> purge(Ctx& ctx, disk::ObjectRef ref, VersionId id) override;
  Task<Result<disk::Held>> read(Ctx& ctx, disk::ObjectRef ref, disk::ReadSpec spec) override;
  Task<Result<std::vector<Result<disk::Held>>>> read_many(Ctx& ctx,
                                                          std::vector<disk::KeyRead> reads) override;
  std::optional<Result<disk::Held>> try_read(const disk::ObjectRef& ref, disk::ReadSpec spec) override;
  Task<Result<std::unique_ptr<disk::ShardReader>>> open_shard(Ctx& ctx, disk::ShardRef ref) override;
  std::unique_ptr<disk::ShardReader> open_shard_later(const disk::ShardRef& ref) override;
  Task<Result<disk::ListPage>> list(Ctx& ctx, disk::ListSpec spec) override;
  Task<Result<disk::ShardHealth>> verify(Ctx& ctx, disk::ShardRef ref) override;
  Task<Result<bool>> begin_anew(Ctx& ctx, disk::ObjectRef ref) override;
  Task<Result<disk::Verdict>> readmit_key(Ctx& ctx, disk::ObjectRef ref, std::uint64_t birth) override;
  Task<Result<>> readmit(Ctx& ctx, std::uint16_t group, std::uint64_t birth) override;
  Task<Result<std::vector<disk::GroupState>>> groups(Ctx& ctx) override { return inner_.groups(ctx); }
  Task<Result<disk::RowPage>> scan(Ctx& ctx, disk::RowScanSpec spec) override;
  Task<Result<std::vector<disk::BucketUsage>>> usage(Ctx& ctx) override { return inner_.usage(ctx); }
  Task<Result<bool>> recount_usage(Ctx& ctx, BucketId bucket) override {
    return inner_.recount_usage(ctx, bucket);
  }
  Task<Result<disk::OrphanReport>> find_orphans(Ctx& ctx, disk::OrphanSpec spec) override {
    return inner_.find_orphans(ctx, spec);
  }
  Task<Result<>> put_system(Ctx& ctx, std::string name, std::string value) override;
  Task<Result<>> erase_system(Ctx& ctx, std::string name) override {
    return inner_.erase_system(ctx, std::move(name));
  }
  Task<Result<std::vector<SystemRecord>>> scan_system(Ctx& ctx, std::string prefix,
                                                      std::size_t max) override {
    return inner_.scan_system(ctx, std::move(prefix), max);
  }
  Task<Result<std::vector<SystemRecord>>> scan_system_after(Ctx& ctx, std::string prefix, std::string after,
                                                            std::size_t max) override {
    return inner_.scan_system_after(ctx, std::move(prefix), std::move(after), max);
  }
  Task<Result<>> erase_system_if(Ctx& ctx, std::string name, std::string value) override {
    return inner_.erase_system_if(ctx, std::move(name), std::move(value));
  }

 private:
  class Writer;
  class Reader;
  class LateReader;
  Fate fate(std::string_view call) { return script_ ? script_(call) : Fate(); }
  template <class T, class Call>
  Task<Result<T>> suffer(std::string_view name, Ctx ctx, Call call);

  disk::Drive& inner_;
  Clock& clock_;
  Gate& gate_;
  Script script_;
  bool remote_ = false;
  bool remembers_ = false;
};

}  // namespace ostraka::erasure
