// Tests mixed clusters of four, two of our agents and two of Go Serf, for each kind of encryption
// and compression. Two scenarios cover all interactions, because a cluster takes a while to start:
// what living members send each other, and how members come and go.

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/member.h"
#include "serf/tags.h"
#include "serf/testing/agents/agent_process.h"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"

namespace serf::testkit {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

constexpr char kKey16[] = "AAECAwQFBgcICQoLDA0ODw==";
constexpr char kKey24[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
constexpr char kKey32[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

// Long enough for a script on a busy machine. `query` always waits so long.
constexpr char kQueryTimeout[] = "-timeout=5s";
// Long enough for news that only Go Serf's push/pull delivers, every 15 s, or for a reconnect,
// every 30 s.
constexpr std::chrono::seconds kPatience{180};

// Bytes of the answer to the query "large": more than any gossip packet holds.
constexpr std::size_t kLargeAnswer = 6000;

struct Variant {
  const char* name;
  bool ours_first;      // the kind of the agent that all others join
  std::string key;      // empty: no encryption
  std::string new_key;  // the key to rotate to
  bool compressed = true;
};

class MatrixTest : public ::testing::TestWithParam<Variant> {
 protected:
  MatrixTest() : folder_(absl::StrCat(::testing::TempDir(), "/matrix-", ::getpid())) {
    std::filesystem::create_directories(folder_);
    std::ofstream(PathOf("theirs.json")) << R"({"query_response_size_limit": 8000})";
    // With -profile=local Go Serf sends so little gossip that some news waits for a push/pull. Our
    // agents make theirs more often, which shortens the test. If Go Serf returns a member without
    // an intent, our agent lists it as leaving until a search after the time-out, which is less
    // than a minute here.
    std::ofstream(PathOf("ours.json")) << R"({"query_response_size_limit": 8000,
                                              "push_pull_interval": "2s",
                                              "leaving_timeout": "5s", "reap_interval": "1s"})";
  }
  ~MatrixTest() override {
    agents_.clear();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  static bool Encrypted() { return !GetParam().key.empty(); }
  std::string PathOf(absl::string_view file) const { return absl::StrCat(folder_, "/", file); }
  std::string TextOf(absl::string_view file) const {
    std::ifstream in(PathOf(file));
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  }

  // The flags of an agent, without its joins.
  std::vector<std::string> FlagsOf(const std::string& program, const std::string& name) const {
    std::vector<std::string> flags = {
        "-log-level=debug",
        absl::StrCat("-tag=n=", name.substr(name.size() - 1)),
        absl::StrCat("-config-file=", PathOf(program == OurSerf() ? "ours.json" : "theirs.json")),
        absl::StrCat("-event-handler=user=echo \"$SERF_USER_EVENT $(cat)\" >> ",
                     PathOf(absl::StrCat(name, ".events"))),
        "-event-handler=query:who=echo \"$SERF_SELF_NAME: $(cat)\"",
        absl::StrCat("-event-handler=query:large=head -c ", kLargeAnswer,
                     " /dev/zero | tr '\\0' x"),
    };
    if (!GetParam().compressed) flags.push_back("-disable-compression");
    if (!Encrypted()) return flags;
    // The second agent of each kind keeps its keys in a file.
    if (absl::EndsWith(name, "-1")) {
      flags.push_back(absl::StrCat("-encrypt=", GetParam().key));
    } else {
      const std::string file = absl::StrCat(name, ".keys");
      std::ofstream(PathOf(file)) << "[\"" << GetParam().key << "\"]";
      flags.push_back(absl::StrCat("-keyring-file=", PathOf(file)));
    }
    return flags;
  }
  std::vector<std::string> SnapshotFlagsOf(const std::string& program,
                                           const std::string& name) const {
    std::vector<std::string> flags = FlagsOf(program, name);
    flags.push_back(absl::StrCat("-snapshot=", PathOf(absl::StrCat(name, ".snap"))));
    return flags;
  }

  AgentProcess& Start(const std::string& program, const std::string& name,
                      const std::string& profile, std::vector<std::string> flags) {
    for (const auto& agent : agents_) flags.push_back(absl::StrCat("-join=", agent->gossip()));
    agents_.push_back(std::make_unique<AgentProcess>(AgentProcess::Options{
        .program = program, .name = name, .flags = std::move(flags), .profile = profile}));
    EXPECT_TRUE(agents_.back()->WaitUntilRunning()) << agents_.back()->log();
    return *agents_.back();
  }
  void StartAll(const std::string& profile, bool snapshots) {
    std::vector<std::pair<std::string, std::string>> nodes = {{OurSerf(), "ours-1"},
                                                              {DebianSerf(), "theirs-1"},
                                                              {OurSerf(), "ours-2"},
                                                              {DebianSerf(), "theirs-2"}};
    if (!GetParam().ours_first) std::swap(nodes[0], nodes[1]);
    for (const auto& [program, name] : nodes) {
      Start(program, name, profile,
            snapshots ? SnapshotFlagsOf(program, name) : FlagsOf(program, name));
    }
  }

  AgentProcess& Find(absl::string_view name) {
    for (const auto& agent : agents_) {
      if (agent->name() == name) return *agent;
    }
    std::abort();
  }
  static MemberStates AllBut(const MemberStates& others) {
    MemberStates states = {
        {"ours-1", "alive"}, {"theirs-1", "alive"}, {"ours-2", "alive"}, {"theirs-2", "alive"}};
    for (const auto& [name, status] : others) states[name] = status;
    return states;
  }
  // The members that an agent lists. Go Serf sends no intent when it is back by its snapshot, so
  // another Go Serf agent may list it as leaving without end. That counts as alive here
  // (docs/protocol/serf.md 15.3).
  MemberStates StatesBy(const AgentProcess& agent) {
    const auto is_original = [](const AgentProcess& a) {
      return a.options().program == DebianSerf();
    };
    MemberStates states = agent.States();
    for (auto& [name, status] : states) {
      if (status == "leaving" && is_original(agent) && is_original(Find(name))) status = "alive";
    }
    return states;
  }
  // Waits until every running agent lists exactly these states.
  void ExpectStates(const MemberStates& expected) {
    for (const auto& agent : agents_) {
      if (agent->process().ended()) continue;
      ASSERT_TRUE(
          agent->process().WaitUntil([&] { return StatesBy(*agent) == expected; }, kPatience))
          << agent->name() << " disagrees:\n"
          << absl::StrJoin(agent->States(), " ", absl::PairFormatter("=")) << "\n"
          << agent->log();
    }
  }

  // The command line for an agent.
  static std::vector<std::string> CommandLine(const std::string& program, const AgentProcess& agent,
                                              const std::vector<std::string>& words) {
    std::vector<std::string> argv = {program, words[0], absl::StrCat("-rpc-addr=", agent.rpc())};
    argv.insert(argv.end(), words.begin() + 1, words.end());
    return argv;
  }
  static std::string Run(const std::string& program, const AgentProcess& agent,
                         const std::vector<std::string>& words, int exit_code = 0) {
    Process process(CommandLine(program, agent, words));
    EXPECT_EQ(process.Wait(), exit_code) << absl::StrJoin(words, " ") << " to " << agent.name()
                                         << ": " << process.out() << process.err();
    return process.out();
  }

  // --- the parts of the scenarios ---
  void ExpectAgreement();
  void ChangeTags();
  void SendEvents(const std::string& payload);
  void AskQueries();
  void MeasureDistances();
  void UseKeys();
  void ClaimNames();
  // How often the script of an event without payload ran.
  long CountEvents(const std::string& name, const std::string& event) const;
  void ExpectEvent(const std::string& name, const std::string& event);
  void RecordSnapshots();
  void RestartSwapped(const std::string& name, const std::vector<std::string>& more = {});
  void ExpectBack(const std::string& name);

  const std::string folder_;
  std::vector<std::unique_ptr<AgentProcess>> agents_;
  std::map<std::string, std::string> events_;  // the wanted content of each event's file
};

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

// --- what living members send each other ---

void MatrixTest::ExpectAgreement() {
  for (const auto& agent : agents_) {
    for (const Member& member : agent->Members()) {
      EXPECT_EQ(member.endpoint.ToString(), Find(member.name).gossip());
      EXPECT_EQ(member.tags, (Tags{{"n", member.name.substr(member.name.size() - 1)}}));
      EXPECT_EQ(member.versions.delegate_min, 2);
      EXPECT_EQ(member.versions.delegate_max, 5);
      EXPECT_EQ(member.versions.delegate_cur, 5);
      EXPECT_EQ(member.versions.protocol_min, 1);
      EXPECT_EQ(member.versions.protocol_max, 5);
      EXPECT_EQ(member.versions.protocol_cur, 2);
    }
  }
}

void MatrixTest::ChangeTags() {
  for (const char* name : {"ours-2", "theirs-2"}) {
    Run(DebianSerf(), Find(name), {"tags", "-set", "zone=b", "-delete", "n"});
    for (const auto& agent : agents_) {
      EXPECT_TRUE(agent->WaitUntil([&](const std::vector<Member>& members) {
        return std::any_of(members.begin(), members.end(), [&](const Member& member) {
          return member.name == name && member.tags == Tags{{"zone", "b"}};
        });
      })) << agent->name()
          << " does not see the tags of " << name;
    }
  }
}

void MatrixTest::SendEvents(const std::string& payload) {
  for (const char* name : {"ours-1", "theirs-1"}) {
    const std::string line = absl::StrCat("deploy ", payload, " by ", name, "\n");
    Run(OurSerf(), Find(name),
        {"event", "-coalesce=false", "deploy", absl::StrCat(payload, " by ", name)});
    for (const auto& agent : agents_) {
      std::string& expected = events_[agent->name()];
      expected += line;
      // The file holds each event once, and in this order.
      const std::string file = absl::StrCat(agent->name(), ".events");
      EXPECT_TRUE(agent->process().WaitUntil([&] { return TextOf(file) == expected; }))
          << agent->name() << " has\n"
          << TextOf(file) << "instead of\n"
          << expected;
    }
  }
}

void MatrixTest::AskQueries() {
  const std::vector<std::vector<std::string>> questions = {
      // Asks all members, by a tag that some lack. Answers also come through relays, and count
      // once.
      {"query", "-format=json", kQueryTimeout, "-relay-factor=2", "-tag", "zone=^b?$", "who", "?"},
      {"query", "-format=json", kQueryTimeout, "-no-ack", "-tag", "zone=b", "who", "?"},
      {"query", "-format=json", kQueryTimeout, "-node=ours-2", "-node=theirs-2", "large"},
      {"query", "-format=json", kQueryTimeout, "-node=nosuch", "who"},
  };
  std::vector<std::vector<std::unique_ptr<Process>>> queries;
  const std::vector<std::string> askers = {"ours-1", "theirs-1"};
  for (const std::string& asker : askers) {
    queries.emplace_back();
    for (const auto& question : questions) {
      queries.back().push_back(
          std::make_unique<Process>(CommandLine(DebianSerf(), Find(asker), question)));
      // One event after the other: Go Serf can give two events of the same moment the same Lamport
      // time, and then forgets the first (docs/protocol/serf.md 2.4).
      EXPECT_TRUE(Find(asker).process().WaitUntil([&] {
        const std::vector<std::string> parts =
            absl::StrSplit(Find(asker).log(), "agent: Requesting query send: ");
        return parts.size() > queries.back().size();
      })) << Find(asker).log();
    }
  }
  const std::string large(kLargeAnswer, 'x');
  using Answers = std::map<std::string, std::string>;
  const Answers two = {{"ours-2", "ours-2: ?\n"}, {"theirs-2", "theirs-2: ?\n"}};
  Answers all = two;
  for (const char* name : {"ours-1", "theirs-1"}) all[name] = absl::StrCat(name, ": ?\n");
  for (std::size_t i = 0; i < askers.size(); ++i) {
    SCOPED_TRACE(askers[i]);
    std::vector<nlohmann::json> results;
    for (const auto& query : queries[i]) {
      ASSERT_EQ(query->Wait(), 0) << query->out() << query->err();
      results.push_back(nlohmann::json::parse(query->out()));
    }
    EXPECT_THAT(results[0]["Acks"].get<std::vector<std::string>>(),
                UnorderedElementsAre("ours-1", "ours-2", "theirs-1", "theirs-2"));
    EXPECT_EQ(results[0]["Responses"].get<Answers>(), all);
    EXPECT_TRUE(results[1]["Acks"].empty());
    EXPECT_EQ(results[1]["Responses"].get<Answers>(), two);
    EXPECT_EQ(results[2]["Responses"].get<Answers>(),
              (Answers{{"ours-2", large}, {"theirs-2", large}}));
    EXPECT_TRUE(results[3]["Acks"].empty());
    EXPECT_TRUE(results[3]["Responses"].empty());
  }
}

// A probe's acknowledgement carries the coordinate.
void MatrixTest::MeasureDistances() {
  for (const char* name : {"ours-1", "theirs-1"}) {
    for (const char* other : {"ours-1", "ours-2", "theirs-1", "theirs-2"}) {
      if (absl::string_view(other) == name) continue;
      std::string out;
      EXPECT_TRUE(Find(name).process().WaitUntil([&] {
        Process rtt(CommandLine(DebianSerf(), Find(name), {"rtt", other}));
        const bool known = rtt.Wait() == 0;
        out = rtt.out();
        return known;
      })) << out;
      EXPECT_THAT(out, StartsWith(absl::StrCat("Estimated ", other, " <-> ", name, " rtt: ")));
      // The cluster is on loopback, but on a busy machine the first samples are milliseconds.
      double milliseconds = 0;
      const std::vector<std::string> words = absl::StrSplit(out, ' ');
      ASSERT_EQ(words.size(), 7u) << out;
      EXPECT_TRUE(absl::SimpleAtod(words[5], &milliseconds)) << out;
      EXPECT_GT(milliseconds, 0);
      EXPECT_LT(milliseconds, 1000);
    }
  }
}

void MatrixTest::UseKeys() {
  const auto list = [this](const std::string& program, const char* name, int exit_code) {
    return Run(program, Find(name), {"keys", "-list"}, exit_code);
  };
  if (!Encrypted()) {
    EXPECT_THAT(list(OurSerf(), "theirs-1", 1), HasSubstr("4/4 nodes reported failure"));
    EXPECT_THAT(list(DebianSerf(), "ours-1", 1), HasSubstr("4/4 nodes reported failure"));
    return;
  }
  const std::string& key = GetParam().key;
  const std::string& new_key = GetParam().new_key;
  Run(OurSerf(), Find("theirs-1"), {"keys", absl::StrCat("-install=", new_key)});
  EXPECT_THAT(list(DebianSerf(), "ours-1", 0),
              ContainsRegex(absl::StrCat("\n", new_key, " +\\[4/4\\]\n")));
  Run(DebianSerf(), Find("ours-1"), {"keys", absl::StrCat("-use=", new_key)});
  // The primary key cannot be removed.
  EXPECT_THAT(Run(OurSerf(), Find("ours-1"), {"keys", absl::StrCat("-remove=", new_key)}, 1),
              HasSubstr("4/4 nodes reported failure"));
  Run(OurSerf(), Find("ours-1"), {"keys", absl::StrCat("-remove=", key)});
  for (const char* name : {"ours-1", "theirs-1"}) {
    const std::string out = list(DebianSerf(), name, 0);
    EXPECT_THAT(out, ContainsRegex(absl::StrCat("\n", new_key, " +\\[4/4\\]\n")));
    EXPECT_THAT(out, Not(HasSubstr(absl::StrCat("\n", key, " "))));
  }
  const std::string file = absl::StrCat("[\n  \"", new_key, "\"\n]");
  EXPECT_EQ(TextOf("ours-2.keys"), file);
  EXPECT_EQ(TextOf("theirs-2.keys"), file);
}

// A new agent of either kind claims the name of an agent of the other kind, loses the vote, and
// ends.
void MatrixTest::ClaimNames() {
  for (const auto& [program, name] :
       {std::pair(DebianSerf(), "ours-2"), std::pair(OurSerf(), "theirs-2")}) {
    std::vector<std::string> flags;
    if (Encrypted()) flags.push_back(absl::StrCat("-encrypt=", GetParam().new_key));
    for (const char* to : {"ours-1", "theirs-1"}) {
      flags.push_back(absl::StrCat("-join=", Find(to).gossip()));
    }
    AgentProcess impostor(
        {.program = program, .name = name, .flags = std::move(flags), .profile = "lan"});
    EXPECT_TRUE(impostor.process().Wait().has_value()) << impostor.log();
    EXPECT_THAT(impostor.log(), HasSubstr("serf: minority in name conflict resolution, qui"));
    for (const auto& agent : agents_) {
      for (const Member& member : agent->Members()) {
        EXPECT_EQ(member.endpoint.ToString(), Find(member.name).gossip());
      }
    }
  }
  ExpectStates(AllBut({}));
}

TEST_P(MatrixTest, MembersTellEachOther) {
  // With this timing Go Serf sends everything often enough to reach all four.
  StartAll("lan", /*snapshots=*/false);
  ExpectStates(AllBut({}));
  ExpectAgreement();
  ChangeTags();
  SendEvents("v1");
  AskQueries();
  MeasureDistances();
  UseKeys();
  ClaimNames();
  SendEvents("v2");
  for (const char* name : {"ours-2", "theirs-2"}) {
    Find(name).Interrupt();
    EXPECT_EQ(Find(name).process().Wait(), 0) << Find(name).log();
  }
  ExpectStates(AllBut({{"ours-2", "left"}, {"theirs-2", "left"}}));
}

// --- how members come and go ---

long MatrixTest::CountEvents(const std::string& name, const std::string& event) const {
  const std::vector<std::string> lines = Lines(TextOf(absl::StrCat(name, ".events")));
  return std::count(lines.begin(), lines.end(), absl::StrCat(event, " "));
}

void MatrixTest::ExpectEvent(const std::string& name, const std::string& event) {
  EXPECT_TRUE(Find(name).process().WaitUntil([&] { return CountEvents(name, event) > 0; }))
      << name << " was not told " << event;
}

// Go Serf writes a line only when another one follows, so the test sends events until all lines are
// there.
void MatrixTest::RecordSnapshots() {
  const auto recorded = [this](const char* name) {
    std::uint64_t event_clock = 0;
    bool peers[2] = {};
    for (const std::string& line : Lines(TextOf(absl::StrCat(name, ".snap")))) {
      peers[0] = peers[0] || absl::StartsWith(line, "alive: ours-1 ");
      peers[1] = peers[1] || absl::StartsWith(line, "alive: theirs-1 ");
      absl::string_view number = line;
      std::uint64_t time = 0;
      if (absl::ConsumePrefix(&number, "event-clock: ") && absl::SimpleAtoi(number, &time)) {
        event_clock = time;
      }
    }
    return peers[0] && peers[1] && event_clock >= 2;
  };
  EXPECT_TRUE(Find("ours-1").process().WaitUntil([&] {
    Run(OurSerf(), Find("ours-1"), {"event", "-coalesce=false", "tick"});
    return recorded("ours-2") && recorded("theirs-2");
  })) << TextOf("ours-2.snap")
      << TextOf("theirs-2.snap");
}

// Starts an agent again as the other program, with all files of the first one.
void MatrixTest::RestartSwapped(const std::string& name, const std::vector<std::string>& more) {
  AgentProcess& agent = Find(name);
  const std::string program = agent.options().program == OurSerf() ? DebianSerf() : OurSerf();
  std::vector<std::string> flags = SnapshotFlagsOf(program, name);
  flags.insert(flags.end(), more.begin(), more.end());
  agent.Restart(std::move(flags), program);
  ASSERT_TRUE(agent.WaitUntilRunning()) << agent.log();
}

// Two agents that return at the same time could find only each other, and an agent that has found
// one member asks no other for a while.
void MatrixTest::ExpectBack(const std::string& name) {
  for (const char* other : {"ours-1", "theirs-1"}) {
    EXPECT_TRUE(Find(other).process().WaitUntil(
        [&] { return StatesBy(Find(other))[name] == "alive"; }, kPatience))
        << other << " does not see " << name << ":\n"
        << Find(other).log();
  }
}

TEST_P(MatrixTest, MembersComeAndGo) {
  StartAll("local", /*snapshots=*/true);
  ExpectStates(AllBut({}));
  Run(OurSerf(), Find("theirs-1"), {"event", "-coalesce=false", "first"});
  for (const char* name : {"ours-2", "theirs-2"}) ExpectEvent(name, "first");
  RecordSnapshots();

  // After a failure the agents catch up on events from the meantime, and do not deliver earlier
  // ones again.
  for (const char* name : {"ours-2", "theirs-2"}) Find(name).Kill();
  ExpectStates(AllBut({{"ours-2", "failed"}, {"theirs-2", "failed"}}));
  Run(DebianSerf(), Find("ours-1"), {"event", "-coalesce=false", "meanwhile"});
  for (const char* name : {"ours-2", "theirs-2"}) {
    RestartSwapped(name);
    ExpectBack(name);
  }
  ExpectStates(AllBut({}));
  for (const char* name : {"ours-2", "theirs-2"}) {
    ExpectEvent(name, "meanwhile");
    EXPECT_EQ(CountEvents(name, "first"), 1) << name;
    EXPECT_EQ(CountEvents(name, "meanwhile"), 1) << name;
  }

  // Each kind turns a failed member into a left one; one of them is forgotten.
  for (const char* name : {"ours-2", "theirs-2"}) Find(name).Kill();
  ExpectStates(AllBut({{"ours-2", "failed"}, {"theirs-2", "failed"}}));
  Run(OurSerf(), Find("ours-1"), {"force-leave", "theirs-2"});
  ExpectStates(AllBut({{"ours-2", "failed"}, {"theirs-2", "left"}}));
  // Gossip goes to dead members, too. If all of it went there, only another attempt helps, because
  // a push/pull does not carry it.
  EXPECT_TRUE(Find("ours-1").process().WaitUntil([&] {
    Run(DebianSerf(), Find("theirs-1"), {"force-leave", "-prune", "ours-2"});
    return !Find("ours-1").States().contains("ours-2");
  }));
  ExpectStates({{"ours-1", "alive"}, {"theirs-1", "alive"}, {"theirs-2", "left"}});

  // Both come back nevertheless.
  for (const char* name : {"ours-2", "theirs-2"}) {
    RestartSwapped(name);
    ExpectBack(name);
  }
  ExpectStates(AllBut({}));

  // An agent that left on purpose stays away, unless its flags ask it to rejoin.
  for (const char* name : {"ours-2", "theirs-2"}) {
    Find(name).Interrupt();
    EXPECT_EQ(Find(name).process().Wait(), 0) << Find(name).log();
  }
  ExpectStates(AllBut({{"ours-2", "left"}, {"theirs-2", "left"}}));
  for (const char* name : {"ours-2", "theirs-2"}) {
    RestartSwapped(name);
    EXPECT_EQ(Find(name).States(), (MemberStates{{name, "alive"}}));
    EXPECT_THAT(Find(name).log(), Not(HasSubstr("Attempting re-join")));
    Find(name).Kill();
    RestartSwapped(name, {"-rejoin"});
    ExpectBack(name);
  }
  ExpectStates(AllBut({}));
}

INSTANTIATE_TEST_SUITE_P(Interop, MatrixTest,
                         ::testing::Values(Variant{"Plain", true, "", ""},
                                           Variant{"Aes128", false, kKey16, kKey24},
                                           Variant{"Aes192", true, kKey24, kKey32},
                                           Variant{"Aes256", false, kKey32, kKey16},
                                           Variant{"Uncompressed", false, "", "", false}),
                         [](const auto& instance) { return std::string(instance.param.name); });

}  // namespace
}  // namespace serf::testkit
