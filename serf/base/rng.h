// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_RNG_H_
#define SERF_BASE_RNG_H_

// Rng: the seeded generator of random numbers that every node owns (xoshiro256++, seeded by
// SplitMix64; Blackman and Vigna, https://prng.di.unimi.it). The same seed gives the same sequence
// on every platform and with every standard library, unlike the standard distributions.
//
//   Rng rng(config.seed);
//   const std::uint64_t die = 1 + rng.Below(6);
//
// Do not use it for keys, nonces or anything an attacker must not guess: transport/entropy.h is for
// those. One thread at a time.

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "serf/base/time.h"

namespace serf {

// A bijection that makes each bit of the result depend on all bits of `z` (the finalizer of
// SplitMix64).
constexpr std::uint64_t MixBits(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

class Rng {
 public:
  // Every seed is good, zero too. Two nodes need different seeds, or they make the same choices.
  explicit constexpr Rng(std::uint64_t seed) {
    for (auto& word : state_) {
      seed += 0x9e3779b97f4a7c15u;
      word = MixBits(seed);
    }
  }

  // The next number: uniform over all 64-bit values.
  constexpr std::uint64_t Next() {
    const std::uint64_t result = std::rotl(state_[0] + state_[3], 23) + state_[0];
    const std::uint64_t t = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= t;
    state_[3] = std::rotl(state_[3], 45);
    return result;
  }

  // Uniform in [0, bound), without bias (Lemire's method). `bound` must be positive.
  constexpr std::uint64_t Below(std::uint64_t bound) {
    assert(bound > 0);
    auto wide = static_cast<unsigned __int128>(Next()) * bound;
    if (static_cast<std::uint64_t>(wide) < bound) {
      const std::uint64_t threshold = -bound % bound;
      while (static_cast<std::uint64_t>(wide) < threshold) {
        wide = static_cast<unsigned __int128>(Next()) * bound;
      }
    }
    return static_cast<std::uint64_t>(wide >> 64);
  }

  // Uniform in [0, 1), a multiple of 2^-53.
  constexpr double NextDouble() { return static_cast<double>(Next() >> 11) * 0x1.0p-53; }

  // Uniform in [0, limit); zero if limit is not positive.
  constexpr Duration Below(Duration limit) {
    if (limit.count() <= 0) return Duration::zero();
    return Duration(static_cast<Duration::rep>(Below(static_cast<std::uint64_t>(limit.count()))));
  }

  // Fisher-Yates. Every order of the elements is equally likely.
  template <typename Range>
  constexpr void Shuffle(Range& range) {
    for (std::size_t i = range.size(); i > 1; --i) {
      using std::swap;
      swap(range[i - 1], range[Below(static_cast<std::uint64_t>(i))]);
    }
  }

 private:
  std::uint64_t state_[4] = {};
};

}  // namespace serf

#endif  // SERF_BASE_RNG_H_
