// Agents that are told names to join, which a name server of the test's own knows or not.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/testing/agent_process.h"
#include "serf/testing/integration/name_server.h"
#include "serf/testing/own_files.h"
#include "serf/testing/own_network.h"
#include "serf/testing/programs.h"

namespace serf::testing {
namespace {

constexpr char kSeed[] = "seed.serf.test";

// Entry of the log when nobody listens at `address`.
std::string Refused(const std::string& address) {
  return absl::StrCat("dial tcp ", address, ":7946: connect: connection refused\n");
}

class NamesTest : public ::testing::Test {
 protected:
  // No other source of names than the server, and no cache of the system's.
  static void SetUpTestSuite() {
    const std::pair<const char*, const char*> kFiles[] = {
        {"nsswitch.conf", "hosts: dns\n"}, {"resolv.conf", "nameserver 127.0.0.1\n"}};
    for (const auto& [name, text] : kFiles) {
      const std::string path = absl::StrCat("/etc/", name);
      const std::string other = absl::StrCat(::testing::TempDir(), "/", name);
      std::ofstream(other) << text;
      EXPECT_TRUE(!std::filesystem::exists(path) || CoverFile(path, other));
    }
    const std::string cache = "/run/nscd";
    EXPECT_TRUE(!std::filesystem::exists(cache) || CoverFolder(cache));
  }

  NamesTest() { EXPECT_TRUE(server_.running()); }

  NameServer server_;
};

// The name is looked up again at each attempt: first there is none, then it has the address of
// somebody who has gone, then that of a living agent.
TEST_F(NamesTest, RetryJoinLooksUpTheNameEachTime) {
  AgentProcess agent({.program = OurSerf(),
                      .name = "agent",
                      .flags = {absl::StrCat("-retry-join=", kSeed), "-retry-interval=1s"}});
  EXPECT_TRUE(agent.WaitForLog(
      absl::StrCat("Failed to resolve ", kSeed, ": lookup ", kSeed, ": no such host\n")))
      << agent.log();
  const std::string gone = NextLoopbackAddress();
  server_.Set(kSeed, {gone});
  EXPECT_TRUE(agent.WaitForLog(Refused(gone))) << agent.log();
  AgentProcess seed({.program = OurSerf(), .name = "seed"});
  ASSERT_TRUE(seed.WaitUntilRunning()) << seed.log();
  server_.Set(kSeed, {seed.options().address});
  EXPECT_TRUE(agent.WaitForLog("agent: Join completed. Synced with 1 initial agents\n"))
      << agent.log();
  for (const AgentProcess* either : {&agent, &seed}) {
    EXPECT_TRUE(either->WaitForMembers({{"agent", "alive"}, {"seed", "alive"}})) << either->log();
  }
}

// Of several addresses each is tried.
TEST_F(NamesTest, JoinTriesAllAddressesOfAName) {
  AgentProcess seed({.program = OurSerf(), .name = "seed"});
  ASSERT_TRUE(seed.WaitUntilRunning()) << seed.log();
  const std::string gone = NextLoopbackAddress();
  server_.Set(kSeed, {gone, seed.options().address});
  AgentProcess agent({.program = OurSerf(),
                      .name = "agent",
                      .flags = {absl::StrCat("-join=", kSeed), "-log-level=debug"}});
  EXPECT_TRUE(agent.WaitForLog("Join completed. Synced with 1 initial agents\n")) << agent.log();
  EXPECT_TRUE(agent.WaitForLog(Refused(gone))) << agent.log();
  EXPECT_TRUE(seed.WaitForMembers({{"agent", "alive"}, {"seed", "alive"}})) << seed.log();
}

}  // namespace
}  // namespace serf::testing

int main(int argc, char** argv) {
  serf::testing::MoveToOwnNetwork();
  if (!serf::testing::MoveToOwnFiles()) {
    std::perror("this test needs a mount namespace of its own");
    return 1;
  }
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
