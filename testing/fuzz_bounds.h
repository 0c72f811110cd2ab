#ifndef SERF_TESTING_FUZZ_BOUNDS_H_
#define SERF_TESTING_FUZZ_BOUNDS_H_

// Bounds on the cost of a fuzz input: at most k times its bytes plus c, in memory and in work. Each
// target runs its inputs within such bounds. An input that costs more ends the program like a
// failed check, so that libFuzzer finds it.
//
//   // A record of one byte is encoded with all its fields, 150 bytes.
//   constexpr FuzzBounds kBounds = {.total = {256, 8 << 10}, .peak = {...}, .work = {...}};
//
//   extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
//     return serf::testkit::FuzzWithin(kBounds, data, size, Try);
//   }

#include <cstddef>
#include <cstdint>

#include "serf/base/bytes.h"

namespace serf::testkit {

struct FuzzBound {
  std::uint64_t per_byte = 0;
  std::uint64_t fixed = 0;

  constexpr std::uint64_t Of(std::size_t size) const { return per_byte * size + fixed; }
};

// Bounds on a target's whole function, with the work that its checks do.
struct FuzzBounds {
  FuzzBound total;  // bytes taken from the heap, in total
  FuzzBound peak;   // bytes taken from the heap, at one time
  FuzzBound work;   // microseconds of CPU without optimisation; kSlowdown times that in sanitizers
};

// The highest shares of the bounds so far (1 is the bound itself), and the sizes of the inputs.
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

// Runs `function` over the input. If it exceeds a bound, prints which one and aborts. Returns 0, as
// LLVMFuzzerTestOneInput() must.
int FuzzWithin(const FuzzBounds& bounds, const std::uint8_t* data, std::size_t size,
               FuzzFunction function);

}  // namespace serf::testkit

#endif  // SERF_TESTING_FUZZ_BOUNDS_H_
