#include "serf/cmd/discovery/service.h"

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/cmd/discovery/dns_message.h"

namespace serf::cmd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The agent of the recording in docs/protocol/agent.md 2.14.
DiscoveryService Alpha() {
  return *DiscoveryService::Create({.cluster = "clus",
                                    .node = "alpha",
                                    .host = "vm",
                                    .endpoint = {IpAddress::V4(127, 0, 0, 1), 23171}});
}

ByteVector Hex(absl::string_view digits) {
  const std::string bytes = absl::HexStringToBytes(digits);
  return {bytes.begin(), bytes.end()};
}

DnsMessage Ask(absl::string_view name, DnsType type, bool unicast = false) {
  DnsMessage query;
  query.id = 0x1234;
  query.questions.push_back({*DnsName(name), type, unicast});
  return query;
}

TEST(DiscoveryServiceTest, AnswerAsRecorded) {
  const std::optional<DnsMessage> query = ParseDnsMessage(
      Hex("1234000000010000000000000a5f736572665f636c7573045f746370056c6f63616c00000c0001"));
  EXPECT_THAT(Alpha().Answer(*query),
              ElementsAre(Hex("000084000000000400000000"
                              "0a5f736572665f636c7573045f746370056c6f63616c00000c0001000000780008"
                              "05616c706861c00c"
                              "c02d00210001000000"
                              "78000a000a00015a8302766d00"
                              "c0470001000100000078"
                              "00047f000001"
                              "c02d00100001000000780014"
                              "13536572662027636c75732720636c7573746572")));
}

TEST(DiscoveryServiceTest, EachQuestion) {
  constexpr char kService[] = "_serf_clus._tcp.local.";
  constexpr char kInstance[] = "alpha._serf_clus._tcp.local.";
  const DnsRecord ptr{*DnsName(kService), DnsPtr{*DnsName(kInstance)}};
  const DnsRecord srv{*DnsName(kInstance), DnsSrv{10, 1, 23171, "vm"}};
  const DnsRecord a{"vm", IpAddress::V4(127, 0, 0, 1)};
  const DnsRecord txt{*DnsName(kInstance), DnsTxt{"Serf 'clus' cluster"}};
  const DnsRecord listed{*DnsName("_services._dns-sd._udp.local."), DnsPtr{*DnsName(kService)}};
  const struct {
    const char* name;
    DnsType type;
    std::vector<DnsRecord> want;
  } kCases[] = {
      {kService, DnsType::kPtr, {ptr, srv, a, txt}},
      {kService, DnsType::kAny, {ptr, srv, a, txt}},
      {kService, DnsType::kSrv, {}},
      {kInstance, DnsType::kAny, {srv, a, txt}},
      {kInstance, DnsType::kSrv, {srv, a}},
      {kInstance, DnsType::kA, {a}},
      {kInstance, DnsType::kAaaa, {}},
      {kInstance, DnsType::kTxt, {txt}},
      {kInstance, DnsType::kPtr, {}},
      {"vm.", DnsType::kA, {a}},
      {"vm.", DnsType::kAaaa, {}},
      {"vm.", DnsType::kAny, {}},
      {"_services._dns-sd._udp.local.", DnsType::kPtr, {listed}},
      {"_services._dns-sd._udp.local.", DnsType::kAny, {listed}},
      {"_SERF_CLUS._tcp.local.", DnsType::kPtr, {}},
      {"_serf_other._tcp.local.", DnsType::kPtr, {}},
      {"beta._serf_clus._tcp.local.", DnsType::kAny, {}},
  };
  for (const auto& c : kCases) {
    const std::vector<ByteVector> answers = Alpha().Answer(Ask(c.name, c.type));
    if (c.want.empty()) {
      EXPECT_THAT(answers, IsEmpty()) << c.name;
      continue;
    }
    ASSERT_THAT(answers, SizeIs(1)) << c.name;
    EXPECT_EQ(ParseDnsMessage(answers[0])->records, c.want) << c.name;
  }
}

TEST(DiscoveryServiceTest, Ipv6) {
  const auto six = DiscoveryService::Create({.cluster = "clus",
                                             .node = "a.b c",
                                             .host = "vm",
                                             .endpoint = {*IpAddress::Parse("fd00::1"), 7946}});
  const auto answers = six->Answer(Ask("vm.", DnsType::kAaaa));
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_THAT(ParseDnsMessage(answers[0])->records,
              ElementsAre(DnsRecord{"vm", *IpAddress::Parse("fd00::1")}));
  EXPECT_THAT(six->Answer(Ask("a.b c._serf_clus._tcp.local.", DnsType::kSrv)), SizeIs(1));
}

TEST(DiscoveryServiceTest, UnicastQuestionsKeepTheirId) {
  DnsMessage query = Ask("vm.", DnsType::kA, /*unicast=*/true);
  auto answers = Alpha().Answer(query);
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_EQ(ParseDnsMessage(answers[0])->id, 0x1234);
  query.questions.push_back({*DnsName("_serf_clus._tcp.local."), DnsType::kPtr, false});
  answers = Alpha().Answer(query);
  ASSERT_THAT(answers, SizeIs(2));
  EXPECT_EQ(ParseDnsMessage(answers[0])->id, 0);
  EXPECT_THAT(ParseDnsMessage(answers[0])->records, SizeIs(4));
  EXPECT_EQ(ParseDnsMessage(answers[1])->id, 0x1234);
  EXPECT_THAT(ParseDnsMessage(answers[1])->records, SizeIs(1));
}

TEST(DiscoveryServiceTest, ResponsesAreNotAnswered) {
  DnsMessage query = Ask("vm.", DnsType::kA);
  query.response = true;
  EXPECT_THAT(Alpha().Answer(query), IsEmpty());
}

TEST(DiscoveryServiceTest, AnswersAreBounded) {
  DnsMessage query = Ask("_serf_clus._tcp.local.", DnsType::kAny);
  for (int i = 0; i < 1000; ++i) query.questions.push_back(query.questions[0]);
  const auto answers = Alpha().Answer(query);
  ASSERT_THAT(answers, SizeIs(1));
  EXPECT_LE(answers[0].size(), DnsWriter::kMessageMax);
  EXPECT_TRUE(ParseDnsMessage(answers[0]));
}

// Containers have names of 64 digits.
TEST(DiscoveryServiceTest, TheAddressStandsInForANameThatIsNoneForDns) {
  const struct {
    std::string node;
    std::string host;
    const char* address;
    const char* instance;
    const char* target;
  } kTable[] = {
      {std::string(63, 'a'), "vm", "10.0.0.1", nullptr, "vm"},
      {std::string(64, 'a'), "vm", "10.0.0.1", "10-0-0-1-7946", "vm"},
      {"a.", "vm", "10.0.0.1", "10-0-0-1-7946", "vm"},
      {"a..b", "v..m", "10.0.0.1", "10-0-0-1-7946", "10-0-0-1-7946.local"},
      {"", "vm", "fd00::5", "fd00--5-7946", "vm"},
  };
  for (const auto& row : kTable) {
    const auto service =
        DiscoveryService::Create({.cluster = "clus",
                                  .node = row.node,
                                  .host = row.host,
                                  .endpoint = {*IpAddress::Parse(row.address), 7946}});
    ASSERT_TRUE(service.ok()) << service.status();
    const auto answers = service->Answer(Ask("_serf_clus._tcp.local.", DnsType::kPtr));
    ASSERT_THAT(answers, SizeIs(1)) << row.node;
    const std::string instance = absl::StrCat(
        row.instance != nullptr ? std::string(row.instance) : row.node, "._serf_clus._tcp.local.");
    EXPECT_EQ(
        ParseDnsMessage(answers[0])->records,
        (std::vector<DnsRecord>{{*DnsName("_serf_clus._tcp.local."), DnsPtr{*DnsName(instance)}},
                                {*DnsName(instance), DnsSrv{10, 1, 7946, row.target}},
                                {row.target, *IpAddress::Parse(row.address)},
                                {*DnsName(instance), DnsTxt{"Serf 'clus' cluster"}}}))
        << row.node;
  }
}

TEST(DiscoveryServiceTest, TheClustersNameMustFit) {
  DiscoveryService::Options options{
      .cluster = std::string(57, 'x'), .node = std::string(63, 'n'), .host = "vm", .endpoint = {}};
  EXPECT_TRUE(DiscoveryService::Create(options).ok());
  options.cluster += "x";
  EXPECT_EQ(DiscoveryService::Create(options).status().message(),
            "'_serf_" + options.cluster + "._tcp.local.' is no name for DNS");
}

}  // namespace
}  // namespace serf::cmd
