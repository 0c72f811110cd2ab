#include "serf/config.h"

#include <chrono>
#include <string>

#include "gtest/gtest.h"

namespace serf {
namespace {

Config Valid() {
  Config config = Config::Lan();
  config.swim.name = "a";
  return config;
}

std::string Fault(const Config& config) { return std::string(config.Validate().message()); }

TEST(ConfigTest, TheProfilesAreValid) {
  for (Config config : {Config::Lan(), Config::Wan(), Config::Local()}) {
    config.swim.name = "a";
    EXPECT_TRUE(config.Validate().ok()) << config.Validate();
  }
}

TEST(ConfigTest, ProtocolVersion) {
  Config config = Valid();
  config.protocol_version = 1;
  EXPECT_EQ(Fault(config), "Protocol version '1' too low. Must be in range: [2, 5]");
  config.protocol_version = 6;
  EXPECT_EQ(Fault(config), "Protocol version '6' too high. Must be in range: [2, 5]");
  config.protocol_version = 2;
  EXPECT_EQ(Fault(config), "");
}

TEST(ConfigTest, Tags) {
  Config config = Valid();
  config.tags["k"] = std::string(506, 'x');
  EXPECT_EQ(Fault(config), "Encoded length of tags exceeds limit of 512 bytes");
}

TEST(ConfigTest, NodeNames) {
  Config config = Valid();
  config.swim.name = "a/b";
  EXPECT_EQ(Fault(config), "");
  config.validate_node_names = true;
  EXPECT_EQ(Fault(config),
            "Node name contains invalid characters a/b , Valid characters include all "
            "alpha-numerics and dashes and '.' ");
  config.swim.name = std::string(129, 'x');
  EXPECT_EQ(Fault(config),
            "Node name is 129 characters. Valid length is between 1 and 128 characters");
  config.swim.name = "Host-1.example";
  EXPECT_EQ(Fault(config), "");
}

TEST(ConfigTest, PeriodsMustBePositive) {
  Config config = Valid();
  config.reap_interval = Duration::zero();
  EXPECT_EQ(Fault(config), "reap_interval must be positive");
  config = Valid();
  config.tombstone_timeout = -Duration(1);
  EXPECT_EQ(Fault(config), "tombstone_timeout must not be negative");
  config = Valid();
  config.reconnect_timeout = Duration::max();
  EXPECT_EQ(Fault(config), "reconnect_timeout is longer than ten years");
}

TEST(ConfigTest, UserEventSizeLimit) {
  Config config = Valid();
  config.user_event_size_limit = 9216;
  EXPECT_EQ(Fault(config), "");
  config.user_event_size_limit = 9217;
  EXPECT_EQ(Fault(config), "user event size limit exceeds limit of 9216 bytes");
}

TEST(ConfigTest, QueueDepth) {
  Config config = Valid();
  EXPECT_EQ(config.QueueMax(10'000), 4096u);
  config.min_queue_depth = 100;
  EXPECT_EQ(config.QueueMax(10), 100u);
  EXPECT_EQ(config.QueueMax(10'000), 20'000u);
  config.min_queue_depth = 0;
  config.max_queue_depth = 0;
  EXPECT_EQ(Fault(config), "max_queue_depth must be positive");
}

}  // namespace
}  // namespace serf
