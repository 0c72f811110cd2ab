#ifndef SERF_TESTING_SIM_TRACE_HASH_H_
#define SERF_TESTING_SIM_TRACE_HASH_H_

// TraceHash: a running hash of all events in a World, to compare two runs of a seed. It is the same
// in every process; absl::Hash is not.

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"

namespace serf::testkit {

class TraceHash {
 public:
  void Mix(std::uint64_t word) {
    hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15u;
    hash_ ^= hash_ >> 29;
  }
  void Mix(ByteView bytes) {
    Mix(bytes.size());
    std::size_t i = 0;
    for (; i + 8 <= bytes.size(); i += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, bytes.data() + i, 8);
      Mix(word);
    }
    for (; i < bytes.size(); ++i) Mix(static_cast<std::uint64_t>(bytes[i]));
  }
  void Mix(absl::string_view text) { Mix(AsBytes(text)); }

  std::uint64_t value() const { return hash_; }

 private:
  std::uint64_t hash_ = 0x243f6a8885a308d3u;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_TRACE_HASH_H_
