#include "serf/cmd/discovery/poller.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/cmd/discovery/dns_message.h"
#include "serf/cmd/discovery/service.h"

namespace serf::cmd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr Instant kStart{seconds(1000)};

Endpoint At(int last, std::uint16_t port = 7946) {
  return {IpAddress::V4(10, 0, 0, static_cast<std::uint8_t>(last)), port};
}

class DiscoveryPollerTest : public ::testing::Test {
 protected:
  DiscoveryOutput Timer(Duration since) {
    now_ = kStart + since;
    DiscoveryOutput out;
    poller_.OnTimer(now_, out);
    return out;
  }
  // An agent's answer to a poll.
  DiscoveryOutput Answer(const std::string& node, const Endpoint& endpoint,
                         const std::string& cluster = "clus") {
    const auto service = DiscoveryService::Create(
        {.cluster = cluster, .node = node, .host = "vm", .endpoint = endpoint});
    DnsMessage query;
    query.questions.push_back({service->service(), DnsType::kPtr});
    return Hear(*ParseDnsMessage(service->Answer(query).at(0)));
  }
  DiscoveryOutput Hear(const DnsMessage& message) {
    DiscoveryOutput out;
    poller_.OnResponse(now_, message, out);
    return out;
  }
  static DnsMessage Records(std::vector<DnsRecord> records) {
    DnsMessage message;
    message.response = true;
    message.records = std::move(records);
    return message;
  }
  // The addresses that the poller joins when the poll has become quiet.
  std::vector<Endpoint> Joined() {
    now_ = std::max(now_, poller_.next_deadline());
    DiscoveryOutput out;
    poller_.OnTimer(now_, out);
    return out.join;
  }

  Instant now_ = kStart;
  DiscoveryPoller poller_{kStart, *DiscoveryServiceName("clus"), At(1), /*seed=*/1};
};

TEST_F(DiscoveryPollerTest, PollsEveryMinuteAndListensForASecond) {
  EXPECT_EQ(poller_.next_deadline(), kStart);
  const DiscoveryOutput first = Timer(seconds(0));
  EXPECT_TRUE(first.open);
  ASSERT_THAT(first.questions, SizeIs(1));
  const std::optional<DnsMessage> question = ParseDnsMessage(first.questions[0]);
  EXPECT_THAT(question->questions,
              ElementsAre(DnsQuestion{*DnsName("_serf_clus._tcp.local."), DnsType::kPtr}));
  EXPECT_EQ(poller_.next_deadline(), kStart + seconds(1));
  EXPECT_TRUE(Timer(seconds(1)).close);
  EXPECT_EQ(poller_.next_deadline(), kStart + seconds(60));
  const DiscoveryOutput second = Timer(seconds(60));
  EXPECT_TRUE(second.open);
  EXPECT_NE(ParseDnsMessage(second.questions[0])->id, question->id);
}

TEST_F(DiscoveryPollerTest, JoinsAllWhenItHasBecomeQuiet) {
  Timer(seconds(0));
  EXPECT_THAT(Answer("b", At(2)).join, IsEmpty());
  EXPECT_EQ(poller_.next_deadline(), kStart + milliseconds(100));
  now_ = kStart + milliseconds(50);
  Answer("c", At(3));
  Answer("c", At(3));
  EXPECT_EQ(poller_.next_deadline(), kStart + milliseconds(150));
  EXPECT_THAT(Timer(milliseconds(149)).join, IsEmpty());
  EXPECT_THAT(Timer(milliseconds(150)).join, ElementsAre(At(2), At(3)));
}

TEST_F(DiscoveryPollerTest, DoesNotJoinItself) {
  Timer(seconds(0));
  Answer("a", At(1));
  EXPECT_EQ(poller_.next_deadline(), kStart + seconds(1));
}

TEST_F(DiscoveryPollerTest, JoinedOnceFailedAgain) {
  Timer(seconds(0));
  for (const int last : {2, 3, 4}) Answer(absl::StrCat(last), At(last));
  EXPECT_THAT(Joined(), SizeIs(3));
  // Only one of the three became a member. OnJoined() gets it in the form that the wire has.
  poller_.OnJoined(now_, std::vector<Endpoint>{At(9), {At(3).address.Mapped(), 7946}},
                   /*all=*/false);
  // The poller does not join it again in the same poll.
  Answer("2", At(2));
  EXPECT_EQ(poller_.next_deadline(), kStart + seconds(1));
  Timer(seconds(60));
  for (const int last : {2, 3, 4}) Answer(absl::StrCat(last), At(last));
  EXPECT_THAT(Joined(), ElementsAre(At(2), At(4)));
  poller_.OnJoined(now_, {}, /*all=*/true);
  Timer(seconds(120));
  for (const int last : {2, 3, 4}) Answer(absl::StrCat(last), At(last));
  EXPECT_THAT(Joined(), IsEmpty());
}

TEST_F(DiscoveryPollerTest, OneJoinAtATime) {
  Timer(seconds(0));
  Answer("b", At(2));
  EXPECT_THAT(Joined(), ElementsAre(At(2)));
  Answer("c", At(3));
  EXPECT_EQ(poller_.next_deadline(), kStart + seconds(1));
  poller_.OnJoined(now_, {}, /*all=*/true);
  EXPECT_THAT(Joined(), ElementsAre(At(3)));
}

TEST_F(DiscoveryPollerTest, OnlyInstancesOfTheServiceCount) {
  Timer(seconds(0));
  Answer("b", At(2), "other");
  // A foreign instance under this service's name, and this service's instance under a foreign name.
  const std::string foreign = *DnsName("x._http._tcp.local.");
  Hear(Records({{*DnsName("_serf_clus._tcp.local."), DnsPtr{foreign}},
                {foreign, DnsSrv{0, 0, 80, "vm"}},
                {"vm", IpAddress::V4(10, 0, 0, 2)},
                {foreign, DnsTxt{"x"}}}));
  EXPECT_EQ(poller_.next_deadline(), kStart + seconds(1));
}

TEST_F(DiscoveryPollerTest, LateAnswersDoNotCount) {
  Answer("b", At(2));  // before the first poll
  Timer(seconds(0));
  Timer(seconds(1));
  Answer("b", At(2));
  EXPECT_EQ(poller_.next_deadline(), kStart + seconds(60));
}

TEST_F(DiscoveryPollerTest, AsksOnceForWhatIsMissing) {
  const std::string service = *DnsName("_serf_clus._tcp.local.");
  const std::string instance = *DnsName("Beta._serf_clus._tcp.local.");
  Timer(seconds(0));
  const DnsMessage ptr = Records({{service, DnsPtr{instance}}});
  const DiscoveryOutput out = Hear(ptr);
  ASSERT_THAT(out.questions, SizeIs(1));
  EXPECT_THAT(ParseDnsMessage(out.questions[0])->questions,
              ElementsAre(DnsQuestion{instance, DnsType::kAny}));
  EXPECT_THAT(Hear(ptr).questions, IsEmpty());
  // The other records come in pieces, in any case and order. The last address counts.
  Hear(Records({{*DnsName("beta._SERF_clus._tcp.local."), DnsSrv{0, 0, 7000, "VM"}}}));
  Hear(Records({{"vm", IpAddress()}, {"vm", At(2).address}}));
  Hear(Records({{instance, DnsTxt{"x"}}, {"other", At(3).address}}));
  EXPECT_THAT(Joined(), ElementsAre(At(2, 7000)));
}

// Their answers name the same host.
TEST_F(DiscoveryPollerTest, AgentsOfOneHost) {
  Timer(seconds(0));
  Answer("b", At(2));
  Answer("c", At(3));
  Answer("d", At(3, 7947));
  EXPECT_THAT(Joined(), ElementsAre(At(2), At(3), At(3, 7947)));
}

TEST_F(DiscoveryPollerTest, HostileAnswersAreBounded) {
  Timer(seconds(0));
  std::size_t asked = 0;
  for (int i = 0; i < 1000; ++i) {
    Answer(absl::StrCat("n", i),
           {IpAddress::V4(10, 1, static_cast<std::uint8_t>(i / 256), static_cast<std::uint8_t>(i)),
            7946});
    asked += Hear(Records({{*DnsName("_serf_clus._tcp.local."),
                            DnsPtr{*DnsName(absl::StrCat("m", i, "._serf_clus._tcp.local."))}}}))
                 .questions.size();
  }
  EXPECT_LE(asked, DiscoveryPoller::kInstancesMax);
  EXPECT_THAT(Joined(), SizeIs(DiscoveryPoller::kJoinMax));
}

TEST_F(DiscoveryPollerTest, ForgetsAllWhenItRemembersTooMuch) {
  Duration since{};
  for (std::size_t n = 0; n <= DiscoveryPoller::kJoinedMax; ++n) {
    since += seconds(60);
    Timer(since);
    Answer("b", At(2, static_cast<std::uint16_t>(10000 + n)));
    ASSERT_THAT(Joined(), SizeIs(1)) << n;
    poller_.OnJoined(now_, {}, /*all=*/true);
  }
  Timer(since + seconds(60));
  Answer("b", At(2, 10000));
  EXPECT_THAT(Joined(), SizeIs(1));
}

}  // namespace
}  // namespace serf::cmd
