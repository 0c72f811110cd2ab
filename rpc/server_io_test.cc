// Tests a server and clients over loopback.

#include "serf/rpc/server_io.h"

#include <sys/resource.h>
#include <unistd.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/event.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/client.h"
#include "serf/rpc/client_io.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"
#include "serf/testing/rpc/fake_service.h"
#include "serf/testing/run_until.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/transport/net/clock.h"
#include "serf/wire/ids.h"

namespace serf::rpc {
namespace {

using boost::asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr absl::string_view kHandshakeHex =
    "82a7436f6d6d616e64a968616e647368616b65a35365710181a756657273696f6e01";
constexpr absl::string_view kStreamHex =
    "82a7436f6d6d616e64a673747265616da35365710281a454797065a12a";

constexpr absl::string_view kQueryHex =
    "82a7436f6d6d616e64a57175657279a35365710281a44e616d65a46c6f6164";

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() { service_.members = {TestMember("alpha"), TestMember("beta")}; }

  void Start(ServerOptions options = {}) {
    options.logger = &logger_;
    server_.emplace(io_, service_, std::move(options));
    const absl::Status listening = server_->Listen("127.0.0.1:0");
    ASSERT_TRUE(listening.ok()) << listening;
    address_ = server_->local_endpoint()->ToString();
  }

  // Runs the server until the condition holds.
  void RunUntil(const std::function<bool()>& condition) {
    ASSERT_TRUE(testkit::RunUntil(io_, condition));
  }

  // Runs the server while a client does its work on another thread.
  template <typename Work>
  auto Serve(Work work) {
    auto result = std::async(std::launch::async, std::move(work));
    RunUntil([&] { return result.wait_for(seconds(0)) == std::future_status::ready; });
    return result.get();
  }

  absl::Status Connect(Client& client) {
    return Serve([&] { return client.Connect(address_); });
  }

  // A client of bare bytes that has shaken hands.
  std::unique_ptr<tcp::socket> Raw(absl::string_view hex = "") {
    auto socket = Stranger();
    const ByteVector bytes = testkit::Unhex(absl::StrCat(kHandshakeHex, hex));
    boost::system::error_code error;
    socket->write_some(boost::asio::buffer(bytes), error);
    return socket;
  }

  // A connection that sends nothing.
  std::unique_ptr<tcp::socket> Stranger() {
    auto socket = std::make_unique<tcp::socket>(raw_io_);
    socket->connect(
        tcp::endpoint(boost::asio::ip::address_v4::loopback(), server_->local_endpoint()->port));
    return socket;
  }

  // True if the server has closed the connection. Drops the bytes that it has sent.
  static bool Closed(tcp::socket& socket) {
    socket.non_blocking(true);
    char buffer[4096];
    boost::system::error_code error;
    while (socket.read_some(boost::asio::buffer(buffer), error) > 0) {
    }
    return error != boost::asio::error::would_block;
  }

  bool Logged(absl::string_view text) const {
    for (const std::string& line : logger_.lines) {
      if (line.find(std::string(text)) != std::string::npos) return true;
    }
    return false;
  }

  static Event JoinEvent(const std::string& name) {
    return MemberEvent{MemberEventKind::kJoin, {TestMember(name)}};
  }

  boost::asio::io_context io_;
  boost::asio::io_context raw_io_;
  FakeService service_;
  FakeLogger logger_;
  std::optional<Server> server_;
  std::string address_;
};

TEST_F(ServerTest, EveryCommand) {
  Start();
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  EXPECT_TRUE(Logged("[INFO] agent.ipc: Accepted client: 127.0.0.1:"));

  const auto members = Serve([&] { return client.Members(); });
  ASSERT_TRUE(members.ok()) << members.status();
  ASSERT_EQ(members->size(), 2u);
  EXPECT_EQ((*members)[1].name, "beta");

  const auto filtered = Serve([&] { return client.MembersFiltered({{}, "", "b.*"}); });
  ASSERT_TRUE(filtered.ok());
  EXPECT_EQ(filtered->size(), 1u);
  const auto bad = Serve([&] { return client.MembersFiltered({{}, "", "["}); });
  EXPECT_EQ(std::string(bad.status().message()),
            "Failed to compile regex: error parsing regexp: missing closing ]: `[$`");

  service_.join_result = {absl::UnavailableError("nobody"), 0};
  const JoinResult joined = Serve([&] { return client.Join({"a", "b"}, {.replay = true}); });
  EXPECT_EQ(joined.status.message(), "nobody");
  EXPECT_EQ(service_.joined.size(), 2u);

  EXPECT_TRUE(Serve([&] { return client.SendUserEvent("deploy", "v1", {.coalesce = true}); }).ok());
  EXPECT_EQ(service_.user_event, "deploy v1 coalesce");
  service_.key_outcome.keys = {{"c2VjcmV0", 2}};
  service_.key_outcome.nodes = 2;
  for (const KeyOperation operation :
       {KeyOperation::kInstall, KeyOperation::kUse, KeyOperation::kRemove, KeyOperation::kList}) {
    const KeyOutcome keys = Serve([&] { return client.ManageKeys(operation, "c2VjcmV0"); });
    EXPECT_TRUE(keys.status.ok()) << keys.status;
    EXPECT_EQ(service_.key_operation, operation);
    EXPECT_EQ(keys.nodes, 2u);
    EXPECT_EQ(keys.keys.size(), operation == KeyOperation::kList ? 1u : 0u);
  }

  EXPECT_TRUE(Serve([&] { return client.ForceLeave("beta", {.prune = true}); }).ok());
  EXPECT_EQ(service_.removed, "beta");
  EXPECT_TRUE(Serve([&] { return client.UpdateTags({{"a", "b"}}, {"c"}); }).ok());
  EXPECT_EQ(service_.set_tags, (Tags{{"a", "b"}}));

  service_.coordinates["beta"] = Coordinate::Start();
  EXPECT_EQ(Serve([&] { return client.GetCoordinate("beta"); }).value(), Coordinate::Start());
  EXPECT_EQ(Serve([&] { return client.GetCoordinate("gamma"); }).value(), std::nullopt);

  service_.stats = {{"agent", {{"name", "alpha"}}}, {"tags", {}}};
  const auto stats = Serve([&] { return client.Stats(); });
  ASSERT_TRUE(stats.ok());
  EXPECT_EQ(*stats, service_.stats);
}

TEST_F(ServerTest, ConnectionsAndCommandsAreTold) {
  ServerOptions options;
  options.max_connections = 1;
  int accepted = 0;
  int commands = 0;
  options.on_accepted = [&] { ++accepted; };
  options.on_command = [&] { ++commands; };
  Start(std::move(options));
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  ASSERT_TRUE(Serve([&] { return client.Stats(); }).ok());
  ASSERT_TRUE(Serve([&] { return client.Stream("*"); }).ok());
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(commands, 3);  // the handshake is one
  Client refused;
  EXPECT_FALSE(Connect(refused).ok());
  EXPECT_EQ(accepted, 1);
  EXPECT_EQ(commands, 3);
}

TEST_F(ServerTest, Authentication) {
  Start({.auth_key = "secret"});
  Client right({.auth_key = "secret"});
  EXPECT_TRUE(Connect(right).ok());
  EXPECT_TRUE(Serve([&] { return right.Members(); }).ok());
  Client wrong({.auth_key = "guess"});
  EXPECT_EQ(Connect(wrong).message(), kInvalidAuthToken);
  EXPECT_EQ(Serve([&] { return wrong.Members(); }).status().message(), kClientClosed);
  Client none;
  EXPECT_TRUE(Connect(none).ok());
  EXPECT_EQ(Serve([&] { return none.MembersFiltered({}); }).status().message(), kAuthRequired);
}

// Without a token a function gives an awaitable.
TEST_F(ServerTest, ACoroutineIsAClient) {
  Start();
  AsyncClient client(io_);
  std::optional<absl::StatusOr<std::vector<Member>>> members;
  std::optional<JoinResult> joined;
  boost::asio::co_spawn(
      io_,
      [&]() -> boost::asio::awaitable<void> {
        const absl::Status connected = co_await client.AsyncConnect(address_);
        EXPECT_TRUE(connected.ok()) << connected;
        members = co_await client.AsyncMembers();
        std::vector<std::string> addresses(1, "a");
        joined = co_await client.AsyncJoin(std::move(addresses), {.replay = true});
      },
      boost::asio::detached);
  RunUntil([&] { return joined.has_value(); });
  ASSERT_TRUE(members->ok()) << members->status();
  EXPECT_EQ((*members)->size(), 2u);
  EXPECT_TRUE(joined->status.ok()) << joined->status;
  EXPECT_TRUE(service_.replayed);
}

// A handler that is given by name is copied, as Asio does.
TEST_F(ServerTest, AHandlerMayServeTwice) {
  Start();
  AsyncClient client(io_);
  int answers = 0;
  std::function<void(absl::StatusOr<std::vector<Member>>)> handler =
      [&](const absl::StatusOr<std::vector<Member>>& members) { answers += members.ok(); };
  client.AsyncConnect(address_, [&](const absl::Status&) {
    client.AsyncMembers(handler);
    client.AsyncMembers(handler);
  });
  RunUntil([&] { return answers == 2; });
}

TEST_F(ServerTest, StreamAndMonitor) {
  Start();
  service_.history.Append(MakeLogLine(LogLevel::kInfo, "[INFO] old"));
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  const auto stream = Serve([&] { return client.Stream("member-join"); });
  const auto monitor = Serve([&] { return client.Monitor("info"); });
  ASSERT_TRUE(stream.ok() && monitor.ok());
  const auto old = Serve([&] { return client.Next(); });
  ASSERT_TRUE(old.ok());
  EXPECT_EQ(old->stream, *monitor);
  EXPECT_EQ(std::get<LogRecord>(old->value).log, "[INFO] old");

  server_->OnEvent(JoinEvent("gamma"));
  server_->OnEvent(MemberEvent{MemberEventKind::kFailed, {TestMember("gamma")}});
  server_->OnLog(MakeLogLine(LogLevel::kDebug, "[DEBUG] hidden"));
  const auto event = Serve([&] { return client.Next(); });
  ASSERT_TRUE(event.ok());
  EXPECT_EQ(event->stream, *stream);
  const auto& record = std::get<MemberEvent>(std::get<EventRecord>(event->value));
  EXPECT_EQ(record.members[0].name, "gamma");

  EXPECT_TRUE(Serve([&] { return client.Stop(*stream); }).ok());
  EXPECT_TRUE(Serve([&] { return client.Stop(*stream); }).ok());
  server_->OnEvent(JoinEvent("delta"));
  server_->OnLog(MakeLogLine(LogLevel::kError, "[ERR] new"));
  const auto line = Serve([&] { return client.Next(); });
  ASSERT_TRUE(line.ok());
  EXPECT_EQ(std::get<LogRecord>(line->value).log, "[ERR] new");

  server_.reset();
  EXPECT_EQ(Serve([&] { return client.Next(); }).status().message(), kClientClosed);
  EXPECT_EQ(Serve([&] { return client.Stats(); }).status().message(), kClientClosed);
}

TEST_F(ServerTest, QueryOfOneIsAnsweredByAnother) {
  Start();
  Client asking;
  Client answering;
  ASSERT_TRUE(Connect(asking).ok());
  ASSERT_TRUE(Connect(answering).ok());
  ASSERT_TRUE(Serve([&] { return answering.Stream("query:load"); }).ok());
  QueryParams params;
  params.finish_early = true;
  params.request_ack = true;
  const auto query = Serve([&] { return asking.SendQuery("load", "15m", params); });
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_TRUE(service_.query_params.finish_early);
  EXPECT_EQ(service_.query, "load 15m");

  const QueryId id{wire::LamportTime(3), 4};
  server_->OnEvent(QueryEvent{id, "load", "15m", "alpha", transport::Now() + seconds(60)});
  const auto event = Serve([&] { return answering.Next(); });
  ASSERT_TRUE(event.ok());
  const auto& record = std::get<QueryRecord>(std::get<EventRecord>(event->value));
  EXPECT_EQ(record.id, 1u);
  EXPECT_EQ(record.time, id.time);
  EXPECT_EQ(record.payload, "15m");
  EXPECT_TRUE(Serve([&] { return answering.Respond(record.id, "1.02"); }).ok());
  EXPECT_EQ(service_.responded, id);
  EXPECT_EQ(Serve([&] { return answering.Respond(record.id + 1, ""); }).message(), kNoPendingQuery);

  service_.TellAnswer(QueryUpdate::Kind::kAck, "alpha");
  service_.TellAnswer(QueryUpdate::Kind::kResponse, "alpha", service_.response);
  service_.TellAnswer(QueryUpdate::Kind::kDone);
  const QueryUpdate::Kind kinds[] = {QueryUpdate::Kind::kAck, QueryUpdate::Kind::kResponse,
                                     QueryUpdate::Kind::kDone};
  for (const QueryUpdate::Kind kind : kinds) {
    const auto next = Serve([&] { return asking.Next(); });
    ASSERT_TRUE(next.ok());
    EXPECT_EQ(next->stream, *query);
    const auto& answer = std::get<AnswerRecord>(next->value);
    EXPECT_EQ(answer.kind, kind);
    EXPECT_EQ(answer.payload, kind == QueryUpdate::Kind::kResponse ? "1.02" : "");
  }
}

TEST_F(ServerTest, QueryThatIsCutOffIsNotDone) {
  Start();
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  ASSERT_TRUE(Serve([&] { return client.SendQuery("load", "", {}); }).ok());
  service_.TellAnswer(QueryUpdate::Kind::kAck, "alpha");
  ASSERT_TRUE(Serve([&] { return client.Next(); }).ok());
  server_.reset();
  EXPECT_EQ(Serve([&] { return client.Next(); }).status().message(), kClientClosed);
  service_.TellAnswer(QueryUpdate::Kind::kDone);
}

TEST_F(ServerTest, InterruptEndsTheWaitForAnswers) {
  Start();
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  ASSERT_TRUE(Serve([&] { return client.SendQuery("load", "", {}); }).ok());
  boost::asio::post(client.io_context(), [&] { client.Interrupt(); });
  EXPECT_EQ(client.Next().status().code(), absl::StatusCode::kCancelled);
}

// Twenty thousand answers go to a slow client. The agent keeps what the sockets do not hold, and
// loses no answer.
TEST_F(ServerTest, SlowReaderGetsAllAnswers) {
  Start();
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  ASSERT_TRUE(Serve([&] { return client.SendQuery("load", "", {}); }).ok());
  constexpr int kAnswers = 20'000;
  const std::string payload(1000, 'x');
  for (int i = 0; i < kAnswers; ++i) {
    service_.TellAnswer(QueryUpdate::Kind::kResponse, absl::StrCat("node-", i), payload);
  }
  service_.TellAnswer(QueryUpdate::Kind::kDone);
  io_.poll();
  const int received = Serve([&] {
    for (int i = 0;; ++i) {
      const auto record = client.Next();
      if (!record.ok()) return -1;
      const auto& answer = std::get<AnswerRecord>(record->value);
      if (answer.kind == QueryUpdate::Kind::kDone) return i;
      if (answer.from != absl::StrCat("node-", i) || answer.payload != payload) return -2;
    }
  });
  EXPECT_EQ(received, kAnswers);
}

// The server cuts off a client that reads nothing, and no other client waits.
TEST_F(ServerTest, StalledReaderOfAnswersIsCutOff) {
  Start({.write_timeout = milliseconds(200)});
  const auto stalled = Raw(kQueryHex);
  RunUntil([&] { return !service_.running.empty(); });
  const std::string payload(std::size_t{256} << 10, 'x');
  int told = 0;
  while (!Logged("[ERR] agent.ipc: Failed to stream response to ipc.client: 127.0.0.1:")) {
    ASSERT_LT(told++, 1000);
    service_.TellAnswer(QueryUpdate::Kind::kResponse, "alpha", payload);
  }
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  EXPECT_TRUE(Serve([&] { return client.Members(); }).ok());
  RunUntil([&] { return server_->connection_count() == 1; });
  service_.TellAnswer(QueryUpdate::Kind::kDone);
  EXPECT_TRUE(Serve([&] { return client.Members(); }).ok());
}

// The server notices that the client has gone when it cannot write the next record.
TEST_F(ServerTest, ClientThatGoesDuringItsQuery) {
  Start();
  auto client = Raw(kQueryHex);
  RunUntil([&] { return !service_.running.empty(); });
  client->set_option(tcp::socket::linger(true, 0));
  client.reset();
  service_.TellAnswer(QueryUpdate::Kind::kAck, "alpha");
  RunUntil([&] { return server_->connection_count() == 0; });
  EXPECT_TRUE(service_.running.empty());
  EXPECT_EQ(service_.cancelled.size(), 1u);
}

// A client that reconnects cannot take all places, however often it does so.
TEST_F(ServerTest, QueriesOfAConnectionEndWithIt) {
  Start();
  service_.queries_max = kQueriesMax + 1;
  Client other;
  ASSERT_TRUE(Connect(other).ok());
  ASSERT_TRUE(Serve([&] { return other.SendQuery("others", "", {}); }).ok());
  for (int i = 0; i < 2; ++i) {
    auto greedy = std::make_unique<Client>();
    ASSERT_TRUE(Connect(*greedy).ok());
    const absl::Status asked = Serve([&] {
      absl::Status status;
      for (std::size_t n = 0; status.ok() && n < kQueriesMax; ++n) {
        status = greedy->SendQuery("load", "", {}).status();
      }
      return status;
    });
    EXPECT_TRUE(asked.ok()) << asked;
    EXPECT_EQ(service_.running.size(), kQueriesMax + 1);
    EXPECT_EQ(Serve([&] { return other.SendQuery("load", "", {}).status(); }).message(),
              "too many queries are running");
    greedy.reset();
    RunUntil([&] { return service_.running.size() == 1; });
  }
  EXPECT_EQ(service_.cancelled.size(), 2 * kQueriesMax);
  service_.TellAnswer(QueryUpdate::Kind::kResponse, "alpha", "1.02");
  const auto answer = Serve([&] { return other.Next(); });
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(std::get<AnswerRecord>(answer->value).payload, "1.02");
}

// The reply leaves before the agent ends, so a client sees the reply and not the end.
TEST_F(ServerTest, LeaveThenShutdown) {
  Start();
  Client client;
  Client second;
  ASSERT_TRUE(Connect(client).ok());
  ASSERT_TRUE(Connect(second).ok());
  service_.hold = true;
  auto one = std::async(std::launch::async, [&] { return client.Leave(); });
  auto two = std::async(std::launch::async, [&] { return second.Leave(); });
  RunUntil([&] { return service_.leaves == 2; });
  bool down = false;
  service_.Release();
  server_->Shutdown([&] { down = true; });
  RunUntil([&] { return down; });
  EXPECT_EQ(server_->connection_count(), 0u);
  EXPECT_EQ(one.get(), absl::OkStatus());
  EXPECT_EQ(two.get(), absl::OkStatus());
}

TEST_F(ServerTest, ShutdownEndsWaitingClients) {
  Start();
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  service_.hold = true;
  auto join = std::async(std::launch::async, [&] { return client.Join({"a"}); });
  RunUntil([&] { return !service_.joined.empty(); });
  bool down = false;
  server_->Shutdown([&] { down = true; });
  RunUntil([&] { return down; });
  EXPECT_EQ(join.get().status.message(), kClientClosed);
  service_.Release();
}

TEST_F(ServerTest, ListenErrors) {
  Start();
  Server other(io_, service_, {});
  EXPECT_EQ(std::string(other.Listen(address_).message()),
            absl::StrCat("listen tcp ", address_, ": bind: address already in use"));
  EXPECT_EQ(std::string(other.Listen("x").message()),
            "listen tcp: address x: missing port in address");
  EXPECT_EQ(std::string(other.Listen("127.0.0.1:nosuchservice").message()),
            "listen tcp: address tcp/nosuchservice: unknown port");
}

TEST_F(ServerTest, DialErrors) {
  Start();
  server_.reset();  // nobody listens there now
  Client refused;
  EXPECT_EQ(std::string(refused.Connect(address_).message()),
            absl::StrCat("dial tcp ", address_, ": connect: connection refused"));
  const struct {
    const char* address;
    const char* error;
  } cases[] = {
      {"x", "dial tcp: address x: missing port in address"},
      {"127.0.0.1:99999", "dial tcp: address 99999: invalid port"},
      {"127.0.0.1:nosuchservice", "dial tcp: address tcp/nosuchservice: unknown port"},
      {"127.1:7373", "dial tcp: lookup 127.1: no such host"},
  };
  for (const auto& c : cases) {
    Client client;
    EXPECT_EQ(std::string(client.Connect(c.address).message()), c.error);
    EXPECT_EQ(client.Members().status().message(), kClientClosed);
  }
}

TEST_F(ServerTest, SilentAgentTimesOut) {
  tcp::acceptor silent(io_, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0));
  Client client({.reply_timeout = milliseconds(50)});
  const absl::Status status =
      client.Connect(absl::StrCat("127.0.0.1:", silent.local_endpoint().port()));
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(ServerTest, InterruptEndsACall) {
  Start();
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  ASSERT_TRUE(Serve([&] { return client.Stream("*"); }).ok());
  boost::asio::post(client.io_context(), [&] { client.Interrupt(); });
  EXPECT_EQ(client.Next().status().code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(Serve([&] { return client.Members(); }).ok());
}

TEST_F(ServerTest, CompletionTokens) {
  Start();
  AsyncClient client(io_, {});
  std::future<absl::Status> connected = client.AsyncConnect(address_, boost::asio::use_future);
  RunUntil([&] { return connected.wait_for(seconds(0)) == std::future_status::ready; });
  EXPECT_EQ(connected.get(), absl::OkStatus());
  // Handlers that are movable only, called in the order of the requests.
  std::vector<int> order;
  auto token = std::make_unique<int>(1);
  client.AsyncMembers([&order, token = std::move(token)](absl::StatusOr<std::vector<Member>> m) {
    EXPECT_TRUE(m.ok());
    order.push_back(*token);
  });
  client.AsyncStats([&](absl::StatusOr<StatsSections>) { order.push_back(2); });
  EXPECT_TRUE(order.empty());
  RunUntil([&] { return order.size() == 2; });
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
  client.AsyncStats([&](absl::StatusOr<StatsSections> stats) {
    EXPECT_EQ(stats.status().message(), kClientClosed);
    order.push_back(3);
  });
  client.Close();
  client.Close();
  RunUntil([&] { return order.size() == 3; });
}

// --- slow and hostile clients ---

TEST_F(ServerTest, ClientThatNeverReadsHarmsNobodyAndIsCutOff) {
  // The time-out is long enough to fill the client's queue first, even on a slow machine.
  Start({.write_timeout = milliseconds(2000)});
  const auto slow = Raw(kStreamHex);
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  ASSERT_TRUE(Serve([&] { return client.Stream("*"); }).ok());
  const std::string name(1000, 'n');
  std::size_t published = 0;
  std::size_t received = 0;
  while (!Logged("Failed to stream event to ipc.client")) {
    for (int i = 0; i < 100; ++i, ++published) server_->OnEvent(JoinEvent(name));
    received += Serve([&] {
      std::size_t count = 0;
      for (; count < 100 && client.Next().ok(); ++count) {
      }
      return count;
    });
    ASSERT_LT(published, 1'000'000u);
  }
  EXPECT_EQ(received, published);
  EXPECT_TRUE(Logged("[WARN] agent.ipc: Dropping event to ipc.client: 127.0.0.1:"));
  EXPECT_TRUE(Logged(": write: i/o timeout"));
  EXPECT_EQ(server_->connection_count(), 1u);
}

TEST_F(ServerTest, StrangersMakeRoom) {
  Start({.max_connections = 8});
  std::vector<std::unique_ptr<tcp::socket>> strangers;
  for (int i = 0; i < 30; ++i) strangers.push_back(Stranger());
  Client client;
  ASSERT_TRUE(Connect(client).ok());
  EXPECT_TRUE(Serve([&] { return client.Members(); }).ok());
  // A quarter of the places, less the one whose client is no longer a stranger.
  EXPECT_LE(server_->connection_count(), 2u);
  EXPECT_TRUE(Closed(*strangers.front()));
}

// A client that has shaken hands stays, however long it is silent and however many strangers want
// to connect.
TEST_F(ServerTest, IdleClientsStay) {
  Start({.max_connections = 8});
  std::vector<std::unique_ptr<Client>> idle;
  for (std::size_t i = 1; i <= 8; ++i) {
    idle.push_back(std::make_unique<Client>());
    ASSERT_TRUE(Connect(*idle.back()).ok());
    ASSERT_TRUE(Serve([&] { return idle.back()->Members(); }).ok());
  }
  std::vector<std::unique_ptr<tcp::socket>> strangers;
  for (int i = 0; i < 30; ++i) strangers.push_back(Stranger());
  Client client;
  EXPECT_FALSE(Connect(client).ok());
  EXPECT_TRUE(Logged("[WARN] agent.ipc: Too many clients, refusing 127.0.0.1:"));
  for (const auto& each : idle) {
    EXPECT_TRUE(Serve([&] { return each->Members(); }).ok());
  }
  idle.pop_back();
  RunUntil([&] { return server_->connection_count() == 7; });
  Client next;
  EXPECT_TRUE(Connect(next).ok());
}

// A client that has not shown the key is still a stranger.
TEST_F(ServerTest, AHandshakeWithoutTheKeyIsNotEnough) {
  Start({.auth_key = "secret", .max_connections = 8});
  std::vector<std::unique_ptr<tcp::socket>> strangers;
  for (std::size_t i = 0; i < 10; ++i) {
    strangers.push_back(Raw());
    RunUntil([&] { return strangers.back()->available() > 0; });
  }
  EXPECT_EQ(server_->connection_count(), 2u);
  EXPECT_TRUE(Closed(*strangers.front()));
  Client client({.auth_key = "secret"});
  ASSERT_TRUE(Connect(client).ok());
  for (int i = 0; i < 10; ++i) strangers.push_back(Stranger());
  EXPECT_TRUE(Serve([&] { return client.Members(); }).ok());
}

TEST_F(ServerTest, TheLimitFollowsThatOfDescriptors) {
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit small = before;
  small.rlim_cur = 64;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &small), 0);
  Start();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  std::vector<std::unique_ptr<tcp::socket>> strangers;
  for (int i = 0; i < 40; ++i) strangers.push_back(Stranger());
  RunUntil([&] { return Closed(*strangers.front()); });
  EXPECT_LE(server_->connection_count(), 8u);
}

TEST_F(ServerTest, GarbageIsClosed) {
  Start();
  const auto socket = Raw("c1c1c1");
  RunUntil([&] { return Closed(*socket); });
  EXPECT_EQ(server_->connection_count(), 0u);
}

// Clients that disconnect in the middle of a request and of a delivery.
TEST_F(ServerTest, ClientsThatVanish) {
  Start();
  service_.hold = true;
  auto joining = Raw("82a7436f6d6d616e64a46a6f696ea35365710281a84578697374696e6791a161");
  auto streaming = Raw(kStreamHex);
  RunUntil([&] { return !service_.joined.empty() && server_->connection_count() == 2; });
  joining->set_option(tcp::socket::linger(true, 0));
  joining.reset();
  streaming.reset();
  for (int i = 0; i < 100; ++i) server_->OnEvent(JoinEvent("x"));
  RunUntil([&] { return server_->connection_count() == 0; });
  service_.Release();
}

// Without descriptors the listener waits between its attempts, and recovers.
TEST_F(ServerTest, AcceptErrorsArePaced) {
  Start();
  auto client = std::make_unique<tcp::socket>(raw_io_, tcp::v4());
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const int free_descriptor = dup(0);
  ASSERT_GE(free_descriptor, 0);
  close(free_descriptor);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(free_descriptor);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  client->connect(
      tcp::endpoint(boost::asio::ip::address_v4::loopback(), server_->local_endpoint()->port));
  RunUntil([&] { return Logged("[ERR] agent.ipc: Failed to accept client: too many open files"); });
  const auto start = std::chrono::steady_clock::now();
  RunUntil([&] { return std::chrono::steady_clock::now() - start > milliseconds(100); });
  EXPECT_LT(logger_.lines.size(), 8u);
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  RunUntil([&] { return server_->connection_count() == 1; });
}

}  // namespace
}  // namespace serf::rpc
