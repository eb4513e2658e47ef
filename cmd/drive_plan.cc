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
            "missing (drives are not added or removed by this release)",
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

  // Identity decides: who holds a drive has its seat, wherever it was named.
  const std::size_t n = folders.size();
  std::vector<std::vector<std::size_t>> claims(n);  // by slot: indices into folders
  for (std::size_t i = 0; i < n; ++i) {
    const DriveFormat* format = format_of(folders[i]);
    if (format != nullptr && format->deployment == deployment.deployment) claims[format->slot].push_back(i);
  }
  std::vector<bool> seated(n, false);
  plan.seats.resize(n);
  for (std::size_t slot = 0; slot < n; ++slot) {
    if (claims[slot].size() != 1) continue;
    const std::size_t i = claims[slot].front();
    plan.seats[slot] = {.folder = folders[i].path, .usable = true};
    seated[i] = true;
    if (i != slot) {
      plan.notices.push_back(
          fmt::format("{}: it holds the drive of slot {}, but is named in place {}; it serves as what it is",
                      folders[i].path, slot + 1, i + 1));
    }
  }
  // The others keep their place where it is free, so that a drive that returns is found where it was.
  const auto left_out = [&](const FoundFolder& folder) {
    return Seat{folder.path, false, is_awaited(folder), problem_of(folder, deployment)};
  };
  std::vector<std::size_t> left_over;
  for (std::size_t i = 0; i < n; ++i) {
    if (seated[i]) continue;
    if (!plan.seats[i].usable) {
      plan.seats[i] = left_out(folders[i]);
    } else {
      left_over.push_back(i);
    }
  }
  for (Seat& seat : plan.seats) {
    if (!seat.folder.empty()) continue;
    CHECK(!left_over.empty());
    seat = left_out(folders[left_over.back()]);
    left_over.pop_back();
  }
  plan.format = std::move(deployment);
  return plan;
}

erasure::Geometry default_geometry(std::size_t drives) {
  const auto n = static_cast<unsigned>(std::min<std::size_t>(drives, 16));
  const unsigned parity = erasure::default_parity(n);
  const auto geometry = erasure::make_geometry(n - parity, parity);
  CHECK(geometry.has_value());
  return *geometry;
}

}  // namespace ostraka::cmd
