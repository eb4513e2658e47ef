// One round of calls to the drives of a set: a FanOut that remembers who did not answer. A drive that
// somebody has given up on is not waited for again, beyond what a quorum needs, until it has answered.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "erasure/set_core.h"
#include "runtime/fan_out.h"
#include "runtime/shard.h"

namespace ostraka::erasure {

// Belongs to one shard. `slots` may be more than drives (a second call to the same drive); slot s is a call
// to drive s % size. Core: whose drives these are.
template <class T, class Core = SetCore>
class DriveRound {
 public:
  using Answers = typename FanOut<T>::Answers;

  DriveRound(std::shared_ptr<const Core> core, const Ctx& ctx, std::size_t slots)
      : core_(std::move(core)),
        executor_(ctx.shard.executor()),
        fan_(std::make_shared<FanOut<T>>(slots)),
        calls_(std::make_shared<std::vector<Call>>(slots)) {}
  DriveRound(const DriveRound&) = delete;
  DriveRound& operator=(const DriveRound&) = delete;
  // Whoever has not answered by now, and had the time to, is slow.
  ~DriveRound() {
    const TimePoint now = core_->context.clock.now();
    for (std::size_t slot = 0; slot < calls_->size(); ++slot) {
      Call& call = (*calls_)[slot];
      if (call.state != Call::out || now - call.began < core_->context.hedge_after) continue;
      call.state = Call::given_up;
      core_->stalled[drive_of(slot)]->given_up(now);
    }
  }

  // `drive` when the call goes to another drive than the slot says. False when the process is shutting down.
  bool start(std::size_t slot, Task<T> call) {
    return start(slot, slot % core_->drives.size(), std::move(call));
  }
  bool start(std::size_t slot, std::size_t drive, Task<T> call) {
    Call& mark = (*calls_)[slot];
    mark.state = Call::out;
    mark.drive = drive;
    mark.began = core_->context.clock.now();
    Task<T> watched = watch(core_, calls_, slot, std::move(call));
    if (fan_->start(executor_, core_->context.background, slot, std::move(watched))) return true;
    mark.state = Call::idle;
    return false;
  }
  bool started(std::size_t slot) const noexcept { return (*calls_)[slot].state != Call::idle; }
  bool out(std::size_t slot) const noexcept { return (*calls_)[slot].state == Call::out; }
  // Calls that have not answered and whose drive is not known to be slow.
  bool waiting_for_healthy() const noexcept {
    for (std::size_t slot = 0; slot < calls_->size(); ++slot)
      if (out(slot) && !core_->slow(static_cast<unsigned>(drive_of(slot)))) return true;
    return false;
  }
  std::size_t running() const noexcept { return fan_->running(); }
  Answers& answers() noexcept { return fan_->answers(); }
  // True: enough, or nothing is out any more. False: `until` came first. `enough` may refer to the caller's
  // locals.
  Task<bool> wait(TimePoint until, std::function<bool()> enough) {
    std::function<bool(const Answers&)> predicate = [asked = std::move(enough)](const Answers&) {
      return asked();
    };
    return fan_->wait(core_->context.clock, until, std::move(predicate));
  }

 private:
  struct Call {
    enum State : std::uint8_t { idle, out, answered, given_up } state = idle;
    std::size_t drive = 0;
    TimePoint began;
  };
  std::size_t drive_of(std::size_t slot) const noexcept { return (*calls_)[slot].drive; }

  static Task<T> watch(std::shared_ptr<const Core> core, std::shared_ptr<std::vector<Call>> calls,
                       std::size_t slot, Task<T> call) {
    T answer = co_await std::move(call);
    Call& mark = (*calls)[slot];
    if (mark.state == Call::given_up) core->stalled[mark.drive]->answered(core->context.clock.now());
    mark.state = Call::answered;
    co_return answer;
  }

  std::shared_ptr<const Core> core_;
  IoExecutor executor_;
  std::shared_ptr<FanOut<T>> fan_;
  std::shared_ptr<std::vector<Call>> calls_;
};

// The calls as coroutines that own what they use, so that they can go on when nobody waits for them any more.
Task<Result<disk::Held>> call_read(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                   disk::ReadSpec spec);
Task<Result<disk::CommitAnswer>> call_commit(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                             disk::CommitRequest request);
Task<Result<disk::FenceAnswer>> call_fence(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                           VersionId id);
Task<Result<disk::Verdict>> call_withdraw(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                          VersionId id);
Task<Result<disk::Verdict>> call_purge(CorePtr core, unsigned slot, Ctx ctx, disk::ObjectRef ref,
                                       VersionId id);
Task<Result<>> call_discard(CorePtr core, unsigned slot, Ctx ctx, DataId data);
Task<Result<>> call_put_system(CorePtr core, unsigned slot, Ctx ctx, std::string name, std::string value);

}  // namespace ostraka::erasure
