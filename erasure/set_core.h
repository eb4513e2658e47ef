// What the parts of one erasure set share: its drives, its numbers, and what it has learnt about slow drives.
// Thread safe; held by shared_ptr, since background tasks may outlive the set.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "disk/drive.h"
#include "erasure/codec.h"
#include "erasure/erasure_set.h"
#include "erasure/set_shared.h"

namespace ostraka::erasure {

struct SetMetrics {
  explicit SetMetrics(MetricRegistry& registry);
  Counter& roll_forwards;
  Counter& settled_gone;
  Counter& settled_kept;
  Counter& purged_tombstones;
  Counter& in_doubt;
  Counter& hedged_reads;
  Counter& decoded_stripes;
  Counter& spared_stripes;
  Counter& corrupt_shards;
  Counter& heal_entries;
  Counter& dropped_writers;
  Counter& clock_steps;
  Counter& dated_ahead;
  Counter& lost_rows;
  Counter& lost_versions;
};

struct SetCore {
  SetCore(SetContext& set_context, std::uint16_t set_group, std::uint64_t set_epoch, Geometry set_geometry,
          std::vector<disk::Drive*> set_drives);

  SetContext& context;
  const std::uint16_t group;
  std::atomic<std::uint64_t> epoch;  // of the group, as the node knows it: every call carries it
  const Geometry geometry;
  const unsigned write_quorum;  // the smallest that a version of this set can have
  const unsigned read_quorum;
  const std::vector<disk::Drive*> drives;  // by slot
  const std::shared_ptr<const Codec> own_codec;
  const SetMetrics metrics;
  const std::shared_ptr<SetShared> shared;
  const std::vector<StalledCallsPtr> stalled;  // by slot

  unsigned size() const noexcept { return static_cast<unsigned>(drives.size()); }
  bool slow(unsigned slot) const noexcept { return stalled[slot]->any(); }
  bool hangs(unsigned slot) const noexcept { return stalled[slot]->hangs(context.clock.now()); }
  unsigned online() const noexcept;
  // Slots in the order to ask them: healthy ones first, then slow ones, then those out of service; data
  // shards before parity. nearest: of the healthy ones, those on this node first.
  enum class Order : std::uint8_t { data_first, nearest };
  std::vector<std::uint8_t> preference(Order by = Order::data_first) const;
  // Of an object of another storage class: it has other parity, but the quorum never falls below the set's,
  // since readers count on it.
  unsigned quorum_of(Geometry other) const noexcept;
  std::shared_ptr<const Codec> codec(Geometry other) const;
  Duration hedge_delay() const noexcept;
  void observe_read(Duration took) noexcept;
  // ctx with a deadline that drives accept for calls that change them.
  Ctx changing(const Ctx& ctx) const;
  void raise_epoch(std::uint64_t to) noexcept;
  // The reference as this set sends it.
  disk::ObjectRef stamped(disk::ObjectRef ref) const;
  std::string commit_lease(const disk::ObjectRef& ref) const;
  std::string heal_name(const disk::ObjectRef& ref) const;  // for HealTurn: of a row, not of a key
};

using CorePtr = std::shared_ptr<SetCore>;

}  // namespace ostraka::erasure
