// The only source of randomness.
#pragma once

#include <cstdint>

#include "base/bytes.h"
#include "base/ids.h"

namespace ostraka {

class Random {
 public:
  virtual ~Random() = default;
  virtual void fill(MutableByteSpan out) = 0;  // thread safe
};

// The kernel's generator: fit for credentials.
class SystemRandom final : public Random {
 public:
  void fill(MutableByteSpan out) override;
};

Uuid make_uuid(Random& random);  // version 4
std::uint64_t random_u64(Random& random);

}  // namespace ostraka
