// Tests what clients get from real agents, ours and Go Serf's, through the client library: queries,
// answers, coordinates; and Unix domain sockets.

#include <sys/stat.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/coordinate.h"
#include "serf/query.h"
#include "serf/rpc/client.h"
#include "serf/rpc/protocol.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/cluster.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/temporary_folder.h"

namespace serf::testkit {
namespace {

namespace fs = std::filesystem;
using rpc::Client;
using std::chrono::milliseconds;
using std::chrono::seconds;
using Clock = std::chrono::steady_clock;

// Long enough for every agent on a slow machine. No test waits for it.
constexpr seconds kLong(60);

std::unique_ptr<Client> Connect(const std::string& address) {
  auto client = std::make_unique<Client>();
  const absl::Status connected = client->Connect(address);
  EXPECT_TRUE(connected.ok()) << connected;
  return client;
}

// A client that receives the queries of this name from now on.
std::unique_ptr<Client> Listen(const AgentProcess& agent, const std::string& name) {
  auto client = Connect(agent.rpc());
  const auto stream = client->Stream("query:" + name);
  EXPECT_TRUE(stream.ok()) << stream.status();
  return client;
}

// The number of the next query on a stream.
std::uint64_t NextQuery(Client& client) {
  const auto record = client.Next();
  if (!record.ok()) {
    ADD_FAILURE() << record.status();
    return 0;
  }
  return std::get<rpc::QueryRecord>(std::get<rpc::EventRecord>(record->value)).id;
}

// All answers to a query up to its end: "ack a", "response b: 0.5". The error of a connection that
// ends before is an entry too.
std::multiset<std::string> Answers(Client& client) {
  std::multiset<std::string> answers;
  for (;;) {
    const auto record = client.Next();
    if (!record.ok()) {
      answers.emplace(record.status().message());
      return answers;
    }
    const auto& answer = std::get<rpc::AnswerRecord>(record->value);
    if (answer.kind == QueryUpdate::Kind::kDone) return answers;
    std::string text = absl::StrCat(rpc::AnswerTypeName(answer.kind), " ", answer.from);
    if (!answer.payload.empty()) absl::StrAppend(&text, ": ", answer.payload);
    answers.insert(std::move(text));
  }
}

using Set = std::multiset<std::string>;

class RpcTest : public ::testing::Test {
 protected:
  // Starts agents a and b; b runs `second`.
  void Start(const std::string& second) {
    cluster_.Add(OurSerf(), "a");
    cluster_.Add(second, "b");
    ASSERT_TRUE(cluster_.WaitForMembers({{"a", "alive"}, {"b", "alive"}})) << cluster_.problem();
  }

  AgentProcess& a() { return cluster_[0]; }
  AgentProcess& b() { return cluster_[1]; }

  Cluster cluster_;
};

// The agent has 16,384 places for running queries. The queries of clients that have gone free their
// places.
TEST_F(RpcTest, QueriesEndWithTheirClients) {
  cluster_.Add(OurSerf(), "a");
  ASSERT_TRUE(cluster_.WaitForMembers({{"a", "alive"}})) << cluster_.problem();
  QueryParams params;
  params.timeout = std::chrono::hours(1);
  const auto answering = Listen(a(), "others");
  const auto other = Connect(a().rpc());
  ASSERT_TRUE(other->SendQuery("others", "", params).ok());
  for (std::size_t asked = 0; asked < 16'384; asked += rpc::kQueriesMax) {
    const auto greedy = Connect(a().rpc());
    for (std::size_t i = 0; i < rpc::kQueriesMax; ++i) {
      const auto query = greedy->SendQuery("load", "", params);
      ASSERT_TRUE(query.ok()) << asked + i << " " << query.status();
    }
  }
  EXPECT_TRUE(answering->Respond(NextQuery(*answering), "still there").ok());
  const auto answer = other->Next();
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(std::get<rpc::AnswerRecord>(answer->value).payload, "still there");
}

TEST_F(RpcTest, QueryEndsWhenAllHaveAnswered) {
  Start(OurSerf());
  const auto at_a = Listen(a(), "load");
  const auto at_b = Listen(b(), "load");
  const auto asking = Connect(a().rpc());
  QueryParams params;
  params.request_ack = true;
  params.finish_early = true;
  params.timeout = kLong;
  const Clock::time_point start = Clock::now();
  const auto query = asking->SendQuery("load", "15m", params);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_TRUE(at_a->Respond(NextQuery(*at_a), "1.02").ok());
  const std::uint64_t number = NextQuery(*at_b);
  EXPECT_EQ(number, 1u);
  EXPECT_EQ(std::string(at_b->Respond(number, std::string(2000, 'x')).message()),
            "failed to respond to key query: response exceeds limit of 1024 bytes");
  EXPECT_TRUE(at_b->Respond(number, "0.50").ok());
  EXPECT_EQ(std::string(at_b->Respond(number, "0.50").message()),
            "failed to respond to key query: response already sent");
  EXPECT_EQ(at_b->Respond(number + 1, "").message(), rpc::kNoPendingQuery);
  EXPECT_EQ(Answers(*asking), (Set{"ack a", "ack b", "response a: 1.02", "response b: 0.50"}));
  EXPECT_LT(Clock::now() - start, kLong);
}

TEST_F(RpcTest, QueryWithoutFinishEarlyTakesItsTimeout) {
  Start(OurSerf());
  const auto asking = Connect(a().rpc());
  QueryParams params;
  params.request_ack = true;
  params.timeout = milliseconds(1000);
  const Clock::time_point start = Clock::now();
  ASSERT_TRUE(asking->SendQuery("_serf_ping", "", params).ok());
  EXPECT_EQ(Answers(*asking), (Set{"ack a", "ack b"}));
  EXPECT_GE(Clock::now() - start, params.timeout);
  // A ping's only answer is its acknowledgement.
  params.finish_early = true;
  params.timeout = kLong;
  ASSERT_TRUE(asking->SendQuery("_serf_ping", "", params).ok());
  EXPECT_EQ(Answers(*asking), (Set{"ack a", "ack b"}));
  EXPECT_LT(Clock::now() - start, kLong);
}

TEST_F(RpcTest, RefusedQueries) {
  Start(OurSerf());
  const auto client = Connect(a().rpc());
  QueryParams negative;
  negative.timeout = milliseconds(-1);
  EXPECT_EQ(client->SendQuery("load", "", negative).status().message(),
            "query timeout must not be negative");
  EXPECT_EQ(client->SendQuery("load", std::string(2000, 'x'), {}).status().message(),
            "query exceeds limit of 1024 bytes");
  EXPECT_EQ(client->SendQuery("_serf_install-key", "", {}).status().message(),
            rpc::kReservedQueryName);
  EXPECT_TRUE(client->Members().ok());
}

// The number from a stream is valid until the query's deadline.
TEST_F(RpcTest, QueryCannotBeAnsweredAfterItsDeadline) {
  Start(OurSerf());
  const auto at_b = Listen(b(), "load");
  const auto asking = Connect(a().rpc());
  QueryParams params;
  params.timeout = milliseconds(300);
  ASSERT_TRUE(asking->SendQuery("load", "", params).ok());
  const std::uint64_t number = NextQuery(*at_b);
  EXPECT_EQ(Answers(*asking), Set{});
  // b received the query later, and keeps it as much longer.
  const std::string too_large(2000, 'x');
  EXPECT_TRUE(a().process().WaitUntil(
      [&] { return at_b->Respond(number, too_large).message() == rpc::kNoPendingQuery; }));
}

TEST_F(RpcTest, QueryIsCutOffByTheAgentsEnd) {
  Start(OurSerf());
  const auto asking = Connect(b().rpc());
  QueryParams params;
  params.request_ack = true;
  params.timeout = kLong;
  ASSERT_TRUE(asking->SendQuery("load", "", params).ok());
  const auto first = asking->Next();
  ASSERT_TRUE(first.ok());
  b().Kill();
  const Set answers = Answers(*asking);
  EXPECT_EQ(answers.count("client closed"), 1u);
}

TEST_F(RpcTest, Coordinates) {
  Start(OurSerf());
  for (const AgentProcess* agent : {&a(), &b()}) {
    const auto client = Connect(agent->rpc());
    // The agent knows its own coordinate at once, and the other's after a probe.
    for (const char* const name : {"a", "b"}) {
      EXPECT_TRUE(agent->WaitUntil([&](const auto&) {
        const auto found = client->GetCoordinate(name);
        return found.ok() && found->has_value() && (*found)->dimensions == kCoordinateDimensionsMax;
      })) << name;
    }
    const auto none = client->GetCoordinate("nosuch");
    ASSERT_TRUE(none.ok());
    EXPECT_EQ(*none, std::nullopt);
  }
}

// Our library and Go Serf's agent, which ignores FinishEarly.
TEST_F(RpcTest, TheOriginalsAgent) {
  Start(DebianSerf());
  const auto at_a = Listen(a(), "load");
  const auto at_b = Listen(b(), "load");
  QueryParams params;
  params.request_ack = true;
  params.finish_early = true;
  params.timeout = seconds(5);
  for (const AgentProcess* agent : {&a(), &b()}) {
    SCOPED_TRACE(agent->name());
    const auto asking = Connect(agent->rpc());
    ASSERT_TRUE(asking->SendQuery("load", "15m", params).ok());
    EXPECT_TRUE(at_a->Respond(NextQuery(*at_a), "1.02").ok());
    EXPECT_TRUE(at_b->Respond(NextQuery(*at_b), "0.50").ok());
    EXPECT_EQ(Answers(*asking), (Set{"ack a", "ack b", "response a: 1.02", "response b: 0.50"}));
  }
  const auto client = Connect(b().rpc());
  EXPECT_TRUE(b().WaitUntil([&](const auto&) {
    const auto found = client->GetCoordinate("a");
    return found.ok() && found->has_value();
  }));
  EXPECT_EQ(client->GetCoordinate("nosuch").value(), std::nullopt);
}

TEST(UnixRpcTest, AgentAndCommandsOverAUnixSocket) {
  const testkit::TemporaryFolder folder(testkit::kShortParent);
  const std::string path = absl::StrCat(folder.path(), "/rpc.sock");
  const std::string flag = absl::StrCat("-rpc-addr=unix:", path);
  const std::string bind = absl::StrCat("-bind=", NextLoopbackAddress(), ":7946");
  const auto start = [&] {
    auto agent = std::make_unique<Process>(
        std::vector<std::string>{OurSerf(), "agent", "-node=a", "-profile=local", bind, flag});
    EXPECT_TRUE(agent->WaitForOutput("==> Log data will now stream in as it occurs:\n"))
        << agent->out();
    return agent;
  };
  auto agent = start();
  EXPECT_TRUE(agent->WaitForOutput(absl::StrCat("RPC addr: 'unix:", path, "'\n")));
  struct stat status = {};
  ASSERT_EQ(::lstat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  Process members({OurSerf(), "members", flag});
  EXPECT_EQ(members.Wait(), 0) << members.out();
  EXPECT_EQ(members.out().substr(0, 3), "a  ");

  // The file of a killed agent does not keep the next one from starting. An agent that ends
  // normally leaves no file.
  agent->Kill();
  EXPECT_TRUE(fs::exists(path));
  agent = nullptr;
  agent = start();
  Process leave({OurSerf(), "leave", flag});
  EXPECT_EQ(leave.Wait(), 0) << leave.out();
  EXPECT_EQ(agent->Wait(), 0);
  EXPECT_FALSE(fs::exists(path));
}

// With port 0 the banner shows the chosen port.
TEST(UnixRpcTest, TheBannerTellsTheChosenPort) {
  const std::string host = NextLoopbackAddress();
  Process agent({OurSerf(), "agent", "-node=a", absl::StrCat("-bind=", host, ":7946"),
                 absl::StrCat("-rpc-addr=", host, ":0")});
  ASSERT_TRUE(agent.WaitForOutput("==> Log data will now stream in as it occurs:\n"));
  const std::string label = "RPC addr: '";
  const std::size_t at = agent.out().find(label) + label.size();
  const std::string address = agent.out().substr(at, agent.out().find('\'', at) - at);
  EXPECT_EQ(address.find(absl::StrCat(host, ":")), 0u);
  EXPECT_NE(address, absl::StrCat(host, ":0"));
  EXPECT_TRUE(Connect(address)->Members().ok());
}

}  // namespace
}  // namespace serf::testkit
