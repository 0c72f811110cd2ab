#ifndef SERF_TESTING_AGENTS_NAME_CONTEST_H_
#define SERF_TESTING_AGENTS_NAME_CONTEST_H_

// NameContest: two agents that claim the name "x" and, if wanted, two voters of this project. Each
// voter knows another one of the two by that name.
//
//   NameContest contest({.lower = OurSerf(), .higher = DebianSerf(), .voters = true});
//   contest.Meet();
//   EXPECT_TRUE(contest.higher().WaitForLog("minority in name conflict resolution"));

#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {

class NameContest {
 public:
  struct Options {
    std::string lower;   // the program of the agent with the lower address
    std::string higher;  // the program of the other agent
    bool voters = false;
  };

  explicit NameContest(const Options& options) {
    for (const std::string& program : {options.lower, options.higher}) {
      std::vector<std::string> flags;
      if (options.voters) {
        voters_.push_back(Start(OurSerf(), absl::StrCat("voter-", voters_.size()), {}));
        flags.push_back(absl::StrCat("-join=", voters_.back()->gossip()));
      }
      contestants_.push_back(Start(program, "x", flags));
    }
    for (std::size_t i = 0; i < voters_.size(); ++i) EXPECT_TRUE(WaitUntilKnown(i, i));
  }

  AgentProcess& lower() { return *contestants_[0]; }
  AgentProcess& higher() { return *contestants_[1]; }

  // Makes each contestant learn of the other.
  void Meet() {
    if (voters_.empty()) return Join(*contestants_[1], *contestants_[0]);
    Join(*voters_[0], *voters_[1]);
    Join(*contestants_[0], *voters_[1]);
    Join(*contestants_[1], *voters_[0]);
  }

  // Waits until both voters know one contestant, the lower (0) or the higher (1), by the name.
  bool WaitUntilAllKnow(std::size_t contestant) {
    return WaitUntilKnown(0, contestant) && WaitUntilKnown(1, contestant);
  }

 private:
  static std::unique_ptr<AgentProcess> Start(const std::string& program, std::string name,
                                             std::vector<std::string> flags) {
    if (program == OurSerf()) {
      // Contestants meet again in each push/pull, and the name of a contestant that left is soon
      // free.
      const std::string file = absl::StrCat(::testing::TempDir(), "/contest-", ::getpid(), ".json");
      std::ofstream(file) << R"({"push_pull_interval": "2s", "dead_node_reclaim_time": "1s"})";
      flags.push_back(absl::StrCat("-config-file=", file));
    }
    // With this timing Go Serf's gossip reaches all agents.
    auto agent = std::make_unique<AgentProcess>(AgentProcess::Options{
        .program = program, .name = std::move(name), .flags = std::move(flags), .profile = "lan"});
    EXPECT_TRUE(agent->WaitUntilRunning()) << agent->log();
    return agent;
  }
  static void Join(const AgentProcess& agent, const AgentProcess& other) {
    Process join({OurSerf(), "join", absl::StrCat("-rpc-addr=", agent.rpc()), other.gossip()});
    EXPECT_EQ(join.Wait(), 0) << join.out();
  }
  bool WaitUntilKnown(std::size_t voter, std::size_t contestant) {
    return voters_[voter]->WaitUntil([&](const std::vector<Member>& members) {
      for (const Member& member : members) {
        if (member.name == "x" && member.status == MemberStatus::kAlive) {
          return member.endpoint.ToString() == contestants_[contestant]->gossip();
        }
      }
      return false;
    });
  }

  std::vector<std::unique_ptr<AgentProcess>> voters_;
  std::vector<std::unique_ptr<AgentProcess>> contestants_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_NAME_CONTEST_H_
