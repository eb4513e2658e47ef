// Md5Queue: the MD5 of all uploads of a shard, taken side by side. One stream of MD5 is half of what an
// upload costs; streams that wait for one another for one turn of the loop share that (base/md5_lanes.h).
#pragma once

#include <boost/intrusive/list.hpp>

#include "base/md5_lanes.h"
#include "runtime/task.h"

namespace ostraka {

// Belongs to a shard. The work of one call to the kernel is at most kMd5Lanes slices, which vector
// instructions hash in about the time that one alone takes (a third of a millisecond for kHashSliceBytes), so
// that requests between keep their latency. The same coroutines suspend as often on every CPU.
class Md5Queue {
 public:
  explicit Md5Queue(Md5Kernel kernel = best_md5_kernel()) noexcept : kernel_(kernel) {}
  Md5Queue(const Md5Queue&) = delete;
  Md5Queue& operator=(const Md5Queue&) = delete;

  // As message.update(slice), after all else that can run on the shard now has run. Slices of less than
  // kLeastShared are hashed at once. message and slice must stay; a coroutine that is destroyed while it
  // waits leaves the queue.
  Task<> update(Md5& message, ByteSpan slice);

  // Shorter slices gain less by waiting than the turn of the loop costs.
  static constexpr std::size_t kLeastShared = 16U << 10;

 private:
  struct Waiting
      : boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
    Waiting(Md5& m, ByteSpan s) noexcept : message(m), slice(s) {}
    Md5& message;
    ByteSpan slice;
  };
  void hash_all();

  const Md5Kernel kernel_;
  boost::intrusive::list<Waiting, boost::intrusive::constant_time_size<false>>
      waiting_;  // fewer than kMd5Lanes
};

}  // namespace ostraka
