// Ends an agent in every state of its life: by a client, by each signal, and by two of these at
// once. It must end soon, with the exit code that supervisors know, and without a report of a
// sanitizer (--config=asan).

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/tags.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/name_contest.h"
#include "serf/testing/agents/own_files_main.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/own_names.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

// A leave takes up to three seconds, and the last output another one.
constexpr std::chrono::seconds kEndMax{20};

enum class Ending { kLeave, kInterrupt, kTerminate };
constexpr Ending kEndings[] = {Ending::kLeave, Ending::kInterrupt, Ending::kTerminate};

const char* NameOf(Ending ending) {
  return ending == Ending::kLeave       ? "serf leave"
         : ending == Ending::kInterrupt ? "SIGINT"
                                        : "SIGTERM";
}

// A socket of the test that sends nothing: a host that accepts connections, or a name server.
class SilentSocket {
 public:
  SilentSocket(int type, const std::string& address, std::uint16_t port)
      : fd_(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    ::inet_pton(AF_INET, address.c_str(), &at.sin_addr);
    EXPECT_EQ(::bind(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
    if (type == SOCK_STREAM) EXPECT_EQ(::listen(fd_, SOMAXCONN), 0);
  }
  ~SilentSocket() { ::close(fd_); }
  SilentSocket(const SilentSocket&) = delete;
  SilentSocket& operator=(const SilentSocket&) = delete;

 private:
  const int fd_;
};

class AgentEndTest : public ::testing::Test {
 protected:
  using Agent = std::unique_ptr<AgentProcess>;

  static Agent Start(const std::string& name, std::vector<std::string> flags = {}) {
    return std::make_unique<AgentProcess>(
        AgentProcess::Options{.program = OurSerf(), .name = name, .flags = std::move(flags)});
  }

  static std::unique_ptr<Process> Ask(const AgentProcess& agent,
                                      const std::vector<std::string>& words) {
    std::vector<std::string> argv = {OurSerf(), words[0], absl::StrCat("-rpc-addr=", agent.rpc())};
    argv.insert(argv.end(), words.begin() + 1, words.end());
    return std::make_unique<Process>(argv);
  }

  // `start` makes an agent that is in the state. The test ends it there in each way, once and by
  // two at once. If `leaves_anyway`, the agent may exit with 0 also after SIGTERM, because it is
  // already leaving.
  static void EndInState(const std::function<Agent()>& start, bool leaves_anyway = false) {
    for (const Ending ending : kEndings) {
      for (const int times : {1, 2}) {
        SCOPED_TRACE(absl::StrCat(NameOf(ending), ", times ", times));
        const Agent agent = start();
        std::vector<std::unique_ptr<Process>> leaves;
        for (int i = 0; i < times; ++i) {
          if (ending == Ending::kLeave) {
            leaves.push_back(Ask(*agent, {"leave"}));
          } else {
            agent->process().Signal(ending == Ending::kInterrupt ? SIGINT : SIGTERM);
          }
        }
        const std::optional<int> code = agent->process().Wait(kEndMax);
        const bool may_fail = ending == Ending::kTerminate || times == 2;
        const bool may_leave = ending != Ending::kTerminate || leaves_anyway;
        EXPECT_TRUE((code == 0 && may_leave) || (code == 1 && may_fail))
            << (code ? absl::StrCat(*code) : "still runs") << "\n"
            << agent->log();
        EXPECT_EQ(agent->process().err(), "");
        for (const auto& leave : leaves) EXPECT_TRUE(leave->Wait(kEndMax)) << leave->out();
        if (ending == Ending::kLeave && times == 1) EXPECT_EQ(leaves[0]->Wait(), 0);
      }
    }
  }

  Workshop workshop_;
};

TEST_F(AgentEndTest, Running) {
  EndInState([] {
    Agent agent = Start("n");
    EXPECT_TRUE(agent->WaitUntilRunning()) << agent->log();
    return agent;
  });
}

TEST_F(AgentEndTest, JoiningASilentHost) {
  const std::string address = NextLoopbackAddress();
  const SilentSocket host(SOCK_STREAM, address, 7946);
  EndInState([&] {
    Agent agent = Start("n", {absl::StrCat("-join=", address)});
    EXPECT_TRUE(agent->WaitForLog("==> Joining cluster...(replay: false)\n")) << agent->log();
    return agent;
  });
}

// The name server receives the question and never answers.
TEST_F(AgentEndTest, LookingUpAName) {
  const SilentSocket server(SOCK_DGRAM, "127.0.0.1", 53);
  EndInState([] {
    Agent agent = Start("n", {"-join=seed.serf.test"});
    EXPECT_TRUE(agent->WaitForLog("==> Joining cluster...(replay: false)\n")) << agent->log();
    return agent;
  });
}

TEST_F(AgentEndTest, WaitingForTheNextJoin) {
  EndInState([] {
    Agent agent = Start("n", {absl::StrCat("-retry-join=", NextLoopbackAddress())});
    EXPECT_TRUE(agent->WaitForLog(", retrying in 30s\n")) << agent->log();
    return agent;
  });
}

// A leave ends soon where another node hears of it. The broadcast to a stopped node takes a while.
TEST_F(AgentEndTest, Leaving) {
  Agent other;
  std::unique_ptr<Process> leave;
  EndInState(
      [&] {
        if (other != nullptr) other->Kill();
        other = Start("other");
        EXPECT_TRUE(other->WaitUntilRunning());
        Agent agent = Start("n", {absl::StrCat("-join=", other->gossip())});
        EXPECT_TRUE(agent->WaitForMembers({{"n", "alive"}, {"other", "alive"}})) << agent->log();
        other->process().Signal(SIGSTOP);
        leave = Ask(*agent, {"leave"});
        EXPECT_TRUE(agent->WaitForLog("agent: requesting graceful leave from Serf\n"));
        return agent;
      },
      /*leaves_anyway=*/true);
}

TEST_F(AgentEndTest, AQueryUnderWay) {
  std::unique_ptr<Process> query;
  EndInState([&] {
    Agent agent = Start("n", {"-log-level=debug"});
    EXPECT_TRUE(agent->WaitUntilRunning()) << agent->log();
    query = Ask(*agent, {"query", "-timeout=60s", "who"});
    EXPECT_TRUE(agent->WaitForLog("agent: Received event: query: who\n")) << agent->log();
    return agent;
  });
  query->Wait();
}

TEST_F(AgentEndTest, AHandlerUnderWay) {
  ASSERT_EQ(::mkfifo("input", 0600), 0);
  const int input = ::open("input", O_RDWR | O_CLOEXEC);
  EndInState([] {
    std::filesystem::remove("started");
    Agent agent = Start("n", {"-event-handler=member-join=touch started; read line < input"});
    EXPECT_TRUE(agent->process().WaitUntil([] { return std::filesystem::exists("started"); }));
    EXPECT_TRUE(agent->WaitUntilRunning()) << agent->log();
    return agent;
  });
  // The handlers outlive their agents, and end with the pipe that they read.
  ::close(input);
}

// A FIFO replaces the file that the agent reads again. Nobody ever writes to it.
TEST_F(AgentEndTest, AReloadUnderWay) {
  EndInState([this] {
    std::filesystem::remove("r.json");
    workshop_.Write("r.json", "{}");
    Agent agent = Start("n", {"-config-file=r.json"});
    EXPECT_TRUE(agent->WaitUntilRunning()) << agent->log();
    std::filesystem::remove("r.json");
    EXPECT_EQ(::mkfifo("r.json", 0600), 0);
    agent->process().Signal(SIGHUP);
    EXPECT_TRUE(agent->WaitForLog("==> Reloading configuration...\n")) << agent->log();
    // The agent answers meanwhile.
    EXPECT_TRUE(agent->WaitForMembers({{"n", "alive"}})) << agent->log();
    return agent;
  });
}

// A reload also works while -join is under way, and does not end it.
TEST_F(AgentEndTest, AReloadWhileJoining) {
  const std::string address = NextLoopbackAddress();
  const SilentSocket host(SOCK_STREAM, address, 7946);
  workshop_.Write("r.json", R"({"tags": {"a": "1"}})");
  const Agent agent = Start("n", {absl::StrCat("-join=", address), "-config-file=r.json"});
  EXPECT_TRUE(agent->WaitForLog("==> Joining cluster...(replay: false)\n")) << agent->log();
  workshop_.Write("r.json", R"({"tags": {"a": "2"}})");
  agent->process().Signal(SIGHUP);
  EXPECT_TRUE(agent->WaitUntil([](const std::vector<Member>& members) {
    return members.size() == 1 && members[0].tags == Tags{{"a", "2"}};
  })) << agent->log();
  agent->Interrupt();
  EXPECT_EQ(agent->process().Wait(), 0);
  EXPECT_EQ(agent->process().err(), "");
}

// An agent that loses the vote over its name ends by itself. A signal and a client come at that
// moment.
TEST_F(AgentEndTest, AVoteLost) {
  NameContest contest({.lower = OurSerf(), .higher = OurSerf(), .voters = true});
  contest.Meet();
  AgentProcess& loser = contest.higher();
  EXPECT_TRUE(loser.WaitForLog("minority in name conflict resolution, quitting ")) << loser.log();
  const auto leave = Ask(loser, {"leave"});
  loser.process().Signal(SIGTERM);
  const std::optional<int> code = loser.process().Wait(kEndMax);
  EXPECT_TRUE(code && *code < 128) << code.value_or(-1) << loser.log();
  EXPECT_EQ(loser.process().err(), "");
  leave->Wait();
}

}  // namespace
}  // namespace serf::testkit

int main(int argc, char** argv) {
  return serf::testkit::RunTestsWithOwnFiles(argc, argv, serf::testkit::CoverNames);
}
