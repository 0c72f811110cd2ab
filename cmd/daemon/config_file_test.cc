// Tests of configuration files: formats, merging, errors.

#include "serf/cmd/daemon/config_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/agent_tuning.h"
#include "serf/config.h"
#include "serf/testing/temporary_folder.h"

namespace serf::cmd {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

AgentConfig Decoded(std::vector<std::string> texts) {
  AgentConfig config;
  for (const std::string& text : texts) {
    const absl::Status status = DecodeConfig(text, config);
    EXPECT_TRUE(status.ok()) << text << "\n" << status;
  }
  return config;
}

std::string ErrorOf(const std::string& text) {
  AgentConfig config;
  return Message(DecodeConfig(text, config));
}

TEST(ConfigFileTest, NothingLeavesTheDefaults) {
  for (const char* text : {"{}", "null", " {\"bind\": null} ", "{} and more", "{\"bind\":\"\"}"}) {
    EXPECT_EQ(Decoded({text}).bind, "0.0.0.0") << text;
  }
}

TEST(ConfigFileTest, EveryKey) {
  const AgentConfig c = Decoded({R"({
    "node_name": "n", "role": "r", "disable_coordinates": true, "tags": {"a": "1"},
    "tags_file": "tf", "bind": "b", "advertise": "adv", "encrypt_key": "k", "keyring_file": "kf",
    "log_level": "warn", "rpc_addr": "ra", "rpc_auth": "au", "protocol": 4,
    "replay_on_join": true, "query_response_size_limit": 1, "query_size_limit": 2,
    "user_event_size_limit": 3, "start_join": ["x"], "event_handlers": ["h"], "profile": "wan",
    "snapshot_path": "s", "leave_on_terminate": true, "skip_leave_on_interrupt": true,
    "discover": "d", "interface": "eth0", "reconnect_interval": "1s", "reconnect_timeout": "2s",
    "tombstone_timeout": "3s", "disable_name_resolution": true, "enable_syslog": true,
    "syslog_facility": "daemon", "retry_join": ["y", "z"], "retry_max_attempts": 7,
    "retry_interval": "4s", "rejoin_after_leave": true, "enable_compression": false,
    "statsite_addr": "ss", "statsd_addr": "sd", "broadcast_timeout": "1h",
    "validate_node_names": true, "retry_interval_max": "5s", "event_handlers_parallel": true,
    "mdns": {"interface": "eth1", "disable_ipv4": true, "disable_ipv6": true}})"});
  EXPECT_EQ(c.node_name, "n");
  EXPECT_EQ(c.role, "r");
  EXPECT_TRUE(c.disable_coordinates);
  EXPECT_EQ(c.tags, (Tags{{"a", "1"}}));
  EXPECT_EQ(c.tags_file, "tf");
  EXPECT_EQ(c.bind, "b");
  EXPECT_EQ(c.advertise, "adv");
  EXPECT_EQ(c.encrypt_key, "k");
  EXPECT_EQ(c.keyring_file, "kf");
  EXPECT_EQ(c.log_level, "warn");
  EXPECT_EQ(c.rpc_addr, "ra");
  EXPECT_EQ(c.rpc_auth, "au");
  EXPECT_EQ(c.protocol, 4);
  EXPECT_TRUE(c.replay_on_join);
  EXPECT_EQ(c.query_response_size_limit, 1);
  EXPECT_EQ(c.query_size_limit, 2);
  EXPECT_EQ(c.user_event_size_limit, 3);
  EXPECT_THAT(c.start_join, ElementsAre("x"));
  EXPECT_THAT(c.event_handlers, ElementsAre("h"));
  EXPECT_EQ(c.profile, "wan");
  EXPECT_EQ(c.snapshot_path, "s");
  EXPECT_TRUE(c.leave_on_terminate);
  EXPECT_TRUE(c.skip_leave_on_interrupt);
  EXPECT_EQ(c.discover, "d");
  EXPECT_EQ(c.interface, "eth0");
  EXPECT_EQ(c.reconnect_interval, seconds(1));
  EXPECT_EQ(c.reconnect_timeout, seconds(2));
  EXPECT_EQ(c.tombstone_timeout, seconds(3));
  EXPECT_TRUE(c.disable_name_resolution);
  EXPECT_TRUE(c.enable_syslog);
  EXPECT_EQ(c.syslog_facility, "daemon");
  EXPECT_THAT(c.retry_join, ElementsAre("y", "z"));
  EXPECT_EQ(c.retry_max_attempts, 7);
  EXPECT_EQ(c.retry_interval, seconds(4));
  EXPECT_EQ(c.retry_interval_max, seconds(5));
  EXPECT_TRUE(c.rejoin_after_leave);
  EXPECT_EQ(c.enable_compression, false);
  EXPECT_EQ(c.statsite_addr, "ss");
  EXPECT_EQ(c.statsd_addr, "sd");
  EXPECT_EQ(c.broadcast_timeout, hours(1));
  EXPECT_TRUE(c.validate_node_names);
  EXPECT_EQ(c.event_handlers_parallel, true);
  EXPECT_EQ(c.mdns_interface, "eth1");
  EXPECT_TRUE(c.mdns_disable_ipv4);
  EXPECT_TRUE(c.mdns_disable_ipv6);
}

TEST(ConfigFileTest, Merges) {
  const AgentConfig c = Decoded({
      R"({"bind": "one", "rpc_auth": "one", "tags": {"a": "1", "b": "1"}, "start_join": ["1"],
          "leave_on_terminate": true, "retry_max_attempts": 1, "protocol": 4,
          "retry_interval": "1m", "enable_compression": false, "gossip_nodes": 5})",
      R"({"bind": "two", "rpc_auth": "", "tags": {"a": "2"}, "start_join": ["2"],
          "leave_on_terminate": false, "retry_max_attempts": 0, "protocol": -1e20,
          "retry_interval": "0s", "gossip_nodes": 0})",
  });
  EXPECT_EQ(c.bind, "two");
  EXPECT_EQ(c.rpc_auth, "one");
  EXPECT_EQ(c.tags, (Tags{{"a", "2"}, {"b", "1"}}));
  EXPECT_THAT(c.start_join, ElementsAre("1", "2"));
  EXPECT_TRUE(c.leave_on_terminate);
  EXPECT_EQ(c.retry_max_attempts, 1);
  EXPECT_EQ(c.protocol, 4);
  EXPECT_EQ(c.retry_interval, seconds(60));
  EXPECT_EQ(c.enable_compression, false);
  // The values of the additions are kept as given, even zero.
  EXPECT_EQ(c.tuning.at("gossip_nodes"), TuningValue(std::int64_t{0}));
}

TEST(ConfigFileTest, KeysInAnyCaseAndNumbersWithFractions) {
  EXPECT_EQ(Decoded({R"({"Node_Name": "x", "Retry_Max_Attempts": 4.7})"}).node_name, "x");
  EXPECT_EQ(Decoded({R"({"retry_max_attempts": 4.7})"}).retry_max_attempts, 4);
  EXPECT_EQ(Decoded({R"({"retry_max_attempts": -4.7})"}).retry_max_attempts, -4);
  // The exact spelling is preferred; the other one is then an unknown key.
  EXPECT_EQ(ErrorOf(R"({"NODE_NAME": "x", "node_name": "y"})"),
            "1 error(s) decoding:\n\n* '' has invalid keys: NODE_NAME");
  EXPECT_EQ(Decoded({R"({"bind": "x", "bind": "y"})"}).bind, "y");
  EXPECT_EQ(Decoded({R"({"MsgpackUseNewTimeFormat": true, "bind": "y"})"}).bind, "y");
}

TEST(ConfigFileTest, UnicodeAsInTheOriginal) {
  EXPECT_EQ(Decoded({"{\"node_name\": \"\xff\"}"}).node_name, "\xef\xbf\xbd");
  EXPECT_EQ(Decoded({R"({"node_name": "\ud83d\ude00"})"}).node_name, "\xf0\x9f\x98\x80");
  EXPECT_EQ(Decoded({R"({"node_name": "\ud83dx\ude00\\ud83d"})"}).node_name,
            "\xef\xbf\xbdx\xef\xbf\xbd\\ud83d");
}

// Errors besides those that testing/integration records.
TEST(ConfigFileTest, Errors) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {"", "EOF"},
      {" \n", "EOF"},
      {"{", "unexpected EOF"},
      {"\"x", "unexpected EOF"},
      {"tru", "unexpected EOF"},
      {"{\"a\" 1}", "invalid character '1' after object key"},
      {"{\"a\": 1 \"b\"}", "invalid character '\"' after object key:value pair"},
      {"[1 2]", "invalid character '2' after array element"},
      {"[1,]", "invalid character ']' looking for beginning of value"},
      {"{\"a\": 'x'}", "invalid character '\\'' looking for beginning of value"},
      {"{\"a\": \"\n\"}", "invalid character '\\n' in string literal"},
      {"{\"a\": \"\\x\"}", "invalid character 'x' in string escape code"},
      {"{\"a\": \"\\u12g4\"}", "invalid character 'g' in \\u hexadecimal character escape"},
      {"[-x]", "invalid character 'x' in numeric literal"},
      {"[1.x]", "invalid character 'x' after decimal point in numeric literal"},
      {"[1e+x]", "invalid character 'x' in exponent of numeric literal"},
      {"nul!", "invalid character '!' in literal null (expecting 'l')"},
      {"[1e999]", "a number is beyond the range of float64"},
      {"\"x\"", "'' expected a map, got 'string'"},
      {"1", "'' expected a map, got 'float64'"},
      {"true", "'' expected a map, got 'bool'"},
      {R"({"start_join": [1]})",
       "1 error(s) decoding:\n\n* 'start_join[0]' expected type 'string', got unconvertible type "
       "'float64', value: '1'"},
      {R"({"bind": [1]})",
       "1 error(s) decoding:\n\n* 'bind' expected type 'string', got unconvertible type "
       "'[]interface {}', value: '[...]'"},
      {R"({"bind": {}})",
       "1 error(s) decoding:\n\n* 'bind' expected type 'string', got unconvertible type "
       "'map[string]interface {}', value: 'map[...]'"},
      {R"({"retry_max_attempts": 1e300})",
       "1 error(s) decoding:\n\n* 'retry_max_attempts' is out of range: 1e+300"},
      {R"({"replay_on_join": 0.5})",
       "1 error(s) decoding:\n\n* 'replay_on_join' expected type 'bool', got unconvertible type "
       "'float64', value: '0.5'"},
      {R"({"mdns": []})", "1 error(s) decoding:\n\n* 'mdns' expected a map, got 'slice'"},
      {R"({"mdns": {"x": 1, "interface": 1}})",
       "2 error(s) decoding:\n\n* 'mdns' has invalid keys: x\n* 'mdns.interface' expected type "
       "'string', got unconvertible type 'float64', value: '1'"},
      {R"({"tombstone_timeout": "5x", "reconnect_interval": "x"})", "time: invalid duration \"x\""},
      {R"({"probe_interval": "5"})",
       "1 error(s) decoding:\n\n* 'probe_interval': time: missing unit in duration \"5\""},
      {R"({"gossip_nodes": "5"})",
       "1 error(s) decoding:\n\n* 'gossip_nodes' expected type 'int', got unconvertible type "
       "'string', value: '5'"},
  };
  for (const auto& c : kCases) EXPECT_EQ(ErrorOf(c.text), c.error) << c.text;
}

TEST(ConfigFileTest, DepthIsBounded) {
  EXPECT_EQ(ErrorOf(std::string(20000, '[')), "exceeded max depth");
}

// --- settings that Go Serf hides ---

absl::StatusOr<Config> Tuned(const std::string& text) {
  Config config = Config::Lan();
  config.swim.name = "n";
  const absl::Status status = ApplyTuning(Decoded({text}).tuning, config);
  if (!status.ok()) return status;
  return config;
}

TEST(AgentTuningTest, SetsWhatItSays) {
  const auto c = Tuned(R"({"label": "prod", "skip_inbound_label_check": true,
      "cidrs_allowed": ["10.0.0.0/8", "fd00::/8"], "gossip_verify_incoming": false,
      "gossip_verify_outgoing": false, "dead_node_reclaim_time": "30s", "max_queue_depth": 1,
      "min_queue_depth": 2, "queue_depth_warning": 3, "gossip_interval": "0s",
      "gossip_pacing": "ticked", "probe_interval": "250ms", "coalesce_period": "0s"})");
  ASSERT_TRUE(c.ok()) << c.status();
  EXPECT_EQ(c->swim.label, "prod");
  EXPECT_TRUE(c->swim.skip_inbound_label_check);
  ASSERT_EQ(c->swim.cidrs_allowed.size(), 2u);
  EXPECT_TRUE(c->swim.AddressAllowed(*IpAddress::Parse("10.1.2.3")));
  EXPECT_FALSE(c->swim.AddressAllowed(*IpAddress::Parse("11.1.2.3")));
  EXPECT_FALSE(c->swim.verify_incoming);
  EXPECT_FALSE(c->swim.verify_outgoing);
  EXPECT_EQ(c->swim.dead_node_reclaim_time, seconds(30));
  EXPECT_EQ(c->max_queue_depth, 1u);
  EXPECT_EQ(c->min_queue_depth, 2u);
  EXPECT_EQ(c->queue_depth_warning, 3u);
  EXPECT_EQ(c->swim.gossip_interval, Duration::zero());
  EXPECT_EQ(c->swim.gossip_pacing, swim::GossipPacing::kTicked);
  EXPECT_EQ(c->swim.probe_interval, milliseconds(250));
  EXPECT_EQ(c->coalesce_period, Duration::zero());
}

TEST(AgentTuningTest, NamesWhatIsWrong) {
  EXPECT_EQ(Message(Tuned(R"({"cidrs_allowed": ["10.0.0.0/33"]})").status()),
            "cidrs_allowed has an invalid CIDR address: 10.0.0.0/33");
  EXPECT_EQ(Message(Tuned(R"({"gossip_nodes": 1e10})").status()),
            "gossip_nodes is 10000000000, must be at most 2147483647");
  EXPECT_EQ(Message(Tuned(R"({"max_queue_depth": -1})").status()),
            "max_queue_depth is -1, must be at least 0");
  EXPECT_EQ(Message(Tuned(R"({"gossip_pacing": "fast"})").status()),
            "gossip_pacing is 'fast', must be 'prompt' or 'ticked'");
  EXPECT_THAT(Message(Tuned(R"({"gossip_nodes": 65})")->Validate()),
              HasSubstr("gossip_nodes is 65, must be in range: [0, 64]"));
}

// --- paths ---

class ConfigPathTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) const {
    const std::string path = absl::StrCat(folder_, "/", name);
    std::ofstream(path) << text;
    return path;
  }

  const testkit::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
  AgentConfig config_;
};

TEST_F(ConfigPathTest, FoldersInTheOrderOfTheNames) {
  Write("20.json", R"({"node_name": "20", "start_join": ["20"]})");
  Write("10.json", R"({"node_name": "10", "start_join": ["10"]})");
  Write("30.JSON", "no");
  Write("40.conf", "no");
  std::filesystem::create_directory(absl::StrCat(folder_, "/sub.json"));
  ASSERT_TRUE(ReadConfigPath(folder_, config_).ok());
  EXPECT_EQ(config_.node_name, "20");
  EXPECT_THAT(config_.start_join, ElementsAre("10", "20"));
}

TEST_F(ConfigPathTest, EmptyFolder) { EXPECT_TRUE(ReadConfigPath(folder_, config_).ok()); }

TEST_F(ConfigPathTest, ErrorsNameTheFile) {
  const std::string bad = Write("bad.json", "{");
  const std::string expected = absl::StrCat("Error decoding '", bad, "': unexpected EOF");
  EXPECT_EQ(Message(ReadConfigPath(bad, config_)), expected);
  EXPECT_EQ(Message(ReadConfigPath(folder_ + "/", config_)), expected);
  const std::string missing = folder_ + "/missing";
  EXPECT_EQ(
      Message(ReadConfigPath(missing, config_)),
      absl::StrCat("Error reading '", missing, "': open ", missing, ": no such file or directory"));
}

// A folder is read, but not a linked folder within it.
TEST_F(ConfigPathTest, ALinkToAFolderIsNoFile) {
  std::filesystem::create_directory(folder_ + "/sub");
  std::filesystem::create_directory_symlink("sub", folder_ + "/link.json");
  EXPECT_EQ(Message(ReadConfigPath(folder_, config_)),
            absl::StrCat("Error decoding '", folder_, "/link.json': read ", folder_,
                         "/link.json: is a directory"));
}

TEST_F(ConfigPathTest, EndlessFilesAreRefused) {
  EXPECT_EQ(Message(ReadConfigPath("/dev/zero", config_)),
            "Error decoding '/dev/zero': read /dev/zero: larger than 16777216 bytes");
}

}  // namespace
}  // namespace serf::cmd
