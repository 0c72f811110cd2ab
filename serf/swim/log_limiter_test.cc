#include "serf/swim/log_limiter.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace serf::swim {
namespace {

class Lines final : public Logger {
 public:
  bool Enabled(LogLevel level) const override { return level >= LogLevel::kInfo; }
  void Write(LogLevel, absl::string_view text) override { lines.emplace_back(text); }
  std::vector<std::string> lines;
};

TEST(LogLimiterTest, OneLinePerReasonAndSecond) {
  Lines lines;
  LogLimiter limiter(&lines);
  const Instant start{};
  int formatted = 0;
  const auto log = [&](Instant now, LogReason reason, LogLevel level, const char* text) {
    limiter.Log(now, reason, level, [&] {
      ++formatted;
      return std::string(text);
    });
  };
  log(start, LogReason::kDecode, LogLevel::kError, "a");
  log(start, LogReason::kDecode, LogLevel::kError, "b");
  log(start, LogReason::kLabel, LogLevel::kError, "c");
  log(start + std::chrono::milliseconds(999), LogReason::kDecode, LogLevel::kError, "d");
  log(start + std::chrono::seconds(1), LogReason::kDecode, LogLevel::kError, "e");
  log(start + std::chrono::seconds(5), LogReason::kDecode, LogLevel::kDebug, "f");
  EXPECT_EQ(lines.lines, (std::vector<std::string>{"a", "c", "e"}));
  EXPECT_EQ(formatted, 3);
  EXPECT_EQ(limiter.suppressed(), 2u);
}

TEST(LogLimiterTest, NullLoggerIsSilent) {
  LogLimiter limiter(nullptr);
  limiter.Log(Instant{}, LogReason::kDecode, LogLevel::kError, [] { return std::string("a"); });
  EXPECT_EQ(limiter.suppressed(), 0u);
}

}  // namespace
}  // namespace serf::swim
