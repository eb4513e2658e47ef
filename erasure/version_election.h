// The election of a key's version from what drives answered to a read: `resolve` of the protocol model, a
// pure function.
#pragma once

#include <span>

#include "base/ids.h"
#include "disk/key_state.h"

namespace ostraka::erasure {

// One drive's answer; null: none. Views, owned by the caller.
struct Vote {
  const disk::KeyState* state = nullptr;
  const disk::GroupState* group = nullptr;
};

enum class Outcome : std::uint8_t {
  value,         // `version` is committed, and nothing newer can have been acknowledged
  none,          // nothing was ever committed
  roll_forward,  // `version` may be committed: bring it to its write quorum before anybody sees it
  unknown,       // these answers do not decide
};

enum class Purpose : std::uint8_t {
  data,      // k holders are needed, since k shards are
  metadata,  // one holder of a final version suffices
};

struct Election {
  Outcome outcome = Outcome::unknown;
  const disk::HeldVersion* version = nullptr;  // as one holder has it; for value and roll_forward
  bool is_final = false;                       // some drive knows that it is at its write quorum
  unsigned holders = 0;                        // of version
  unsigned full = 0;                           // answers of drives that are not being refilled
};

// votes: one a slot of the group, all n of them. A version is judged by its own k and w; read_quorum is the
// one that goes with the smallest w that any version of the set can have.
Election resolve(std::span<const Vote> votes, unsigned read_quorum, Purpose purpose) noexcept;

// The newest id that any of the answers mentions, so that a new version can be newer.
VersionId newest_mentioned(std::span<const Vote> votes) noexcept;

}  // namespace ostraka::erasure
