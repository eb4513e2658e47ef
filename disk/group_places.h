// What the drive is to each placement group, durable in the system column, and the numbers of changes to
// groups that are leaving. Byte formats: disk/FORMAT.md, "Moves of groups". Thread safe.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>

#include "base/limits.h"
#include "base/placement_group.h"
#include "base/result.h"
#include "disk/group_move.h"
#include "disk/meta_index.h"

namespace ostraka::disk {

constexpr bool answers(GroupPlace place) noexcept {
  return place == GroupPlace::here || place == GroupPlace::leaving;
}

// What a drive answers to calls of a group that it does not answer for: as one that is out of service, since
// nothing was begun, and a coordinator that has not heard of the move yet does with the others meanwhile.
tl::unexpected<Error> moved_away();

class GroupPlaces {
 public:
  struct Entry {
    GroupPlace place = GroupPlace::here;
    Uuid move;  // the last that moved the group
  };
  // Every call looks here first, so it takes no lock.
  bool serves(std::uint16_t group) const noexcept {
    return answers(places_[group].load(std::memory_order_acquire));
  }
  bool any_leaving() const noexcept { return leaving_.load(std::memory_order_acquire) > 0; }
  // The groups that it answers nothing about.
  GroupBits unserved() const noexcept;
  Entry of(std::uint16_t group) const;
  void set(std::uint16_t group, const Entry& entry);
  // The groups that this move was the last to move, and that are in one of two places.
  GroupBits moved_by(const Uuid& move, GroupPlace place, GroupPlace or_place) const;

  // The number of the last change that is durable and can be read.
  std::uint64_t changes() const noexcept { return changes_.load(std::memory_order_acquire); }
  void set_changes(std::uint64_t number) noexcept { changes_.store(number, std::memory_order_release); }

  Result<> load(MetaIndex& index);  // what is on the drive

 private:
  std::array<std::atomic<GroupPlace>, kPlacementGroups> places_{};
  std::atomic<unsigned> leaving_{0}, unserved_{0};
  std::atomic<std::uint64_t> changes_{0};
  mutable std::mutex mutex_;
  std::array<Uuid, kPlacementGroups> moves_{};
};

// --- records of the system column
std::string place_record_name(std::uint16_t group);
std::string encode_place(const GroupPlaces::Entry& entry);  // sealed

struct MoveRecord {
  std::uint64_t term = 0;
  std::uint64_t life = 0;
  std::uint64_t other = 0;
  std::uint64_t step = 0;
  std::string cursor;
};
std::string move_record_name(const Uuid& move);
std::string encode_move(const MoveRecord& record);        // sealed
Result<MoveRecord> decode_move(std::string_view sealed);  // corrupt, unsupported_version

// A row that changed: the name is the prefix, the group (2 bytes, big-endian) and the row key.
std::string change_record_prefix(std::uint16_t group);
std::string encode_change(std::uint64_t number);               // sealed
Result<std::uint64_t> decode_change(std::string_view sealed);  // corrupt

}  // namespace ostraka::disk
