// Random numbers that are the same for the same seed (splitmix64, Steele et al. 2014).
#pragma once

#include <cstdint>

#include "runtime/random.h"

namespace ostraka::erasure {

class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
  double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  void fill(MutableByteSpan out) override {
    for (std::uint8_t& byte : out) byte = static_cast<std::uint8_t>(next());
  }

 private:
  std::uint64_t state_;
};

}  // namespace ostraka::erasure
