#ifndef SERF_TESTING_ALLOCATIONS_H_
#define SERF_TESTING_ALLOCATIONS_H_

// What a program takes from operator new, which this library replaces in all its forms. For
// programs with one thread.

#include <cstddef>

namespace serf::testing {

struct Allocations {
  std::size_t count = 0;
  std::size_t largest = 0;  // in bytes
};

// Of the process so far; may be set back.
Allocations& allocations();

}  // namespace serf::testing

#endif  // SERF_TESTING_ALLOCATIONS_H_
