// Tests filters of queries and RPC requests that cost much. Meanwhile the agent answers pings and
// other clients, and uses little processor time.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <iostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/rpc/client.h"
#include "serf/rpc/protocol.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/cpu_time.h"
#include "serf/testing/integration/attacker.h"
#include "serf/wire/list_view.h"
#include "serf/wire/lzw.h"
#include "serf/wire/message_type.h"
#include "serf/wire/packet.h"
#include "serf/wire/serf_messages.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

std::string Repeated(absl::string_view unit, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) absl::StrAppend(&text, unit);
  return text;
}

// The most processor time that one input may take on the I/O thread.
constexpr Duration kTurnMax = milliseconds(5) * kSanitizerSlowness;

class CostlyFiltersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(agent_.WaitUntilRunning()) << agent_.process().err();
    ASSERT_TRUE(attacker_.Ping());
  }

  // The time of the thread that does the I/O.
  Duration IoTime() { return FirstThreadCpuTime(agent_.process().pid()); }

  // The time of all other threads, including those that have ended.
  Duration SideTime() { return ProcessCpuTime(agent_.process().pid()) - IoTime(); }

  // A packet with a query that has this expression as often as a query may have filters.
  ByteVector PacketOf(absl::string_view expression) {
    ByteVector filter;
    wire::EncodeFilter(wire::TagFilter{.tag = "role", .expr = expression}, filter);
    const std::vector<ByteVector> filters(64, filter);
    const std::vector<ByteView> views(filters.begin(), filters.end());
    wire::QueryMessage query;
    query.ltime = wire::LamportTime(++time_);
    query.id = 7;
    query.filters = wire::ListView<ByteView>(views);
    query.timeout_ns = Duration(seconds(15)).count();
    query.name = "costly";
    ByteVector message = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    wire::Encode(query, message);
    ByteVector deflated;
    wire::LzwEncoder().Encode(message, 2 * message.size() + 16, deflated);
    return attacker_.Packet(
        Attacker::Encoded(wire::CompressMessage{.algo = wire::kCompressLzw, .buf = deflated}));
  }

  AgentProcess agent_{{.program = OurSerf(),
                       .name = "a",
                       .flags = {absl::StrCat("-tag=role=", std::string(400, 'a'))}}};
  Attacker attacker_{agent_.options().address, "a", {}};
  std::uint64_t time_ = 100;
};

TEST_F(CostlyFiltersTest, OfQueriesHoldUpNobody) {
  const std::vector<std::string> expressions = {
      "(?i:\\pL{0,20})|^",
      "(?:[^a]{0,500}){0,2}|^",
      absl::StrCat("(", Repeated("a?", 400), "){100}b"),
      "(.?.?.?.?){1000}b",
      Repeated("\\pL", 250),
  };
  const Clock::time_point begin = Clock::now();
  int packets = 0;
  for (int round = 0; round < 2; ++round) {
    for (const std::string& expression : expressions) {
      const ByteVector packet = PacketOf(expression);
      ASSERT_LE(packet.size(), 1400u) << expression;
      const Duration before = IoTime();
      attacker_.SendDatagram(packet);
      ASSERT_TRUE(attacker_.Ping());
      EXPECT_LT(IoTime() - before, kTurnMax) << expression;
      ++packets;
    }
  }
  // After a flood of such packets the agent works as before.
  for (; packets < 500; ++packets) attacker_.SendDatagram(PacketOf(expressions[packets % 5]));
  ASSERT_TRUE(attacker_.Ping());
  const Duration elapsed = Clock::now() - begin;
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent_.rpc()).ok());
  const auto stats = client.Stats();
  ASSERT_TRUE(stats.ok());
  EXPECT_TRUE(stats->at("serf").contains("queries_unjudged"));
  const Duration used = SideTime();
  // The sum of a burst, the piece under way, and a twentieth of the time.
  if (kSanitizerSlowness == 1) EXPECT_LT(used, milliseconds(1000) + elapsed / 20);
}

// While the queries continue, the agent uses a twentieth of a core for them, and answers pings: the
// work of its I/O thread between a ping and the answer stays within a turn. The time on the clock
// also depends on other programs, with and without the queries, so the test only prints it.
TEST_F(CostlyFiltersTest, OfOneQueryASecondCostATwentieth) {
  constexpr int kSeconds = 12;
  std::vector<Clock::duration> waits;
  Duration longest_turn = Duration::zero();
  const Clock::time_point begin = Clock::now();
  const Duration before = SideTime();
  for (int second = 0; second < kSeconds; ++second) {
    // Each packet has a new expression, so no verdict is known.
    attacker_.SendDatagram(PacketOf(absl::StrCat("(", Repeated("a?", 380 + second), "){100}b")));
    for (const auto end = begin + seconds(second + 1); Clock::now() < end;) {
      const Duration io = IoTime();
      const Clock::time_point sent = Clock::now();
      ASSERT_TRUE(attacker_.Ping());
      waits.push_back(Clock::now() - sent);
      longest_turn = std::max(longest_turn, IoTime() - io);
    }
  }
  const Duration used = SideTime() - before;
  std::sort(waits.begin(), waits.end());
  const auto wait = [&waits](double share) {
    return absl::StrCat(
        std::chrono::duration<double, std::milli>(
            waits[static_cast<std::size_t>(share * static_cast<double>(waits.size() - 1))])
            .count(),
        " ms ");
  };
  std::cout << "pings wait: " << wait(0.5) << wait(0.99) << wait(1)
            << "; CPU: " << std::chrono::duration<double, std::milli>(used).count() / kSeconds
            << " ms/s; I/O thread: "
            << std::chrono::duration<double, std::milli>(longest_turn).count() << " ms\n";
  EXPECT_LT(longest_turn, kTurnMax);
  if (kSanitizerSlowness == 1) EXPECT_LT(used, Duration(seconds(kSeconds)) / 20);
}

TEST_F(CostlyFiltersTest, OfRequestsHoldUpNobody) {
  rpc::Client costly;
  ASSERT_TRUE(costly.Connect(agent_.rpc()).ok());
  std::future<int> served = std::async(std::launch::async, [&] {
    int count = 0;
    // Each another one, because the agent keeps the replies to those that it has evaluated.
    for (int i = 0; i < 20; ++i) {
      rpc::MembersFilteredRequest request;
      request.name = absl::StrCat("(", Repeated("a?", 200), "){100}b", i, "|(?i:\\pL{0,60})");
      count += costly.MembersFiltered(request).ok();
    }
    return count;
  });
  rpc::Client other;
  ASSERT_TRUE(other.Connect(agent_.rpc()).ok());
  do {
    const Duration before = IoTime();
    ASSERT_TRUE(other.Members().ok());
    ASSERT_TRUE(attacker_.Ping());
    EXPECT_LT(IoTime() - before, kTurnMax);
  } while (served.wait_for(milliseconds(10)) != std::future_status::ready);
  EXPECT_EQ(served.get(), 20);
}

}  // namespace
}  // namespace serf::testkit
