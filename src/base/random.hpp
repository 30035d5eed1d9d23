// Randomness as an injected effect: production seeds it from the kernel, tests from a number.
#pragma once

#include <cstdint>

namespace consort {

/// xoshiro256** (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2018).
/// Fast and good enough for jitter and placement; never for secrets. Not thread-safe.
class Random {
 public:
  explicit Random(std::uint64_t seed);
  std::uint64_t next();
  /// Uniform in [0, bound); bound > 0. The bias for bounds below 2^32 is under 2^-32.
  std::uint64_t below(std::uint64_t bound);
  /// Uniform in [0, 1).
  double unit();

 private:
  std::uint64_t state_[4];
};

}  // namespace consort
