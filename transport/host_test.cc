#include "serf/transport/host.h"

#include <algorithm>
#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/requests/join_queue.h"
#include "serf/testing/cpu_time.h"
#include "serf/testing/host_fixture.h"
#include "serf/testing/run_until.h"
#include "serf/transport/net/lookup.h"
#include "serf/transport/net/system_names.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/ids.h"
#include "serf/wire/message_type.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace serf::transport {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

using testkit::kPatience;
using testkit::QuickOptions;

Endpoint At(absl::string_view address, std::uint16_t port = 0) {
  return {*IpAddress::Parse(address), port};
}

std::shared_ptr<wire::Keyring> Keys(std::uint8_t seed) {
  auto keyring = std::make_shared<wire::Keyring>();
  EXPECT_TRUE(keyring->Add(ByteVector(32, seed)).ok());
  return keyring;
}

// A Host, and the events it delivered: "member-join a".
struct Agent {
  Agent(asio::io_context& io, HostOptions options) {
    options.on_event = [this](const Event& event) {
      if (const auto* e = std::get_if<MemberEvent>(&event)) {
        for (const Member& member : e->members) {
          events.push_back(absl::StrCat(MemberEventName(e->kind), " ", member.name));
        }
      }
    };
    absl::StatusOr<std::unique_ptr<Host>> created = Host::Create(io, std::move(options));
    EXPECT_TRUE(created.ok()) << created.status();
    host = std::move(*created);
    host->Start();
  }

  bool Told(const std::string& event) const {
    return std::find(events.begin(), events.end(), event) != events.end();
  }
  // "a:alive b:left"
  std::string Members() const {
    return absl::StrJoin(host->serf().Members(), " ", [](std::string* out, const Member& m) {
      absl::StrAppend(out, m.name, ":", MemberStatusName(m.status));
    });
  }
  std::string address() const { return host->local().ToString(); }

  std::unique_ptr<Host> host;
  std::vector<std::string> events;
};

class HostTest : public testkit::HostFixture {
 protected:
  using HostFixture::Join;
  JoinResult Join(Agent& agent, std::vector<std::string> addresses) {
    return Join(*agent.host, std::move(addresses));
  }
};

class HostOn : public HostTest, public ::testing::WithParamInterface<const char*> {};

INSTANTIATE_TEST_SUITE_P(Loopback, HostOn, ::testing::Values("127.0.0.1", "::1"));

TEST_P(HostOn, TwoJoinChangeTagsAndLeave) {
  Agent a(io_, QuickOptions("a", At(GetParam())));
  Agent b(io_, QuickOptions("b", At(GetParam())));
  const JoinResult joined = Join(b, {a.address()});
  EXPECT_TRUE(joined.status.ok()) << joined.status;
  EXPECT_EQ(joined.contacted, 1);
  EXPECT_TRUE(joined.errors.empty());
  ASSERT_TRUE(RunUntil([&] { return a.Members() == "a:alive b:alive"; }));
  EXPECT_EQ(b.Members(), "a:alive b:alive");
  EXPECT_EQ(a.host->serf().FindMember("b")->endpoint, b.host->local());
  EXPECT_EQ(b.events, (std::vector<std::string>{"member-join b", "member-join a"}));

  EXPECT_TRUE(Await([&](auto done) {
                b.host->AsyncSetTags({{"role", "web"}}, std::move(done));
              }).ok());
  ASSERT_TRUE(RunUntil([&] { return a.Told("member-update b"); }));
  EXPECT_EQ(a.host->serf().FindMember("b")->tags, (Tags{{"role", "web"}}));

  EXPECT_TRUE(Await([&](auto done) { b.host->AsyncLeave(std::move(done)); }).ok());
  EXPECT_EQ(b.host->serf().state(), Serf::State::kLeft);
  ASSERT_TRUE(RunUntil([&] { return a.Members() == "a:alive b:left"; }));
  EXPECT_FALSE(a.Told("member-failed b"));
}

TEST_P(HostOn, WorksOnTheWildcard) {
  HostOptions options = QuickOptions("any", At("0.0.0.0"));
  options.advertise = At(GetParam());  // port 0 stands for the bound port
  Agent any(io_, options);
  EXPECT_EQ(any.host->advertise(), At(GetParam(), any.host->local().port));
  Agent b(io_, QuickOptions("b", At(GetParam())));
  ASSERT_TRUE(Join(b, {any.host->advertise().ToString()}).status.ok());
  ASSERT_TRUE(RunUntil([&] { return any.Members() == "any:alive b:alive"; }));
  // Both nodes send probes, and both get answers.
  const auto acks = [](Agent& agent) { return agent.host->serf().node().counters().acks_received; };
  ASSERT_TRUE(RunUntil([&] { return acks(any) >= 3 && acks(b) >= 3; }));
  EXPECT_EQ(any.Members(), "any:alive b:alive");
}

// However dear the datagrams of a batch are, other sockets and timers get their turns in between.
TEST_P(HostOn, ABatchOfDearDatagramsTakesSeveralTurns) {
  Agent a(io_, QuickOptions("a", At(GetParam())));
  const asio::ip::tcp::endpoint to = ToAsio(a.host->local());
  asio::ip::udp::socket udp(io_);
  udp.open(to.address().is_v4() ? asio::ip::udp::v4() : asio::ip::udp::v6());
  ByteVector ping;
  Encode(wire::Ping{.seq_no = wire::SequenceNumber(1)}, ping);
  ByteVector packet;
  wire::AppendCompound(std::vector<ByteView>(100, ping), packet);
  constexpr std::uint64_t kDatagrams = 30;
  for (std::uint64_t i = 0; i < kDatagrams; ++i) {
    udp.send_to(asio::buffer(packet), {to.address(), to.port()});
  }
  Duration longest{};
  Duration total{};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (a.host->serf().node().counters().datagrams_received < kDatagrams) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    const Duration begin = testkit::ThreadCpuTime();
    io_.restart();
    io_.poll_one();
    const Duration used = testkit::ThreadCpuTime() - begin;
    longest = std::max(longest, used);
    total += used;
  }
  // A batch holds 32.
  if (total > std::chrono::milliseconds(12)) {
    EXPECT_LT(longest, total * 2 / 3);
  }
}

TEST_P(HostOn, DropsGarbage) {
  Agent a(io_, QuickOptions("a", At(GetParam())));
  Agent b(io_, QuickOptions("b", At(GetParam())));
  const asio::ip::tcp::endpoint to = ToAsio(a.host->local());
  asio::ip::udp::socket udp(io_);
  udp.open(to.address().is_v4() ? asio::ip::udp::v4() : asio::ip::udp::v6());
  const std::string garbage(60000, '\xc1');
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, garbage.size()}) {
    udp.send_to(asio::buffer(garbage.data(), size), {to.address(), to.port()});
  }
  asio::ip::tcp::socket tcp(io_);
  tcp.connect(to);
  ASSERT_TRUE(RunUntil([&] { return a.host->serf().node().counters().datagrams_received == 3; }));
  asio::write(tcp, asio::buffer(garbage));
  // The connection closes. The rest of the sent bytes does not matter.
  std::array<char, 4096> rest;
  bool closed = false;
  std::function<void()> read = [&] {
    tcp.async_read_some(asio::buffer(rest), [&](const ErrorCode& error, std::size_t) {
      closed = static_cast<bool>(error);
      if (!closed) read();
    });
  };
  read();
  ASSERT_TRUE(RunUntil([&] { return closed; }));
  EXPECT_TRUE(Join(b, {a.address()}).status.ok());
}

TEST_F(HostTest, CreateNamesWhatIsWrong) {
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  EXPECT_EQ(
      Host::Create(io_, QuickOptions("b", a.host->local())).status().message(),
      absl::StrCat("Failed to create memberlist: Could not set up network transport: failed "
                   "to obtain an address: Failed to start TCP listener on \"127.0.0.1\" port ",
                   a.host->local().port, ": listen tcp ", a.address(),
                   ": bind: address already in use"));
  HostOptions old = QuickOptions("b", At("127.0.0.1"));
  old.config.protocol_version = 1;
  EXPECT_EQ(Host::Create(io_, old).status().message(),
            "Protocol version '1' too low. Must be in range: [2, 5]");
}

TEST_F(HostTest, JoinTellsEachFailedTarget) {
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  Agent b(io_, QuickOptions("b", At("127.0.0.1")));
  Agent gone(io_, QuickOptions("gone", At("127.0.0.1")));
  const Endpoint nobody = gone.host->local();
  gone.host.reset();
  const std::string refused = absl::StrCat("Failed to join ", nobody.ToString(), ": dial tcp ",
                                           nobody.ToString(), ": connect: connection refused");
  const std::string unresolved =
      "Failed to resolve x:y: strconv.ParseUint: parsing \"y\": invalid syntax";

  const JoinResult some = Join(b, {nobody.ToString(), "x:y", a.address()});
  EXPECT_TRUE(some.status.ok());
  EXPECT_EQ(some.contacted, 1);
  EXPECT_EQ(some.errors, (std::vector<std::string>{refused, unresolved}));

  const JoinResult none = Join(b, {nobody.ToString(), "x:y"});
  EXPECT_EQ(none.status.message(),
            absl::StrCat("2 errors occurred:\n\t* ", refused, "\n\t* ", unresolved, "\n\n"));
  EXPECT_EQ(Join(b, {"x:y"}).status.message(),
            absl::StrCat("1 error occurred:\n\t* ", unresolved, "\n\n"));
  EXPECT_TRUE(Join(b, {}).status.ok());
}

TEST_F(HostTest, JoinResolvesNames) {
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  Agent b(io_, QuickOptions("b", At("127.0.0.1")));
  const JoinResult joined = Join(b, {absl::StrCat("a/localhost:", a.host->local().port)});
  EXPECT_TRUE(joined.status.ok()) << joined.status;
  EXPECT_GE(joined.contacted, 1);
  EXPECT_EQ(b.Members(), "a:alive b:alive");
}

// A handler that is given by name is copied, as Asio does.
TEST_F(HostTest, AHandlerMayServeTwice) {
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  int stats = 0;
  std::function<void(std::map<std::string, std::string>)> handler = [&](const auto&) { ++stats; };
  a.host->AsyncStats(handler);
  a.host->AsyncStats(handler);
  int statuses = 0;
  std::function<void(absl::Status)> done = [&](const absl::Status&) { ++statuses; };
  a.host->AsyncSetTags({{"a", "b"}}, done);
  a.host->AsyncSetTags({{"a", "c"}}, done);
  EXPECT_TRUE(RunUntil([&] { return stats == 2 && statuses == 2; }));
}

TEST_F(HostTest, RefusesToJoinAfterLeaving) {
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  EXPECT_TRUE(Await([&](auto done) { a.host->AsyncLeave(std::move(done)); }).ok());
  EXPECT_EQ(Join(a, {"x:y"}).status.message(), "Serf can't Join after Leave or Shutdown");
  a.host->Shutdown();
  EXPECT_EQ(Join(a, {"x:y"}).status.message(), "Serf can't Join after Leave or Shutdown");
}

TEST_F(HostTest, AnswersEveryRequestBeforeItsStartAndAfterItsEnd) {
  const auto ask_all = [this](Host& host, absl::StatusCode code) {
    const auto ask = [&](auto start) { EXPECT_EQ(Await(start).code(), code); };
    ask([&](auto done) { host.AsyncSetTags({{"a", "b"}}, std::move(done)); });
    ask([&](auto done) { host.AsyncForceLeave("x", {.prune = true}, std::move(done)); });
    ask([&](auto done) {
      host.AsyncJoin({"127.0.0.1"}, {},
                     [done = std::move(done)](const JoinResult& result) { done(result.status); });
    });
  };
  const std::unique_ptr<Host> idle = *Host::Create(io_, QuickOptions("idle", At("127.0.0.1")));
  ask_all(*idle, absl::StatusCode::kFailedPrecondition);
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  a.host->Shutdown();
  EXPECT_FALSE(Await([&](auto done) { a.host->AsyncLeave(std::move(done)); }).ok());
  EXPECT_FALSE(Await([&](auto done) { a.host->AsyncSetTags({}, std::move(done)); }).ok());
  EXPECT_FALSE(Await([&](auto done) { a.host->AsyncForceLeave("x", {}, std::move(done)); }).ok());
}

// Go Serf can receive a message before it is set up completely (docs/protocol/serf.md 15.1).
TEST_F(HostTest, WhatComesBeforeTheStartWaits) {
  HostOptions options = QuickOptions("a", At("127.0.0.1"));
  std::vector<std::string> told;
  options.on_event = [&told](const Event& event) {
    if (const auto* user = std::get_if<UserEvent>(&event)) told.push_back(user->name);
  };
  const std::unique_ptr<Host> host = *Host::Create(io_, std::move(options));
  wire::UserEventMessage event;
  event.ltime = wire::LamportTime(3);
  event.name = "deploy";
  ByteVector datagram = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
  ByteVector message;
  Encode(event, message);
  Append(datagram, message);
  const asio::ip::tcp::endpoint to = ToAsio(host->local());
  asio::ip::udp::socket udp(io_, asio::ip::udp::v4());
  udp.send_to(asio::buffer(datagram), {to.address(), to.port()});
  asio::ip::tcp::socket tcp(io_);
  tcp.connect(to);
  io_.poll();
  EXPECT_TRUE(told.empty());
  host->Start();
  EXPECT_TRUE(RunUntil([&] { return !told.empty(); }));
  EXPECT_EQ(told, std::vector<std::string>{"deploy"});
}

TEST_F(HostTest, TellsThePrivateAddressOfTheHostIfNothingElseIsSaid) {
  const std::optional<IpAddress> expected =
      PickPrivateAddress(ListInterfaceAddresses(), DefaultInterface());
  for (const char* wildcard : {"0.0.0.0", "::"}) {
    const absl::StatusOr<std::unique_ptr<Host>> host =
        Host::Create(io_, QuickOptions("a", At(wildcard)));
    if (expected) {
      ASSERT_TRUE(host.ok()) << host.status();
      EXPECT_EQ((*host)->advertise(), (Endpoint{*expected, (*host)->local().port}));
    } else {
      EXPECT_EQ(host.status().message(),
                "Failed to create memberlist: Failed to get final advertise address: No private "
                "IP address found, and explicit IP not provided");
    }
  }
}

// An address where the kernel accepts connections, but nobody answers.
struct Silent {
  explicit Silent(asio::io_context& io)
      : acceptor(io, {asio::ip::make_address("127.0.0.1"), 0}),
        address(FromAsio(acceptor.local_endpoint()).ToString()) {}

  asio::ip::tcp::acceptor acceptor;
  const std::string address;
};

TEST_F(HostTest, JoinsRunSideBySide) {
  const Silent silent(io_);
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  HostOptions options = QuickOptions("b", At("127.0.0.1"));
  options.config.swim.tcp_timeout = seconds(600);
  Agent b(io_, std::move(options));
  const auto fail = [](const JoinResult& result) {
    EXPECT_TRUE(absl::IsCancelled(result.status)) << "it is silent";
  };
  for (int i = 0; i < 3; ++i) b.host->AsyncJoin({silent.address}, {.replay = true}, fail);
  // A silent address does not delay the other addresses of the same join.
  b.host->AsyncJoin({silent.address, a.address()}, {.replay = true}, fail);
  ASSERT_TRUE(RunUntil([&] { return b.Told("member-join a"); }));
  EXPECT_TRUE(Join(b, {a.address()}).status.ok());
  b.host->Shutdown();
  io_.poll();
}

// As many joins as run side by side, of clients that are gone.
TEST_F(HostTest, JoinsThatNobodyWaitsForGoOutOfTheWay) {
  const Silent silent(io_);
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  HostOptions options = QuickOptions("b", At("127.0.0.1"));
  options.config.swim.tcp_timeout = seconds(600);
  Agent b(io_, std::move(options));
  std::vector<JoinId> joins;
  std::size_t ended = 0;
  for (std::size_t i = 0; i < 2 * JoinQueue::kAtOnceMax; ++i) {
    joins.push_back(b.host->NewJoin());
    b.host->AsyncJoin(joins.back(), {silent.address, silent.address}, {.replay = true},
                      [&](const JoinResult& result) {
                        EXPECT_EQ(result.status.message(), "join cancelled");
                        ++ended;
                      });
  }
  io_.poll();
  EXPECT_EQ(ended, 0u);
  for (const JoinId join : joins) b.host->CancelJoin(join);
  EXPECT_TRUE(RunUntil([&] { return ended >= JoinQueue::kAtOnceMax; }));
  // Contacts under way continue.
  EXPECT_LT(ended, joins.size());
  b.host->Shutdown();
}

TEST_F(HostTest, JoinReportsErrorsInTheOrderOfTheAddresses) {
  asio::use_service<names::LookupService>(io_).SetLookUpForTest(
      [](const std::string& host) -> names::Addresses {
        if (host == "two") {
          return std::vector<IpAddress>{IpAddress::V4(127, 0, 0, 1), IpAddress::V4(127, 0, 0, 2)};
        }
        return absl::NotFoundError(absl::StrCat("lookup ", host, ": no such host"));
      });
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  Agent b(io_, QuickOptions("b", At("127.0.0.1")));
  const std::string port = absl::StrCat(a.host->local().port);
  const JoinResult joined =
      Join(b, {"gone", absl::StrCat("127.0.0.3:", port), absl::StrCat("two:", port), "bad:x"});
  EXPECT_TRUE(joined.status.ok());
  EXPECT_EQ(joined.contacted, 1);
  const auto refused = [&port](const char* address) {
    return absl::StrCat("Failed to join ", address, ":", port, ": dial tcp ", address, ":", port,
                        ": connect: connection refused");
  };
  EXPECT_EQ(joined.errors,
            (std::vector<std::string>{
                "Failed to resolve gone: lookup gone: no such host", refused("127.0.0.3"),
                refused("127.0.0.2"),
                "Failed to resolve bad:x: strconv.ParseUint: parsing \"x\": invalid syntax"}));
}

// A name server that does not answer takes ten seconds and more.
TEST_F(HostTest, ANameWithoutAnswerHoldsUpNeitherJoinsNorTheEnd) {
  const auto released = std::make_shared<std::promise<void>>();
  const auto answer = std::make_shared<std::shared_future<void>>(released->get_future());
  asio::use_service<names::LookupService>(io_).SetLookUpForTest(
      [answer](const std::string& host) -> names::Addresses {
        if (host == "dead") answer->wait();
        return std::vector<IpAddress>{IpAddress::V4(127, 0, 0, 1)};
      });
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  Agent b(io_, QuickOptions("b", At("127.0.0.1")));
  absl::Status status;
  b.host->AsyncJoin({"dead", a.address()}, {.replay = true},
                    [&](const JoinResult& result) { status = result.status; });
  ASSERT_TRUE(RunUntil([&] { return b.Told("member-join a"); }));
  EXPECT_TRUE(Join(b, {absl::StrCat("localhost:", a.host->local().port)}).status.ok());
  a.host->Shutdown();
  b.host->Shutdown();
  EXPECT_TRUE(RunUntil([&] { return io_.stopped(); }));
  EXPECT_TRUE(absl::IsCancelled(status));
  released->set_value();
}

TEST_F(HostTest, ACancelledJoinContactsNobodyAfterItsLookup) {
  const auto released = std::make_shared<std::promise<void>>();
  const auto answer = std::make_shared<std::shared_future<void>>(released->get_future());
  asio::use_service<names::LookupService>(io_).SetLookUpForTest(
      [answer](const std::string& host) -> names::Addresses {
        if (host == "slow") answer->wait();
        return std::vector<IpAddress>{IpAddress::V4(127, 0, 0, 1)};
      });
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  Agent b(io_, QuickOptions("b", At("127.0.0.1")));
  Agent c(io_, QuickOptions("c", At("127.0.0.1")));
  const JoinId join = b.host->NewJoin();
  std::optional<JoinResult> cancelled;
  b.host->AsyncJoin(join, {absl::StrCat("slow:", a.host->local().port)}, {.replay = true},
                    [&](const JoinResult& result) { cancelled = result; });
  io_.poll();
  EXPECT_FALSE(cancelled.has_value());
  b.host->CancelJoin(join);
  // The end does not wait for the name server.
  ASSERT_TRUE(RunUntil([&] { return cancelled.has_value(); }));
  EXPECT_EQ(cancelled->status, absl::CancelledError("join cancelled"));
  EXPECT_EQ(cancelled->contacted, 0);
  released->set_value();
  EXPECT_TRUE(Join(b, {absl::StrCat("slow:", c.host->local().port)}).status.ok());
  EXPECT_TRUE(b.Told("member-join c"));
  EXPECT_FALSE(b.Told("member-join a"));
  for (Agent* agent : {&a, &b, &c}) agent->host->Shutdown();
  EXPECT_TRUE(RunUntil([&] { return io_.stopped(); }));
}

TEST_F(HostTest, ShutdownCancelsWhatIsUnderWay) {
  // The kernel accepts, but nobody answers.
  asio::ip::tcp::acceptor mute(io_, {asio::ip::make_address("127.0.0.1"), 0});
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  Agent b(io_, QuickOptions("b", At("127.0.0.1")));
  ASSERT_TRUE(Join(b, {a.address()}).status.ok());
  const std::string silent = FromAsio(mute.local_endpoint()).ToString();
  std::vector<absl::Status> results;
  const auto joined = [&](const JoinResult& result) { results.push_back(result.status); };
  b.host->AsyncJoin({silent}, {.replay = true}, joined);
  b.host->AsyncJoin({silent}, {.replay = true}, joined);
  b.host->AsyncJoin({"localhost"}, {.replay = true}, joined);  // in the resolver when the end comes
  b.host->AsyncSetTags({{"a", "b"}}, [&](absl::Status status) { results.push_back(status); });
  b.host->AsyncLeave([&](absl::Status status) { results.push_back(status); });
  b.host->Shutdown();
  b.host->Shutdown();
  ASSERT_TRUE(RunUntil([&] { return results.size() == 5; }));
  for (const absl::Status& status : results) EXPECT_FALSE(status.ok());
  EXPECT_TRUE(absl::IsCancelled(results.back()) || absl::IsCancelled(results.front()));

  // The Host still answers, and its port is free.
  std::vector<Member> members;
  b.host->AsyncMembers([&](std::vector<Member> m) { members = std::move(m); });
  ASSERT_TRUE(RunUntil([&] { return members.size() == 2; }));
  EXPECT_TRUE(OpenBoundPair(io_, b.host->local(), nullptr).ok());
}

TEST_F(HostTest, ContextRunsOutOfWorkAfterTheEnd) {
  auto a = std::make_unique<Agent>(io_, QuickOptions("a", At("127.0.0.1")));
  auto b = std::make_unique<Agent>(io_, QuickOptions("b", At("127.0.0.1")));
  ASSERT_TRUE(Join(*b, {a->address()}).status.ok());
  a.reset();
  b->host->Shutdown();
  EXPECT_TRUE(RunUntil([&] { return io_.stopped(); }));
}

TEST_F(HostTest, MayBeDestroyedByItsOwnCallbacks) {
  auto a = std::make_unique<Agent>(io_, QuickOptions("a", At("127.0.0.1")));
  auto b = std::make_unique<Agent>(io_, QuickOptions("b", At("127.0.0.1")));
  bool joined = false;
  b->host->AsyncJoin({a->address()}, {.replay = true}, [&](const JoinResult&) {
    joined = true;
    b->host.reset();
  });
  ASSERT_TRUE(RunUntil([&] { return joined; }));

  std::unique_ptr<Host> c;
  bool told = false;
  HostOptions options = QuickOptions("c", At("127.0.0.1"));
  options.on_event = [&](const Event&) {
    told = true;
    c.reset();
  };
  c = *Host::Create(io_, std::move(options));
  c->Start();
  ASSERT_TRUE(RunUntil([&] { return told; }));
  a.reset();
  EXPECT_TRUE(RunUntil([&] { return io_.stopped(); }));
}

TEST(HostLifetimeTest, ContextMayEndWithEverythingOutstanding) {
  bool called = false;
  {
    asio::io_context io;
    // The kernel accepts, but nobody answers.
    asio::ip::tcp::acceptor mute(io, {asio::ip::make_address("127.0.0.1"), 0});
    Agent a(io, QuickOptions("a", At("127.0.0.1")));
    Agent b(io, QuickOptions("b", At("127.0.0.1")));
    b.host->AsyncJoin({FromAsio(mute.local_endpoint()).ToString()}, {.replay = true},
                      [&](const JoinResult&) { called = true; });
    b.host->AsyncJoin({"localhost"}, {.replay = true}, [](const JoinResult&) {});
    io.poll();
    b.host->AsyncLeave([&](absl::Status) { called = true; });
  }
  EXPECT_FALSE(called);
}

TEST_F(HostTest, TellsNoEventAfterItsEnd) {
  int events = 0;
  HostOptions options = QuickOptions("a", At("127.0.0.1"));
  options.on_event = [&](const Event&) { ++events; };
  std::unique_ptr<Host> host = *Host::Create(io_, std::move(options));
  host->Start();
  host.reset();  // before the context runs for the first time
  EXPECT_TRUE(RunUntil([&] { return io_.stopped(); }));
  EXPECT_EQ(events, 0);
}

TEST_F(HostTest, TakesCoroutinesAndCallsHandlersWhereTheyBelong) {
  Agent a(io_, QuickOptions("a", At("127.0.0.1")));
  Agent b(io_, QuickOptions("b", At("127.0.0.1")));
  bool done = false;
  asio::co_spawn(
      io_,
      [&]() -> asio::awaitable<void> {
        std::vector<std::string> addresses(1, a.address());
        const JoinResult joined =
            co_await b.host->AsyncJoin(std::move(addresses), {}, asio::use_awaitable);
        EXPECT_TRUE(joined.status.ok());
        const std::vector<Member> members = co_await b.host->AsyncMembers(asio::use_awaitable);
        EXPECT_EQ(members.size(), 2u);
        done = true;
      },
      asio::detached);
  ASSERT_TRUE(RunUntil([&] { return done; }));

  asio::io_context other;
  std::optional<std::map<std::string, std::string>> stats;
  a.host->AsyncStats(asio::bind_executor(other.get_executor(), [&](auto s) { stats = s; }));
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!stats && std::chrono::steady_clock::now() < deadline) {
    io_.run_one_for(milliseconds(1));
    EXPECT_FALSE(stats.has_value());
    // The request counts as work of the other context until it is answered.
    EXPECT_FALSE(other.stopped());
    other.poll();
  }
  ASSERT_TRUE(stats.has_value());
  EXPECT_EQ((*stats)["members"], "2");
}

TEST(HostThreadsTest, AnyThreadMayAskAndEndIt) {
  asio::io_context io;
  auto work = asio::make_work_guard(io);
  std::thread runner([&] { io.run(); });
  {
    const auto create = [&](const char* name) {
      auto host = Host::Create(io, QuickOptions(name, At("127.0.0.1")));
      EXPECT_TRUE(host.ok());
      (*host)->Start();
      return std::move(*host);
    };
    const std::unique_ptr<Host> a = create("a");
    const std::unique_ptr<Host> b = create("b");
    auto joined = b->AsyncJoin({a->local().ToString()}, {.replay = true}, asio::use_future);
    ASSERT_EQ(joined.wait_for(kPatience), std::future_status::ready);
    const JoinResult result = joined.get();
    EXPECT_TRUE(result.status.ok());
    EXPECT_EQ(result.contacted, 1);

    std::vector<std::thread> askers;
    for (int i = 0; i < 4; ++i) {
      askers.emplace_back([&, i] {
        for (int j = 0; j < 50; ++j) {
          const std::vector<Member> members = a->AsyncMembers(asio::use_future).get();
          EXPECT_EQ(members.size(), 2u);
          EXPECT_EQ(b->AsyncStats(asio::use_future).get()["members"], "2");
        }
        const Tags tags = {{"asker", absl::StrCat(i)}};
        EXPECT_TRUE(b->AsyncSetTags(tags, asio::use_future).get().ok());
      });
    }
    for (std::thread& asker : askers) asker.join();
    EXPECT_TRUE(b->AsyncLeave(asio::use_future).get().ok());
  }
  work.reset();
  runner.join();  // nothing keeps the context busy once both are gone
}

TEST_F(HostTest, WarnsOfPublicAddressesWithoutEncryption) {
  struct Lines final : Logger {
    bool Enabled(LogLevel) const override { return true; }
    void Write(LogLevel, absl::string_view text) override { lines.emplace_back(text); }
    std::vector<std::string> lines;
  };
  const std::string warning = "memberlist: Binding to public address without encryption!";
  for (const bool encrypted : {false, true}) {
    for (const char* advertise : {"8.8.8.8", "10.0.0.1"}) {
      Lines lines;
      HostOptions options = QuickOptions("a", At("127.0.0.1"));
      options.advertise = At(advertise);
      options.config.swim.logger = &lines;
      if (encrypted) options.config.swim.keyring = Keys(1);
      ASSERT_TRUE(Host::Create(io_, options).ok());
      const bool warned =
          std::find(lines.lines.begin(), lines.lines.end(), warning) != lines.lines.end();
      EXPECT_EQ(warned, !encrypted && advertise[0] == '8') << advertise;
      io_.restart();
      io_.poll();  // the Host ends here, before the logger
    }
  }
}

}  // namespace
}  // namespace serf::transport
