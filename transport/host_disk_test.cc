// Tests of a Host whose disk blocks, fails or is slow. A separate thread writes the files of keys,
// tags and members.

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/udp.hpp>
#include <chrono>
#include <condition_variable>
#include <fstream>
#include <future>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/keys.h"
#include "serf/tags.h"
#include "serf/testing/host_fixture.h"
#include "serf/transport/host.h"
#include "serf/transport/net/socket_address.h"
#include "serf/wire/aead.h"
#include "serf/wire/swim_messages.h"

namespace serf::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

// Asks a node for acknowledgements as its peers do.
class Pinger {
 public:
  Pinger(const Endpoint& to, std::string name)
      : io_(1),
        socket_(io_, asio::ip::udp::endpoint(asio::ip::udp::v4(), 0)),
        to_(to),
        name_(std::move(name)) {
    const timeval limit = {10, 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }

  // How long the answer took.
  Duration Ping() {
    ByteVector packet;
    Encode(wire::Ping{.seq_no = wire::SequenceNumber(++sequence_), .node = name_}, packet);
    const asio::ip::udp::endpoint to(ToAsio(to_.address), to_.port);
    const auto begin = steady_clock::now();
    socket_.send_to(asio::buffer(packet.data(), packet.size()), to);
    char answer[1500];
    EXPECT_GT(::recv(socket_.native_handle(), answer, sizeof(answer), 0), 0);
    return steady_clock::now() - begin;
  }
  // Each ping has exactly one answer.
  void ExpectNothing(milliseconds wait) {
    pollfd readable = {socket_.native_handle(), POLLIN, 0};
    EXPECT_EQ(::poll(&readable, 1, static_cast<int>(wait.count())), 0);
  }

 private:
  asio::io_context io_;
  asio::ip::udp::socket socket_;
  const Endpoint to_;
  const std::string name_;
  std::uint32_t sequence_ = 0;
};

// The disk that the functions of a Host write to. It blocks while the test wants it to.
class Disk {
 public:
  void Hold() {
    const std::lock_guard<std::mutex> lock(mutex_);
    held_ = true;
  }
  void Release() {
    const std::lock_guard<std::mutex> lock(mutex_);
    held_ = false;
    released_.notify_all();
  }
  void Fail(absl::Status status) {
    const std::lock_guard<std::mutex> lock(mutex_);
    status_ = std::move(status);
  }

  absl::Status Write(std::string text) {
    std::unique_lock<std::mutex> lock(mutex_);
    released_.wait(lock, [this] { return !held_; });
    if (status_.ok()) written_.push_back(std::move(text));
    return status_;
  }
  std::vector<std::string> written() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return written_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable released_;
  bool held_ = false;
  absl::Status status_;
  std::vector<std::string> written_;
};

class HostDiskTest : public ::testing::Test {
 protected:
  HostDiskTest() : path_(absl::StrCat(::testing::TempDir(), "/disk-", ::getpid(), ".snap")) {}
  ~HostDiskTest() override {
    disk_->Release();
    End();
    ::unlink(path_.c_str());
  }

  HostOptions Options() {
    HostOptions options = testkit::LocalOptions("a");
    options.config.leave_propagate_delay = milliseconds(10);
    options.save_tags = [disk = disk_](const Tags& tags) {
      std::string text;
      for (const auto& [key, value] : tags) absl::StrAppend(&text, key, "=", value, " ");
      return disk->Write(text);
    };
    return options;
  }
  // Runs the Host on a thread of its own.
  Host& Run(HostOptions options) {
    host_ = *Host::Create(io_, std::move(options));
    host_->Start();
    thread_ = std::thread([this] { io_.run(); });
    return *host_;
  }
  void End() {
    host_ = nullptr;
    if (thread_.joinable()) thread_.join();
  }
  std::future<absl::Status> Change(const std::string& key, const std::string& value) {
    auto promise = std::make_shared<std::promise<absl::Status>>();
    host_->AsyncUpdateTags([key, value](Tags& tags) { tags[key] = value; },
                           [promise](const absl::Status& status) { promise->set_value(status); });
    return promise->get_future();
  }
  // The tags that the node knows. If the disk delays the node, that is a failure, and the disk
  // continues.
  Tags TagsNow() {
    std::promise<Tags> tags;
    std::future<Tags> answer = tags.get_future();
    host_->AsyncMembers(
        [&](const std::vector<Member>& members) { tags.set_value(members[0].tags); });
    if (answer.wait_for(seconds(10)) != std::future_status::ready) {
      ADD_FAILURE() << "the disk holds the node up";
      disk_->Release();
    }
    return answer.get();
  }
  static bool IsReady(const std::future<absl::Status>& future) {
    return future.wait_for(seconds(0)) == std::future_status::ready;
  }

  asio::io_context io_{1};
  std::shared_ptr<Disk> disk_ = std::make_shared<Disk>();
  std::unique_ptr<Host> host_;
  std::thread thread_;
  std::string path_;
};

// A disk blocks for ten seconds, with changes of tags, of the snapshot and of keys in its queue. A
// peer that sends pings does not notice.
TEST_F(HostDiskTest, PingsAreAnsweredWhileTheDiskStandsStill) {
  HostOptions options = Options();
  options.snapshot_path = path_;
  Host& host = Run(std::move(options));
  Pinger pinger(host.local(), "a");
  pinger.Ping();
  disk_->Hold();
  std::vector<std::future<absl::Status>> changes;
  std::vector<Duration> pings;
  const auto end = steady_clock::now() + seconds(10);
  while (steady_clock::now() < end) {
    if (pings.size() % 50 == 0 && changes.size() < 20) {
      changes.push_back(Change(absl::StrCat("key", changes.size()), "value"));
      host.AsyncSendUserEvent("event", "", {}, [](const absl::Status&) {});
    }
    pings.push_back(pinger.Ping());
    pinger.ExpectNothing(milliseconds(5));
  }
  std::sort(pings.begin(), pings.end());
  ASSERT_GT(pings.size(), 100u);
  EXPECT_LE(pings[pings.size() * 99 / 100], milliseconds(50));
  EXPECT_LE(pings.back(), seconds(1)) << "the machine may be busy, not the node";
  EXPECT_THAT(disk_->written(), IsEmpty());
  for (const auto& change : changes) EXPECT_FALSE(IsReady(change));
  disk_->Release();
  for (auto& change : changes) EXPECT_TRUE(change.get().ok());
  EXPECT_EQ(TagsNow().size(), changes.size());
  End();
  std::ifstream in(path_);
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  EXPECT_THAT(text, HasSubstr("alive: a "));
  EXPECT_THAT(text, HasSubstr("event-clock: "));
}

TEST_F(HostDiskTest, KeysAreSavedWithoutHoldingTheNodeUp) {
  HostOptions options = Options();
  options.config.swim.keyring = std::make_shared<wire::Keyring>();
  ASSERT_TRUE(options.config.swim.keyring->Add(ByteVector(16, 1)).ok());
  options.save_keyring = [disk = disk_](std::span<const wire::Keyring::Key> keys) {
    return disk->Write(absl::StrCat(keys.size()));
  };
  Host& host = Run(std::move(options));
  disk_->Hold();
  std::promise<absl::Status> installed;
  host.AsyncManageKeys(KeyOperation::kInstall, ByteVector(16, 2), 0,
                       [&](const KeyOutcome& outcome) { installed.set_value(outcome.status); });
  // While the disk holds the key, each turn of the loop is quick.
  for (int i = 0; i < 100; ++i) {
    const auto begin = steady_clock::now();
    TagsNow();
    EXPECT_LE(steady_clock::now() - begin, seconds(1));
  }
  EXPECT_THAT(disk_->written(), IsEmpty());
  disk_->Release();
  EXPECT_TRUE(installed.get_future().get().ok());
  EXPECT_THAT(disk_->written(), ElementsAre("2"));
}

// Go Serf sometimes loses one of two such changes.
TEST_F(HostDiskTest, ChangesOfTagsAtTheSameMomentAreAllKept) {
  Run(Options());
  disk_->Hold();
  auto first = Change("a", "1");
  auto second = Change("b", "2");
  auto third = Change("a", "3");
  disk_->Release();
  EXPECT_TRUE(first.get().ok());
  EXPECT_TRUE(second.get().ok());
  EXPECT_TRUE(third.get().ok());
  EXPECT_THAT(disk_->written(), ElementsAre("a=1 ", "a=1 b=2 ", "a=3 b=2 "));
  EXPECT_THAT(TagsNow(), ElementsAre(Pair("a", "3"), Pair("b", "2")));
}

// The file holds the tags that the node announces, and no others.
TEST_F(HostDiskTest, ATagThatCannotBeWrittenIsNotSet) {
  Run(Options());
  ASSERT_TRUE(Change("a", "1").get().ok());
  disk_->Fail(absl::ResourceExhaustedError("write x: no space left on device"));
  EXPECT_EQ(Change("b", "2").get().message(), "write x: no space left on device");
  EXPECT_THAT(TagsNow(), ElementsAre(Pair("a", "1")));
  disk_->Fail(absl::OkStatus());
  EXPECT_THAT(Change("long", std::string(600, 'x')).get().message(), HasSubstr("512"));
  EXPECT_TRUE(Change("c", "3").get().ok());
  EXPECT_THAT(disk_->written(), ElementsAre("a=1 ", "a=1 c=3 "));
}

TEST_F(HostDiskTest, TheEndWaitsForWhatIsQueued) {
  Run(Options());
  disk_->Hold();
  auto change = Change("a", "1");
  TagsNow();  // the change has reached the disk
  std::thread later([this] { disk_->Release(); });
  End();
  later.join();
  EXPECT_THAT(disk_->written(), ElementsAre("a=1 "));
}

TEST_F(HostDiskTest, TheEndDoesNotWaitForEver) {
  Run(Options());
  disk_->Hold();
  auto change = Change("a", "1");
  TagsNow();
  const auto begin = steady_clock::now();
  End();
  EXPECT_LT(steady_clock::now() - begin, seconds(8)) << "once, for five seconds";
  EXPECT_TRUE(absl::IsCancelled(change.get()));
}

}  // namespace
}  // namespace serf::transport
