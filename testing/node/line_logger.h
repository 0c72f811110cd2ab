#ifndef SERF_TESTING_NODE_LINE_LOGGER_H_
#define SERF_TESTING_NODE_LINE_LOGGER_H_

// LineLogger: a logger for tests that keeps its lines, as "[INFO] serf: ...".

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/logger.h"

namespace serf::testkit {

class LineLogger final : public Logger {
 public:
  bool Enabled(LogLevel level) const override { return level != LogLevel::kTrace; }
  void Write(LogLevel level, absl::string_view text) override {
    lines_.push_back(absl::StrCat("[", LogLevelName(level), "] ", text));
  }

  int Count(absl::string_view line) const {
    int count = 0;
    for (const std::string& each : lines_) count += each == line;
    return count;
  }
  bool Has(absl::string_view line) const { return Count(line) > 0; }
  bool Contains(absl::string_view part) const {
    return std::any_of(lines_.begin(), lines_.end(),
                       [&](const std::string& line) { return absl::StrContains(line, part); });
  }
  const std::vector<std::string>& lines() const { return lines_; }
  void Clear() { lines_.clear(); }

 private:
  std::vector<std::string> lines_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_NODE_LINE_LOGGER_H_
