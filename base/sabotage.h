// Rules that tests break, to see that somebody notices (who: tests/sabotage/README.md). In the server none
// ever is: the question is `false` at compile time. The tests compile the few files that ask it a second
// time, with OSTRAKA_SABOTAGE, and then a test chooses.
#pragma once

#include <cstdint>

namespace ostraka {

// The names are those of tests/protocol/commit_model.py where it has the same one.
enum class Sabotage : std::uint8_t {
  none,
  nosync,    // nothing is synced before it is acknowledged
  early,     // a write is acknowledged at w - 1
  few,       // a read is content with r - 1
  retire,    // older versions are dropped before the new one is at w
  withdraw,  // a version is withdrawn without fencing and counting
  read,      // drives that did not answer are taken to lack the version
  amnesia,   // an emptied drive counts at once as a full one
  purge,     // tombstones go as soon as they are final, not on every drive
  epoch,     // drives accept calls of an older epoch
  birth,     // an emptied drive takes older uncommitted versions
  final,     // a reader ignores final times
  fence,     // a fence yields to a version not known to be committed
  expect,    // drives do not check the expected predecessor
  bare,      // a drive takes a time as final without its version
  certain,   // a withdrawal counts while k drives can hold it
  split,     // rolling forward does not check the expected predecessor
  decree,    // nothing decides a version that only a lost drive could
  readmit,   // a refilled drive is readmitted without deciding the key first
  untold,    // a drive is readmitted after a look that did not carry its epoch to the others
  oblivion,  // a row that fails its checksum is taken for none
  newborn,   // such a row begins anew in the epoch that the drive knows, not in a newer one
  // Of a cluster:
  unlocked,  // lock servers grant whatever they are asked for
  permit     // a node writes even when it cannot know whether it has missed a change
};

#ifdef OSTRAKA_SABOTAGE
bool sabotaged(Sabotage rule) noexcept;
#else
constexpr bool sabotaged(Sabotage) noexcept {
  return false;
}
#endif

}  // namespace ostraka
