#include "serf/cmd/discovery/targets.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/endpoint.h"
#include "serf/cmd/discovery/member_services.h"
#include "serf/member.h"
#include "serf/tags.h"

namespace serf::cmd {
namespace {

Member MakeMember(std::string name, std::uint8_t last, Tags tags,
                  MemberStatus status = MemberStatus::kAlive) {
  Member member;
  member.name = std::move(name);
  member.endpoint = {IpAddress::V4(10, 0, 0, last), 7946};
  member.tags = std::move(tags);
  member.status = status;
  return member;
}

TEST(MemberServicesTest, Table) {
  using Services = std::vector<ServiceInstance>;
  const struct {
    Tags tags;
    Services services;
  } cases[] = {
      {{}, {}},
      {{{"role", "web"}}, {{"web", 0}}},
      {{{"role", "web"}, {"port", "8080"}}, {{"web", 8080}}},
      {{{"role", "web"}, {"port", "0"}}, {{"web", 0}}},
      {{{"role", "web"}, {"port", "x"}}, {{"web", 0}}},
      {{{"port", "8080"}}, {}},
      {{{"service.db", "5432"}, {"service.cache", "6379"}}, {{"cache", 6379}, {"db", 5432}}},
      {{{"service.web", "80"}, {"role", "web"}, {"port", "8080"}}, {{"web", 80}}},
      {{{"service.db", ""}}, {{"db", 0}}},
      {{{"service.db", "65536"}}, {{"db", 0}}},
      // No DNS labels.
      {{{"service.", "1"}, {"service.a.b", "2"}, {"service.-a", "3"}, {"service.a_b", "4"}}, {}},
      {{{"role", "two words"}}, {}},
      {{{"role", std::string(64, 'a')}}, {}},
      {{{"role", ""}}, {}},
  };
  for (const auto& c : cases) EXPECT_EQ(ServicesOf(c.tags), c.services) << c.tags.size();
  EXPECT_EQ(ServicesOf({{"role", std::string(63, 'a')}}).size(), 1U);
}

TEST(MemberServicesTest, Ports) {
  EXPECT_EQ(ParsePort("1"), 1);
  EXPECT_EQ(ParsePort("65535"), 65535);
  EXPECT_EQ(ParsePort("00080"), 80);
  for (const char* text :
       {"", "0", "65536", "-1", "+1", " 1", "1 ", "1.5", "0x1", "http", "000080"}) {
    EXPECT_EQ(ParsePort(text), std::nullopt) << text;
  }
}

// Which port each combination of options gives, and who is left out.
TEST(TargetsTest, PortTable) {
  const Tags tags = {{"role", "web"}, {"metrics", "9100"}, {"bad", "x"}, {"service.db", "5432"}};
  const std::vector<Member> members = {MakeMember("a", 1, tags)};
  const struct {
    std::optional<std::uint16_t> port;
    std::string port_tag;
    std::string service;
    std::optional<std::uint16_t> chosen;
  } cases[] = {
      {std::nullopt, "", "", 7946},
      {9000, "", "", 9000},
      {std::nullopt, "metrics", "", 9100},
      {9000, "metrics", "", 9100},
      {std::nullopt, "bad", "", std::nullopt},
      {9000, "bad", "", 9000},
      {std::nullopt, "nosuch", "", std::nullopt},
      {9000, "nosuch", "", 9000},
      {std::nullopt, "", "db", 5432},
      {9000, "", "db", 5432},
      {std::nullopt, "metrics", "db", 9100},
      {std::nullopt, "", "web", std::nullopt},  // its port is unknown
      {9000, "", "web", 9000},
      {9000, "", "nosuch", std::nullopt},
  };
  for (const auto& c : cases) {
    TargetOptions options;
    options.port = c.port;
    options.port_tag = c.port_tag;
    options.service = c.service;
    const std::vector<Target> targets = SelectTargets(members, options);
    std::optional<std::uint16_t> chosen;
    if (!targets.empty()) chosen = targets.front().port;
    EXPECT_EQ(chosen, c.chosen) << c.port.value_or(0) << " " << c.port_tag << " " << c.service;
  }
}

TEST(TargetsTest, StatusesAndOrder) {
  const std::vector<Member> members = {
      MakeMember("d", 4, {}, MemberStatus::kFailed), MakeMember("b", 2, {}, MemberStatus::kLeft),
      MakeMember("c", 3, {}, MemberStatus::kLeaving), MakeMember("a", 1, {})};
  const auto names = [&members](const TargetOptions& options) {
    std::string text;
    for (const Target& target : SelectTargets(members, options)) text += target.member->name;
    return text;
  };
  TargetOptions options;
  EXPECT_EQ(names(options), "ad");
  options.statuses = {MemberStatus::kLeft, MemberStatus::kLeaving};
  EXPECT_EQ(names(options), "bc");
}

TEST(TargetsTest, PrometheusTextIsOfTheDocumentedForm) {
  const std::vector<Member> members = {MakeMember("db-2", 12, {{"role", "db"}})};
  TargetOptions options;
  options.port = 9100;
  EXPECT_EQ(PrometheusText(SelectTargets(members, options), "web-1"),
            "[\n"
            "  {\"targets\": [\"10.0.0.12:9100\"], \"labels\": {\"__meta_serf_node\": \"db-2\", "
            "\"__meta_serf_ip\": \"10.0.0.12\", \"__meta_serf_status\": \"alive\", "
            "\"__meta_serf_agent\": \"web-1\", \"__meta_serf_tag_role\": \"db\", "
            "\"__meta_serf_tagpresent_role\": \"true\"}}\n"
            "]\n");
  EXPECT_EQ(PrometheusText({}, "web-1"), "[]\n");
}

TEST(TargetsTest, AnAddressOfVersion6StandsInBrackets) {
  std::vector<Member> members = {MakeMember("a", 1, {})};
  members[0].endpoint.address = *IpAddress::Parse("fd00::1");
  const auto json = nlohmann::json::parse(PrometheusText(SelectTargets(members, {}), ""));
  EXPECT_EQ(json[0]["targets"][0], "[fd00::1]:7946");
  EXPECT_EQ(HostsText(SelectTargets(members, {})), "fd00::1 a\n");
}

TEST(TargetsTest, OfTwoTagsWithOneLabelTheFirstCounts) {
  const std::vector<Member> members = {
      MakeMember("a", 1, {{"a.b", "2"}, {"a-b", "1"}, {"a_b", "3"}})};
  const auto json = nlohmann::json::parse(PrometheusText(SelectTargets(members, {}), "x"));
  EXPECT_EQ(json[0]["labels"]["__meta_serf_tag_a_b"], "1");
  EXPECT_EQ(json[0]["labels"].size(), 6U);
}

// Other nodes choose names and tags: each text keeps its form whatever they hold.
TEST(TargetsTest, HostileNamesKeepTheForm) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes += static_cast<char>(byte);
  const std::vector<Member> members = {MakeMember("a\n10.6.6.6 bank", 1, {{bytes, bytes}}),
                                       MakeMember(bytes, 2, {}),
                                       MakeMember("localhost", 3, {}),
                                       MakeMember("x.LocalHost", 4, {}),
                                       MakeMember("-a", 5, {}),
                                       MakeMember("", 6, {}),
                                       MakeMember("web_1.example", 7, {})};
  const std::vector<Target> targets = SelectTargets(members, {});
  const auto prometheus = nlohmann::json::parse(PrometheusText(targets, bytes), nullptr, false);
  ASSERT_TRUE(prometheus.is_array());
  EXPECT_EQ(prometheus.size(), members.size());
  for (const auto& group : prometheus) {
    for (const auto& label : group["labels"].items()) {
      for (const char c : label.key()) EXPECT_TRUE(std::isalnum(c) != 0 || c == '_') << label.key();
    }
  }
  const auto json = nlohmann::json::parse(TargetsJson(targets), nullptr, false);
  ASSERT_TRUE(json.is_array());
  EXPECT_EQ(json.size(), members.size());
  std::string hosts = HostsText(targets);
  std::size_t lines = 0;
  for (std::size_t at = 0; at < hosts.size(); at = hosts.find('\n', at) + 1, ++lines) {
    const bool comment = hosts[at] == '#';
    EXPECT_EQ(!comment, hosts.compare(at, 9, "10.0.0.7 ") == 0) << hosts.substr(at);
  }
  EXPECT_EQ(lines, members.size());
}

TEST(TargetsTest, Json) {
  const std::vector<Member> members = {
      MakeMember("a", 1, {{"role", "web"}}, MemberStatus::kFailed)};
  EXPECT_EQ(TargetsJson(SelectTargets(members, {})),
            "[\n  {\"node\": \"a\", \"ip\": \"10.0.0.1\", \"port\": 7946, \"status\": \"failed\", "
            "\"healthy\": false, \"tags\": {\"role\": \"web\"}}\n]\n");
  EXPECT_EQ(TargetsJson({}), "[]\n");
}

}  // namespace
}  // namespace serf::cmd
