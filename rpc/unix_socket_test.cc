// Tests a server and clients over Unix domain sockets.

#include "serf/rpc/unix_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <future>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/event.h"
#include "serf/rpc/client.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/server_io.h"
#include "serf/testing/rpc/fake_service.h"
#include "serf/testing/run_until.h"
#include "serf/testing/temporary_folder.h"
#include "serf/wire/ids.h"

namespace serf::rpc {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

class UnixSocketTest : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = folder_ + "/rpc.sock";
    address_ = "unix:" + path_;
    service_.members = {TestMember("alpha")};
  }
  ~UnixSocketTest() override { server_.reset(); }

  absl::Status Listen() {
    server_.emplace(io_, service_, ServerOptions{.logger = &logger_});
    return server_->Listen(address_);
  }

  template <typename Work>
  auto Serve(Work work) {
    auto result = std::async(std::launch::async, std::move(work));
    EXPECT_TRUE(testkit::RunUntil(
        io_, [&] { return result.wait_for(seconds(0)) == std::future_status::ready; }));
    return result.get();
  }

  std::size_t MembersSeenBy(Client& client) {
    const absl::Status connected = Serve([&] { return client.Connect(address_); });
    EXPECT_TRUE(connected.ok()) << connected;
    const auto members = Serve([&] { return client.Members(); });
    return members.ok() ? members->size() : 0;
  }

  // Makes the file that a killed agent leaves: that of a socket that is closed.
  static void LeaveStaleFile(const std::string& path) {
    const int socket = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, kUnixPathMax);
    ASSERT_EQ(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(socket, 1), 0);
    ::close(socket);
    ASSERT_TRUE(fs::exists(path));
  }

  boost::asio::io_context io_;
  FakeService service_;
  FakeLogger logger_;
  const testkit::TemporaryFolder temporary_{testkit::kShortParent};
  const std::string& folder_ = temporary_.path();
  std::string path_;
  std::string address_;
  std::optional<Server> server_;
};

TEST_F(UnixSocketTest, ServesItsOwnerAndGoesAtTheEnd) {
  ASSERT_TRUE(Listen().ok());
  EXPECT_EQ(server_->local_endpoint(), std::nullopt);
  struct stat status = {};
  ASSERT_EQ(::lstat(path_.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777, 0600u);

  Client client;
  EXPECT_EQ(MembersSeenBy(client), 1u);
  EXPECT_EQ(logger_.lines.back(), absl::StrCat("[INFO] agent.ipc: Accepted client: ", address_));
  ASSERT_TRUE(Serve([&] { return client.Stream("user"); }).ok());
  server_->OnEvent(UserEvent{wire::LamportTime(1), "deploy", "", false});
  EXPECT_TRUE(Serve([&] { return client.Next(); }).ok());

  bool down = false;
  server_->Shutdown([&] { down = true; });
  EXPECT_FALSE(fs::exists(path_));
  EXPECT_EQ(Serve([&] { return client.Members(); }).status().message(), kClientClosed);
  while (!down) io_.run_one();
}

TEST_F(UnixSocketTest, DestructionRemovesTheFileToo) {
  ASSERT_TRUE(Listen().ok());
  server_.reset();
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(UnixSocketTest, WhatAKilledAgentLeftIsReplaced) {
  LeaveStaleFile(path_);
  const absl::Status listening = Listen();
  ASSERT_TRUE(listening.ok()) << listening;
  Client client;
  EXPECT_EQ(MembersSeenBy(client), 1u);
}

TEST_F(UnixSocketTest, ALivingAgentKeepsItsSocket) {
  ASSERT_TRUE(Listen().ok());
  Server second(io_, service_, {});
  EXPECT_EQ(std::string(second.Listen(address_).message()),
            absl::StrCat("listen unix ", path_, ": bind: address already in use"));
  Client client;
  EXPECT_EQ(MembersSeenBy(client), 1u);
}

TEST_F(UnixSocketTest, OtherFilesAreNotTouched) {
  std::ofstream(path_) << "precious";
  EXPECT_EQ(std::string(Listen().message()),
            absl::StrCat("listen unix ", path_, ": bind: address already in use"));
  EXPECT_EQ(fs::file_size(path_), 8u);
  fs::remove(path_);
  // A link to a socket is not replaced either.
  const std::string target = path_ + ".target";
  LeaveStaleFile(target);
  fs::create_symlink(target, path_);
  EXPECT_FALSE(Listen().ok());
  EXPECT_TRUE(fs::is_symlink(path_));
}

// Another process has put another file there meanwhile.
TEST_F(UnixSocketTest, OnlyTheOwnFileIsRemoved) {
  ASSERT_TRUE(Listen().ok());
  fs::remove(path_);
  std::ofstream(path_) << "precious";
  server_.reset();
  EXPECT_TRUE(fs::exists(path_));
}

TEST_F(UnixSocketTest, PathsThatCannotBe) {
  const std::string exact = folder_ + "/" + std::string(kUnixPathMax - folder_.size() - 1, 'x');
  path_ = exact;
  address_ = "unix:" + path_;
  ASSERT_TRUE(Listen().ok());
  Client client;
  EXPECT_EQ(MembersSeenBy(client), 1u);
  EXPECT_TRUE(fs::exists(exact));

  const std::string error =
      absl::StrCat("unix ", exact, "x: the path has 108 bytes, that of a socket at most 107");
  address_ += "x";
  EXPECT_EQ(std::string(Listen().message()), "listen " + error);
  Client other;
  EXPECT_EQ(std::string(other.Connect(address_).message()), "dial " + error);

  path_ = folder_ + "/none/rpc.sock";
  address_ = "unix:" + path_;
  EXPECT_EQ(std::string(Listen().message()),
            absl::StrCat("listen unix ", path_, ": bind: no such file or directory"));
}

TEST_F(UnixSocketTest, DialErrors) {
  Client none;
  EXPECT_EQ(std::string(none.Connect(address_).message()),
            absl::StrCat("dial unix ", path_, ": connect: no such file or directory"));
  LeaveStaleFile(path_);
  Client refused;
  EXPECT_EQ(std::string(refused.Connect(address_).message()),
            absl::StrCat("dial unix ", path_, ": connect: connection refused"));
}

}  // namespace
}  // namespace serf::rpc
