#include "serf/testing/agents/process.h"

#include <csignal>
#include <string>

#include "gtest/gtest.h"

namespace serf::testkit {
namespace {

TEST(ProcessTest, ReadsOutputAndExitCode) {
  Process process({"/bin/sh", "-c", "echo out $X; echo err >&2; exit 3"}, {{"X", "1"}});
  EXPECT_EQ(process.Wait(), 3);
  EXPECT_EQ(process.out(), "out 1\n");
  EXPECT_EQ(process.err(), "err\n");
}

TEST(ProcessTest, WaitsForOutput) {
  Process process({"/bin/sh", "-c", "echo ready; while :; do :; done"});
  EXPECT_TRUE(process.WaitForOutput("ready\n"));
}

TEST(ProcessTest, NoticesTheEndWithoutTheOutput) {
  Process process({"/bin/sh", "-c", "echo other"});
  EXPECT_FALSE(process.WaitForOutput("ready"));
  EXPECT_EQ(process.Wait(), 0);
}

TEST(ProcessTest, ReportsSignals) {
  Process stuck({"/bin/sh", "-c", "echo ready; while :; do :; done"});
  ASSERT_TRUE(stuck.WaitForOutput("ready"));
  EXPECT_EQ(stuck.Wait(std::chrono::seconds(0)), std::nullopt);
  stuck.Signal(SIGTERM);
  EXPECT_EQ(stuck.Wait(), 128 + SIGTERM);
}

TEST(ProcessTest, NeverBlocksTheChild) {
  Process process(
      {"/bin/sh", "-c",
       "i=0; while [ $i -lt 3000 ]; do echo "
       "0123456789012345678901234567890123456789012345678901234567890123456789; i=$((i+1)); done"});
  EXPECT_EQ(process.Wait(), 0);
  EXPECT_EQ(process.out().size(), 3000u * 71);
}

}  // namespace
}  // namespace serf::testkit
