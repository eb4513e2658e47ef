// What a scanner must not forget in a restart: where its pass is, and since when each bucket is verified. Two
// system records on m + 1 of the drives; byte formats: object/FORMAT.md, "Scanner".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "disk/drive_roster.h"
#include "object/scan_report.h"

namespace ostraka::object {

// A pass, and where it is.
struct PassState {
  enum class Phase : std::uint8_t { keys = 1, orphans = 2, usage = 3 };  // stored: never renumber
  std::uint64_t number = 0;
  bool deep = false;
  bool on_demand = false;
  std::int64_t started_ms = 0;
  Phase phase = Phase::keys;
  std::string after;     // row key; all up to it have been looked at
  unsigned step = 0;     // of the phases orphans and usage: steps done
  double cost_done = 0;  // bytes, see scan_pace.h
  ScanTotals totals;
  std::set<BucketId> incomplete;  // buckets of which not all shards could be verified
  bool all_incomplete = false;    // more than kScanIncomplete, or of none it is known
  bool operator==(const PassState&) const = default;
};

struct ScanState {
  std::uint64_t sequence = 0;           // grows with each write: the greatest is the newest
  std::uint64_t last_number = 0;        // of the last pass that began
  std::int64_t background_ms = 0;       // when the last background pass that is over began
  std::int64_t deep_ms = 0;             // when the last complete deep pass began
  std::int64_t ended_ms = 0;            // when the last complete pass ended
  std::optional<PassState> background;  // under way
  bool operator==(const ScanState&) const = default;
};

struct VerifiedState {
  std::uint64_t sequence = 0;
  std::map<BucketId, std::int64_t> since_ms;
  bool operator==(const VerifiedState&) const = default;
};

// Errors of decoding: corrupt, unsupported_version.
std::string encode(const ScanState& state);
Result<ScanState> decode_scan_state(std::string_view text);
std::string encode(const VerifiedState& state);
Result<VerifiedState> decode_verified_state(std::string_view text);

// Belongs to one shard. The drives outlive it.
class ScanStateStore {
 public:
  // copies: m + 1, so that any m losses leave one.
  ScanStateStore(disk::RosterPtr drives, unsigned copies) : drives_(std::move(drives)), copies_(copies) {}
  // The newest that any drive has; what none has or can read stays as it is.
  Task<> load(Ctx& ctx);
  // Writes them with the next sequence numbers. Errors: those of the last drive that did not take it, when
  // none did.
  Task<Result<>> save_state(Ctx& ctx);
  Task<Result<>> save_verified(Ctx& ctx);

  ScanState state;
  VerifiedState verified;

 private:
  Task<Result<>> put(Ctx& ctx, std::string name, std::string value);

  const disk::RosterPtr drives_;
  const unsigned copies_;
};

}  // namespace ostraka::object
