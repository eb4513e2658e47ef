#include "disk/drive_metrics.h"

namespace ostraka::disk {

void DriveMetrics::show(const SmartReport& report) const {
  const auto set = [&](const char* name, const char* help, auto value) {
    if (value) registry_.gauge(name, help, label(slot_)).set(static_cast<std::int64_t>(*value));
  };
  set("ostraka_drive_smart_passed", "0 when the device expects to fail soon", report.passed);
  set("ostraka_drive_temperature_celsius", "temperature of the device", report.temperature_celsius);
  set("ostraka_drive_reallocated_sectors", "sectors that the device has replaced",
      report.reallocated_sectors);
  set("ostraka_drive_pending_sectors", "sectors that the device could not read", report.pending_sectors);
  set("ostraka_drive_media_errors", "reads that the device could not correct", report.media_errors);
  set("ostraka_drive_endurance_used_percent", "of the rated endurance", report.percentage_used);
  set("ostraka_drive_power_on_hours", "how long the device has run", report.power_on_hours);
}

}  // namespace ostraka::disk
