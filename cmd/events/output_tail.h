#ifndef SERF_CMD_EVENTS_OUTPUT_TAIL_H_
#define SERF_CMD_EVENTS_OUTPUT_TAIL_H_

// OutputTail: the last bytes of what a script wrote, and how much that was.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace serf::cmd {

class OutputTail {
 public:
  // Bytes kept; scripts that answer queries rely on it (docs/protocol/agent.md 3.4).
  static constexpr std::size_t kMax = 8192;

  void Append(absl::string_view bytes) {
    total_ += bytes.size();
    kept_.append(bytes.data(), bytes.size());
    // In large steps, so that each byte is moved once at most.
    if (kept_.size() > 2 * kMax) kept_.erase(0, kept_.size() - kMax);
  }

  absl::string_view text() const {
    const absl::string_view all = kept_;
    return all.size() > kMax ? all.substr(all.size() - kMax) : all;
  }
  std::uint64_t total() const { return total_; }
  bool truncated() const { return total_ > kMax; }

 private:
  std::string kept_;
  std::uint64_t total_ = 0;
};

}  // namespace serf::cmd

#endif  // SERF_CMD_EVENTS_OUTPUT_TAIL_H_
