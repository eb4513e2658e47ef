// What all drives say about a key that is to be healed.
#pragma once

#include <cstdint>
#include <vector>

#include "disk/drive.h"
#include "erasure/quorum_read.h"
#include "erasure/set_core.h"
#include "erasure/version_election.h"

namespace ostraka::erasure {

struct KeyLook {
  Reading reading;         // outcome and what follows from it only after adopt()
  std::uint64_t told = 0;  // the epoch that the calls carried
  TimePoint began{};       // before the first of them
  // Rows are believed that say that there is an inline shard, where it was not asked for, and shard files to
  // be where they should.
  bool sparing = false;
  std::uint32_t inline_of = ~std::uint32_t{0};  // by bit of the slot: whose inline shard was asked for

  bool asked_for_inline(unsigned slot) const noexcept { return (inline_of >> slot & 1U) != 0; }
  unsigned drives() const noexcept { return static_cast<unsigned>(reading.answers.size()); }
  bool answered(unsigned slot) const noexcept {
    const auto& answer = reading.answers[slot];
    return answer && *answer;
  }
  const disk::Held& held(unsigned slot) const { return **reading.answers[slot]; }  // it has answered
  bool all_answered() const noexcept;
  bool any_refilling() const noexcept;
  bool holds(unsigned slot) const noexcept { return reading.held_by(slot, reading.version.id) != nullptr; }
  // Does the drive, which holds the version, know that it is final, and has it dropped what it replaced?
  bool retired(unsigned slot) const {
    const disk::KeyState& state = held(slot).state;
    return state.final_id >= reading.version.id && state.versions.back().id >= reading.version.id;
  }
  Election elect(unsigned read_quorum, Purpose purpose) const {
    return resolve(reading.votes(), read_quorum, purpose);
  }
  // Takes over what was elected. corrupt: a record that does not decode, or cannot be one of this set.
  Result<> adopt(const Election& election);
};

// Newest id and epoch, from the answers.
void conclude(KeyLook& look);

// Asks all drives, inline shards included. One that has been slow lately is waited for no longer than a grace
// time, any other at most kHealCallWait.
Task<KeyLook> look_at_key(CorePtr core, const Ctx& ctx, const disk::ObjectRef& ref);

}  // namespace ostraka::erasure
