// Tests of an agent's configuration before the agent starts.

#include "serf/cmd/daemon/agent_config.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/cmd/daemon/agent_addresses.h"
#include "serf/cmd/events/event_spec.h"
#include "serf/cmd/tag_flag.h"

namespace serf::cmd {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

transport::InterfaceAddress On(const char* interface, const char* address, int bits) {
  return {interface, *IpAddress::Parse(address), bits, /*up=*/true};
}

InterfaceLister Listing(std::vector<transport::InterfaceAddress> addresses) {
  return [addresses = std::move(addresses)] { return addresses; };
}

const InterfaceLister kAlone = Listing({On("lo", "127.0.0.1", 8), On("lo", "::1", 128)});
const InterfaceLister kPrivate = Listing({On("lo", "127.0.0.1", 8), On("d0", "169.254.1.1", 16),
                                          On("d0", "10.9.0.1", 24), On("d0", "10.9.0.2", 24)});

TEST(AgentConfigTest, DefaultsKeepRpcOnLoopback) {
  const AgentConfig config;
  EXPECT_EQ(config.rpc_addr, "127.0.0.1:7373");
  EXPECT_EQ(LookUpAddresses(config, kPrivate)->bind.ToString(), "0.0.0.0:7946");
}

TEST(AgentConfigTest, CompletesWhatIsMissing) {
  AgentConfig config;
  std::vector<std::string> warnings;
  ASSERT_TRUE(CompleteConfig(config, warnings).ok());
  EXPECT_FALSE(config.node_name.empty());
  EXPECT_THAT(warnings, ElementsAre());
}

TEST(AgentConfigTest, WarnsAndCorrects) {
  AgentConfig config;
  config.role = "web";
  config.tags = {{"role", "db"}, {"v", "2"}};
  config.retry_interval = milliseconds(500);
  config.broadcast_timeout = -seconds(1);
  std::vector<std::string> warnings;
  ASSERT_TRUE(CompleteConfig(config, warnings).ok());
  EXPECT_THAT(warnings, ElementsAre("Deprecation warning: 'Role' has been replaced with 'Tags'",
                                    "Warning: 'RetryInterval' is too low. Setting to 1s",
                                    "Warning: 'BroadcastTimeout' is too low. Setting to 1s"));
  EXPECT_EQ(config.tags, (Tags{{"role", "web"}, {"v", "2"}}));
  EXPECT_EQ(config.retry_interval, seconds(1));
  EXPECT_EQ(config.broadcast_timeout, seconds(1));
}

TEST(AgentConfigTest, EventScripts) {
  const auto scripts = ParseEventScripts({"a.sh", "user:x,query=b=c", "=d", "*=e", "user:=f"});
  ASSERT_TRUE(scripts.ok());
  std::vector<std::string> told;
  for (const EventScript& script : *scripts) told.push_back(script.event + " " + script.command);
  EXPECT_THAT(told, ElementsAre("* a.sh", "user:x b=c", "query b=c", "* d", "* e", "user: f"));
  AgentConfig config;
  std::vector<std::string> warnings;
  config.event_handlers = {"user=ok", "member-join,nope:x=script"};
  EXPECT_EQ(Message(CompleteConfig(config, warnings)),
            "Invalid event script: Event 'nope:x' invoking 'script'");
}

TEST(AgentConfigTest, Mdns) {
  const struct {
    const char* interface;
    const char* discover;
    bool no_v4, no_v6;
    const char* error;
  } kCases[] = {
      {"lo", "", false, false, "mDNS interface specified without enabling mDNS discovery"},
      {"nosuch0", "x", false, false,
       "Invalid mDNS network interface: route ip+net: no such network interface"},
      {"lo", "x", true, true, "Invalid mDNS configuration: both IPv4 and IPv6 are disabled"},
      {"lo", "x", true, false, ""},
      {"", "x", true, true, ""},  // nothing can listen then, which a later check reports
      {"", "", true, true, ""},
  };
  for (const auto& c : kCases) {
    AgentConfig config;
    config.mdns_interface = c.interface;
    config.discover = c.discover;
    config.mdns_disable_ipv4 = c.no_v4;
    config.mdns_disable_ipv6 = c.no_v6;
    std::vector<std::string> warnings;
    EXPECT_EQ(Message(CompleteConfig(config, warnings)), c.error);
  }
}

TEST(AgentConfigTest, RetryIntervals) {
  AgentConfig config;
  std::vector<std::string> warnings;
  config.retry_interval_max = std::chrono::minutes(5);
  EXPECT_TRUE(CompleteConfig(config, warnings).ok());
  config.retry_interval_max = std::chrono::seconds(29);
  EXPECT_EQ(Message(CompleteConfig(config, warnings)),
            "retry_interval_max is 29s, must not be below retry_interval, 30s");
}

TEST(AgentConfigTest, WarnsOfRejoinWithoutSnapshot) {
  AgentConfig config;
  config.rejoin_after_leave = true;
  std::vector<std::string> warnings;
  ASSERT_TRUE(CompleteConfig(config, warnings).ok());
  EXPECT_THAT(warnings, ElementsAre("Warning: 'RejoinAfterLeave' enabled without snapshot file"));
}

TEST(AgentConfigTest, NoSuchInterface) {
  AgentConfig config;
  config.interface = "nosuch0";
  std::vector<std::string> warnings;
  EXPECT_EQ(Message(CompleteConfig(config, warnings)),
            "Invalid network interface: route ip+net: no such network interface");
}

TEST(AgentConfigTest, LogLevels) {
  EXPECT_EQ(*ParseLogLevel("WaRn"), LogLevel::kWarn);
  EXPECT_EQ(*ParseLogLevel("trace"), LogLevel::kTrace);
  EXPECT_EQ(Message(ParseLogLevel("loud").status()),
            "Invalid log level: LOUD. Valid log levels are: [TRACE DEBUG INFO WARN ERR]");
}

TEST(AgentConfigTest, Tags) {
  EXPECT_EQ(*ParseTags({"a=1", "b=x=y", "a=2", "c="}), (Tags{{"a", "2"}, {"b", "x=y"}, {"c", ""}}));
  EXPECT_EQ(Message(ParseTags({"foo"}).status()), "Invalid tag: 'foo'");
  EXPECT_EQ(Message(ParseTags({"=foo"}).status()), "Invalid tag: '=foo'");
}

TEST(AgentAddressesTest, Binds) {
  const struct {
    const char* bind;
    const char* endpoint;
    const char* shown;
  } kCases[] = {
      {"0.0.0.0", "0.0.0.0:7946", "0.0.0.0:7946"},
      {"127.0.0.1:23131", "127.0.0.1:23131", "127.0.0.1:23131"},
      {"localhost:0", "127.0.0.1:0", "127.0.0.1:0"},
      {"[::1]", "[::1]:7946", "[::1]:7946"},
      {":7000", "0.0.0.0:7000", ":7000"},
  };
  for (const auto& c : kCases) {
    AgentConfig config;
    config.bind = c.bind;
    const auto got = LookUpAddresses(config, kPrivate);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->bind.ToString(), c.endpoint);
    EXPECT_EQ(got->bind_text, c.shown);
    EXPECT_FALSE(got->advertise.has_value());
  }
}

TEST(AgentAddressesTest, LinkLocalAddressesHaveAnInterface) {
  const IpAddress one = *IpAddress::Parse("fe80::1");
  const IpAddress two = *IpAddress::Parse("fe80::2");
  const InterfaceLister interfaces = Listing(
      {{"lo", one, 64, /*up=*/true}, {"lo", two, 64, /*up=*/true}, {"d0", two, 64, /*up=*/true}});
  const struct {
    const char* bind;
    const char* interface;
    const char* want;  // the banner's text, or the error
  } kCases[] = {
      {"[fe80::1%lo]:7000", "", "[fe80::1%lo]:7000"},
      {"[fe80::3%lo]:7000", "", "[fe80::3%lo]:7000"},
      {"[fe80::1%1]", "", "[fe80::1%lo]:7946"},
      {"[fe80::1]", "", "[fe80::1%lo]:7946"},
      {"[fe80::2]", "lo", "[fe80::2%lo]:7946"},
      {"[fe80::2]", "",
       "Invalid bind address: fe80::2 is link-local: name its interface, as in [fe80::2%eth0]"},
      {"[fe80::2%lo]", "d0", "Invalid bind address: fe80::2%lo is not on interface 'd0'"},
      {"[fe80::1%nosuch0]", "",
       "Invalid bind address: lookup fe80::1%nosuch0: no such network interface"},
      {"[::1%lo]", "", "[::1]:7946"},
      {"127.0.0.1%lo", "", "Invalid bind address: lookup 127.0.0.1%lo: no such host"},
  };
  for (const auto& c : kCases) {
    AgentConfig config;
    config.bind = c.bind;
    config.interface = c.interface;
    const auto got = LookUpAddresses(config, interfaces);
    EXPECT_EQ(got.ok() ? got->bind_text : Message(got.status()), c.want) << c.bind;
    if (got.ok()) EXPECT_EQ(got->zone != 0, got->bind.address != *IpAddress::Parse("::1"));
  }
}

// The kernel's list is long, and an agent whose addresses are given needs none of it.
TEST(AgentAddressesTest, AsksForTheInterfacesOnlyIfSomethingIsToBeFound) {
  const struct {
    const char* bind;
    const char* interface;
    const char* advertise;
    bool asks;
  } kCases[] = {
      {"127.0.0.1", "", "", false},       {"10.9.0.1:7000", "", "10.0.0.1", false},
      {"0.0.0.0", "", "10.0.0.1", false}, {"[::1]", "", "", false},
      {"0.0.0.0", "", "", true},          {"127.0.0.1", "lo", "", true},
      {"[fe80::1]", "", "", true},
  };
  for (const auto& c : kCases) {
    AgentConfig config;
    config.bind = c.bind;
    config.interface = c.interface;
    config.advertise = c.advertise;
    bool asked = false;
    (void)LookUpAddresses(config, [&asked] {
      asked = true;
      return kAlone();
    });
    EXPECT_EQ(asked, c.asks) << c.bind << " " << c.interface << " " << c.advertise;
  }
}

TEST(AgentAddressesTest, RefusesBadAddresses) {
  AgentConfig config;
  config.bind = "::1";
  EXPECT_EQ(Message(LookUpAddresses(config).status()),
            "Invalid bind address: address ::1: too many colons in address");
  config.bind = "127.0.0.1:99999";
  EXPECT_EQ(Message(LookUpAddresses(config).status()),
            "Invalid bind address: address 99999: invalid port");
  config.bind = "127.0.0.1";
  config.advertise = "1.2.3.4:x";
  EXPECT_EQ(Message(LookUpAddresses(config).status()),
            "Invalid advertise address: address tcp/x: unknown port");
}

TEST(AgentAddressesTest, AdvertisesTheBoundPort) {
  AgentConfig config;
  config.bind = "127.0.0.1:7000";
  config.advertise = "10.0.0.1";
  EXPECT_EQ(LookUpAddresses(config)->advertise->ToString(), "10.0.0.1:7000");
  config.advertise = "10.0.0.1:8000";
  EXPECT_EQ(LookUpAddresses(config)->advertise->ToString(), "10.0.0.1:8000");
}

// In a container without a network, or on an offline laptop, the README's first command runs.
TEST(AgentAddressesTest, LoopbackIfThatIsAll) {
  for (const char* const bind : {"0.0.0.0", ":7000", "[::]:7000"}) {
    AgentConfig config;
    config.bind = bind;
    const auto got = LookUpAddresses(config, kAlone);
    ASSERT_TRUE(got.ok()) << got.status();
    EXPECT_EQ(got->bind.address.ToString(), "127.0.0.1") << bind;
    EXPECT_EQ(got->bind_text, got->bind.ToString());
    EXPECT_EQ(
        got->notice,
        "Warning: no address of this host can be told to others. Binding to 127.0.0.1, where no "
        "other host can reach this agent");
    EXPECT_EQ(LookUpAddresses(config, kPrivate)->notice, "");
  }
  AgentConfig config;
  config.advertise = "10.0.0.1";
  EXPECT_EQ(LookUpAddresses(config, kAlone)->bind.ToString(), "0.0.0.0:7946");
  // The network may only be late, and other hosts must not receive an address that is their own.
  for (std::vector<std::string> AgentConfig::*const list :
       {&AgentConfig::start_join, &AgentConfig::retry_join}) {
    AgentConfig joins;
    joins.*list = {"127.0.0.1:7000", "localhost", "[::1]:7000"};
    EXPECT_EQ(LookUpAddresses(joins, kAlone)->bind.ToString(), "127.0.0.1:7946");
    (joins.*list).push_back("seed.example.com");
    EXPECT_EQ(LookUpAddresses(joins, kAlone)->bind.ToString(), "0.0.0.0:7946");
    joins.*list = {"10.0.0.1"};
    EXPECT_EQ(LookUpAddresses(joins, kAlone)->bind.ToString(), "0.0.0.0:7946");
  }
  AgentConfig discovers;
  discovers.discover = "clus";
  EXPECT_EQ(LookUpAddresses(discovers, kAlone)->bind.ToString(), "0.0.0.0:7946");
}

TEST(AgentAddressesTest, NamesTheFlagsIfThereIsNoAddress) {
  constexpr char kNone[] = "x: No private IP address found, and explicit IP not provided";
  EXPECT_EQ(Message(WithAddressFlags(absl::NotFoundError(kNone))),
            std::string(kNone) + "; choose one with -advertise or -bind");
  EXPECT_EQ(Message(WithAddressFlags(absl::NotFoundError("no such file or directory"))),
            "no such file or directory");
}

TEST(AgentAddressesTest, TakesTheFirstUsableAddressOfTheInterface) {
  AgentConfig config;
  config.interface = "d0";
  const auto got = LookUpAddresses(config, kPrivate);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->notice, "Using interface 'd0' address '10.9.0.1'");
  config.bind = "10.9.0.2:7000";
  EXPECT_EQ(LookUpAddresses(config, kPrivate)->bind.ToString(), "10.9.0.2:7000");
}

TEST(AgentAddressesTest, UsesTheInterface) {
  AgentConfig config;
  config.interface = "lo";
  const auto got = LookUpAddresses(config);
  ASSERT_TRUE(got.ok()) << got.status();
  EXPECT_EQ(got->notice, "Using interface 'lo' address '127.0.0.1'");
  EXPECT_EQ(got->bind_text, "127.0.0.1:7946");
  config.bind = "127.0.0.9";
  EXPECT_EQ(Message(LookUpAddresses(config).status()), "Interface 'lo' has no '127.0.0.9' address");
  config.bind = "127.0.0.1:80";
  EXPECT_EQ(LookUpAddresses(config)->notice, "");
}

}  // namespace
}  // namespace serf::cmd
