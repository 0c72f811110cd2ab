#ifndef SERF_CMD_EVENTS_OUTPUT_TAIL_H_
#define SERF_CMD_EVENTS_OUTPUT_TAIL_H_

// OutputTail: the last bytes of a script's output, and the size of the whole.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace serf::cmd {

class OutputTail {
 public:
  // Bytes that are kept. Scripts that answer queries rely on this number (docs/protocol/agent.md
  // 3.4).
  static constexpr std::size_t kMax = 8192;

  void Append(absl::string_view bytes) {
    total_ += bytes.size();
    kept_.append(bytes.data(), bytes.size());
    // Cuts in large steps, so that each byte moves at most once.
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
