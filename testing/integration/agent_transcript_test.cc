// Repeats further recorded runs of Go Serf's agent with //cmd:serf. If our agent differs on
// purpose, the test gives the reason.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/rpc/client.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/integration/transcript.h"
#include "serf/testing/integration/workshop.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::testkit {
namespace {

class AgentTranscriptTest : public ::testing::Test {
 protected:
  std::unique_ptr<Process> Start(const Transcript& transcript) {
    auto agent = std::make_unique<Process>(transcript.argv(), transcript.environment());
    EXPECT_TRUE(agent->WaitForOutput("Serf agent started")) << agent->out();
    return agent;
  }

  void ExpectAsRecorded(const Transcript& transcript, Process& agent) {
    agent.Signal(SIGINT);
    const Outcome expected = transcript.expected();
    EXPECT_EQ(agent.Wait(), expected.exit_code);
    EXPECT_EQ(NormalizeAgentOutput(agent.out()), NormalizeAgentOutput(expected.out));
    EXPECT_EQ(agent.err(), expected.err);
  }

  static std::string Rpc() { return Localize("127.0.0.1:23231"); }

  // The output of a client command.
  static std::string Ask(const std::string& command, const std::vector<std::string>& words = {}) {
    std::vector<std::string> argv = {OurSerf(), command, "-rpc-addr=" + Rpc()};
    argv.insert(argv.end(), words.begin(), words.end());
    Process process(argv);
    EXPECT_EQ(process.Wait(), 0) << process.out();
    return process.out();
  }

  static void SetTags(const Tags& tags) {
    rpc::Client client;
    ASSERT_TRUE(client.Connect(Rpc()).ok());
    const absl::Status status = client.UpdateTags(tags, {});
    EXPECT_TRUE(status.ok()) << status;
  }

  Workshop workshop_;
};

TEST_F(AgentTranscriptTest, BannerOfTheNewerRelease) {
  const Transcript transcript("new-agent-banner");
  ExpectAsRecorded(transcript, *Start(transcript));
}

TEST_F(AgentTranscriptTest, ErrorsOfTheNewerRelease) {
  workshop_.Write("bad.json", "{\"node_name\": 1, \"bind\": 2, \"zzz\": 3}");
  const Transcript transcript("new-agent-err-config-several");
  EXPECT_EQ(transcript.Run(), transcript.expected());
}

// That release does not know the key yet. Our agent does what the newer release promises.
TEST_F(AgentTranscriptTest, NodeNamesAreValidated) {
  workshop_.Write("vn.json", "{\"validate_node_names\": true}");
  const Outcome got = Transcript("agent-err-validate-names-old").Run();
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(got.out, "Node name contains invalid characters bad_name! ,"))
      << got.out;
}

// The reason why the name is not found depends on the machine, also in the recording.
TEST_F(AgentTranscriptTest, BindToAnUnknownName) {
  const Outcome got = Transcript("agent-err-bind-name").Run();
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_TRUE(absl::StartsWith(got.out, "==> Invalid bind address: lookup no.such.host.invalid: "))
      << got.out;
}

TEST_F(AgentTranscriptTest, ConfigDir) {
  workshop_.Write("conf.d/10.json",
                  R"({"node_name": "from-10", "tags": {"a": "10", "b": "10"},
                      "event_handlers": ["true"]})");
  workshop_.Write("conf.d/20.json",
                  R"({"node_name": "from-20", "tags": {"a": "20", "c": "20"},
                      "log_level": "debug"})");
  workshop_.Write("conf.d/30.conf", "not read");
  std::filesystem::create_directory("conf.d/sub.json");
  const Transcript transcript("agent-config-dir");
  const auto agent = Start(transcript);
  ASSERT_TRUE(agent->WaitForOutput("Event 'member-join' script output: \n")) << agent->out();
  const std::string info = Ask("info");
  const std::string recorded = transcript.fact("info");
  // The text between them depends on the machine.
  const absl::string_view head = absl::string_view(recorded).substr(0, recorded.find("runtime:"));
  const absl::string_view tail = absl::string_view(recorded).substr(recorded.find("\ntags:"));
  EXPECT_TRUE(absl::StartsWith(info, head)) << info;
  EXPECT_TRUE(absl::EndsWith(info, tail)) << info;
  ExpectAsRecorded(transcript, *agent);
}

// Go Serf ignores both keys; our agent uses them (docs/protocol/agent.md 2.4).
TEST_F(AgentTranscriptTest, KeysWithoutEffectHaveOne) {
  workshop_.Write("dc.json", R"({"disable_coordinates": true, "enable_compression": false})");
  const Transcript transcript("agent-disable-coordinates");
  const auto agent = Start(transcript);
  EXPECT_TRUE(absl::StrContains(transcript.fact("info"), "coordinate_resets"));
  EXPECT_TRUE(absl::StrContains(Ask("info"), "\tcoordinate_resets = 0\n"));
  EXPECT_TRUE(absl::StrContains(agent->out(), "Message Compression Enabled: false\n"));
}

// Go Serf drops the tags that clients set; our agent keeps and sorts them (docs/protocol/agent.md
// 2.16).
TEST_F(AgentTranscriptTest, ReloadKeepsTagsOfClients) {
  const Transcript transcript("agent-hup-drops-rpc-tags");
  const auto agent = Start(transcript);
  SetTags({{"b", "2"}});
  const std::string before = Localize("n1  127.0.0.1:23131  alive  a=1,b=2\n");
  EXPECT_EQ(Ask("members"), before);
  EXPECT_NE(transcript.fact("members_before"), transcript.fact("members_after"));
  agent->Signal(SIGHUP);
  ASSERT_TRUE(agent->WaitForOutput("==> Reloading configuration...\n"));
  EXPECT_EQ(Ask("members"), before);
}

// Go Serf empties the file.
TEST_F(AgentTranscriptTest, ReloadKeepsTheTagsFile) {
  const std::string text = "{\"role\": \"web\"}";
  workshop_.Write("tf.json", text);
  const Transcript transcript("agent-hup-tags-file");
  const auto agent = Start(transcript);
  EXPECT_EQ(Ask("members"), transcript.fact("members_before"));
  agent->Signal(SIGHUP);
  ASSERT_TRUE(agent->WaitForOutput("==> Reloading configuration...\n"));
  EXPECT_EQ(Ask("members"), transcript.fact("members_before"));
  EXPECT_EQ(workshop_.Read("tf.json"), text);
  EXPECT_EQ(transcript.fact("tags_file_after"), "{}");
}

TEST_F(AgentTranscriptTest, TagsFileIsWritten) {
  const Transcript transcript("agent-tags-file-written");
  const auto agent = Start(transcript);
  SetTags({{"b", "2"}, {"a", "1"}});
  EXPECT_EQ(workshop_.Read("newtags.json"), transcript.fact("tags_file_after"));
  struct stat info {};
  ASSERT_EQ(::stat("newtags.json", &info), 0);
  EXPECT_EQ(transcript.fact("tags_file_mode"), "0o600");
  EXPECT_EQ(info.st_mode & 07777, 0600u);
  ExpectAsRecorded(transcript, *agent);
}

TEST_F(AgentTranscriptTest, LeavesByRpc) {
  const Transcript transcript("agent-after-leave-rpc");
  const auto agent = Start(transcript);
  const Outcome leave = Transcript("leave-peer").Run();
  EXPECT_EQ(leave, Transcript("leave-peer").expected());
  EXPECT_EQ(agent->Wait(), transcript.expected().exit_code);
  EXPECT_FALSE(absl::StrContains(agent->out(), "Caught signal"));
  EXPECT_FALSE(absl::StrContains(transcript.expected().out, "Caught signal"));
}

// A second leave shares the first one's result.
TEST_F(AgentTranscriptTest, TwoLeaves) {
  const Transcript transcript("agent-banner");
  const auto agent = Start(transcript);
  const std::vector<std::string> argv = {OurSerf(), "leave", "-rpc-addr=" + Rpc()};
  Process first(argv);
  ASSERT_TRUE(agent->WaitForOutput("agent.ipc: Graceful leave triggered"));
  Process second(argv);
  EXPECT_EQ(first.Wait(), 0) << first.out();
  // The second answer may also come when the agent has ended.
  EXPECT_TRUE(second.Wait() == 0 || absl::StrContains(second.out(), "refused")) << second.out();
  EXPECT_EQ(agent->Wait(), 0);
  EXPECT_FALSE(absl::StrContains(agent->out(), "Shutdown without a Leave")) << agent->out();
}

// Go Serf gives up after 3 s in every profile; our agent waits for slow gossip
// (docs/protocol/agent.md 2.15).
TEST_F(AgentTranscriptTest, SlowProfilesMayLeave) {
  Process peer({OurSerf(), "agent", "-node=peer", "-profile=wan", Localize("-bind=127.0.0.1:23132"),
                Localize("-rpc-addr=127.0.0.1:23232")});
  ASSERT_TRUE(peer.WaitForOutput("Serf agent started"));
  const Transcript transcript("agent-wan-graceful");
  const auto agent = Start(transcript);
  agent->Signal(SIGINT);
  EXPECT_EQ(transcript.expected().exit_code, 1);
  EXPECT_EQ(agent->Wait(), 0) << agent->out();
  EXPECT_FALSE(absl::StrContains(agent->out(), "Shutdown without a Leave")) << agent->out();
  EXPECT_TRUE(peer.WaitForOutput("serf: EventMemberLeave: n1 ")) << peer.out();
}

// --- telemetry ---

// Turns "[...][C] 'serf-agent.serf.events': Count: 1 ..." into "[C] 'serf-agent.serf.events'".
std::set<std::string> MetricsOfDump(absl::string_view dump) {
  std::set<std::string> names;
  for (const absl::string_view line : absl::StrSplit(dump, '\n')) {
    const std::size_t kind = line.find("UTC][");
    const std::size_t end = line.rfind("': ");
    if (kind == absl::string_view::npos || end == absl::string_view::npos) continue;
    names.insert(std::string(line.substr(kind + 4, end + 1 - (kind + 4))));
  }
  return names;
}

// False for metrics of the layers below the agent, and of Go's runtime: our agent has other names
// for them, or lacks them.
bool IsAgentMetric(absl::string_view name) {
  return absl::StrContains(name, ".serf.events") || absl::StrContains(name, ".serf.member.join") ||
         absl::StrContains(name, ".agent.invoke.") || absl::StrContains(name, ".agent.ipc.") ||
         absl::StrContains(name, ".runtime.alloc_bytes") ||
         absl::StrContains(name, ".runtime.sys_bytes");
}

TEST_F(AgentTranscriptTest, DumpOfMetrics) {
  const Transcript transcript("agent-usr1");
  const auto agent = Start(transcript);
  rpc::Client client;
  ASSERT_TRUE(client.Connect(Rpc()).ok());
  ASSERT_TRUE(client.SendUserEvent("de ploy:x", "", {}).ok());
  std::set<std::string> wanted;
  for (const std::string& name : MetricsOfDump(transcript.expected().err)) {
    if (IsAgentMetric(name)) wanted.insert(name);
  }
  EXPECT_GE(wanted.size(), 8u);
  // Waits until the interval of ten seconds has ended.
  std::set<std::string> missing = wanted;
  EXPECT_TRUE(agent->WaitUntil([&] {
    agent->Signal(SIGUSR1);
    for (const std::string& name : MetricsOfDump(agent->err())) missing.erase(name);
    return missing.empty();
  })) << absl::StrJoin(missing, "\n")
      << "\n"
      << agent->err();
}

// Two servers on loopback receive the agent's metrics.
TEST_F(AgentTranscriptTest, StatsdAndStatsite) {
  const auto open = [](int type, sockaddr_in& address) {
    const int fd = ::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    address = {};
    address.sin_family = AF_INET;
    ::inet_pton(AF_INET, TranscriptAddress().c_str(), &address.sin_addr);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
    return fd;
  };
  sockaddr_in statsd_address;
  sockaddr_in statsite_address;
  const int statsd = open(SOCK_DGRAM, statsd_address);
  const int statsite = open(SOCK_STREAM, statsite_address);
  ASSERT_EQ(::listen(statsite, 1), 0);
  workshop_.Write("st.json",
                  absl::StrCat("{\"statsd_addr\": \"", TranscriptAddress(), ":",
                               ntohs(statsd_address.sin_port), "\", \"statsite_addr\": \"",
                               TranscriptAddress(), ":", ntohs(statsite_address.sin_port), "\"}"));
  const Transcript transcript("agent-statsd-statsite");
  const auto agent = Start(transcript);
  rpc::Client client;
  ASSERT_TRUE(client.Connect(Rpc()).ok());
  ASSERT_TRUE(client.SendUserEvent("de ploy:x", "", {}).ok());

  char host[256] = {};
  ASSERT_EQ(::gethostname(host, sizeof(host) - 1), 0);
  // The recording's lines without their values, with this host's name.
  const auto names = [&host](absl::string_view text) {
    std::set<std::string> result;
    for (const absl::string_view line : absl::StrSplit(text, '\n')) {
      const std::size_t colon = line.find(':');
      const std::size_t bar = line.rfind('|');
      if (colon == absl::string_view::npos || bar == absl::string_view::npos) continue;
      result.insert(
          absl::StrReplaceAll(absl::StrCat(line.substr(0, colon), line.substr(bar)),
                              {{absl::StrCat(".", absl::string_view(host), "."), ".host1."}}));
    }
    return result;
  };
  std::set<std::string> wanted;
  for (const std::string& name : names(transcript.fact("statsite_stream_start"))) {
    if (IsAgentMetric(name)) wanted.insert(name);
  }
  EXPECT_GE(wanted.size(), 8u);
  std::string datagrams;
  std::string stream;
  int connection = -1;
  const auto has_all = [&](const std::string& text) {
    const std::set<std::string> got = names(text);
    return std::includes(got.begin(), got.end(), wanted.begin(), wanted.end());
  };
  EXPECT_TRUE(agent->WaitUntil([&] {
    char buffer[2000];
    if (connection < 0) connection = ::accept4(statsite, nullptr, nullptr, SOCK_NONBLOCK);
    for (ssize_t got; (got = ::recv(statsd, buffer, sizeof(buffer), 0)) > 0;) {
      EXPECT_LE(got, 1400);
      datagrams.append(buffer, static_cast<std::size_t>(got));
    }
    for (ssize_t got; (got = ::recv(connection, buffer, sizeof(buffer), 0)) > 0;) {
      stream.append(buffer, static_cast<std::size_t>(got));
    }
    return has_all(datagrams) && has_all(stream);
  })) << absl::StrJoin(wanted, "\n")
      << "\n"
      << datagrams << "\n"
      << stream;
  for (const int fd : {statsd, statsite, connection}) ::close(fd);
}

}  // namespace
}  // namespace serf::testkit
