// Tests configuration files, tags and keyring files, and reloads. It repeats recorded runs of Go
// Serf's agent with //cmd:serf, and tests the intended differences.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/member.h"
#include "serf/rpc/client.h"
#include "serf/tags.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/transcript.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

constexpr char kFirstKey[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
constexpr char kSecondKey[] = "AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=";

class ConfigTest : public ::testing::Test {
 protected:
  // Starts a recorded agent, and returns once it runs.
  std::unique_ptr<Process> Start(const Transcript& transcript) {
    auto agent = std::make_unique<Process>(transcript.argv(), transcript.environment());
    EXPECT_TRUE(agent->WaitForOutput("Serf agent started")) << agent->out();
    return agent;
  }

  // Ends the agent, and compares its whole output.
  void ExpectAsRecorded(const Transcript& transcript, Process& agent, int signal = SIGINT) {
    agent.Signal(signal);
    const Outcome expected = transcript.expected();
    EXPECT_EQ(agent.Wait(), expected.exit_code);
    EXPECT_EQ(NormalizeAgentOutput(agent.out()), NormalizeAgentOutput(expected.out));
    EXPECT_EQ(agent.err(), expected.err);
  }

  // The output of a client command.
  std::string Ask(const std::string& command, const std::vector<std::string>& words = {}) {
    std::vector<std::string> argv = {OurSerf(), command,
                                     "-rpc-addr=" + Localize("127.0.0.1:23231")};
    argv.insert(argv.end(), words.begin(), words.end());
    Process process(argv);
    EXPECT_EQ(process.Wait(), 0) << process.out();
    return process.out();
  }

  Workshop workshop_;
};

TEST_F(ConfigTest, FileErrors) {
  const struct {
    const char* name;
    const char* text;
  } kCases[] = {
      {"agent-err-config-array", "[1,2]"},
      {"agent-err-config-bare-word", "{node_name: \"x\"}"},
      {"agent-err-config-bool-type", "{\"leave_on_terminate\": \"yes\"}"},
      {"agent-err-config-dir-missing", ""},
      {"agent-err-config-duration-text", "{\"reconnect_timeout\":\"abc\"}"},
      {"agent-err-config-duration-unit", "{\"retry_interval\":\"5\"}"},
      {"agent-err-config-empty", ""},
      {"agent-err-config-int-type", "{\"protocol\": \"5\"}"},
      {"agent-err-config-list-type", "{\"event_handlers\": \"x.sh\"}"},
      {"agent-err-config-map-type", "{\"tags\": [\"a\"]}"},
      {"agent-err-config-missing", ""},
      {"agent-err-config-several", "{\"node_name\": 1, \"bind\": 2, \"zzz\": 3}"},
      {"agent-err-config-string-type", "{\"node_name\": 5}"},
      {"agent-err-config-tag-type", "{\"tags\": {\"a\": 1}}"},
      {"agent-err-config-trailing-comma", "{\"node_name\": \"x\",}"},
      {"agent-err-config-truncated", "{\"node_name\": "},
      {"agent-err-config-unknown-key", "{\"nope\": 1, \"alpha\": 2}"},
  };
  for (const auto& c : kCases) {
    workshop_.Write("bad.json", c.text);
    const Transcript transcript(c.name);
    EXPECT_EQ(transcript.Run(), transcript.expected()) << c.name;
  }
}

TEST_F(ConfigTest, OtherErrors) {
  workshop_.Write("size.json", "{\"user_event_size_limit\": 10000}");
  workshop_.Write("keys.json", absl::StrCat("[\"", kFirstKey, "\"]"));
  workshop_.Write("keysb64.json", "[\"!!!\"]");
  workshop_.Write("keys0.json", "[]");
  workshop_.Write("keysbad.json", "{}");
  workshop_.Write("keyslen.json", "[\"c2hvcnQ=\"]");
  workshop_.Write("tags.json", "{\"a\": \"b\"}");
  workshop_.Write("badtags.json", "[1]");
  for (const char* name :
       {"agent-err-event-size", "agent-err-handler", "agent-err-handler-list",
        "agent-err-handler-named", "agent-err-keyring-and-encrypt", "agent-err-keyring-base64",
        "agent-err-keyring-empty", "agent-err-keyring-json", "agent-err-keyring-length",
        "agent-err-keyring-missing", "agent-err-snapshot", "agent-err-tags-both",
        "agent-err-tags-file-bad"}) {
    const Transcript transcript(name);
    EXPECT_EQ(transcript.Run(), transcript.expected()) << name;
  }
}

// Go Serf accepts the key and ignores it; our agent uses it (docs/protocol/agent.md 2.4 and 2.8).
TEST_F(ConfigTest, NodeNamesAreValidated) {
  workshop_.Write("vn.json", "{\"validate_node_names\": true}");
  const Outcome got = Transcript("new-agent-validate-names").Run();
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_EQ(got.out,
            "==> Starting Serf agent...\n==> Failed to start the Serf agent: Error creating Serf: "
            "Node name contains invalid characters bad_name! , Valid characters include all "
            "alpha-numerics and dashes and '.' \n");
}

TEST_F(ConfigTest, SignalsAsConfigured) {
  workshop_.Write("skip.json", "{\"skip_leave_on_interrupt\": true}");
  workshop_.Write("term.json", "{\"leave_on_terminate\": true}");
  for (const auto& [name, signal] :
       {std::pair{"agent-int-skip", SIGINT}, std::pair{"agent-term-leave", SIGTERM}}) {
    const Transcript transcript(name);
    const auto agent = Start(transcript);
    ExpectAsRecorded(transcript, *agent, signal);
  }
}

TEST_F(ConfigTest, RejoinWithoutSnapshotIsWarnedOf) {
  const Transcript transcript("agent-warn-rejoin");
  const auto agent = Start(transcript);
  ExpectAsRecorded(transcript, *agent);
}

TEST_F(ConfigTest, TagsFileIsRead) {
  const Transcript transcript("agent-tags-file");
  workshop_.Write("tags.json", "{\"role\": \"web\", \"dc\": \"east\"}");
  const auto agent = Start(transcript);
  EXPECT_EQ(Ask("members"), Localize("n1  127.0.0.1:23131  alive  dc=east,role=web\n"));
  agent->Signal(SIGTERM);
  EXPECT_EQ(agent->Wait(), 1);
  EXPECT_TRUE(absl::StrContains(agent->out(), "[INFO] agent: Restored 2 tag(s) from tags.json\n"));
}

TEST_F(ConfigTest, KeyringFileEncrypts) {
  const Transcript transcript("agent-keyring");
  workshop_.Write("keys.json", absl::StrCat("[\"", kFirstKey, "\",\"", kSecondKey, "\"]"));
  const auto agent = Start(transcript);
  EXPECT_TRUE(absl::StrContains(agent->out(), "Encrypted: true\n")) << agent->out();
  EXPECT_TRUE(absl::StrContains(agent->out(),
                                "[INFO] agent: Restored keyring with 2 keys from keys.json\n"));
  // A peer that has only the second key is understood, because that key is in the ring.
  Process peer({OurSerf(), "agent", "-node=n2", "-bind=" + Localize("127.0.0.1:23132"),
                "-rpc-addr=" + Localize("127.0.0.1:23232"), absl::StrCat("-encrypt=", kFirstKey),
                "-join=" + Localize("127.0.0.1:23131")});
  EXPECT_TRUE(peer.WaitForOutput("Join completed. Synced with 1 initial agents")) << peer.out();
  agent->Signal(SIGTERM);
  agent->Wait();
}

// Go Serf's agent sends the request. Our agent answers after it has written its file.
TEST_F(ConfigTest, KeyOperationsAreKept) {
  workshop_.Write("keys.json", absl::StrCat("[\"", kFirstKey, "\"]"));
  AgentProcess agent({.program = OurSerf(), .name = "n", .flags = {"-keyring-file=keys.json"}});
  ASSERT_TRUE(agent.WaitUntilRunning());
  AgentProcess peer({.program = DebianSerf(),
                     .name = "peer",
                     .flags = {absl::StrCat("-encrypt=", kFirstKey), "-join=" + agent.gossip()}});
  ASSERT_TRUE(agent.WaitForMembers({{"n", "alive"}, {"peer", "alive"}})) << agent.log();
  const auto keys = [&](const std::string& operation, const char* key) {
    Process process(
        {DebianSerf(), "keys", "-rpc-addr=" + peer.rpc(), absl::StrCat("-", operation, "=", key)});
    EXPECT_EQ(process.Wait(), 0) << process.out();
  };
  keys("install", kSecondKey);
  EXPECT_EQ(workshop_.Read("keys.json"),
            absl::StrCat("[\n  \"", kFirstKey, "\",\n  \"", kSecondKey, "\"\n]"));
  keys("use", kSecondKey);
  EXPECT_EQ(workshop_.Read("keys.json"),
            absl::StrCat("[\n  \"", kSecondKey, "\",\n  \"", kFirstKey, "\"\n]"));
  keys("remove", kFirstKey);
  EXPECT_EQ(workshop_.Read("keys.json"), absl::StrCat("[\n  \"", kSecondKey, "\"\n]"));
}

TEST_F(ConfigTest, SnapshotRejoins) {
  AgentProcess other({.program = OurSerf(), .name = "other"});
  ASSERT_TRUE(other.WaitUntilRunning());
  const std::vector<std::string> flags = {"-snapshot=snap"};
  AgentProcess agent(
      {.program = OurSerf(), .name = "n", .flags = {"-snapshot=snap", "-join=" + other.gossip()}});
  ASSERT_TRUE(agent.WaitForMembers({{"n", "alive"}, {"other", "alive"}})) << agent.log();
  ASSERT_TRUE(agent.process().WaitUntil(
      [&] { return absl::StrContains(workshop_.Read("snap"), "alive: other "); }));
  agent.Kill();
  agent.Restart(flags);
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
  EXPECT_TRUE(absl::StrContains(agent.log(), "Snapshot: true\n")) << agent.log();
  EXPECT_TRUE(agent.WaitForMembers({{"n", "alive"}, {"other", "alive"}})) << agent.log();
}

// --- reload ---

class ReloadTest : public ConfigTest {
 protected:
  // Starts an agent, replaces the file and reloads. The text `ready` in the log marks the end of
  // the reload.
  std::unique_ptr<Process> Reload(const Transcript& transcript, absl::string_view ready) {
    workshop_.Write("r.json", transcript.fact("config_before"));
    auto agent = Start(transcript);
    workshop_.Write("r.json", transcript.fact("config_after"));
    agent->Signal(SIGHUP);
    EXPECT_TRUE(agent->WaitForOutput(ready)) << agent->out();
    EXPECT_EQ(Ask("members"), transcript.fact("members_after_reload"));
    return agent;
  }
};

TEST_F(ReloadTest, FailuresChangeNothing) {
  for (const char* name : {"agent-hup-bad-handler", "agent-hup-bad-json"}) {
    const Transcript transcript(name);
    const auto agent = Reload(transcript, "==> Failed to reload configs\n");
    ExpectAsRecorded(transcript, *agent);
  }
}

// Go Serf applies the rest: the tags next to an unknown level, and all but tags that are too large.
TEST_F(ReloadTest, MistakesThatTheOriginalTakesHalf) {
  for (const char* name : {"agent-hup-bad-level", "agent-hup-tags-large"}) {
    const Transcript transcript(name);
    workshop_.Write("r.json", transcript.fact("config_before"));
    const auto agent = Start(transcript);
    workshop_.Write("r.json", transcript.fact("config_after"));
    agent->Signal(SIGHUP);
    EXPECT_TRUE(agent->WaitForOutput("==> Failed to reload configs\n")) << agent->out();
    EXPECT_EQ(Ask("members"), Localize("n1  127.0.0.1:23131  alive  v=1\n"));
    agent->Signal(SIGINT);
    EXPECT_EQ(agent->Wait(), transcript.expected().exit_code);
    // The error messages are those of Go Serf.
    const std::string out = agent->out();
    const std::size_t at = out.find("==> Reloading configuration...\n");
    const std::string told = out.substr(at, out.find("==> Failed to reload", at) - at);
    EXPECT_TRUE(absl::StrContains(transcript.expected().out, told)) << told;
  }
}

// Each mistake stands next to a level, tags and handlers that are correct.
TEST_F(ReloadTest, AMistakeChangesNothing) {
  const struct {
    std::string wrong;
    const char* error;
  } kCases[] = {
      {R"("log_level": "loud")", "Invalid log level: LOUD."},
      {absl::StrCat(R"("tags": {"big": ")", std::string(600, 'x'), R"("})"),
       "Failed to update tags: Encoded length of tags exceeds limit of 512 bytes\n"},
      {R"("profile": "moon")", "Unknown profile: moon\n"},
      {R"("encrypt_key": "!")", "Invalid encryption key: "},
      {R"("encrypt_key": "c2hvcnQ=")", "key size must be 16, 24 or 32 bytes\n"},
      {R"("protocol": 9)", "Protocol version '9' too high."},
      {R"("protocol": 300)", "Protocol version '300' too high."},
      {R"("user_event_size_limit": 10000)", "user event size limit exceeds limit of 9216 bytes\n"},
      {R"("query_size_limit": -1)", "query_size_limit is -1, must not be negative\n"},
      {R"("gossip_nodes": 65)", "gossip_nodes is 65, must be in range: [0, 64]\n"},
      {R"("interface": "none")", "no such network interface\n"},
      {R"("tags_file": "t.json")", "Tags config not allowed while using tag files\n"},
      {R"("encrypt_key": "c2hvcnQ=", "keyring_file": "k.json")",
       "Encryption key not allowed while using a keyring\n"},
      {R"("retry_interval_max": "1s")", "retry_interval_max is 1s, "},
      {R"("event_handlers": ["nope=x"])", "Invalid event script: Event 'nope' invoking 'x'\n"},
      {R"("reconnect_timeout": "abc")", "time: invalid duration \"abc\"\n"},
      {R"("nope": 1)", "has invalid keys: nope\n"},
      {R"("enable_syslog": true, "syslog_facility": "NOPE")",
       "Syslog setup failed: invalid syslog facility: NOPE\n"},
      {R"("discover": "a..b")", "Error starting mDNS listener: "},
      {R"("snapshot_path": "no/such/folder/s")",
       "Failed to setup snapshot: failed to open snapshot: open no/such/folder/s: no such file or "
       "directory\n"},
      {R"("snapshot_path": ".")", "failed to open snapshot: open .: is a directory\n"},
      {R"("cidrs_allowed": ["10.0.0.0/8"])", " is not in the allowed address blocks\n"},
      {R"("cidrs_allowed": ["10.0.0.0/99"])", "cidrs_allowed has an invalid CIDR address: "},
      {absl::StrCat(R"("node_name": ")", std::string(513, 'n'), "\""),
       "node name has 513 bytes, limit is 512\n"},
      {R"("node_name": "a b", "validate_node_names": true)", "Node name"},
      {R"("bind": "::1")", "Invalid bind address: address ::1: too many colons in address\n"},
      {R"("advertise": "127.0.0.1:x")", "Invalid advertise address: "},
      {R"("advertise": "10.0.0.1", "cidrs_allowed": ["127.0.0.0/8"])",
       "advertised address 10.0.0.1 is not in the allowed address blocks\n"},
      {R"("rpc_addr": "127.0.0.1:99999")", "Error starting RPC listener: listen tcp: "},
      {R"("rpc_addr": "127.0.0.1:x")",
       "Error starting RPC listener: listen tcp: address tcp/x: unknown port"},
      {R"("keyring_file": "no.json")", "no.json: no such file or directory\n"},
      {R"("discover": "a", "mdns": {"disable_ipv4": true, "disable_ipv6": true})",
       "Error starting mDNS listener: No multicast listeners could be started\n"},
  };
  // The agent has no flags that would override the file.
  const std::string address = NextLoopbackAddress();
  const std::string addresses = absl::StrCat(R"("bind": ")", address, R"(", "rpc_addr": ")",
                                             address, R"(:7373", "node_name": "n1", )");
  workshop_.Write("r.json",
                  absl::StrCat("{", addresses, R"("log_level": "warn", "tags": {"v": "1"}})"));
  Process agent({OurSerf(), "agent", "-config-file=r.json"});
  ASSERT_TRUE(agent.WaitForOutput("==> Log data will now stream in as it occurs:\n"));
  rpc::Client client;
  ASSERT_TRUE(client.Connect(absl::StrCat(address, ":7373")).ok());
  std::size_t heard = 0;
  for (const auto& c : kCases) {
    // If a key has two values, the later one counts.
    workshop_.Write("r.json",
                    absl::StrCat("{", addresses, R"("log_level": "trace", "tags": {"v": "2"}, )",
                                 R"("event_handlers": ["member-join=true"], )",
                                 R"("leave_on_terminate": true, )", c.wrong, "}"));
    agent.Signal(SIGHUP);
    const auto failed = [&] {
      return absl::StrContains(agent.out().substr(heard), "==> Failed to reload configs\n");
    };
    ASSERT_TRUE(agent.WaitUntil(failed)) << c.wrong << agent.out();
    EXPECT_TRUE(absl::StrContains(agent.out().substr(heard), c.error)) << agent.out().substr(heard);
    heard = agent.out().size();
    const auto stats = client.Stats();
    ASSERT_TRUE(stats.ok());
    EXPECT_TRUE(stats->at("event_handlers").empty()) << c.wrong;
    EXPECT_EQ(client.Members().value().at(0).tags, (Tags{{"v", "1"}})) << c.wrong;
  }
  EXPECT_FALSE(absl::StrContains(agent.out(), "[INFO]")) << agent.out();
  agent.Signal(SIGTERM);
  EXPECT_EQ(agent.Wait(), 1);  // the agent did not leave
}

// Two clients change a tag each, again and again. No change is lost, with a tags file and without.
TEST_F(ConfigTest, ChangesOfTagsAtTheSameTimeAreAllKept) {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{}, std::vector<std::string>{"-tags-file=tags.json"}}) {
    AgentProcess agent({.program = OurSerf(), .name = "n1", .flags = flags});
    ASSERT_TRUE(agent.WaitUntilRunning());
    constexpr int kChanges = 20;
    std::vector<std::thread> clients;
    for (const std::string name : {"a", "b", "c"}) {
      clients.emplace_back([&agent, name] {
        rpc::Client client;
        ASSERT_TRUE(client.Connect(agent.rpc()).ok());
        for (int i = 0; i < kChanges; ++i) {
          ASSERT_TRUE(client.UpdateTags({{absl::StrCat(name, i), "1"}}, {}).ok());
          if (i > 0) ASSERT_TRUE(client.UpdateTags({}, {absl::StrCat(name, i - 1)}).ok());
        }
      });
    }
    for (std::thread& client : clients) client.join();
    const Tags expected = {{"a19", "1"}, {"b19", "1"}, {"c19", "1"}};
    EXPECT_EQ(agent.Members().at(0).tags, expected);
    if (flags.empty()) continue;
    EXPECT_EQ(workshop_.Read("tags.json"),
              "{\n  \"a19\": \"1\",\n  \"b19\": \"1\",\n  \"c19\": \"1\"\n}");
  }
}

// Go Serf drops the tags that clients set, and empties the tags file (docs/protocol/agent.md 2.16).
TEST_F(ReloadTest, KeepsOtherTags) {
  workshop_.Write("r.json", R"({"tags": {"a": "1", "b": "1"}, "log_level": "debug"})");
  AgentProcess agent({.program = OurSerf(), .name = "n1", .flags = {"-config-file=r.json"}});
  ASSERT_TRUE(agent.WaitForLog("Serf agent started"));
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent.rpc()).ok());
  ASSERT_TRUE(client.UpdateTags({{"rpc", "1"}}, {}).ok());
  workshop_.Write("r.json", R"({"tags": {"a": "2"}, "leave_on_terminate": true})");
  agent.process().Signal(SIGHUP);
  EXPECT_TRUE(agent.WaitUntil([](const std::vector<Member>& members) {
    return members[0].tags == Tags{{"a", "2"}, {"rpc", "1"}};
  })) << agent.log();
  agent.process().Signal(SIGTERM);
  EXPECT_EQ(agent.process().Wait(), 0);  // the agent left, as its new configuration asks
}

TEST_F(ReloadTest, LeavesTheTagsFileAlone) {
  workshop_.Write("r.json", R"({"log_level": "info"})");
  AgentProcess agent({.program = OurSerf(),
                      .name = "n1",
                      .flags = {"-config-file=r.json", "-tags-file=tags.json"}});
  ASSERT_TRUE(agent.WaitForLog("Serf agent started"));
  rpc::Client client;
  ASSERT_TRUE(client.Connect(agent.rpc()).ok());
  ASSERT_TRUE(client.UpdateTags({{"b", "2"}, {"a", "1"}}, {}).ok());
  const std::string text = "{\n  \"a\": \"1\",\n  \"b\": \"2\"\n}";
  EXPECT_EQ(workshop_.Read("tags.json"), text);
  // The agent does not keep tags that the cluster refuses.
  EXPECT_FALSE(client.UpdateTags({{"big", std::string(600, 'x')}}, {}).ok());
  EXPECT_EQ(workshop_.Read("tags.json"), text);
  workshop_.Write("r.json", R"({"log_level": "loud"})");
  agent.process().Signal(SIGHUP);
  ASSERT_TRUE(agent.WaitForLog("Invalid log level: LOUD"));
  EXPECT_EQ(agent.Members()[0].tags, (Tags{{"a", "1"}, {"b", "2"}}));
  EXPECT_EQ(workshop_.Read("tags.json"), text);
  // The next life of the agent begins with them.
  agent.Kill();
  agent.Restart({"-tags-file=tags.json"});
  ASSERT_TRUE(agent.WaitForLog("agent: Restored 2 tag(s) from tags.json\n"));
  EXPECT_TRUE(agent.WaitUntil([](const std::vector<Member>& members) {
    return members.size() == 1 && members[0].tags == Tags{{"a", "1"}, {"b", "2"}};
  }));
}

// --- telemetry, syslog ---

TEST_F(ConfigTest, Usr1DumpsMetrics) {
  AgentProcess agent(
      {.program = OurSerf(), .name = "n", .flags = {"-event-handler=member-join=echo a b"}});
  ASSERT_TRUE(agent.WaitForLog("agent: Received event: member-join\n"));
  // Waits until the interval of ten seconds in which the agent joined has ended, and perhaps the
  // next one, too.
  for (const char* line : {"'serf-agent.agent.invoke.echo_a_b': Count: 1",
                           " +0000 UTC][C] 'serf-agent.serf.member.join': Count: 1 Sum",
                           "][G] 'serf-agent.runtime.alloc_bytes': "}) {
    EXPECT_TRUE(agent.process().WaitUntil([&] {
      agent.process().Signal(SIGUSR1);
      return absl::StrContains(agent.process().err(), line);
    })) << line
        << agent.process().err();
  }
  EXPECT_FALSE(agent.process().ended());
}

TEST_F(ConfigTest, StatsdHearsMetrics) {
  const int server = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(server, reinterpret_cast<const sockaddr*>(&address), size), 0);
  ASSERT_EQ(::getsockname(server, reinterpret_cast<sockaddr*>(&address), &size), 0);
  workshop_.Write("st.json",
                  absl::StrCat("{\"statsd_addr\": \"127.0.0.1:", ntohs(address.sin_port), "\"}"));
  AgentProcess agent({.program = OurSerf(), .name = "n", .flags = {"-config-file=st.json"}});
  char host[256] = {};
  ASSERT_EQ(::gethostname(host, sizeof(host) - 1), 0);
  const std::string gauge = absl::StrCat("serf-agent.", host, ".runtime.alloc_bytes:");
  std::string heard;
  EXPECT_TRUE(agent.process().WaitUntil([&] {
    char datagram[2000];
    for (ssize_t got; (got = ::recv(server, datagram, sizeof(datagram), 0)) > 0;) {
      heard.append(datagram, static_cast<std::size_t>(got));
    }
    return absl::StrContains(heard, "serf-agent.serf.member.join:1.000000|c\n") &&
           absl::StrContains(heard, gauge);
  })) << heard;
  ::close(server);
}

TEST_F(ConfigTest, SyslogFacilityIsChecked) {
  workshop_.Write("fac.json", R"({"enable_syslog": true, "syslog_facility": "NOPE"})");
  const Transcript transcript("agent-err-syslog-facility");
  EXPECT_EQ(transcript.Run(), transcript.expected());
}

// --- settings that Go Serf hides ---

TEST_F(ConfigTest, LabelsKeepClustersApart) {
  workshop_.Write("blue.json", R"({"label": "blue"})");
  workshop_.Write("green.json", R"({"label": "green"})");
  AgentProcess blue({.program = OurSerf(), .name = "b1", .flags = {"-config-file=blue.json"}});
  ASSERT_TRUE(blue.WaitUntilRunning());
  const std::string join = absl::StrCat("-join=", blue.gossip());
  AgentProcess green(
      {.program = OurSerf(), .name = "g", .flags = {"-config-file=green.json", join}});
  EXPECT_EQ(green.process().Wait(), 1);
  AgentProcess other(
      {.program = OurSerf(), .name = "b2", .flags = {"-config-file=blue.json", join}});
  EXPECT_TRUE(blue.WaitForMembers({{"b1", "alive"}, {"b2", "alive"}})) << blue.log();
}

TEST_F(ConfigTest, WrongValuesAreNamed) {
  const struct {
    const char* text;
    const char* error;
  } kCases[] = {
      {R"({"gossip_nodes": 65})", "gossip_nodes is 65, must be in range: [0, 64]\n"},
      {R"({"cidrs_allowed": ["10.0.0.0"]})",
       "==> cidrs_allowed has an invalid CIDR address: 10.0.0.0\n"},
      {R"({"cidrs_allowed": ["192.0.2.0/24"]})", " is not in the allowed address blocks\n"},
      {R"({"probe_interval": "-1s"})", "probe_interval is -1 s, must be zero or positive"},
      {R"({"max_queue_depth": 0})", "max_queue_depth must be positive\n"},
      {R"({"discover": "x", "mdns": {"disable_ipv4": true, "disable_ipv6": true}})",
       "==> Error starting mDNS listener: No multicast listeners could be started\n"},
      {R"({"discover": "a..b"})",
       "==> Error starting mDNS listener: '_serf_a..b._tcp.local.' is no name for DNS\n"},
      {R"({"retry_interval_max": "1s"})",
       "==> retry_interval_max is 1s, must not be below retry_interval, 30s\n"},
  };
  for (const auto& c : kCases) {
    workshop_.Write("c.json", c.text);
    AgentProcess agent({.program = OurSerf(), .name = "n", .flags = {"-config-file=c.json"}});
    EXPECT_EQ(agent.process().Wait(), 1) << c.text;
    EXPECT_TRUE(absl::StrContains(agent.log(), c.error)) << agent.log();
  }
}

}  // namespace
}  // namespace serf::testkit
