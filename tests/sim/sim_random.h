// All chance of a simulated world: the same numbers for the same seed (splitmix64, Steele et al. 2014).
#pragma once

#include <cstdint>
#include <cstring>

#include "runtime/random.h"

namespace ostraka::sim {

class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 0x2545f4914f6cdd1dULL) {}
  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept {  // both included
    return low + below(high - low + 1);
  }
  bool chance(double p) noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53 < p; }
  void fill(MutableByteSpan out) override {
    for (std::size_t at = 0; at < out.size(); at += 8) {
      const std::uint64_t word = next();
      std::memcpy(out.data() + at, &word, std::min<std::size_t>(8, out.size() - at));
    }
  }

 private:
  std::uint64_t state_;
};

}  // namespace ostraka::sim
