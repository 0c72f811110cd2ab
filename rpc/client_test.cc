// Tests of a client whose agent sends nothing, or too much. server_io_test.cc tests the rest with a
// server.

#include "serf/rpc/client.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "msgpack/sbuffer.hpp"
#include "serf/base/time.h"
#include "serf/keys.h"
#include "serf/rpc/client_io.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"
#include "serf/transport/net/clock.h"

namespace serf::rpc {
namespace {

using boost::asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string Reply(std::uint64_t seq) {
  msgpack::sbuffer out;
  Writer writer(out);
  Encode(writer, ResponseHeader{{}, seq});
  return std::string(out.data(), out.size());
}

std::string LogRecords(std::uint64_t seq, std::size_t count) {
  msgpack::sbuffer out;
  Writer writer(out);
  for (std::size_t i = 0; i < count; ++i) {
    Encode(writer, ResponseHeader{{}, seq});
    EncodeLogRecord(writer, absl::StrCat(i));
  }
  return std::string(out.data(), out.size());
}

// An agent that answers the first, second, ... request of each connection with the first, second,
// ... of its texts, and then is silent. It runs while the client of that io_context waits.
class FakeAgent {
 public:
  FakeAgent(boost::asio::io_context& io, std::vector<std::string> texts)
      : acceptor_(io, tcp::endpoint(boost::asio::ip::address_v4::loopback(), 0)),
        texts_(std::move(texts)) {
    Accept();
  }

  std::string address() const {
    return absl::StrCat("127.0.0.1:", acceptor_.local_endpoint().port());
  }

 private:
  void Accept() {
    acceptor_.async_accept([this](const boost::system::error_code& error, tcp::socket socket) {
      if (error) return;
      sockets_.push_back(std::make_unique<tcp::socket>(std::move(socket)));
      Serve(*sockets_.back(), 0);
      Accept();
    });
  }
  void Serve(tcp::socket& socket, std::size_t next) {
    socket.async_read_some(
        boost::asio::buffer(heard_),
        [this, &socket, next](const boost::system::error_code& error, std::size_t) {
          if (error || next == texts_.size()) return;
          boost::asio::async_write(
              socket, boost::asio::buffer(texts_[next]),
              [this, &socket, next](const boost::system::error_code& failure, std::size_t) {
                if (!failure) Serve(socket, next + 1);
              });
        });
  }

  tcp::acceptor acceptor_;
  const std::vector<std::string> texts_;
  std::vector<std::unique_ptr<tcp::socket>> sockets_;
  char heard_[4096];
};

// --- time limits ---

struct Request {
  const char* name;
  Duration limit;
  std::function<void(AsyncClient&)> start;
};

// The calls of a client with the default limits.
std::vector<Request> AllRequests() {
  constexpr auto kIgnore = [](const auto&...) {};
  constexpr seconds kReply(10);
  constexpr seconds kBroadcast(60);
  constexpr seconds kJoin(30);
  return {
      {"members", kReply, [=](AsyncClient& client) { client.AsyncMembers(kIgnore); }},
      {"members-filtered", kReply,
       [=](AsyncClient& client) { client.AsyncMembersFiltered({}, kIgnore); }},
      {"event", kReply,
       [=](AsyncClient& client) {
         client.AsyncSendUserEvent("deploy", "", {.coalesce = true}, kIgnore);
       }},
      {"stats", kReply, [=](AsyncClient& client) { client.AsyncStats(kIgnore); }},
      {"get-coordinate", kReply,
       [=](AsyncClient& client) { client.AsyncGetCoordinate("alpha", kIgnore); }},
      {"query", kReply,
       [=](AsyncClient& client) { client.AsyncSendQuery("load", "", {}, kIgnore, kIgnore); }},
      {"respond", kReply, [=](AsyncClient& client) { client.AsyncRespond(1, "", kIgnore); }},
      {"stream", kReply, [=](AsyncClient& client) { client.AsyncStream("*", kIgnore, kIgnore); }},
      {"monitor", kReply,
       [=](AsyncClient& client) { client.AsyncMonitor("INFO", kIgnore, kIgnore); }},
      {"stop", kReply, [=](AsyncClient& client) { client.AsyncStop(1, kIgnore); }},
      {"leave", kBroadcast, [=](AsyncClient& client) { client.AsyncLeave(kIgnore); }},
      {"force-leave", kBroadcast,
       [=](AsyncClient& client) { client.AsyncForceLeave("alpha", {}, kIgnore); }},
      {"tags", kBroadcast, [=](AsyncClient& client) { client.AsyncUpdateTags({}, {}, kIgnore); }},
      {"keys", kBroadcast,
       [=](AsyncClient& client) { client.AsyncManageKeys(KeyOperation::kList, "", kIgnore); }},
      // Each address has its time, and so has the reply.
      {"join", kJoin * 2, [=](AsyncClient& client) { client.AsyncJoin({"a"}, {}, kIgnore); }},
      {"join of three", kJoin * 4,
       [=](AsyncClient& client) {
         client.AsyncJoin({"a", "b", "c"}, {}, kIgnore);
       }},
  };
}

TEST(ClientTest, EachRequestHasItsTimeLimit) {
  boost::asio::io_context io;
  const FakeAgent agent(io, {Reply(1)});
  for (const Request& request : AllRequests()) {
    SCOPED_TRACE(request.name);
    AsyncClient client(io, {});
    std::optional<absl::Status> connected;
    client.AsyncConnect(agent.address(),
                        [&](absl::Status status) { connected = std::move(status); });
    while (!connected) io.run_one();
    ASSERT_TRUE(connected->ok()) << *connected;
    EXPECT_EQ(client.DeadlineForTest(), kNever);
    const Instant before = transport::Now();
    request.start(client);
    const Instant after = transport::Now();
    EXPECT_GE(client.DeadlineForTest(), before + request.limit);
    EXPECT_LE(client.DeadlineForTest(), after + request.limit);
  }
}

TEST(ClientTest, RequestsOfASilentAgentAreGivenUp) {
  ClientOptions options;
  options.broadcast_timeout = milliseconds(20);
  options.join_timeout = milliseconds(10);
  Client client(std::move(options));
  const FakeAgent agent(client.io_context(), {Reply(1)});
  ASSERT_TRUE(client.Connect(agent.address()).ok());
  const Instant before = transport::Now();
  const auto expect_given_up = [](const absl::Status& status) {
    EXPECT_EQ(status, absl::DeadlineExceededError("i/o timeout"));
  };
  expect_given_up(client.Leave());
  expect_given_up(client.ForceLeave("alpha", {.prune = true}));
  expect_given_up(client.UpdateTags({{"a", "b"}}, {}));
  expect_given_up(client.ManageKeys(KeyOperation::kList, "").status);
  expect_given_up(client.Join({"a"}).status);
  EXPECT_GE(transport::Now() - before, milliseconds(5 * 20));
}

// --- records that nobody fetches ---

TEST(ClientTest, RecordsThatWaitAreBounded) {
  Client client;
  const FakeAgent agent(client.io_context(),
                        {Reply(1), Reply(2), LogRecords(2, kRecordsWaitingMax + 1000)});
  ASSERT_TRUE(client.Connect(agent.address()).ok());
  const absl::StatusOr<Client::Seq> monitor = client.Monitor("INFO");
  ASSERT_TRUE(monitor.ok()) << monitor.status();
  const absl::Status flooded =
      absl::ResourceExhaustedError("too much waits to be fetched, last of stream 2");
  EXPECT_EQ(client.Stats().status(), flooded);
  EXPECT_EQ(client.Members().status(), flooded);
  // All records that came before are still there.
  for (std::size_t i = 0; i < kRecordsWaitingMax; ++i) {
    const absl::StatusOr<Client::Record> record = client.Next();
    ASSERT_TRUE(record.ok()) << i << " " << record.status();
    ASSERT_EQ(std::get<LogRecord>(record->value).log, absl::StrCat(i));
  }
  EXPECT_EQ(client.Next().status(), flooded);
  EXPECT_EQ(client.Next().status(), flooded);
}

// The number of records that are fetched has no limit.
TEST(ClientTest, FetchedRecordsAreNot) {
  constexpr std::size_t kRecords = kRecordsWaitingMax + 1000;
  Client client;
  const FakeAgent agent(client.io_context(), {Reply(1), Reply(2) + LogRecords(2, kRecords)});
  ASSERT_TRUE(client.Connect(agent.address()).ok());
  ASSERT_TRUE(client.Monitor("INFO").ok());
  for (std::size_t i = 0; i < kRecords; ++i) {
    const absl::StatusOr<Client::Record> record = client.Next();
    ASSERT_TRUE(record.ok()) << i << " " << record.status();
    ASSERT_EQ(std::get<LogRecord>(record->value).log, absl::StrCat(i));
  }
}

}  // namespace
}  // namespace serf::rpc
