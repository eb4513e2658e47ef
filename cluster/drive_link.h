// DriveLink: what a RemoteDrive, its readers and writers share: how calls get to the drive, what is known of
// how it is doing, and the errands that ride along.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/errand_queue.h"
#include "cluster/remote_drive.h"
#include "runtime/event.h"
#include "runtime/gate.h"

namespace ostraka::cluster {

// Thread safe. Held by shared_ptr, since pins, readers and writers outlive calls; what deps refers to must
// outlive close(), after which nothing is sent any more.
class DriveLink : public std::enable_shared_from_this<DriveLink> {
 public:
  DriveLink(const RemoteDriveDeps& deps, RemoteDriveSpec spec);
  void start();
  void leave();
  Task<> close();

  const RemoteDriveSpec& spec() const noexcept { return spec_; }
  Clock& clock() noexcept { return deps_.clock; }
  bool online() const noexcept { return online_.load(std::memory_order_relaxed); }
  // As last heard, or why it has not been heard of.
  disk::DriveInfo known() const;
  std::uint64_t new_writer() noexcept;  // an id that no other writer has

  // --- errands
  ErrandQueue& errands() noexcept { return errands_; }
  void errands_wait();  // call it after putting something in

  // --- calls; see drive_ask.h
  // Why nothing may be sent now.
  Result<> ready(const Ctx& ctx) const;
  std::int64_t until_ms(const Ctx& ctx) const;  // the deadline by the wall clock; 0: none
  Task<Result<PeerAnswer>> send(Ctx& ctx, PeerCall call, std::vector<disk::BlockTarget> into);
  // What the caller is told instead of the transport's error.
  Error failed(const Error& error);
  // An answer that makes no sense: nobody knows what became of the call.
  Error garbage(std::string_view what);
  // What every answer says of the drive itself.
  void heard(const pb::Status& status);
  void learn(disk::DriveInfo info);
  // The drive's node has called this one: a drive that is away is probed at once, and often again.
  void node_called();

 private:
  static Task<> probe_again_and_again(std::shared_ptr<DriveLink> self);
  static Task<> send_errands(std::shared_ptr<DriveLink> self);
  static Task<> stop(std::shared_ptr<DriveLink> self);
  Task<bool> probe();
  Task<> send_what_waits(pb::Errands errands, Duration time);
  void away(std::string why);
  void probe_soon();
  bool silent() const;  // calls are out, and nothing has been heard of them for a while
  bool heard_since(TimePoint moment) const;
  bool in_use() const;
  Task<> until_probe(TimePoint until);
  void on_home(void (DriveLink::*act)());
  void wake_probe() { probe_wake_.set(); }
  void wake_errands() { errand_wake_.set(); }

  const RemoteDriveDeps deps_;
  const RemoteDriveSpec spec_;
  ErrandQueue errands_;
  std::atomic<bool> online_{true};  // until it is known better
  std::atomic<bool> errands_wait_{false};
  std::atomic<bool> suspected_{false};                       // a probe has been asked for
  std::atomic<bool> expected_{false};                        // its node has called
  std::atomic<TimePoint> called_{TimePoint::min()};          // when that was heeded
  std::atomic<bool> closed_{false};                          // the home shard may be gone
  std::atomic<bool> left_{false};                            // it is none of the cluster any more
  std::atomic<TimePoint> garbage_logged_{TimePoint::min()};  // quiet until then
  std::atomic<std::uint64_t> next_writer_;
  std::atomic<unsigned> out_{0};                        // calls under way
  std::atomic<TimePoint> out_since_{TimePoint::min()};  // when the first of them was sent
  std::atomic<TimePoint> heard_{TimePoint::min()};      // when the last one was answered
  mutable std::mutex mutex_;                            // guards what follows
  disk::DriveInfo info_;
  std::string problem_;

  // of the home shard
  bool stopping_ = false;
  Event probe_wake_, errand_wake_;
  std::shared_ptr<CallStop> probe_stop_, errand_stop_;
  Gate gate_;
};

}  // namespace ostraka::cluster
