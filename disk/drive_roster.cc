#include "disk/drive_roster.h"

#include "base/check.h"

namespace ostraka::disk {

DriveRoster::DriveRoster(const std::vector<Drive*>& drives) {
  for (Drive* drive : drives) add({.drive = drive});
}

void DriveRoster::add(RosterDrive drive) {
  const std::size_t slot = size();
  CHECK(slot < seats_.size());
  seats_[slot] = std::make_unique<Seat>();
  seats_[slot]->drive = std::move(drive);
  size_.store(slot + 1, std::memory_order_release);
}

std::vector<Drive*> DriveRoster::all() const {
  std::vector<Drive*> out(size());
  for (std::size_t slot = 0; slot < out.size(); ++slot) out[slot] = (*this)[slot];
  return out;
}

Drive* DriveRoster::find(const DriveId& id) const noexcept {
  const auto slot = slot_of(id);
  return slot ? (*this)[*slot] : nullptr;
}

std::optional<std::size_t> DriveRoster::slot_of(const DriveId& id) const noexcept {
  const std::size_t slots = size();
  for (std::size_t slot = 0; slot < slots; ++slot)
    if ((*this)[slot]->id() == id) return slot;
  return std::nullopt;
}

std::optional<std::size_t> DriveRoster::slot_of_path(const std::string& path) const noexcept {
  const std::size_t slots = size();
  for (std::size_t slot = 0; slot < slots; ++slot)
    if (!removed(slot) && entry(slot).path == path) return slot;
  return std::nullopt;
}

}  // namespace ostraka::disk
