#ifndef SERF_RPC_CONSTANT_TIME_H_
#define SERF_RPC_CONSTANT_TIME_H_

// Comparison of secrets.

#include <cstddef>

#include "absl/strings/string_view.h"

namespace serf::rpc {

// Takes the same time for all texts of a length, whatever their bytes.
inline bool EqualInConstantTime(absl::string_view a, absl::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

}  // namespace serf::rpc

#endif  // SERF_RPC_CONSTANT_TIME_H_
