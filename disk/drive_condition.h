// How a drive is doing, as told to people and their tools: values, part of DriveInfo.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ostraka::disk {

enum class DriveState : std::uint8_t {
  ok,
  away,     // its folder is not there, is not its own, or its index does not open
  stalled,  // calls do not come to an end; it is put aside until it answers
  failing,  // it fails too often; taken out of service, and tried again later
};
std::string_view to_string(DriveState state) noexcept;

// Of the calls that ended in the last minutes.
struct LatencySummary {
  std::uint64_t calls = 0;
  std::uint64_t mean_us = 0;
  std::uint64_t p50_us = 0;  // exact to an eighth, as is p99
  std::uint64_t p99_us = 0;
};

// What the device tells of itself; absent: it does not tell.
struct SmartReport {
  std::string device;  // /dev/...
  std::string model;
  std::string serial;
  std::optional<bool> passed;  // false: it expects to fail soon
  std::optional<std::int64_t> temperature_celsius;
  std::optional<std::uint64_t> reallocated_sectors;
  std::optional<std::uint64_t> pending_sectors;  // that could not be read, and may be lost
  std::optional<std::uint64_t> media_errors;
  std::optional<std::uint64_t> percentage_used;  // of its rated endurance; may pass 100
  std::optional<std::uint64_t> power_on_hours;

  // Nothing but the name of the device.
  bool empty() const noexcept {
    return model.empty() && !passed && !temperature_celsius && !reallocated_sectors && !pending_sectors &&
           !media_errors && !percentage_used && !power_on_hours;
  }
};

}  // namespace ostraka::disk
