// Reading a key: ask drives, elect a version, roll it forward when it may be committed (rule 6 of the
// protocol).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "disk/drive.h"
#include "erasure/set_core.h"
#include "erasure/version_election.h"

namespace ostraka::erasure {

// What the drives said about a key, and what follows from it.
struct Reading {
  std::vector<std::optional<Result<disk::Held>>> answers;  // by slot
  Outcome outcome = Outcome::unknown;                      // never roll_forward
  unsigned full = 0;                                       // drives that answered and are not being refilled
  VersionId newest;                                        // of all ids that any answer mentions
  std::uint64_t epoch = 0;                                 // newest that any answer knows
  // of the elected version, when the outcome is value
  disk::HeldVersion version;
  std::shared_ptr<const disk::VersionRecord> record;
  bool is_final = false;
  std::vector<std::string> inline_shards;  // by slot; only as many as were asked for

  std::vector<Vote> votes() const;
  const disk::HeldVersion* held_by(unsigned slot,
                                   VersionId id) const noexcept;  // nullptr: not, as far as it answered
  // Every version newer than `base` that some answer holds, once each, oldest first.
  std::vector<disk::HeldVersion> newer_than(VersionId base) const;
  // Takes over the elected version and its record. corrupt: the record does not decode, or is another's.
  Result<> adopt(const Election& election);
  bool is_value() const noexcept { return outcome == Outcome::value; }
  bool is_absent() const noexcept { return outcome == Outcome::none || (is_value() && version.tombstone); }
};

// What the caller is going to do with it.
enum class Want : std::uint8_t {
  metadata,  // the record alone
  data,      // its body too: k holders are asked, and inline shards come along
};

enum class Breadth : std::uint8_t {
  quorum,  // as few drives as decide
  all,     // every healthy drive has its say, so that leftovers of dead writers come to light
};

// Always gives a reading, possibly undecided (outcome unknown). Errors: corrupt (the record does not decode),
// deadline.
Task<Result<Reading>> read_newest(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref, Want want,
                                  Breadth breadth = Breadth::quorum);

// Inline shards of a version from the drives of `slots`, until `need` of them are here or all have answered.
// By slot; empty: not there.
Task<std::vector<std::string>> read_inline_shards(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref,
                                                  VersionId id, std::size_t shard_bytes, unsigned need,
                                                  std::vector<std::uint8_t> slots);

}  // namespace ostraka::erasure
