#include "serf/base/logger.h"

#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;

class Recorder : public Logger {
 public:
  explicit Recorder(LogLevel least) : least_(least) {}
  bool Enabled(LogLevel level) const override { return level >= least_; }
  void Write(LogLevel level, absl::string_view text) override {
    lines.emplace_back(level, std::string(text));
  }

  std::vector<std::pair<LogLevel, std::string>> lines;

 private:
  LogLevel least_;
};

TEST(LoggerTest, JoinsItsArguments) {
  Recorder recorder(LogLevel::kTrace);
  Log(&recorder, LogLevel::kWarn, "serf: ", std::string("node"), " ", 7);
  EXPECT_THAT(recorder.lines, ElementsAre(Pair(LogLevel::kWarn, "serf: node 7")));
}

TEST(LoggerTest, ObeysTheLevel) {
  Recorder recorder(LogLevel::kInfo);
  Log(&recorder, LogLevel::kDebug, "no");
  Log(&recorder, LogLevel::kInfo, "yes");
  EXPECT_THAT(recorder.lines, ElementsAre(Pair(LogLevel::kInfo, "yes")));
}

TEST(LoggerTest, NullIsSilent) { Log(nullptr, LogLevel::kError, "nobody hears"); }

TEST(LoggerTest, NamesLevelsAsLogLinesDo) {
  EXPECT_EQ(LogLevelName(LogLevel::kTrace), "TRACE");
  EXPECT_EQ(LogLevelName(LogLevel::kDebug), "DEBUG");
  EXPECT_EQ(LogLevelName(LogLevel::kInfo), "INFO");
  EXPECT_EQ(LogLevelName(LogLevel::kWarn), "WARN");
  EXPECT_EQ(LogLevelName(LogLevel::kError), "ERR");
}

}  // namespace
}  // namespace serf
