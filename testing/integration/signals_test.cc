// Tests what each signal does to an agent: the table of docs/agent-options.md, on our agent and on
// Go Serf's; and what a parent may have done to signals before.

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

constexpr std::size_t kSystemSignals = 31;

int SignalOf(absl::string_view name) {
  for (int signal = 1; signal <= static_cast<int>(kSystemSignals); ++signal) {
    if (absl::StrCat("SIG", ::sigabbrev_np(signal)) == name) return signal;
  }
  // Names of the system that mean the same signal.
  return name == "SIGIO" ? SIGIO : 0;
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Signals and the documentation's text about them. The real-time ones are one row.
std::map<int, std::string> ReadTable() {
  const std::string text = Read(ProgramFromEnvironment("AGENT_OPTIONS"));
  std::map<int, std::string> effects;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::StartsWith(line, "| SIG")) continue;
    const std::vector<std::string> cells = absl::StrSplit(line, " | ");
    const std::string effect(absl::StripSuffix(cells[1], " |"));
    if (cells[0] == "| SIGRTMIN to SIGRTMAX") {
      for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal) effects[signal] = effect;
      continue;
    }
    for (const absl::string_view name : absl::StrSplit(cells[0].substr(2), ", ")) {
      EXPECT_NE(SignalOf(name), 0) << name;
      effects[SignalOf(name)] = effect;
    }
  }
  return effects;
}

// The path of the file is relative to the folder of the start.
const std::map<int, std::string>& Documented() {
  static const auto& table = *new std::map<int, std::string>(ReadTable());
  return table;
}

class SignalsTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { ASSERT_EQ(Documented().count(SIGPIPE), 1u); }

  static std::set<int> Nothing() {
    std::set<int> signals;
    for (const auto& [signal, effect] : Documented()) {
      if (effect == "nothing") signals.insert(signal);
    }
    return signals;
  }

  Workshop workshop_;
};

TEST_F(SignalsTest, TheTableHasAll) {
  EXPECT_EQ(Documented().size(), kSystemSignals + SIGRTMAX - SIGRTMIN + 1);
  EXPECT_EQ(Nothing().size(), 11u + SIGRTMAX - SIGRTMIN + 1);
}

// For all of these the agent continues, and leaves when asked to.
TEST_F(SignalsTest, NothingIsNothing) {
  for (const std::string& program : {OurSerf(), DebianSerf()}) {
    AgentProcess agent({.program = program, .name = "n"});
    ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
    // Go Serf handles signals only after it has begun to stream its log. On a busy host that comes
    // long after the banner, and after its RPC server answers.
    ASSERT_TRUE(agent.WaitForLog("serf: EventMemberJoin: n ")) << agent.log();
    for (const int signal : Nothing()) {
      // Go's runtime has no use for this signal, and lets the system end the process.
      if (program == DebianSerf() && signal == SIGRTMIN) continue;
      agent.process().Signal(signal);
    }
    EXPECT_TRUE(agent.WaitForMembers({{"n", "alive"}})) << agent.log();
    agent.Interrupt();
    EXPECT_EQ(agent.process().Wait(), 0) << agent.log();
  }
}

TEST_F(SignalsTest, FaultsEndItAsTheSystemDoes) {
  for (const auto& [signal, effect] : Documented()) {
    if (!absl::StartsWith(effect, "ends it as the system does")) continue;
    AgentProcess agent({.program = OurSerf(), .name = "n"});
    ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
    agent.process().Signal(signal);
    const std::optional<int> code = agent.process().Wait();
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
    EXPECT_NE(code, 0);
    continue;
#endif
#endif
    EXPECT_EQ(code, 128 + signal);
  }
}

TEST_F(SignalsTest, AStoppedOneGoesOn) {
  AgentProcess agent({.program = OurSerf(), .name = "n"});
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  for (const int signal : {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU}) {
    agent.process().Signal(signal);
    agent.process().Signal(SIGCONT);
    EXPECT_TRUE(agent.WaitForMembers({{"n", "alive"}})) << agent.log();
  }
}

// The parent blocks all signals and ignores some. With SIGCHLD blocked no handler would end. The
// handler itself starts with no signal blocked or ignored.
TEST_F(SignalsTest, WhatTheParentLeftIsReset) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGUSR2}) std::signal(signal, SIG_IGN);
  AgentProcess agent(
      {.program = OurSerf(),
       .name = "n",
       .flags = {"-event-handler=member-join=grep '^Sig[BI]' /proc/self/status > mask; echo done",
                 "-log-level=debug"}});
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGUSR2}) std::signal(signal, SIG_DFL);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_TRUE(agent.WaitForLog("agent: Event 'member-join' script output: done")) << agent.log();
  // Two signals belong to the C library, and no program can reset them.
  constexpr std::uint64_t kLibrarys = std::uint64_t{3} << 31;
  const std::vector<std::string> masks =
      absl::StrSplit(workshop_.Read("mask"), absl::ByAnyChar("\t\n"), absl::SkipEmpty());
  ASSERT_EQ(masks.size(), 4u) << workshop_.Read("mask");
  for (const std::string& mask : {masks[1], masks[3]}) {
    std::uint64_t signals = 0;
    ASSERT_TRUE(absl::SimpleHexAtoi(mask, &signals)) << mask;
    EXPECT_EQ(signals & ~kLibrarys, 0u) << workshop_.Read("mask");
  }
  agent.Interrupt();
  EXPECT_EQ(agent.process().Wait(), 0);
}

// With `ulimit -f` the snapshot may not grow, and the agent continues without it.
TEST_F(SignalsTest, AFileSizeLimitEndsNobody) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit none = {0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &none), 0);
  AgentProcess agent({.program = OurSerf(), .name = "n", .flags = {"-snapshot=snap"}});
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(agent.WaitForLog(": file too large")) << agent.log();
  EXPECT_TRUE(agent.WaitForMembers({{"n", "alive"}})) << agent.log();
  agent.Interrupt();
  EXPECT_TRUE(agent.process().Wait().value_or(255) <= 1) << agent.log();
}

}  // namespace
}  // namespace serf::testkit
