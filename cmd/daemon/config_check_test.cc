// Tests of `serf config check` and `print` as functions: which mistakes they find, and where.

#include "serf/cmd/daemon/config_check.h"

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/daemon/config_file.h"
#include "serf/testing/temporary_folder.h"

namespace serf::cmd {
namespace {

class ConfigCheckTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }
  std::string Path(const std::string& name) const { return absl::StrCat(folder_, "/", name); }

  // The findings of one file with this text; the path as F.
  std::string Findings(const std::string& text) const {
    return FindingsOf({Write("f.json", text)});
  }
  std::string FindingsOf(const std::vector<std::string>& paths) const {
    std::string all;
    for (const ConfigFinding& finding : CheckConfigFiles(paths).findings) {
      all += FindingText(finding);
    }
    return absl::StrReplaceAll(all, {{Path("f.json"), "F"}, {absl::StrCat(folder_, "/"), ""}});
  }

  const testkit::TemporaryFolder temporary_;
  const std::string& folder_ = temporary_.path();
};

TEST_F(ConfigCheckTest, Table) {
  const struct {
    std::string text;
    std::string findings;
  } cases[] = {
      {"{}", ""},
      {"null", ""},
      {"{\"node_name\": \"a\", \"tags\": {\"role\": \"web\"}, \"bind\": \"127.0.0.1\"}", ""},
      // Form.
      {"", "F:1:1: EOF\n"},
      {"{\n  \"node_name\": \"a\"\n  \"bind\": \"b\"\n}",
       "F:3:3: invalid character '\"' after object key:value pair\n"},
      {"{} x", "F:1:4: warning: what follows the object is ignored\n"},
      {"[]", "F:1:1: '' expected a map, got 'slice'\n"},
      // Keys.
      {"{\n  \"gosip_interval\": \"1s\"\n}",
       "F:2:3: no key \"gosip_interval\"; is it \"gossip_interval\"?\n"},
      {"{\"nothing_like_it\": 1}", "F:1:2: no key \"nothing_like_it\"\n"},
      {"{\"join\": []}", "F:1:2: no key \"join\"; is it \"start_join\"?\n"},
      {"{\"mdns\": {\n\"interfase\": \"lo\"}}",
       "F:2:1: no key \"mdns.interfase\"; is it \"mdns.interface\"?\n"},
      {"{\"Node_Name\": \"a\", \"node_name\": \"b\"}",
       "F:1:2: no key \"Node_Name\"; is it \"node_name\"?\nF:1:20: warning: the key \"node_name\" "
       "stands on line 1, too: only one of them counts\n"},
      {"{\"bind\": \"127.0.0.1\",\n\"bind\": \"127.0.0.2\"}",
       "F:2:1: warning: the key \"bind\" stands on line 1, too: only one of them counts\n"},
      // Values.
      {"{\"node_name\":\n 5}",
       "F:2:2: 'node_name' expected type 'string', got unconvertible type 'float64', value: '5'\n"},
      {"{\"tags\": {\"a\": \"b\",\n\"c\": 1}}",
       "F:2:6: 'tags[c]' expected type 'string', got unconvertible type 'float64', value: '1'\n"},
      {"{\"retry_interval\": \"5\"}", "F:1:20: time: missing unit in duration \"5\"\n"},
      {"{\"probe_interval\": \"x\"}", "F:1:20: 'probe_interval': time: invalid duration \"x\"\n"},
      {"{\"log_level\": \"loud\"}",
       "F:1:15: Invalid log level: LOUD. Valid log levels are: [TRACE DEBUG INFO WARN ERR]\n"},
      {"{\"profile\": \"moon\"}", "F:1:13: Unknown profile: moon\n"},
      {"{\"interface\": \"nosuch0\"}",
       "F:1:15: Invalid network interface: route ip+net: no such network interface\n"},
      {"{\"query_size_limit\": -1}", "F:1:22: query_size_limit is -1, must not be negative\n"},
      // Together.
      {"{\"mdns\": {\"interface\": \"lo\"}, \"bind\": \"127.0.0.1\", \"discover\": \"c\"}", ""},
      {"{\"mdns\": {\"interface\": \"lo\"}}",
       "F:1:10: mDNS interface specified without enabling mDNS discovery\n"},
      {"{\"retry_interval_max\": \"10s\", \"retry_interval\": \"5s\"}", ""},
      {"{\"retry_interval_max\": \"10s\"}",
       "F:1:24: retry_interval_max is 10s, must not be below retry_interval, 30s\n"},
      {"{\"tags\": {\"a\": \"b\"}, \"tags_file\": \"/nosuch/t\"}",
       "F:1:35: Tags config not allowed while using tag files\n"},
      {"{\"http_anonymous\": [\"read\", \"wrong\"]}",
       "F:1:20: Invalid http_anonymous: 'wrong' is no scope, must be 'probe', 'metrics', 'read' or "
       "'control'\n"},
      // Warnings.
      {"{\"retry_interval\": \"1ms\"}",
       "F:1:20: warning: 'RetryInterval' is too low. Setting to 1s\n"},
      {"{\"rejoin_after_leave\": true}",
       "F:1:24: warning: 'RejoinAfterLeave' enabled without snapshot file\n"},
      {"{\"rejoin_after_leave\": true, \"snapshot_path\": \"/tmp/s\"}", ""},
      // Of two keys together.
      {"{\"http_addr\": \":80\",\n\"http_anonymous\": [\"read\"]}",
       "F:2:19: warning: http_anonymous lets every host that reaches :80 read what this agent "
       "knows\n"},
  };
  for (const auto& c : cases) EXPECT_EQ(Findings(c.text), c.findings) << c.text;
}

// All of them, in the order of the lines; each of the loader's checks names its own.
TEST_F(ConfigCheckTest, EveryMistakeIsFound) {
  EXPECT_EQ(Findings("{\n\"encrypt_key\": \"AAAA\",\n\"suspicion_mult\": 0,\n\"gossip_nods\": 3,\n"
                     "\"log_level\": 1,\n\"protocol\": 9,\n\"gossip_pacing\": \"fast\"\n}"),
            "F:2:16: Failed to create memberlist: key size must be 16, 24 or 32 bytes\n"
            "F:3:19: suspicion_mult is 0, must be in range: [1, 100]\n"
            "F:4:1: no key \"gossip_nods\"; is it \"gossip_nodes\"?\n"
            "F:5:14: 'log_level' expected type 'string', got unconvertible type 'float64', value: "
            "'1'\n"
            "F:6:13: Protocol version '9' too high. Must be in range: [2, 5]\n"
            "F:7:18: gossip_pacing is 'fast', must be 'prompt' or 'ticked'\n");
}

TEST_F(ConfigCheckTest, FilesFoldersAndTheirOrder) {
  const std::string a = Write("a.json", "{\"profile\": \"wan\", \"tags\": {\"x\": \"1\"}}");
  const std::string b = Write("b.json", "{\"profile\": \"lan\", \"encrypt_key\": \"" +
                                            std::string("MDEyMzQ1Njc4OWFiY2RlZg==") + "\"}");
  Write("c.txt", "no JSON");
  const ConfigReport report = CheckConfigFiles(std::vector<std::string>{folder_});
  ASSERT_TRUE(report.findings.empty()) << FindingText(report.findings[0]);
  ASSERT_EQ(report.files.size(), 2U);
  EXPECT_EQ(report.files[1].keys, 2U);
  const auto json = nlohmann::json::parse(ConfigJson(report));
  EXPECT_EQ(json["profile"]["value"], "lan");
  EXPECT_EQ(json["profile"]["origins"], (std::vector<std::string>{a, b}));
  EXPECT_EQ(json["tags"]["value"]["x"], "1");
  EXPECT_EQ(json["encrypt_key"]["value"], "***");
  EXPECT_TRUE(json["gossip_interval"]["origins"].empty());
  EXPECT_FALSE(absl::StrContains(ConfigText(report), "MDEy"));
  // In force without being set.
  EXPECT_EQ(json["enable_compression"]["value"], true);
  EXPECT_EQ(json["reconnect_timeout"]["value"], "24h0m0s");
  // Every key of a file is there.
  for (const std::string& key : ConfigKeys()) EXPECT_TRUE(json.contains(key)) << key;
  EXPECT_EQ(json.size(), ConfigKeys().size());

  EXPECT_EQ(FindingsOf({Path("nosuch.json")}),
            absl::StrCat("nosuch.json: open nosuch.json: no such file or directory\n"));
}

TEST_F(ConfigCheckTest, PrintMasksTokens) {
  const std::string secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQ";
  const std::string file =
      Write("f.json", absl::StrCat("{\"http_tokens\": [{\"name\": \"ops\", \"token\": \"", secret,
                                   "\", \"scopes\": [\"read\"]}]}"));
  const ConfigReport report = CheckConfigFiles(std::vector<std::string>{file});
  ASSERT_TRUE(report.findings.empty()) << FindingText(report.findings[0]);
  const auto json = nlohmann::json::parse(ConfigJson(report));
  EXPECT_EQ(json["http_tokens"]["value"][0]["name"], "ops");
  EXPECT_EQ(json["http_tokens"]["value"][0]["token"], "***");
  EXPECT_FALSE(absl::StrContains(ConfigJson(report), secret));
  EXPECT_FALSE(absl::StrContains(ConfigText(report), secret));
}

// A name in a file may steer the terminal of the one who looks.
TEST_F(ConfigCheckTest, FindingsAreOneLineEach) {
  EXPECT_EQ(Findings("{\"a\\u001b[2J\\nb\": 1}"), "F:1:2: no key \"a\\x1b[2J\\nb\"\n");
}

}  // namespace
}  // namespace serf::cmd
