// GroupSet: the erasure set of one placement group, whichever drives the group has just now. The node gives
// it another set when a slot of the group has moved to another drive. Who began with the one before goes on
// with it, and it lives as long as that.
//
// While a slot moves, there is a moment when no drive answers for it. The others are a quorum, where there is
// enough parity; otherwise a call that found too few is tried again here, until the slot answers from its new
// place: for kMovePatience at most, within the call's deadline, and only if it was certainly not carried out.
// A write that ended in doubt is settled when the slot answers, which tells. A body that lies staged on the
// drives can be committed only once, so nothing is begun with it until enough drives answer for the group;
// its shard follows a slot that has moved since (staged_body.h). Nor is any other write of a version begun at
// once while a drive in service does not answer for the group, quorum or not: the version would lack that
// drive's part until it is healed, and with it the parity that others may need meanwhile. Writes wait for
// kMoveSpare, counted from the first that met with it. A body that is being read goes on where it stands,
// from the slot's new place.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>

#include "erasure/erasure_set.h"

namespace ostraka::erasure {
struct WriteSpec;
struct Written;
}  // namespace ostraka::erasure

namespace ostraka::object {

using SetPtr = std::shared_ptr<erasure::ErasureSet>;

// Thread safe.
class GroupSet final : public erasure::ErasureSet {
 public:
  explicit GroupSet(SetPtr set) : set_(std::move(set)) {}

  SetPtr now() const;
  // From now on this one, with the newer of both epochs.
  void follow(SetPtr set);
  // Whether a slot of the group is on its way from one drive to another.
  void set_moving(bool moving) noexcept {
    moving_.store(moving, std::memory_order_relaxed);
    if (!moving) set_lacking({});
  }
  bool moving() const noexcept { return moving_.load(std::memory_order_relaxed); }

  erasure::Geometry geometry() const noexcept override;
  Task<Result<std::unique_ptr<erasure::BodyWriter>>> stage(Ctx& ctx, erasure::Geometry geometry,
                                                           std::uint64_t expected_bytes) override;
  erasure::StagedBody encode_inline(erasure::Geometry geometry, ByteSpan data) override;
  void discard(erasure::StagedBody body) override;
  Task<Result<erasure::Committed>> commit(Ctx& ctx, erasure::CommitSpec spec) override;
  Task<Result<std::shared_ptr<const disk::VersionRecord>>> erase(Ctx& ctx, disk::ObjectRef ref,
                                                                 bool conditional,
                                                                 erasure::Precondition precondition) override;
  Task<Result<erasure::Elected>> read(Ctx& ctx, disk::ObjectRef ref, bool with_inline) override;
  Result<std::unique_ptr<erasure::BodyReader>> open(disk::ObjectRef ref,
                                                    std::shared_ptr<const erasure::Elected> elected,
                                                    ByteRange range) override;
  Task<Result<erasure::HealReport>> heal(Ctx& ctx, disk::ObjectRef ref, erasure::HealSpec spec,
                                         erasure::KeyLookPtr ahead = {}) override;
  void raise_epoch(std::uint64_t epoch) noexcept override;
  std::vector<disk::Drive*> drives() const override;
  std::shared_ptr<erasure::SetCore> core() const override;
  // Keys of this group alone: with others the set of their own may have moved on. Listings over many groups
  // take the sets of one table (ObjectSets::table()).
  Task<Result<erasure::SetListPage>> list(Ctx& ctx, disk::ListSpec spec,
                                          erasure::KeyReader reader = {}) override;

 private:
  class Tries;
  class Reader;
  Task<Result<erasure::Written>> write(Ctx& ctx, erasure::WriteSpec spec);
  TimePoint lacking() const noexcept;
  void set_lacking(TimePoint since) noexcept;

  mutable std::mutex mutex_;
  SetPtr set_;
  std::atomic<bool> moving_{false};
  // Since when a drive in service does not answer for the group, as writes have found; TimePoint{}: all do.
  std::atomic<TimePoint::rep> lacking_{0};
};

}  // namespace ostraka::object
