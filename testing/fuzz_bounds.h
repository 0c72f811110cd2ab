#ifndef SERF_TESTING_FUZZ_BOUNDS_H_
#define SERF_TESTING_FUZZ_BOUNDS_H_

// What an input of a fuzz target may cost: at most k times its bytes plus c, in memory and in work.
// Each target runs its inputs within such bounds; one that costs more ends the program as a failed
// check does, so that libFuzzer finds it.
//
//   // A record of one byte is encoded with all its fields, 150 bytes.
//   constexpr FuzzBounds kBounds = {.total = {256, 8 << 10}, .peak = {...}, .work = {...}};
//
//   extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
//     return serf::testing::FuzzWithin(kBounds, data, size, Try);
//   }

#include <cstddef>
#include <cstdint>

#include "serf/base/bytes.h"

namespace serf::testing {

struct FuzzBound {
  std::uint64_t per_byte = 0;
  std::uint64_t fixed = 0;

  constexpr std::uint64_t Of(std::size_t size) const { return per_byte * size + fixed; }
};

// Of the whole function of a target, with what it makes and compares to judge by.
struct FuzzBounds {
  FuzzBound total;  // bytes taken from the heap, all together
  FuzzBound peak;   // of them at one time
  FuzzBound work;   // microseconds of CPU without optimisation; kSlowdown times that in sanitizers
};

// The highest shares of the bounds so far, 1 being a bound itself, and the inputs' sizes.
struct FuzzExtremes {
  struct Extreme {
    double share = 0;
    std::uint64_t value = 0;
    std::size_t size = 0;
  };
  Extreme total;
  Extreme peak;
  Extreme work;
};
const FuzzExtremes& fuzz_extremes();

using FuzzFunction = void (*)(ByteView input);

// Runs `function` over the input; prints what was exceeded and aborts if one of the bounds was.
// Returns 0, as LLVMFuzzerTestOneInput() must.
int FuzzWithin(const FuzzBounds& bounds, const std::uint8_t* data, std::size_t size,
               FuzzFunction function);

}  // namespace serf::testing

#endif  // SERF_TESTING_FUZZ_BOUNDS_H_
