#include "cmd/drive_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/check.h"

namespace ostraka::cmd {
namespace {

using disk::DriveFormat;

const DriveFormat* format_of(const FoundFolder& folder) {
  return folder.format && *folder.format ? &**folder.format : nullptr;
}

// The deployment that most of the formatted folders belong to; its drive lists must agree.
Result<DriveFormat> elect_deployment(const std::vector<FoundFolder>& folders) {
  std::map<DeploymentId, std::size_t> votes;
  for (const FoundFolder& folder : folders) {
    if (const DriveFormat* format = format_of(folder)) ++votes[format->deployment];
  }
  if (votes.empty()) {
    std::string reasons;
    for (const FoundFolder& folder : folders) {
      if (!folder.format) reasons += "\n  " + folder.format.error().detail;
    }
    return fail(
        Errc::wrong_drive,
        "none of the folders is a usable drive, and not all of them are empty, so nothing is formatted:" +
            reasons);
  }
  const auto most = std::max_element(votes.begin(), votes.end(),
                                     [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const auto& [deployment, count] : votes) {
    if (deployment != most->first && count == most->second) {
      return fail(Errc::wrong_drive,
                  fmt::format("as many folders belong to deployment {} as to {}: name the folders of one",
                              to_string(most->first), to_string(deployment)));
    }
  }
  const DriveFormat* first = nullptr;
  for (const FoundFolder& folder : folders) {
    const DriveFormat* format = format_of(folder);
    if (format == nullptr || format->deployment != most->first) continue;
    if (first == nullptr) first = format;
    if (format->drives != first->drives) {
      return fail(Errc::wrong_drive,
                  fmt::format("{}: its format.json names other drives than those of the same deployment",
                              folder.path));
    }
  }
  return *first;
}

// Gone, empty or unreadable: that may pass. What holds something else will not become this drive.
bool is_awaited(const FoundFolder& folder) {
  if (folder.format) return !*folder.format;
  return folder.format.failed_with(Errc::io) || folder.format.failed_with(Errc::not_found);
}

std::string problem_of(const FoundFolder& folder, const DriveFormat& deployment) {
  if (!folder.format) return folder.format.error().detail;
  if (const DriveFormat* format = format_of(folder)) {
    if (format->deployment != deployment.deployment) {
      return fmt::format("{}: it belongs to another deployment, {}; this one is {}. It is left as it is",
                         folder.path, to_string(format->deployment), to_string(deployment.deployment));
    }
    return fmt::format(
        "{}: another folder holds the same drive ({}); one of them is a copy, and neither is used",
        folder.path, to_string(format->drive()));
  }
  return folder.exists ? fmt::format(
                             "{}: it is empty, where a drive of this deployment was: it is filled anew once "
                             "enough of the others answer",
                             folder.path)
                       : fmt::format("{}: the folder is missing", folder.path);
}

Result<> check_geometry(const DriveFormat& format, std::size_t folders,
                        std::optional<erasure::Geometry> wanted) {
  if (format.drives.size() != folders) {
    return fail(
        Errc::invalid_argument,
        fmt::format(
            "this deployment has {} drives, and {} folders are given: name all of them, also those that are "
            "missing (drives are added to clusters alone, see \"Growing\" in docs/cluster.md)",
            format.drives.size(), folders));
  }
  if (wanted &&
      (wanted->data_shards != format.data_shards || wanted->parity_shards != format.parity_shards)) {
    return fail(
        Errc::invalid_argument,
        fmt::format(
            "setting erasure_set: {}+{} is wanted, but these drives were formatted as {}+{}, which is fixed",
            wanted->data_shards, wanted->parity_shards, format.data_shards, format.parity_shards));
  }
  return {};
}

// folders[i] was named as the place of slots[i].
void seat_folders(DrivePlan& plan, const std::vector<FoundFolder>& folders,
                  const std::vector<std::size_t>& slots, const DriveFormat& deployment) {
  // Identity decides: who holds a drive has its seat, wherever it was named.
  std::map<std::size_t, std::vector<std::size_t>> claims;  // by slot: indices into folders
  for (std::size_t i = 0; i < folders.size(); ++i) {
    const DriveFormat* format = format_of(folders[i]);
    if (format != nullptr && format->deployment == deployment.deployment) claims[format->slot].push_back(i);
  }
  std::vector<bool> seated(folders.size(), false);
  for (std::size_t place = 0; place < slots.size(); ++place) {
    const std::size_t slot = slots[place];
    if (claims[slot].size() != 1) continue;
    const std::size_t i = claims[slot].front();
    plan.seats[slot] = Seat{.folder = folders[i].path, .usable = true};
    seated[i] = true;
    if (i != place) {
      plan.notices.push_back(
          fmt::format("{}: it holds the drive of slot {}, but is named in place {}; it serves as what it is",
                      folders[i].path, slot + 1, slots[i] + 1));
    }
  }
  // The others keep their place where it is free, so that a drive that returns is found where it was.
  const auto left_out = [&](const FoundFolder& folder) {
    return Seat{
        .folder = folder.path, .awaited = is_awaited(folder), .problem = problem_of(folder, deployment)};
  };
  std::vector<std::size_t> left_over;
  for (std::size_t i = 0; i < folders.size(); ++i) {
    if (seated[i]) continue;
    if (!plan.seats[slots[i]].usable) {
      plan.seats[slots[i]] = left_out(folders[i]);
    } else {
      left_over.push_back(i);
    }
  }
  for (const std::size_t slot : slots) {
    if (!plan.seats[slot].folder.empty()) continue;
    CHECK(!left_over.empty());
    plan.seats[slot] = left_out(folders[left_over.back()]);
    left_over.pop_back();
  }
}

}  // namespace

Result<DrivePlan> plan_drives(const std::vector<FoundFolder>& folders,
                              std::optional<erasure::Geometry> wanted) {
  DrivePlan plan;
  plan.fresh = std::all_of(folders.begin(), folders.end(),
                           [](const FoundFolder& folder) { return folder.format && !*folder.format; });
  if (plan.fresh) {
    for (const FoundFolder& folder : folders) plan.seats.push_back({.folder = folder.path, .usable = true});
    return plan;
  }
  TRY(deployment, elect_deployment(folders));
  TRY_VOID(check_geometry(deployment, folders.size(), wanted));

  std::vector<std::size_t> slots(folders.size());
  for (std::size_t slot = 0; slot < slots.size(); ++slot) slots[slot] = slot;
  plan.seats.resize(slots.size());
  seat_folders(plan, folders, slots, deployment);
  plan.format = std::move(deployment);
  return plan;
}

Result<NodePlan> plan_node_drives(const cluster::Topology& topology, const cluster::NodeName& self,
                                  const std::vector<FoundFolder>& folders, const std::vector<bool>& seen) {
  NodePlan out;
  DrivePlan& plan = out.drives;
  plan.format.deployment = topology.deployment;
  plan.format.drives = topology.ids();
  plan.format.data_shards = static_cast<std::uint8_t>(topology.data_shards);
  plan.format.parity_shards = static_cast<std::uint8_t>(topology.parity_shards);
  plan.format.created_ms = topology.created_ms;
  std::vector<std::size_t> slots;
  for (std::size_t slot = 0; slot < topology.slots.size(); ++slot) {
    const cluster::DriveUrl& url = topology.slots[slot].url;
    plan.seats.emplace_back();
    const bool named = std::any_of(folders.begin(), folders.end(),
                                   [&](const FoundFolder& folder) { return folder.path == url.folder; });
    if (url.node == self && named && topology.slots[slot].state != cluster::SlotState::removed) {
      slots.push_back(slot);
    } else {
      plan.seats.back() = Seat{.folder = to_string(url), .elsewhere = true};
    }
  }
  CHECK(slots.size() == folders.size());
  for (const FoundFolder& folder : folders) {
    const DriveFormat* format = format_of(folder);
    if (format == nullptr || format->deployment != topology.deployment) continue;
    const bool known = format->slot < plan.seats.size() && format->drive() == topology.slots[format->slot].id;
    if (known && !plan.seats[format->slot].elsewhere) continue;
    if (known && topology.slots[format->slot].state == cluster::SlotState::removed) {
      return fail(
          Errc::wrong_drive,
          fmt::format("{}: it holds the drive {}, which was removed from the cluster. It is left as it "
                      "is: empty the folder by hand for the drive that is to be here now",
                      folder.path, plan.seats[format->slot].folder));
    }
    return fail(
        Errc::wrong_drive,
        fmt::format(
            "{}: it holds {}, which is not a drive of this node ({}). It is left as it is; put it back",
            folder.path,
            known ? "the drive " + plan.seats[format->slot].folder : "a drive that the cluster does not know",
            self));
  }
  seat_folders(plan, folders, slots, plan.format);
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const Seat& seat = plan.seats[slots[i]];
    const bool empty = folders[i].format && !*folders[i].format && seat.folder == folders[i].path;
    if (empty && !seen[slots[i]]) out.new_slots.push_back(slots[i]);
  }
  return out;
}

erasure::Geometry default_geometry(std::size_t drives) {
  const auto n = static_cast<unsigned>(std::min<std::size_t>(drives, 16));
  const unsigned parity = erasure::default_parity(n);
  const auto geometry = erasure::make_geometry(n - parity, parity);
  CHECK(geometry.has_value());
  return *geometry;
}

}  // namespace ostraka::cmd
