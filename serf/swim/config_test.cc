#include "serf/swim/config.h"

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "serf/wire/aead.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Config Valid() {
  Config config = Config::Lan();
  config.name = "n1";
  config.advertise = {IpAddress::V4(10, 0, 0, 1), 7946};
  return config;
}

// docs/protocol/membership.md 7.1.
TEST(ConfigTest, Profiles) {
  const Config lan = Config::Lan();
  EXPECT_EQ(lan.tcp_timeout, seconds(10));
  EXPECT_EQ(lan.indirect_checks, 3);
  EXPECT_EQ(lan.retransmit_mult, 4);
  EXPECT_EQ(lan.suspicion_mult, 4);
  EXPECT_EQ(lan.suspicion_max_timeout_mult, 6);
  EXPECT_EQ(lan.suspicion_prompt_percent, 40);
  EXPECT_EQ(lan.push_pull_interval, seconds(30));
  EXPECT_EQ(lan.probe_interval, seconds(1));
  EXPECT_EQ(lan.probe_timeout, milliseconds(500));
  EXPECT_EQ(lan.awareness_max_multiplier, 8);
  EXPECT_EQ(lan.gossip_interval, milliseconds(200));
  EXPECT_EQ(lan.gossip_nodes, 3);
  EXPECT_EQ(lan.gossip_to_the_dead_time, seconds(30));
  EXPECT_EQ(lan.packet_size, 1400u);
  EXPECT_EQ(lan.dead_node_reclaim_time, Duration::zero());
  EXPECT_EQ(lan.protocol_version, 2);
  EXPECT_TRUE(lan.enable_compression && lan.verify_incoming && lan.verify_outgoing);

  const Config wan = Config::Wan();
  EXPECT_EQ(wan.tcp_timeout, seconds(30));
  EXPECT_EQ(wan.suspicion_mult, 6);
  EXPECT_EQ(wan.suspicion_prompt_percent, 100);
  EXPECT_EQ(wan.push_pull_interval, seconds(60));
  EXPECT_EQ(wan.probe_interval, seconds(5));
  EXPECT_EQ(wan.probe_timeout, seconds(3));
  EXPECT_EQ(wan.gossip_interval, milliseconds(500));
  EXPECT_EQ(wan.gossip_nodes, 4);
  EXPECT_EQ(wan.gossip_to_the_dead_time, seconds(60));
  EXPECT_EQ(wan.indirect_checks, 3);

  const Config local = Config::Local();
  EXPECT_EQ(local.tcp_timeout, seconds(1));
  EXPECT_EQ(local.indirect_checks, 1);
  EXPECT_EQ(local.retransmit_mult, 2);
  EXPECT_EQ(local.suspicion_mult, 3);
  EXPECT_EQ(local.suspicion_prompt_percent, 40);
  EXPECT_EQ(local.push_pull_interval, seconds(15));
  EXPECT_EQ(local.probe_interval, seconds(1));
  EXPECT_EQ(local.probe_timeout, milliseconds(200));
  EXPECT_EQ(local.gossip_interval, milliseconds(100));
  EXPECT_EQ(local.gossip_nodes, 3);
  EXPECT_EQ(local.gossip_to_the_dead_time, seconds(15));
}

TEST(ConfigTest, EachProfileIsValidOnceItHasAName) {
  for (Config config : {Config::Lan(), Config::Wan(), Config::Local()}) {
    EXPECT_EQ(config.Validate().message(), "node name is empty");
    config.name = "n1";
    EXPECT_TRUE(config.Validate().ok()) << config.Validate();
  }
}

TEST(ConfigTest, ValidateNamesTheFirstWrongValue) {
  const struct {
    const char* says;  // a part of the message
    std::function<void(Config&)> spoil;
  } cases[] = {
      {"node name has 513 bytes, limit is 512", [](Config& c) { c.name = std::string(513, 'x'); }},
      {"metadata has 513 bytes, limit is 512", [](Config& c) { c.meta.resize(513); }},
      {"label has 256 bytes, limit is 255", [](Config& c) { c.label = std::string(256, 'x'); }},
      {"Protocol version '0' too low. Must be in range: [1, 5]",
       [](Config& c) { c.protocol_version = 0; }},
      {"Protocol version '6' too high. Must be in range: [1, 5]",
       [](Config& c) { c.protocol_version = 6; }},
      {"delegate protocol version '3' is not in its own range: [4, 5]",
       [](Config& c) {
         c.delegate_protocol_min = 4;
         c.delegate_protocol_max = 5;
         c.delegate_protocol_version = 3;
       }},
      {"indirect_checks is -1", [](Config& c) { c.indirect_checks = -1; }},
      {"retransmit_mult is 101", [](Config& c) { c.retransmit_mult = 101; }},
      {"suspicion_mult is 0", [](Config& c) { c.suspicion_mult = 0; }},
      {"suspicion_max_timeout_mult is 0", [](Config& c) { c.suspicion_max_timeout_mult = 0; }},
      {"suspicion_prompt_percent is 24, must be in range: [25, 100]",
       [](Config& c) { c.suspicion_prompt_percent = 24; }},
      {"prompt_interval is 2 s, must be positive and at most 1 s",
       [](Config& c) { c.prompt_interval = seconds(2); }},
      {"gossip_bytes_per_second is 9999, must be zero or at least 10000",
       [](Config& c) { c.gossip_bytes_per_second = 9999; }},
      {"suspicion_prompt_percent is 101", [](Config& c) { c.suspicion_prompt_percent = 101; }},
      {"awareness_max_multiplier is 0", [](Config& c) { c.awareness_max_multiplier = 0; }},
      {"gossip_nodes is 65", [](Config& c) { c.gossip_nodes = 65; }},
      {"prompt_packets_per_target is 0", [](Config& c) { c.prompt_packets_per_target = 0; }},
      {"packet_size is 100", [](Config& c) { c.packet_size = 100; }},
      {"packet_size is 70000", [](Config& c) { c.packet_size = 70000; }},
      {"packet_size is 600, the own announcement needs ",
       [](Config& c) {
         c.packet_size = 600;
         c.meta.resize(512);
       }},
      {"broadcast_queue_max is 0", [](Config& c) { c.broadcast_queue_max = 0; }},
      {"tcp_timeout is 0 s, must be positive", [](Config& c) { c.tcp_timeout = Duration::zero(); }},
      {"push_pull_interval is -1 s", [](Config& c) { c.push_pull_interval = seconds(-1); }},
      {"probe_interval is 7200 s", [](Config& c) { c.probe_interval = std::chrono::hours(2); }},
      {"probe_timeout is 0 s", [](Config& c) { c.probe_timeout = Duration::zero(); }},
      {"gossip_interval is -1 s", [](Config& c) { c.gossip_interval = seconds(-1); }},
      {"allowed address block 10.0.0.0/33 has no valid prefix length",
       [](Config& c) {
         c.cidrs_allowed = {{IpAddress::V4(10, 0, 0, 0), 33}};
       }},
      {"advertised address 10.0.0.1 is not in the allowed address blocks",
       [](Config& c) {
         c.cidrs_allowed = {{IpAddress::V4(192, 168, 0, 0), 16}};
       }},
      {"a keyring needs an AEAD and a source of nonces",
       [](Config& c) { c.keyring = std::make_shared<wire::Keyring>(); }},
  };
  EXPECT_TRUE(Valid().Validate().ok()) << Valid().Validate();
  for (const auto& row : cases) {
    Config config = Valid();
    row.spoil(config);
    const absl::Status status = config.Validate();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.says;
    EXPECT_NE(status.message().find(row.says), absl::string_view::npos)
        << row.says << ": " << status;
  }
}

TEST(ConfigTest, ZeroTurnsSchedulesOff) {
  Config config = Valid();
  config.push_pull_interval = config.probe_interval = config.gossip_interval = Duration::zero();
  EXPECT_TRUE(config.Validate().ok());
}

TEST(AddressBlockTest, ComparesThePrefix) {
  const AddressBlock ten{IpAddress::V4(10, 0, 0, 0), 8};
  EXPECT_TRUE(ten.Contains(IpAddress::V4(10, 255, 3, 4)));
  EXPECT_TRUE(ten.Contains(IpAddress::V4(10, 1, 2, 3).Mapped()));
  EXPECT_FALSE(ten.Contains(IpAddress::V4(11, 0, 0, 0)));
  EXPECT_FALSE(ten.Contains(*IpAddress::Parse("fe80::1")));
  const AddressBlock odd{IpAddress::V4(192, 168, 16, 0), 20};
  EXPECT_TRUE(odd.Contains(IpAddress::V4(192, 168, 31, 255)));
  EXPECT_FALSE(odd.Contains(IpAddress::V4(192, 168, 32, 0)));
  EXPECT_TRUE((AddressBlock{IpAddress(), 0}).Contains(IpAddress::V4(1, 2, 3, 4)));
  const AddressBlock six{*IpAddress::Parse("fd00::"), 9};
  EXPECT_TRUE(six.Contains(*IpAddress::Parse("fd7f::1")));
  EXPECT_FALSE(six.Contains(*IpAddress::Parse("fd80::1")));
  const AddressBlock mapped{*IpAddress::Parse("::ffff:10.0.0.0"), 104};
  EXPECT_TRUE(mapped.Contains(IpAddress::V4(10, 9, 9, 9)));
  EXPECT_FALSE(mapped.Contains(IpAddress::V4(11, 9, 9, 9)));
  EXPECT_TRUE(Config().AddressAllowed(IpAddress::V4(1, 2, 3, 4)));
}

}  // namespace
}  // namespace serf::swim
