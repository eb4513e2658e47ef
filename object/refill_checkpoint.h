// RefillCheckpoint: how far a drive has been refilled, kept on that drive itself: when it loses its data
// again, the checkpoint goes too. Byte format: object/FORMAT.md, "Refill checkpoint".
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "disk/drive.h"

namespace ostraka::object {

inline constexpr std::string_view kRefillRecord = "refill/checkpoint";  // name of the system record

// A row of the index.
struct RowName {
  BucketId bucket{};
  disk::KeySpace space = disk::KeySpace::object;
  std::string key, sub;
  auto operator<=>(const RowName&) const = default;
};

struct RefillCheckpoint {
  struct Done {
    std::uint64_t keys = 0, bytes = 0;
    bool operator==(const Done&) const = default;
  };
  std::map<std::uint16_t, std::uint64_t> births;  // of the groups that are being filled
  std::string after;                              // row key: all up to it were looked at
  bool walked = false;                            // to the end
  std::int64_t started_ms = 0;
  std::vector<RowName> failed;  // of the rows looked at: to be healed again
  // Groups to be walked again: with more failed rows than can be named, or of which a slot has moved.
  std::set<std::uint16_t> again;
  std::map<BucketId, Done> done;
  bool operator==(const RefillCheckpoint&) const = default;
};

std::string encode(const RefillCheckpoint& checkpoint);
Result<RefillCheckpoint> decode_refill_checkpoint(std::string_view text);  // corrupt, unsupported_version

}  // namespace ostraka::object
