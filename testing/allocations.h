#ifndef SERF_TESTING_ALLOCATIONS_H_
#define SERF_TESTING_ALLOCATIONS_H_

// What a program takes from operator new, which this library replaces in all its forms; with
// AddressSanitizer, from malloc() too. For programs with one thread.

#include <cstddef>

namespace serf::testing {

struct Allocations {
  std::size_t count = 0;
  std::size_t largest = 0;  // in bytes, as all below
  std::size_t total = 0;
  std::size_t live = 0;  // taken and not yet given back
  std::size_t peak = 0;  // of `live`
};

// Of the process so far; may be set back.
Allocations& allocations();

}  // namespace serf::testing

#endif  // SERF_TESTING_ALLOCATIONS_H_
