// Tests the HTTP server over loopback and over a Unix domain socket.

#include "serf/rpc/http/server_io.h"

#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/system/error_code.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/rpc/http/connection.h"
#include "serf/rpc/http/message.h"
#include "serf/testing/run_until.h"
#include "serf/testing/temporary_folder.h"
#include "serf/transport/net/socket_address.h"

namespace serf::http {
namespace {

namespace asio = boost::asio;

constexpr absl::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr absl::string_view kLater = "GET /later HTTP/1.1\r\nHost: x\r\n\r\n";

// Answers with the target; keeps "/later" for the test.
class EchoHandler : public Handler {
 public:
  std::optional<Response> Refuse(const Request& head, Peer& peer) override {
    last_peer = peer.text;
    if (!head.Find("x-refuse")) return std::nullopt;
    ++peer.wrong_tokens;
    return Response{.status = 401, .body = absl::StrCat(peer.wrong_tokens)};
  }
  void Serve(Request request, const Peer&, Exchange exchange) override {
    ++served;
    if (absl::StartsWith(request.target, "/later")) {
      later.push_back(std::move(exchange));
    } else if (absl::StartsWith(request.target, "/large")) {
      exchange.Respond({.body = std::string(std::size_t{8} << 20, 'x')});
    } else {
      exchange.Respond({.body = request.target});
    }
  }
  Response Describe(const Problem& problem) override {
    return {.status = problem.status, .body = std::string(problem.code)};
  }

  std::vector<Exchange> later;
  std::string last_peer;
  int served = 0;
};

// A client's socket, which never waits.
class Client {
 public:
  using Socket = asio::generic::stream_protocol::socket;
  explicit Client(Socket socket) : socket_(std::move(socket)) { socket_.non_blocking(true); }

  void Say(absl::string_view text) {
    boost::system::error_code ignored;
    socket_.write_some(asio::buffer(text.data(), text.size()), ignored);
  }
  void ShutdownSend() { socket_.shutdown(Socket::shutdown_send); }
  // Takes what has come.
  const std::string& heard() {
    std::array<char, 65536> buffer;
    for (;;) {
      boost::system::error_code error;
      const std::size_t size = socket_.read_some(asio::buffer(buffer), error);
      heard_.append(buffer.data(), size);
      ended_ = ended_ || (error && error != asio::error::would_block);
      reset_ = reset_ || error == asio::error::connection_reset;
      if (error) return heard_;
    }
  }
  bool Hears(absl::string_view text) { return absl::StrContains(heard(), text); }
  bool ended() { return heard(), ended_; }
  bool reset() { return heard(), reset_; }

 private:
  Socket socket_;
  std::string heard_;
  bool ended_ = false;
  bool reset_ = false;
};

class HttpServerTest : public ::testing::Test {
 protected:
  void Start() {
    server_.emplace(io_, handler_, ServerOptions());
    const absl::Status listening = server_->Listen("127.0.0.1:0");
    ASSERT_TRUE(listening.ok()) << listening;
  }
  std::unique_ptr<Client> Connect() {
    asio::ip::tcp::socket socket(io_);
    socket.connect(transport::ToAsio(*server_->local_endpoint()));
    return std::make_unique<Client>(std::move(socket));
  }
  template <typename Condition>
  void RunUntil(Condition condition) {
    ASSERT_TRUE(testkit::RunUntil(io_, condition));
  }

  asio::io_context io_;
  EchoHandler handler_;
  std::optional<Server> server_;
};

TEST_F(HttpServerTest, Answers) {
  Start();
  const auto client = Connect();
  client->Say(kGet);
  RunUntil([&] { return client->Hears("\r\n\r\n/a"); });
  client->Say("GET /b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  RunUntil([&] { return client->ended(); });
  EXPECT_TRUE(client->Hears("/b"));
  EXPECT_TRUE(absl::StartsWith(handler_.last_peer, "127.0.0.1:"));
  client->ShutdownSend();
  RunUntil([&] { return server_->connection_count() == 0; });
}

TEST_F(HttpServerTest, UnixSocketsHaveTheirMode) {
  const testkit::TemporaryFolder folder(testkit::kShortParent);
  const std::string path = absl::StrCat(folder.path(), "/http.sock");
  server_.emplace(io_, handler_, ServerOptions());
  ASSERT_TRUE(server_->Listen(absl::StrCat("unix:", path), 0660).ok());
  struct stat status = {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0660U);
  EXPECT_FALSE(server_->local_endpoint());
  asio::local::stream_protocol::socket socket(io_);
  socket.connect(path);
  Client client(std::move(socket));
  client.Say(kGet);
  RunUntil([&] { return client.Hears("/a"); });
  EXPECT_EQ(handler_.last_peer, absl::StrCat("unix:", path));
  server_.reset();
  EXPECT_NE(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(::rmdir(folder.path().c_str()), 0);
}

TEST_F(HttpServerTest, AnswersInPiecesAndLater) {
  Start();
  const auto client = Connect();
  client->Say(kLater);
  RunUntil([&] { return handler_.later.size() == 1; });
  handler_.later[0].Begin({.type = "text/plain"});
  handler_.later[0].Send("one");
  RunUntil([&] { return client->Hears("3\r\none\r\n"); });
  handler_.later[0].End();
  client->Say(kGet);
  RunUntil([&] { return client->Hears("/a"); });
  client->ShutdownSend();
  RunUntil([&] { return server_->connection_count() == 0; });
  // The client has gone: nothing happens.
  EXPECT_EQ(handler_.later[0].backlog(), std::nullopt);
  handler_.later[0].Send("two");
}

TEST_F(HttpServerTest, LargeAnswersWaitForTheClient) {
  Start();
  const auto client = Connect();
  client->Say("GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  RunUntil([&] { return client->ended(); });
  EXPECT_GT(client->heard().size(), std::size_t{8} << 20);
}

// The loop has others to serve between two requests of a client that sends many at once.
TEST_F(HttpServerTest, ManyRequestsAtOnceTakeTurns) {
  constexpr int kRequests = 50;
  Start();
  const auto client = Connect();
  std::string requests;
  for (int i = 0; i < kRequests; ++i) absl::StrAppend(&requests, kGet);
  client->Say(requests);
  int before = 0;
  RunUntil([&] {
    // Two in the turn that reads them: the first, and the next behind its answer.
    EXPECT_LE(handler_.served - before, 2);
    before = handler_.served;
    return before == kRequests;
  });
}

TEST_F(HttpServerTest, CountsPerConnection) {
  Start();
  const auto client = Connect();
  for (const absl::string_view count : {"1", "2"}) {
    client->Say("GET /a HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\n\r\n");
    RunUntil([&] { return client->Hears(absl::StrCat("\r\n\r\n", count)); });
  }
  const auto other = Connect();
  other->Say("GET /a HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\n\r\n");
  RunUntil([&] { return other->Hears("\r\n\r\n1"); });
}

// A socket that is closed over unread bytes resets the connection, and takes the answer with it.
TEST_F(HttpServerTest, ARefusalIsReadAlthoughTheBodyIsNot) {
  Start();
  const auto client = Connect();
  client->Say(
      absl::StrCat("POST /a HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nContent-Length: 100000\r\n\r\n",
                   std::string(50000, 'a')));
  RunUntil([&] { return client->ended(); });
  EXPECT_TRUE(client->Hears("401 Unauthorized"));
  EXPECT_FALSE(client->reset());
  client->ShutdownSend();
  RunUntil([&] { return server_->connection_count() == 0; });
}

TEST_F(HttpServerTest, TheLongestIdleOneMakesRoom) {
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < Server::kConnectionsMax; ++i) {
    clients.push_back(Connect());
    clients.back()->Say(kGet);
    RunUntil([&] { return clients.back()->Hears("/a"); });
  }
  // The first one has been idle for a shorter time than the second one now.
  clients[0]->Say("GET /again HTTP/1.1\r\nHost: x\r\n\r\n");
  RunUntil([&] { return clients[0]->Hears("/again"); });
  const auto newcomer = Connect();
  newcomer->Say(kGet);
  RunUntil([&] { return newcomer->Hears("/a"); });
  EXPECT_TRUE(clients[1]->ended());
  EXPECT_FALSE(clients[0]->ended());
  EXPECT_FALSE(clients[2]->ended());
  EXPECT_EQ(server_->connection_count(), Server::kConnectionsMax);
}

TEST_F(HttpServerTest, WhenAllAreBusyTheNewcomerIsTold) {
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < Server::kConnectionsMax; ++i) {
    clients.push_back(Connect());
    clients.back()->Say(kLater);
  }
  RunUntil([&] { return handler_.later.size() == Server::kConnectionsMax; });
  const auto newcomer = Connect();
  RunUntil([&] { return newcomer->ended(); });
  EXPECT_TRUE(newcomer->Hears("HTTP/1.1 503 Service Unavailable"));
  EXPECT_TRUE(newcomer->Hears("Retry-After: 1"));
  EXPECT_TRUE(newcomer->Hears("too_many_connections"));
  for (const Exchange& exchange : handler_.later) exchange.Respond({.body = "done"});
  for (const auto& client : clients) RunUntil([&] { return client->Hears("done"); });
}

// A connection that has been answered holds its socket and a session, and no buffer.
TEST_F(HttpServerTest, IdleConnectionsAreSmall) {
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  const auto connect = [&](std::size_t count) {
    const std::size_t until = clients.size() + count;
    while (clients.size() < until) {
      clients.push_back(Connect());
      clients.back()->Say(kGet);
      RunUntil([&] { return clients.back()->Hears("/a"); });
    }
  };
  connect(4);  // what the first ones cost once
  clients.reserve(64);
  // Clients in this process keep what they have heard, and descriptors have their own memory.
  constexpr std::size_t kMore = 48;
  std::vector<std::unique_ptr<Client>> bare;
  bare.reserve(kMore);
  const std::size_t before = ::mallinfo2().uordblks;
  connect(kMore);
  const std::size_t with_clients = ::mallinfo2().uordblks - before;
  asio::ip::tcp::acceptor nobody(io_, asio::ip::tcp::endpoint(asio::ip::tcp::v4(), 0));
  const std::size_t middle = ::mallinfo2().uordblks;
  for (std::size_t i = 0; i < kMore; ++i) {
    asio::ip::tcp::socket socket(io_);
    socket.connect(
        asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), nobody.local_endpoint().port()));
    bare.push_back(std::make_unique<Client>(std::move(socket)));
  }
  const std::size_t of_clients = ::mallinfo2().uordblks - middle;
  const std::size_t heard = clients.back()->heard().capacity();
  EXPECT_LE((with_clients - of_clients) / kMore, 1024 + heard);
}

TEST_F(HttpServerTest, ShutdownWritesWhatIsReady) {
  Start();
  const auto idle = Connect();
  const auto large = Connect();
  const auto busy = Connect();
  busy->Say(kLater);
  large->Say("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  RunUntil([&] { return !handler_.later.empty() && server_->connection_count() == 3; });
  RunUntil([&] { return large->heard().size() > 100; });
  bool done = false;
  server_->Shutdown([&] { done = true; });
  RunUntil([&] { return done && large->ended(); });
  EXPECT_GT(large->heard().size(), std::size_t{8} << 20);
  EXPECT_TRUE(idle->ended());
  EXPECT_TRUE(busy->ended());
  EXPECT_EQ(server_->connection_count(), 0U);
}

}  // namespace
}  // namespace serf::http
