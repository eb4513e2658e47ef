// DriveRoster: all drives of the deployment, by slot. It grows while the node runs, when drives are added to
// a cluster; what is in it stays as it is, so a slot is an index for good. Whoever needs the same drives
// twice takes all() once: there may be more the next time, behind the others.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "disk/drive.h"
#include "disk/drive_format.h"

namespace ostraka::disk {

struct RosterDrive {
  Drive* drive = nullptr;         // outlives the roster's use
  std::string node = {};          // that it is on; empty: there is only one
  std::string path = {};          // folder, or the drive's URL in a cluster; for people
  std::uint64_t file_system = 0;  // drives with the same number share one; 0: not known
};

// Thread safe, but for add(): one caller at a time.
class DriveRoster {
 public:
  DriveRoster() = default;
  explicit DriveRoster(const std::vector<Drive*>& drives);
  DriveRoster(const DriveRoster&) = delete;
  DriveRoster& operator=(const DriveRoster&) = delete;

  void add(RosterDrive drive);  // in the next slot; at most kMaxDrives
  // The cluster has nothing more to do with the drive. It keeps its slot.
  void set_removed(std::size_t slot) noexcept { seat(slot).removed.store(true, std::memory_order_relaxed); }
  bool removed(std::size_t slot) const noexcept { return seat(slot).removed.load(std::memory_order_relaxed); }

  std::size_t size() const noexcept { return size_.load(std::memory_order_acquire); }
  Drive* operator[](std::size_t slot) const noexcept { return seat(slot).drive.drive; }
  const RosterDrive& entry(std::size_t slot) const noexcept { return seat(slot).drive; }
  std::vector<Drive*> all() const;                // by slot, removed ones too
  Drive* find(const DriveId& id) const noexcept;  // nullptr: there is none
  std::optional<std::size_t> slot_of(const DriveId& id) const noexcept;
  std::optional<std::size_t> slot_of_path(const std::string& path) const noexcept;  // not of removed ones

 private:
  struct Seat {
    RosterDrive drive;
    std::atomic<bool> removed{false};
  };
  Seat& seat(std::size_t slot) const noexcept { return *seats_[slot]; }

  std::array<std::unique_ptr<Seat>, kMaxDrives> seats_;  // those below size_ never change
  std::atomic<std::size_t> size_{0};
};
using RosterPtr = std::shared_ptr<const DriveRoster>;

}  // namespace ostraka::disk
