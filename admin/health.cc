#include "admin/health.h"

#include <fmt/format.h>

#include <algorithm>

namespace ostraka::admin {
namespace {

// Small objects may still find room a little above the reserve; most do not. On tiny drives: a thousandth.
constexpr std::uint64_t kFullBelowBytes = 1U << 20;

std::string plural(std::uint64_t n, std::string_view noun) {
  return fmt::format("{} {}{}", n, noun, n == 1 ? "" : "s");
}

// At most three names, so that the sentence stays one.
std::string missing_names(std::span<const disk::DriveInfo> drives) {
  std::string out;
  unsigned named = 0, missing = 0;
  for (const disk::DriveInfo& drive : drives) {
    if (drive.online) continue;
    if (++missing > 3) continue;
    out += (named++ == 0 ? "" : ", ") + drive.path;
  }
  if (missing > 3) out += fmt::format(" and {} more", missing - 3);
  return out;
}

// Why fewer drives may be lost than are spare; empty when nothing is short. takes_writes: enough drives of
// every set have room.
std::string shortage(std::span<const disk::DriveInfo> drives, bool takes_writes) {
  std::string full;
  std::uint64_t full_count = 0, waiting = 0;
  for (const disk::DriveInfo& drive : drives) {
    waiting = std::max(waiting, drive.heal_queue);  // an entry is recorded on each drive that committed
    if (!is_full(drive) || ++full_count > 3) continue;
    full += (full.empty() ? "" : ", ") + drive.path;
  }
  if (full_count > 3) full += fmt::format(" and {} more", full_count - 3);
  std::string out;
  if (full_count > 0) {
    out =
        fmt::format(" {} {} full ({}): ", plural(full_count, "drive"), full_count == 1 ? "is" : "are", full);
    out += takes_writes ? fmt::format("what is written goes without {};", full_count == 1 ? "it" : "them")
                        : "too few have room to write, objects can be read and deleted;";
    out += " add drives or delete objects.";
  }
  if (waiting > 0) {
    out += fmt::format(" At least {} {} to be healed: until then fewer drives may be lost for {}.",
                       plural(waiting, "key"), waiting == 1 ? "waits" : "wait", waiting == 1 ? "it" : "them");
  }
  return out;
}

// Why nothing can be written though there are drives enough; empty when it can.
std::string bar_to_writes(const ClusterState& cluster) {
  if (2 * cluster.nodes_reached <= cluster.nodes) {
    return fmt::format(
        "{} of {} nodes answer: everything can be read, but writing needs more than half of them.",
        cluster.nodes_reached, cluster.nodes);
  }
  if (!cluster.may_write) {
    return "This node does not write: it cannot know whether it has missed a change, since it reaches "
           "neither "
           "etcd nor a majority of nodes that have missed none. Everything can be read.";
  }
  return {};
}

std::string describe(const Assessment& a, std::span<const disk::DriveInfo> drives) {
  const auto missing = static_cast<unsigned>(drives.size()) - a.online;
  if (missing == 0) {
    const std::string all =
        drives.size() == 1 ? "The one drive is" : fmt::format("All {} drives are", drives.size());
    if (a.read_spare == 0)
      return fmt::format("{} online. There is no parity: a lost drive is lost data.", all);
    return fmt::format("{} online. Any {} may be lost without losing an object.", all,
                       plural(a.read_spare, "drive"));
  }
  std::string head = fmt::format("{} of {} drives {} missing ({}).", missing, drives.size(),
                                 missing == 1 ? "is" : "are", missing_names(drives));
  switch (a.health) {
    case Health::ok:
    case Health::degraded:
      if (a.read_spare == 0)
        return head + " Everything can be read and written, but no further drive may be lost.";
      return fmt::format("{} Everything can be read and written; {} may be lost.", head,
                         plural(a.read_spare, "more drive"));
    case Health::read_only:
      return head + " Everything can be read, but too few drives are left to write.";
    case Health::unavailable:
      return head +
             " Too few drives are left to read: bring drives back. Nothing is lost as long as they return.";
  }
  return head;
}

}  // namespace

bool is_full(const disk::DriveInfo& drive) noexcept {
  return drive.online && drive.total_bytes > 0 &&
         drive.free_bytes < std::min(kFullBelowBytes, drive.total_bytes / 1000);
}

std::string_view to_string(Health health) noexcept {
  switch (health) {
    case Health::ok:
      return "ok";
    case Health::degraded:
      return "degraded";
    case Health::read_only:
      return "read_only";
    case Health::unavailable:
      return "unavailable";
  }
  return "unavailable";
}

Assessment assess_start(std::size_t needed, std::span<const disk::DriveInfo> drives) {
  Assessment out;
  out.health = Health::unavailable;
  for (const disk::DriveInfo& drive : drives) out.online += drive.online ? 1 : 0;
  out.sentence = "Starting.";
  if (out.online < drives.size()) {
    out.sentence = fmt::format("Waiting for drives: {} of {} answer, {} are needed to start; missing: {}.",
                               out.online, drives.size(), needed, missing_names(drives));
  }
  return out;
}

Assessment assess(const Layout& layout, std::span<const disk::DriveInfo> drives,
                  const ClusterState& cluster) {
  const unsigned write_need = layout.geometry.write_quorum();
  // The election of a version needs r answers, its body k shards.
  const unsigned read_need = std::max<unsigned>(layout.geometry.read_quorum(), layout.geometry.data_shards);
  unsigned fewest = layout.geometry.drives(), fewest_with_room = fewest;
  for (const auto& set : layout.sets) {
    unsigned online = 0, full = 0;
    for (const std::uint16_t drive : set) {
      if (drive >= drives.size()) continue;
      online += drives[drive].online ? 1 : 0;
      full += is_full(drives[drive]) ? 1 : 0;
    }
    fewest = std::min(fewest, online);
    fewest_with_room = std::min(fewest_with_room, online - full);
  }
  Assessment out;
  for (const disk::DriveInfo& drive : drives) out.online += drive.online ? 1 : 0;
  out.write_spare = fewest_with_room > write_need ? fewest_with_room - write_need : 0;
  out.read_spare = fewest > read_need ? fewest - read_need : 0;
  const std::string shortage_text = shortage(drives, fewest_with_room >= write_need || fewest < write_need);
  const bool whole = out.online == drives.size() && shortage_text.empty();
  out.health = fewest < read_need    ? Health::unavailable
               : fewest < write_need ? Health::read_only
               : whole               ? Health::ok
                                     : Health::degraded;
  out.sentence = describe(out, drives) + shortage_text;
  if (const std::string bar = bar_to_writes(cluster); !bar.empty() && out.health < Health::read_only) {
    out.health = Health::read_only;
    out.write_spare = 0;
    out.sentence = bar;
  }
  return out;
}

}  // namespace ostraka::admin
