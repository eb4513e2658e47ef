#include "cmd/drive_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>

#include "base/encoding.h"
#include "disk/drive_format.h"

namespace ostraka::cmd {
namespace {

struct Range {
  std::uint64_t first = 0, last = 0;
  std::size_t width = 0;  // 0: no padding
};

// The text between the braces.
Result<Range> parse_range(std::string_view text, std::string_view pattern) {
  const auto dots = text.find("...");
  const auto bad = [&](std::string_view why) {
    return fail(
        Errc::invalid_argument,
        fmt::format("drive {}: {{{}}} {}; write a range as {{1...6}} or {{01...12}}", pattern, text, why));
  };
  if (dots == std::string_view::npos) return bad("is not a range");
  const std::string_view from = text.substr(0, dots), to = text.substr(dots + 3);
  const auto first = parse_u64(from), last = parse_u64(to);
  if (!first || !last) return bad("has a bound that is not a number");
  if (*first > *last) return bad("descends");
  if (*last - *first >= disk::kMaxDrives)
    return bad(fmt::format("names more than {} drives", disk::kMaxDrives));
  const bool padded = (from.size() > 1 && from.front() == '0') || (to.size() > 1 && to.front() == '0');
  return Range{*first, *last, padded ? std::max(from.size(), to.size()) : 0};
}

Result<> expand_one(std::string_view pattern, std::string prefix, std::string_view rest,
                    std::vector<std::string>& out) {
  const auto open = rest.find('{');
  if (open == std::string_view::npos) {
    if (rest.find('}') != std::string_view::npos) {
      return fail(Errc::invalid_argument, fmt::format("drive {}: a '}}' without a '{{' before it", pattern));
    }
    prefix += rest;
    while (prefix.size() > 1 && prefix.back() == '/') prefix.pop_back();
    if (out.size() == disk::kMaxDrives) {
      return fail(Errc::invalid_argument, fmt::format("more than {} drives", disk::kMaxDrives));
    }
    out.push_back(std::move(prefix));
    return {};
  }
  const auto close = rest.find('}', open);
  if (close == std::string_view::npos) {
    return fail(Errc::invalid_argument, fmt::format("drive {}: a '{{' without a '}}' after it", pattern));
  }
  TRY(range, parse_range(rest.substr(open + 1, close - open - 1), pattern));
  for (std::uint64_t i = range.first; i <= range.last; ++i) {
    std::string longer = fmt::format("{}{}{:0{}}", prefix, rest.substr(0, open), i, range.width);
    TRY_VOID(expand_one(pattern, std::move(longer), rest.substr(close + 1), out));
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> expand_drives(const std::vector<std::string>& patterns) {
  std::vector<std::string> out;
  for (const std::string& pattern : patterns) {
    if (pattern.empty()) return fail(Errc::invalid_argument, "a drive is the empty string");
    TRY_VOID(expand_one(pattern, "", pattern, out));
  }
  if (out.empty()) {
    return fail(Errc::invalid_argument,
                "no drives: give one or more folders, for example /mnt/d{1...6} (or the setting drives)");
  }
  std::vector<std::string> sorted = out;
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  if (twice != sorted.end()) {
    return fail(Errc::invalid_argument, fmt::format("drive {}: named twice", *twice));
  }
  return out;
}

Result<std::vector<cluster::DriveUrl>> drives_of_nodes(const std::vector<std::string>& drives) {
  std::vector<cluster::DriveUrl> out;
  std::map<std::string, std::uint16_t> ports;
  for (const std::string& drive : drives) {
    if (drive.find("://") == std::string::npos) {
      if (out.empty()) continue;
      return fail(Errc::invalid_argument,
                  fmt::format("drive {}: a folder beside drives of nodes such as {}; name every drive by its "
                              "node, http://NODE:PORT/FOLDER",
                              drive, to_string(out.front())));
    }
    TRY(url, cluster::parse_drive_url(drive));
    if (out.empty() && &drive != &drives.front()) {
      return fail(Errc::invalid_argument,
                  fmt::format("drive {}: a folder beside drives of nodes such as {}; name every drive by its "
                              "node, http://NODE:PORT/FOLDER",
                              drives.front(), drive));
    }
    const auto [known, added] = ports.emplace(url.node, url.port);
    if (known->second != url.port) {
      return fail(Errc::invalid_argument,
                  fmt::format("drive {}: {} has port {} in another drive; a node has one port", drive,
                              url.node, known->second));
    }
    if (std::find(out.begin(), out.end(), url) != out.end())
      return fail(Errc::invalid_argument, fmt::format("drive {}: named twice", drive));
    out.push_back(std::move(url));
  }
  return out;
}

}  // namespace ostraka::cmd
