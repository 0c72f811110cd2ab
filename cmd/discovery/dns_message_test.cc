#include "serf/cmd/discovery/dns_message.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"

namespace serf::cmd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ByteVector Hex(absl::string_view digits) {
  const std::string bytes = absl::HexStringToBytes(digits);
  return {bytes.begin(), bytes.end()};
}

std::string Name(absl::string_view text) { return *DnsName(text); }

TEST(DnsNameTest, OneFormForEachName) {
  EXPECT_EQ(Name("_serf_x._tcp.local."), "_serf_x._tcp.local");
  EXPECT_EQ(Name("_serf_x._tcp.local"), "_serf_x._tcp.local");
  EXPECT_EQ(Name("a b@\u00e9.local."), "a\\032b\\@\\195\\169.local");
  EXPECT_EQ(Name(Name("a b@\u00e9.local.")), Name("a b@\u00e9.local."));
}

TEST(DnsNameTest, WhatIsNoName) {
  const std::string longest(63, 'a');
  EXPECT_TRUE(DnsName(longest).ok());
  for (const std::string& bad : {std::string(), std::string("a..b"), longest + "a",
                                 longest + "." + longest + "." + longest + "." + longest + ".b",
                                 std::string("a\0b", 3), std::string("a\\")}) {
    EXPECT_TRUE(absl::IsInvalidArgument(DnsName(bad).status())) << bad;
  }
}

TEST(DnsMessageTest, Question) {
  // The message of docs/protocol/agent.md 2.14.
  const ByteVector bytes =
      Hex("1234000000010000000000000a5f736572665f636c7573045f746370056c6f63616c00000c0001");
  const std::optional<DnsMessage> message = ParseDnsMessage(bytes);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->id, 0x1234);
  EXPECT_FALSE(message->response);
  const DnsQuestion question{Name("_serf_clus._tcp.local."), DnsType::kPtr, false};
  EXPECT_THAT(message->questions, ElementsAre(question));
  EXPECT_THAT(message->records, IsEmpty());
  DnsWriter writer(0x1234, 0);
  EXPECT_TRUE(writer.empty());
  EXPECT_TRUE(writer.AddQuestion(question));
  EXPECT_FALSE(writer.empty());
  EXPECT_EQ(ByteVector(writer.bytes().begin(), writer.bytes().end()), bytes);
}

TEST(DnsMessageTest, QuestionForUnicast) {
  DnsWriter writer(1, 0);
  const DnsQuestion question{Name("x.local."), DnsType::kAny, true};
  EXPECT_TRUE(writer.AddQuestion(question));
  EXPECT_EQ(writer.bytes()[writer.bytes().size() - 2], 0x80);
  EXPECT_THAT(ParseDnsMessage(writer.bytes())->questions, ElementsAre(question));
}

TEST(DnsMessageTest, WhatIsWrittenIsRead) {
  const DnsRecord records[] = {
      {Name("s.local."), DnsPtr{Name("i.s.local.")}},
      {Name("i.s.local."), DnsSrv{1, 2, 7946, Name("host.local.")}},
      {Name("host.local."), IpAddress::V4(10, 0, 0, 1)},
      {Name("host.local."), *IpAddress::Parse("fe80::1")},
      {Name("i.s.local."), DnsTxt{std::string(255, 'x')}},
  };
  DnsWriter writer(7, kDnsResponse);
  for (const DnsRecord& record : records) EXPECT_TRUE(writer.AddRecord(record, 120));
  const std::optional<DnsMessage> message = ParseDnsMessage(writer.bytes());
  ASSERT_TRUE(message);
  EXPECT_TRUE(message->response);
  EXPECT_THAT(message->records, ::testing::ElementsAreArray(records));
}

TEST(DnsMessageTest, WhatDoesNotFitIsLeftOut) {
  DnsWriter writer(0, kDnsResponse);
  const DnsRecord text{Name("a.local."), DnsTxt{std::string(255, 'x')}};
  std::size_t added = 0;
  while (writer.AddRecord(text, 1)) ++added;
  EXPECT_EQ(added, 5u);
  const std::size_t size = writer.bytes().size();
  // The name of the next record fits, but the record does not. The record after it must not point
  // to that name.
  EXPECT_FALSE(writer.AddRecord({Name("b.other."), DnsTxt{std::string(255, 'y')}}, 1));
  EXPECT_FALSE(writer.AddRecord({Name("a.local."), DnsTxt{std::string(256, 'y')}}, 1));
  EXPECT_EQ(writer.bytes().size(), size);
  const DnsRecord small{Name("b.other."), IpAddress::V4(10, 0, 0, 1)};
  EXPECT_TRUE(writer.AddRecord(small, 1));
  const std::optional<DnsMessage> message = ParseDnsMessage(writer.bytes());
  ASSERT_TRUE(message);
  ASSERT_EQ(message->records.size(), added + 1);
  EXPECT_EQ(message->records.back(), small);
}

TEST(DnsMessageTest, MoreNamesThanCanBePointedTo) {
  DnsWriter writer(0, kDnsResponse);
  for (std::size_t i = 0; i < DnsWriter::kNamesMax + 10; ++i) {
    ASSERT_TRUE(writer.AddRecord({Name(absl::StrCat(i)), IpAddress::V4(10, 0, 0, 1)}, 1)) << i;
  }
  const std::optional<DnsMessage> message = ParseDnsMessage(writer.bytes());
  ASSERT_TRUE(message);
  EXPECT_EQ(message->records.size(), DnsWriter::kNamesMax + 10);
}

TEST(DnsMessageTest, WhatIsIgnored) {
  const std::string question = "0000000100000000000001610000010001";
  EXPECT_TRUE(ParseDnsMessage(Hex("0000" + question)));
  // Each message has one fault: an opcode, TC, a response code, a surplus byte, a missing byte, a
  // name that points to itself, counts larger than the content.
  for (const char* digits : {"0000080000010000000000000161000001"
                             "0001",
                             "0000020000010000000000000161000001"
                             "0001",
                             "0000000300010000000000000161000001"
                             "0001",
                             "000000000001000000000000016100000100"
                             "0100",
                             "00000000000100000000000001610000010"
                             "0",
                             "000000000001000000000000c00c00010001",
                             "00000000ffff000000000000016100000100"
                             "01",
                             "", "00"}) {
    EXPECT_FALSE(ParseDnsMessage(Hex(digits))) << digits;
  }
  EXPECT_FALSE(ParseDnsMessage(ByteVector(kDnsDatagramMax + 1)));
}

TEST(DnsMessageTest, RecordsThatAreSkipped) {
  const std::string header =
      "000084000000000100000000"
      "016100";
  // Each record is type, class, TTL, length and data. Only the last one is complete.
  for (const char* digits : {"0001"
                             "0003"
                             "00000000"
                             "0004"
                             "0a000001",  // class CH
                             "0001"
                             "0001"
                             "00000000"
                             "0003"
                             "0a0000",
                             "001c"
                             "0001"
                             "00000000"
                             "0004"
                             "0a000001",
                             "0021"
                             "0001"
                             "00000000"
                             "0006"
                             "000000000000",
                             "0010"
                             "0001"
                             "00000000"
                             "0000"
                             "",
                             "0010"
                             "0001"
                             "00000000"
                             "0002"
                             "0578",
                             "000c"
                             "0001"
                             "00000000"
                             "0000"
                             "",
                             "0005"
                             "0001"
                             "00000000"
                             "0002"
                             "c00c"}) {
    const std::optional<DnsMessage> message = ParseDnsMessage(Hex(header + digits));
    ASSERT_TRUE(message) << digits;
    EXPECT_THAT(message->records, IsEmpty()) << digits;
  }
  const std::optional<DnsMessage> message = ParseDnsMessage(Hex(header + "00018001"
                                                                         "00000000"
                                                                         "0004"
                                                                         "0a000001"));
  ASSERT_TRUE(message);
  EXPECT_THAT(message->records, ElementsAre(DnsRecord{"a", IpAddress::V4(10, 0, 0, 1)}));
}

TEST(DnsMessageTest, CountsAreBounded) {
  std::string digits =
      "000084000000"
      "0400"
      "0000"
      "0000";
  for (int i = 0; i < 0x400; ++i)
    digits +=
        "00"
        "0001"
        "0001"
        "00000000"
        "0004"
        "0a000001";
  const ByteVector bytes = Hex(digits);
  EXPECT_FALSE(ParseDnsMessage(bytes));  // too long
  digits =
      "000000000200"
      "0000"
      "0000"
      "0000";
  for (int i = 0; i < 0x200; ++i)
    digits +=
        "00"
        "0001"
        "0001";
  const std::optional<DnsMessage> questions = ParseDnsMessage(Hex(digits));
  ASSERT_TRUE(questions);
  EXPECT_EQ(questions->questions.size(), kDnsQuestionsMax);
}

}  // namespace
}  // namespace serf::cmd
