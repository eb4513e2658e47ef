// What a drive says of itself, as a message.
#include <algorithm>
#include <utility>

#include "cluster/drive_message.h"

namespace ostraka::cluster {
namespace {

constexpr std::size_t kMaxText = 1024;

std::string text(const std::string& in) {
  std::string out = in.substr(0, kMaxText);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return out;
}

std::uint32_t wire_state(disk::DriveState state) noexcept {
  switch (state) {
    case disk::DriveState::ok:
      return 1;
    case disk::DriveState::away:
      return 2;
    case disk::DriveState::stalled:
      return 3;
    case disk::DriveState::failing:
      return 4;
  }
  return 0;
}

// A state that this release does not know: it is not in service, for some reason.
disk::DriveState take_state(std::uint32_t in) noexcept {
  for (const auto state : {disk::DriveState::ok, disk::DriveState::stalled, disk::DriveState::failing})
    if (in == wire_state(state)) return state;
  return disk::DriveState::away;
}

void put_latency(pb::InfoAnswer::Latency& out, const disk::LatencySummary& latency) {
  out.set_calls(latency.calls);
  out.set_mean_us(latency.mean_us);
  out.set_p50_us(latency.p50_us);
  out.set_p99_us(latency.p99_us);
}

disk::LatencySummary take_latency(const pb::InfoAnswer::Latency& in) {
  disk::LatencySummary latency;
  latency.calls = in.calls();
  latency.mean_us = in.mean_us();
  latency.p50_us = in.p50_us();
  latency.p99_us = in.p99_us();
  return latency;
}

void put_smart(pb::InfoAnswer::Smart& out, const disk::SmartReport& smart) {
  out.set_device(smart.device);
  out.set_model(smart.model);
  out.set_serial(smart.serial);
  if (smart.passed) out.set_passed(*smart.passed);
  if (smart.temperature_celsius) out.set_temperature_celsius(*smart.temperature_celsius);
  if (smart.reallocated_sectors) out.set_reallocated_sectors(*smart.reallocated_sectors);
  if (smart.pending_sectors) out.set_pending_sectors(*smart.pending_sectors);
  if (smart.media_errors) out.set_media_errors(*smart.media_errors);
  if (smart.percentage_used) out.set_percentage_used(*smart.percentage_used);
  if (smart.power_on_hours) out.set_power_on_hours(*smart.power_on_hours);
}

disk::SmartReport take_smart(const pb::InfoAnswer::Smart& in) {
  disk::SmartReport smart;
  smart.device = text(in.device());
  smart.model = text(in.model());
  smart.serial = text(in.serial());
  if (in.has_passed()) smart.passed = in.passed();
  if (in.has_temperature_celsius()) smart.temperature_celsius = in.temperature_celsius();
  if (in.has_reallocated_sectors()) smart.reallocated_sectors = in.reallocated_sectors();
  if (in.has_pending_sectors()) smart.pending_sectors = in.pending_sectors();
  if (in.has_media_errors()) smart.media_errors = in.media_errors();
  if (in.has_percentage_used()) smart.percentage_used = in.percentage_used();
  if (in.has_power_on_hours()) smart.power_on_hours = in.power_on_hours();
  return smart;
}

}  // namespace

void put_info(pb::InfoAnswer& out, const disk::DriveInfo& info) {
  out.set_online(info.online);
  out.set_refilling(info.refilling);
  out.set_problem(info.problem.substr(0, kMaxText));
  out.set_total_bytes(info.total_bytes);
  out.set_free_bytes(info.free_bytes);
  out.set_used_bytes(info.used_bytes);
  out.set_errors(info.errors);
  out.set_heal_queue(info.heal_queue);
  out.set_heal_recorded(info.heal_recorded);
  out.set_state(wire_state(info.state));
  out.set_recent_errors(info.recent_errors);
  put_latency(*out.mutable_reads(), info.reads);
  put_latency(*out.mutable_writes(), info.writes);
  if (info.smart) put_smart(*out.mutable_smart(), *info.smart);
}

Result<disk::DriveInfo> take_info(pb::InfoAnswer& in) {
  disk::DriveInfo info;
  info.online = in.online();
  info.refilling = in.refilling();
  info.problem = text(in.problem());
  info.total_bytes = in.total_bytes();
  info.free_bytes = std::min(in.free_bytes(), in.total_bytes());
  info.used_bytes = in.used_bytes();
  info.errors = in.errors();
  info.heal_queue = in.heal_queue();
  info.heal_recorded = in.heal_recorded();
  info.state = info.online ? disk::DriveState::ok : take_state(in.state());
  info.recent_errors = in.recent_errors();
  info.reads = take_latency(in.reads());
  info.writes = take_latency(in.writes());
  if (in.has_smart()) info.smart = take_smart(in.smart());
  return info;
}

}  // namespace ostraka::cluster
