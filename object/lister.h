// Lister: ordered pages of objects or uploads of a bucket, over all placement groups. Every drive's index is
// ordered over all groups, so one scan of some drives lists everything, however many sets they form
// (erasure/lister.h).
#pragma once

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "erasure/lister.h"
#include "object/object_sets.h"

namespace ostraka::object {

struct ScanQuery {
  BucketId bucket{};
  disk::KeySpace space = disk::KeySpace::object;
  std::string prefix;
  std::string delimiter;  // empty: no common prefixes
  std::string start;      // go on here,
  std::string start_sub;
  bool after_start = false;  // or behind it
  std::size_t max = 0;       // entries
};

struct ScanPage {
  std::vector<erasure::ListEntry> entries;  // ascending by key, then sub
  bool more = false;                        // there is at least one entry after these
};

// The common prefix of `key` under prefix and delimiter: up to and with the first delimiter behind the
// prefix; empty when there is none.
std::string_view common_prefix_of(std::string_view key, std::string_view prefix,
                                  std::string_view delimiter) noexcept;
// Where a scan begins that shall go on after `marker`, which may be a common prefix. False: nothing can
// follow.
bool begin_after(ScanQuery& query, const std::string& marker);

// Thread safe.
class Lister {
 public:
  explicit Lister(const ObjectSets& sets);
  Task<Result<ScanPage>> scan(Ctx& ctx, ScanQuery query) const;

 private:
  // The drives as the placement table has them just now.
  struct View {
    SetTablePtr table;
    erasure::ListFieldPtr field;
  };
  View view() const;
  Task<Result<erasure::SetListPage>> list(Ctx& ctx, const disk::ListSpec& spec) const;

  const ObjectSets& sets_;
  mutable std::mutex mutex_;
  mutable View view_;  // of the last look
};

}  // namespace ostraka::object
