// Lister: ordered pages of objects or uploads of a bucket, over all placement groups. Every drive's index is
// ordered over all groups, so with exactly one set's worth of drives one set lists everything; with more, the
// distinct sets are listed side by side and merged, and each set answers only for the keys of its own groups.
#pragma once

#include <string>
#include <vector>

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

// The least string that is greater than all that begin with `prefix`; nullopt when there is none.
std::optional<std::string> after_prefix(std::string prefix);
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
  struct Cursor;
  Task<Result<ScanPage>> scan_one(Ctx& ctx, const ScanQuery& query) const;
  Task<Result<ScanPage>> scan_merged(Ctx& ctx, const ScanQuery& query) const;
  // A drive also holds keys of groups that have only some of a set's drives: those are another set's to
  // judge.
  bool belongs(const ScanQuery& query, std::string_view key, std::size_t cover) const noexcept;
  Task<Result<>> refill(Ctx& ctx, const ScanQuery& query, Cursor& cursor) const;

  const ObjectSets& sets_;
  std::vector<erasure::ErasureSet*> covers_;   // one set for each distinct choice of drives
  std::vector<std::uint16_t> cover_of_group_;  // index into covers_
};

}  // namespace ostraka::object
