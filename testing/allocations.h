#ifndef SERF_TESTING_ALLOCATIONS_H_
#define SERF_TESTING_ALLOCATIONS_H_

// Counts the memory that a program takes from operator new, which this library replaces in all its
// forms; with AddressSanitizer, also from malloc(). For programs with one thread.

#include <cstddef>

namespace serf::testkit {

struct Allocations {
  std::size_t count = 0;
  std::size_t largest = 0;  // in bytes, as are all below
  std::size_t total = 0;
  std::size_t live = 0;  // taken and not yet returned
  std::size_t peak = 0;  // the highest `live`
};

// The counts of the process so far. A test may reset them.
Allocations& allocations();

}  // namespace serf::testkit

#endif  // SERF_TESTING_ALLOCATIONS_H_
