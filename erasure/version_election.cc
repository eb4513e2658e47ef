#include "erasure/version_election.h"

#include <algorithm>

#include "base/sabotage.h"

namespace ostraka::erasure {
namespace {

// An emptied drive vouches only for lacking what was written after it was emptied.
bool speaks(const Vote& vote, std::uint64_t epoch) noexcept {
  return !vote.group->refilling || epoch >= vote.group->birth || sabotaged(Sabotage::amnesia);
}

const disk::HeldVersion* newest_below(std::span<const Vote> votes, VersionId bound) noexcept {
  const disk::HeldVersion* newest = nullptr;
  for (const Vote& vote : votes) {
    if (vote.state == nullptr) continue;
    for (const disk::HeldVersion& version : vote.state->versions) {  // newest first
      if (version.id >= bound) continue;
      if (newest == nullptr || version.id > newest->id) newest = &version;
      break;
    }
  }
  return newest;
}

}  // namespace

Election resolve(std::span<const Vote> votes, unsigned read_quorum, Purpose purpose) noexcept {
  Election out;
  VersionId final_id;
  for (const Vote& vote : votes) {
    if (vote.state == nullptr) continue;
    if (!vote.group->refilling || sabotaged(Sabotage::amnesia)) ++out.full;
    final_id = std::max(final_id, vote.state->final_id);
  }
  // an amnesiac never helps to prove that nothing newer exists
  if (out.full < read_quorum) return out;

  VersionId bound = kAnyVersion;
  while (const disk::HeldVersion* version = newest_below(votes, bound)) {
    bound = version->id;
    // a newer one is committed, but these answers lack it
    if (version->id < final_id && !sabotaged(Sabotage::final)) return out;
    unsigned holders = 0;
    unsigned vouching = 0;
    for (const Vote& vote : votes) {
      if (vote.state == nullptr) continue;
      if (vote.state->find(version->id) != nullptr) {
        ++holders;
        ++vouching;
      } else if (speaks(vote, version->epoch)) {
        ++vouching;
      }
    }
    auto unknown = static_cast<unsigned>(votes.size()) - vouching;
    if (unknown > 0 && sabotaged(Sabotage::read)) unknown = 0;
    const bool is_final =
        version->id == final_id && (holders >= version->write_quorum || !sabotaged(Sabotage::final));
    const bool bodiless = !version->has_inline && !version->has_files;
    const bool enough = holders >= version->data_shards || bodiless || purpose == Purpose::metadata;
    if (holders >= version->write_quorum || (is_final && enough)) {
      out.outcome = Outcome::value;
    } else if (is_final) {
      return out;
    } else if (holders + unknown < version->write_quorum) {
      continue;  // it never got there
    } else if (holders >= version->data_shards) {
      out.outcome = Outcome::roll_forward;
    } else {
      return out;
    }
    out.version = version;
    out.is_final = is_final;
    out.holders = holders;
    return out;
  }
  if (final_id.is_none() || sabotaged(Sabotage::final)) out.outcome = Outcome::none;
  return out;
}

VersionId newest_mentioned(std::span<const Vote> votes) noexcept {
  VersionId newest;
  for (const Vote& vote : votes) {
    if (vote.state == nullptr) continue;
    newest = std::max(newest, vote.state->final_id);
    for (const disk::HeldVersion& version : vote.state->versions) newest = std::max(newest, version.id);
  }
  return newest;
}

}  // namespace ostraka::erasure
