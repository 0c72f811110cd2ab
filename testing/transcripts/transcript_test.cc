// Each scenario's transcript is a file of testing/transcripts. After a change that is meant to show
// there, this command writes the files anew, for a review of the diff:
//
//   ./bazelw run //testing/transcripts:transcript_test -- --update

#include "serf/testing/transcripts/transcript.h"

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/swim/node.h"
#include "serf/swim/node_info.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using enum MemberStatus;

class Stage {
 public:
  Stage() {
    // A whole number of milliseconds, which is easy to read.
    world.links().settings().latency = milliseconds(1);
    world.links().settings().jitter = Duration::zero();
  }

  // Adds nodes that join the first one, and lets them settle, without recording.
  std::vector<NodeId> Cluster(const std::vector<std::string>& names) {
    transcript.SetRecording(false);
    std::vector<NodeId> nodes;
    for (const std::string& name : names) {
      nodes.push_back(world.Add(name));
      if (nodes.size() > 1) world.Join(nodes.back(), {nodes.front()});
      world.RunFor(milliseconds(120));  // otherwise all of them would probe at the same instants
    }
    world.RunFor(seconds(5));
    transcript.SetRecording(true);
    return nodes;
  }
  MemberStatus Status(NodeId observer, absl::string_view name) {
    const std::optional<Member> member = world.serf(observer).FindMember(name);
    return member ? member->status : kNone;
  }
  // Runs until all observers list this status.
  void Until(const std::vector<NodeId>& observers, absl::string_view name, MemberStatus status) {
    EXPECT_TRUE(world.RunUntil(
        [&] {
          for (const NodeId node : observers) {
            if (Status(node, name) != status) return false;
          }
          return true;
        },
        minutes(5)));
  }
  swim::NodeState State(NodeId observer, absl::string_view name) {
    const swim::Node& node = world.serf(observer).node();
    return node.state(*node.Find(name));
  }
  // Runs until the observer believes this state.
  void UntilBelieved(NodeId observer, absl::string_view name, swim::NodeState state) {
    EXPECT_TRUE(world.RunUntil([&] { return State(observer, name) == state; }, minutes(5)));
  }

  World world{1};
  WorldTranscript transcript{world};
};

void JoinOfTwo(Stage& s) {
  const NodeId a = s.world.Add("a");
  s.world.RunFor(milliseconds(200));
  const NodeId b = s.world.Add("b");
  s.world.RunFor(milliseconds(200));
  s.transcript.Note("b joins a");
  s.world.Join(b, {a});
  s.world.RunFor(seconds(3));
  EXPECT_EQ(s.Status(a, "b"), kAlive);
  EXPECT_EQ(s.Status(b, "a"), kAlive);
}

void IndirectProbe(Stage& s) {
  const std::vector<NodeId> n = s.Cluster({"a", "b", "c"});
  s.transcript.Note("a and b do not reach each other any more; c reaches both");
  s.world.links().Cut(n[0], n[1]);
  s.world.links().Cut(n[1], n[0]);
  const auto acks = [&](NodeId node) { return s.world.serf(node).node().counters().acks_received; };
  const std::uint64_t enough[] = {acks(n[0]) + 2, acks(n[1]) + 2};
  EXPECT_TRUE(s.world.RunUntil([&] { return acks(n[0]) >= enough[0] && acks(n[1]) >= enough[1]; },
                               seconds(30)));
  EXPECT_EQ(s.State(n[0], "b"), swim::NodeState::kAlive);
  EXPECT_EQ(s.State(n[1], "a"), swim::NodeState::kAlive);
}

void SuspicionAndRefutation(Stage& s) {
  const std::vector<NodeId> n = s.Cluster({"a", "b", "c"});
  s.transcript.Note("b is stopped, as by a debugger");
  s.world.Pause(n[1]);
  s.UntilBelieved(n[0], "b", swim::NodeState::kSuspect);
  s.world.RunFor(milliseconds(100));
  s.transcript.Note("b goes on");
  s.world.Resume(n[1]);
  s.UntilBelieved(n[0], "b", swim::NodeState::kAlive);
  s.UntilBelieved(n[2], "b", swim::NodeState::kAlive);
  s.world.RunFor(seconds(1));
  EXPECT_EQ(s.Status(n[0], "b"), kAlive);
}

void FailureWithConfirmations(Stage& s) {
  const std::vector<NodeId> n = s.Cluster({"a", "b", "c", "d"});
  s.transcript.Note("d crashes");
  s.world.Crash(n[3]);
  s.Until({n[0], n[1], n[2]}, "d", kFailed);
  s.world.RunFor(milliseconds(500));
}

void Leave(Stage& s) {
  const std::vector<NodeId> n = s.Cluster({"a", "b", "c"});
  s.transcript.Note("c leaves");
  const RequestId leave = s.world.Leave(n[2]);
  EXPECT_TRUE(s.world.RunUntil([&] { return s.world.completion(leave) != nullptr; }, seconds(30)));
  s.transcript.Note("and is gone");
  s.world.Crash(n[2]);
  s.world.RunFor(seconds(2));
  EXPECT_EQ(s.Status(n[0], "c"), kLeft);
}

void Partition(Stage& s) {
  const std::vector<NodeId> n = s.Cluster({"a", "b", "c", "d"});
  s.transcript.SetProbesShown(false);
  s.transcript.Note("a and b are cut off from c and d; probes are not shown");
  s.world.links().Partition({{n[0], n[1]}, {n[2], n[3]}});
  s.transcript.SetRecording(false);
  for (const char* name : {"c", "d"}) s.Until({n[0], n[1]}, name, kFailed);
  for (const char* name : {"a", "b"}) s.Until({n[2], n[3]}, name, kFailed);
  s.world.SetTags(n[3], {{"role", "db"}});
  s.world.RunFor(seconds(10));
  s.transcript.SetRecording(true);
  s.transcript.Note(
      "all failed for the other side; d changed its tags; healed while reconnects dial");
  s.world.links().Heal();
  for (const char* name : {"c", "d"}) s.Until({n[0], n[1]}, name, kAlive);
  for (const char* name : {"a", "b"}) s.Until({n[2], n[3]}, name, kAlive);
  s.world.RunFor(seconds(1));
  EXPECT_EQ(s.world.serf(n[0]).FindMember("d")->tags, (Tags{{"role", "db"}}));
}

void TcpFallback(Stage& s) {
  const std::vector<NodeId> n = s.Cluster({"a", "b"});
  s.transcript.Note("no datagram arrives any more; streams do");
  s.world.links().settings().loss = 1;
  s.world.RunFor(seconds(4));
  EXPECT_EQ(s.State(n[0], "b"), swim::NodeState::kAlive);
  EXPECT_EQ(s.State(n[1], "a"), swim::NodeState::kAlive);
}

void Restart(Stage& s) {
  const std::vector<NodeId> n = s.Cluster({"a", "b", "c"});
  s.transcript.SetRecording(false);
  s.world.SetTags(n[2], {{"life", "old"}});
  s.world.RunFor(seconds(5));
  s.transcript.SetRecording(true);
  s.transcript.Note("c, which had changed its tags, crashes and is back before anybody misses it");
  s.world.Crash(n[2]);
  s.world.Restart(n[2]);
  s.world.Join(n[2], {n[0]});
  s.world.RunFor(seconds(1));
  EXPECT_EQ(s.world.serf(n[1]).FindMember("c")->tags, Tags());
}

struct Play {
  const char* file;
  const char* title;
  void (*run)(Stage&);

  friend std::ostream& operator<<(std::ostream& os, const Play& play) { return os << play.file; }
};

constexpr Play kPlays[] = {
    {"join_of_two", "Two nodes meet by a join.", JoinOfTwo},
    {"indirect_probe", "Indirect probes save who is not reached directly.", IndirectProbe},
    {"suspicion_and_refutation", "A node that stalled refutes its suspicion.",
     SuspicionAndRefutation},
    {"failure_with_confirmations", "A crash is confirmed by others and becomes a failure.",
     FailureWithConfirmations},
    {"leave", "A node leaves.", Leave},
    {"partition", "After a partition a reconnect's push/pull makes the halves one.", Partition},
    {"tcp_fallback", "Without datagrams, pings over TCP keep nodes from failing.", TcpFallback},
    {"restart", "A node that restarts overrules what is left of its earlier life.", Restart},
};

std::string Perform(const Play& play) {
  Stage stage;
  play.run(stage);
  return absl::StrCat("# ", play.title, "\n", stage.transcript.text());
}

std::string PathOf(const Play& play) {
  // `bazel run` sets it, and starts the program among links to the sources.
  const char* workspace = std::getenv("BUILD_WORKSPACE_DIRECTORY");
  return absl::StrCat(workspace == nullptr ? "" : absl::StrCat(workspace, "/"),
                      "testing/transcripts/", play.file, ".txt");
}

class TranscriptTest : public ::testing::TestWithParam<Play> {};

TEST_P(TranscriptTest, IsAsRecorded) {
  std::ifstream file(PathOf(GetParam()));
  const std::string recorded{std::istreambuf_iterator<char>(file), {}};
  ASSERT_FALSE(recorded.empty()) << "no " << PathOf(GetParam());
  EXPECT_EQ(Perform(GetParam()), recorded) << "If that is as it should be: ./bazelw run "
                                              "//testing/transcripts:transcript_test -- --update";
}

INSTANTIATE_TEST_SUITE_P(Plays, TranscriptTest, ::testing::ValuesIn(kPlays),
                         [](const auto& play) { return std::string(play.param.file); });

int Update() {
  for (const Play& play : kPlays) {
    std::ofstream file(PathOf(play));
    file << Perform(play);
    if (!file.flush()) {
      std::fprintf(stderr, "cannot write %s\n", PathOf(play).c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace
}  // namespace serf::testkit

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  if (argc > 1 && absl::string_view(argv[1]) == "--update") return serf::testkit::Update();
  return RUN_ALL_TESTS();
}
