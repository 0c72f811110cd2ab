// Tests a running agent under load: many clients, many queries, many requests at once, and one
// costly filter a second. Meanwhile it answers pings, closes no client's connection, and needs
// little memory and processor time.

#include <sys/types.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/client_io.h"
#include "serf/rpc/client_session.h"
#include "serf/rpc/protocol.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/cpu_time.h"
#include "serf/testing/integration/attacker.h"
#include "serf/wire/ids.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {
namespace {

using rpc::AsyncClient;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

// The most processor time that one input may take on the I/O thread.
constexpr Duration kTurnMax = milliseconds(5) * kSanitizerSlowness;
// A port of loopback where nobody listens.
constexpr std::uint16_t kNobodysPort = 1;

// The highest resident memory of a process so far.
std::size_t PeakResidentBytes(pid_t pid) {
  std::ifstream file(absl::StrCat("/proc/", pid, "/status"));
  for (std::string word; file >> word;) {
    if (word != "VmHWM:") continue;
    std::size_t kilobytes = 0;
    file >> kilobytes;
    return kilobytes << 10;
  }
  return 0;
}

class LoadTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(agent_.WaitUntilRunning()) << agent_.log();
    ASSERT_TRUE(attacker_.Ping());
  }

  // A client that has shaken hands.
  std::unique_ptr<AsyncClient> Connect() {
    auto client = std::make_unique<AsyncClient>(io_, rpc::ClientOptions{});
    bool connected = false;
    client->AsyncConnect(agent_.rpc(), [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      connected = true;
    });
    EXPECT_TRUE(RunUntil([&] { return connected; }));
    return client;
  }

  // Serves all clients until the condition holds. False at the deadline.
  bool RunUntil(const std::function<bool()>& condition) {
    const Clock::time_point end = Clock::now() + kDeadline;
    io_.restart();
    while (!condition()) {
      if (Clock::now() > end) return false;
      io_.run_one_for(milliseconds(100));
    }
    return true;
  }

  // The longest processor time of the I/O thread between a ping and its answer, until the condition
  // holds.
  Duration LongestTurn(const std::function<bool()>& condition) {
    Duration longest = Duration::zero();
    const Clock::time_point end = Clock::now() + kDeadline;
    io_.restart();
    while (!condition() && Clock::now() < end) {
      io_.poll();
      const Duration before = FirstThreadCpuTime(agent_.process().pid());
      EXPECT_TRUE(attacker_.Ping());
      longest = std::max(longest, FirstThreadCpuTime(agent_.process().pid()) - before);
    }
    EXPECT_TRUE(condition());
    return longest;
  }

  // Makes the agent know `count` members that do not exist.
  void MakeMembers(std::size_t count) {
    const ByteVector address = {127, 0, 0, 1};
    const ByteVector versions = {1, 5, 2, 2, 5, 5};
    for (std::size_t i = 1; i < count; ++i) {
      const std::string name = absl::StrCat("made-up-", i);
      attacker_.SendDatagram(
          attacker_.Packet(Attacker::Encoded(wire::Alive{.incarnation = wire::Incarnation(1),
                                                         .node = name,
                                                         .addr = address,
                                                         .port = kNobodysPort,
                                                         .vsn = versions})));
      // Waits for room in the socket's buffer.
      if (i % 100 == 0) ASSERT_TRUE(attacker_.Ping());
    }
    ASSERT_TRUE(agent_.WaitUntil(
        [count](const std::vector<Member>& members) { return members.size() == count; }));
  }

  // The profile with the timeouts of a real cluster.
  AgentProcess agent_{{.program = OurSerf(), .name = "a", .profile = "lan"}};
  Attacker attacker_{agent_.options().address, "a", {}};
  boost::asio::io_context io_{1};
};

// Each client may ask 500 queries a second, which end after three seconds here. A monitor that
// sends nothing has the same rights. Go Serf bears both.
TEST_F(LoadTest, IdleMonitorsStayWhileAnotherAsks) {
  constexpr std::size_t kMonitors = 500;
  constexpr std::size_t kQueries = 2000;
  std::vector<std::unique_ptr<AsyncClient>> monitors;
  std::size_t ended = 0;
  std::size_t started = 0;
  for (std::size_t i = 0; i < kMonitors; ++i) {
    monitors.push_back(Connect());
    monitors.back()->AsyncMonitor(
        "ERR", [&](const absl::StatusOr<rpc::LogRecord>& record) { ended += !record.ok(); },
        [&](const absl::StatusOr<rpc::ClientSession::Seq>& stream) { started += stream.ok(); });
  }
  ASSERT_TRUE(RunUntil([&] { return started == kMonitors; }));

  const auto asking = Connect();
  std::size_t accepted = 0;
  std::size_t refused = 0;
  std::size_t done = 0;
  for (std::size_t i = 0; i < kQueries; ++i) {
    asking->AsyncSendQuery(
        "load", "", QueryParams{},
        [&](const absl::StatusOr<rpc::AnswerRecord>& answer) {
          done += answer.ok() && answer->kind == QueryUpdate::Kind::kDone;
        },
        [&](const absl::StatusOr<rpc::ClientSession::Seq>& query) {
          ++(query.ok() ? accepted : refused);
        });
  }
  ASSERT_TRUE(RunUntil([&] { return accepted + refused == kQueries; }));
  EXPECT_EQ(refused, 0u);
  // All connections exist at once: none had ended when the last one was accepted.
  EXPECT_EQ(done, 0u);
  EXPECT_TRUE(RunUntil([&] { return done == kQueries; })) << done;

  std::size_t answered = 0;
  for (const auto& monitor : monitors) {
    monitor->AsyncGetCoordinate("a", [&](const auto& coordinate) { answered += coordinate.ok(); });
  }
  EXPECT_TRUE(RunUntil([&] { return answered == kMonitors; })) << answered;
  EXPECT_EQ(ended, 0u);
}

TEST_F(LoadTest, PipelinedRequestsHoldUpNobody) {
  constexpr std::size_t kMembers = 2000;
  constexpr int kRequests = 100;
  // Repeats the measurement, because a busy host can disturb a round.
  constexpr int kRoundsMax = 5;
  MakeMembers(kMembers);
  const auto client = Connect();
  Duration longest = Duration::max();
  for (int round = 0; round < kRoundsMax && longest >= kTurnMax; ++round) {
    const std::size_t before = PeakResidentBytes(agent_.process().pid());
    std::vector<int> order;
    for (int i = 0; i < kRequests; ++i) {
      // Each another one, because the agent keeps the replies to those that it has evaluated.
      rpc::MembersFilteredRequest request;
      request.name = absl::StrCat("made|a|", round, "-", i);
      client->AsyncMembersFiltered(request, [&, i](const absl::StatusOr<std::vector<Member>>& all) {
        EXPECT_TRUE(all.ok() && all->size() == kMembers);
        order.push_back(i);
      });
    }
    longest = LongestTurn([&] { return order.size() == kRequests; });
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
    // All replies together are 30 MB; only a few of them may be in memory at a time.
    if (kSanitizerSlowness == 1) {
      EXPECT_LT(PeakResidentBytes(agent_.process().pid()), before + (std::size_t{4} << 20));
    }
  }
  EXPECT_LT(longest, kTurnMax);
}

}  // namespace
}  // namespace serf::testkit
