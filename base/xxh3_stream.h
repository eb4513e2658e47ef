// XXH3-128 of bytes that come in pieces; xxh3_128() of base/hash.h is for those that lie together.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/hash.h"

struct XXH3_state_s;

namespace ostraka {

// Movable; not thread safe.
class Xxh3Stream {
 public:
  Xxh3Stream();
  void update(ByteSpan bytes) noexcept;
  Hash128 value() const noexcept;  // of all bytes so far

 private:
  struct Free {
    void operator()(XXH3_state_s* state) const noexcept;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace ostraka
