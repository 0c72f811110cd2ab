// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_CONSTANT_TIME_H_
#define SERF_RPC_CONSTANT_TIME_H_

// Comparison of secrets, such as authentication keys. An ordinary == reveals by its time how many
// bytes are right.

#include <cstddef>

#include "absl/strings/string_view.h"

namespace serf::rpc {

// Whether the texts are equal. Takes the same time for all texts of one length, whatever their
// bytes; it does reveal whether the lengths are equal. Any thread.
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
