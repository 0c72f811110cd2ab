#include "serf/cmd/telemetry/glog_logger.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

using testing::ElementsAre;
using testing::MatchesRegex;

class GlogLoggerTest : public testing::Test {
 protected:
  std::vector<std::string> printed_;
  GlogLogger logger_{[this](absl::string_view line) { printed_.emplace_back(line); }};
};

TEST_F(GlogLoggerTest, LooksLikeSerf) {
  logger_.OpenGate();
  Log(&logger_, LogLevel::kInfo, "serf: EventMemberJoin: ", "a", " ", "10.0.0.1");
  EXPECT_THAT(printed_,
              ElementsAre(MatchesRegex("[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "
                                       "\\[INFO\\] serf: EventMemberJoin: a 10.0.0.1")));
}

TEST_F(GlogLoggerTest, FiltersByLevelWhatIsPrintedOnly) {
  logger_.OpenGate();
  logger_.set_level(LogLevel::kWarn);
  for (const LogLevel level :
       {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    Log(&logger_, level, "serf: [INFO] x");
  }
  EXPECT_THAT(printed_, ElementsAre(MatchesRegex(".* \\[WARN\\] serf: \\[INFO\\] x"),
                                    MatchesRegex(".* \\[ERR\\] serf: \\[INFO\\] x")));
  ASSERT_EQ(logger_.History().size(), 5u);
  EXPECT_EQ(logger_.History()[0]->level, LogLevel::kTrace);
  EXPECT_THAT(logger_.History()[1]->text, MatchesRegex(".* \\[DEBUG\\] serf: .*"));
  EXPECT_EQ(logger_.History()[4]->level, LogLevel::kError);
}

// Entries that are printed pass through glog, and others do not. They look alike.
TEST_F(GlogLoggerTest, EntriesLookAlikeWhetherPrintedOrNot) {
  logger_.OpenGate();
  logger_.set_level(LogLevel::kWarn);
  for (const char* text : {"serf: x", "serf: x\n", "serf: x\n\n", ""}) {
    logger_.WriteLines(LogLevel::kWarn, text);
    logger_.WriteLines(LogLevel::kInfo, text);
    const auto history = logger_.History();
    const std::string printed = history[history.size() - 2]->text;
    const std::string recorded = history.back()->text;
    EXPECT_THAT(recorded, MatchesRegex("[0-9]{4}/[0-9]{2}/[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2} "
                                       "\\[INFO\\] (.|\n)*"));
    EXPECT_EQ(printed.substr(printed.find(']')), recorded.substr(recorded.find(']')));
  }
}

TEST_F(GlogLoggerTest, GateHoldsBackUntilOpened) {
  Log(&logger_, LogLevel::kInfo, "agent: one");
  Log(&logger_, LogLevel::kDebug, "agent: hidden");
  EXPECT_THAT(printed_, ElementsAre());
  logger_.OpenGate();
  Log(&logger_, LogLevel::kInfo, "agent: two");
  EXPECT_THAT(printed_, ElementsAre(MatchesRegex(".*agent: one"), MatchesRegex(".*agent: two")));
}

TEST_F(GlogLoggerTest, TextFromTheNetworkCannotForgeLines) {
  logger_.OpenGate();
  Log(&logger_, LogLevel::kInfo, "serf: EventMemberJoin: a\n2026/01/01 [ERR] agent: forged\x1b[2J");
  ASSERT_EQ(printed_.size(), 1u);
  EXPECT_TRUE(absl::EndsWith(printed_[0], "a\\n2026/01/01 [ERR] agent: forged\\x1b[2J"));
}

TEST_F(GlogLoggerTest, WriteLinesKeepsLineFeedsButNotTheLast) {
  logger_.OpenGate();
  logger_.WriteLines(LogLevel::kWarn, "agent: error joining: 1 error occurred:\n\t* x\n\n");
  ASSERT_EQ(printed_.size(), 1u);
  EXPECT_TRUE(absl::EndsWith(printed_[0], "1 error occurred:\n\t* x\n"));
}

TEST_F(GlogLoggerTest, HistoryKeepsTheNewest) {
  for (int i = 0; i < 600; ++i) Log(&logger_, LogLevel::kDebug, "n ", i, ".");
  const auto history = logger_.History();
  ASSERT_EQ(history.size(), rpc::kLogHistoryMax);
  EXPECT_TRUE(absl::EndsWith(history.front()->text, "n 88."));
  EXPECT_TRUE(absl::EndsWith(history.back()->text, "n 599."));
}

TEST_F(GlogLoggerTest, ListenerMayLog) {
  std::vector<std::string> heard;
  logger_.set_listener([&](const rpc::LogLinePtr& line) {
    heard.push_back(line->text.substr(line->text.find(']') + 2));
    if (heard.size() == 1) Log(&logger_, LogLevel::kWarn, "agent.ipc: nested");
  });
  Log(&logger_, LogLevel::kDebug, "serf: first");
  Log(&logger_, LogLevel::kDebug, "serf: second");
  EXPECT_THAT(heard, ElementsAre("serf: first", "agent.ipc: nested", "serf: second"));
}

TEST_F(GlogLoggerTest, ThreadsDoNotMixEntries) {
  logger_.OpenGate();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 200; ++i)
        Log(&logger_, LogLevel::kInfo, "serf: ", std::string(50, static_cast<char>('a' + t)));
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(printed_.size(), 800u);
  for (const std::string& line : printed_)
    EXPECT_THAT(line, MatchesRegex(".*serf: (a{50}|b{50}|c{50}|d{50})"));
}

}  // namespace
}  // namespace serf::cmd
