// Serf with a snapshot and with coordinates: what the node records, what it knows after a restart,
// and which nodes it asks.

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/config.h"
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/snapshot/snapshot_reader.h"
#include "serf/testing/node/lone_serf.h"
#include "serf/wire/swim_messages.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using testkit::LineLogger;
using wire::LamportTime;

constexpr char kOwnLine[] = "alive: self 10.0.0.1:7946\n";

// A node whose disk is a string.
class Life {
 public:
  explicit Life(std::string file, bool rejoin_after_leave = false) : file_(std::move(file)) {
    Config config = testkit::LoneSerf::DefaultConfig();
    config.swim.name = "self";
    config.swim.advertise = Endpoint::Parse("10.0.0.1:7946").value();
    config.swim.logger = &log;
    SnapshotReader reader(rejoin_after_leave, nullptr);
    reader.Read(file_);
    config.snapshot = std::move(reader).Finish();
    serf_ = Serf::Create(std::move(config)).value();
    serf_->Start(now, out_);
    CarryOut();
  }

  Serf& operator*() { return *serf_; }
  Serf* operator->() { return serf_.get(); }

  // Input: (Serf&, Outbox&).
  template <typename F>
  void Do(F&& input) {
    input(*serf_, out_);
    CarryOut();
  }
  void Until(Instant end) {
    while (serf_->NextDeadline() <= end) {
      now = std::max(now, serf_->NextDeadline());
      Do([&](Serf& serf, Outbox& out) { serf.OnTimer(now, out); });
    }
    now = end;
  }
  const std::string& file() const { return file_; }

  Instant now{};
  LineLogger log;
  std::vector<std::string> dialled;
  bool peers_answer = false;  // whether every dialled peer answers
  // The answer of the disk. Without a value the disk does not answer at all.
  std::optional<absl::Status> disk = absl::OkStatus();
  std::vector<std::string> ended;  // results of requests

 private:
  void CarryOut() {
    for (const auto& op : out_.stream_ops()) {
      if (op.kind == swim::Outbox::StreamOp::Kind::kDial) {
        dialled.push_back(op.to.ToString());
        dials_.push_back(op.stream);
      }
    }
    for (const Completion& completion : out_.completions()) {
      ended.push_back(completion.status.ToString());
    }
    const std::vector<SnapshotOp> ops = out_.snapshot_ops();
    out_.Clear();
    for (const SnapshotOp& op : ops) {
      if (!disk) break;
      if (disk->ok() && op.kind == SnapshotOp::Kind::kReplace) file_.clear();
      if (disk->ok()) file_ += op.text;
      Do([&](Serf& serf, Outbox& out) { serf.OnSnapshotDone(now, *disk, out); });
    }
    for (const swim::StreamId stream : std::exchange(dials_, {})) {
      if (peers_answer) Answer(stream);
      Do([&](Serf& serf, Outbox& out) {
        serf.OnStreamClosed(now, stream, absl::UnavailableError("refused"), out);
      });
    }
  }
  // A push/pull with a peer whose state is empty.
  void Answer(swim::StreamId stream) {
    ByteVector state;
    Encode(wire::PushPullHeader{.join = true}, state);
    Do([&](Serf& serf, Outbox& out) { serf.OnStreamConnected(now, stream, out); });
    Do([&](Serf& serf, Outbox& out) { serf.OnStreamBytes(now, stream, state, out); });
  }

  std::string file_;
  std::unique_ptr<Serf> serf_;
  Outbox out_;
  std::vector<swim::StreamId> dials_;
};

TEST(SerfSnapshotTest, RecordsMembersAndClocks) {
  Life life("");
  EXPECT_EQ(life.file(), kOwnLine);
  life.Do([&](Serf& serf, Outbox& out) {
    EXPECT_TRUE(serf.SendUserEvent(life.now, "deploy", "", {}, out).ok());
  });
  EXPECT_EQ(life.file(), kOwnLine) << "within the interval";
  life.Until(life.now + milliseconds(500));
  EXPECT_EQ(life.file(), std::string(kOwnLine) + "event-clock: 1\n");
  life.Do([&](Serf& serf, Outbox& out) { serf.Shutdown(life.now, out); });
  EXPECT_EQ(life.file(), std::string(kOwnLine) + "event-clock: 1\n");
}

TEST(SerfSnapshotTest, ShutdownWritesWhatWaits) {
  Life life("");
  life.Do([&](Serf& serf, Outbox& out) {
    EXPECT_TRUE(serf.SendUserEvent(life.now, "deploy", "", {}, out).ok());
    serf.Shutdown(life.now, out);
  });
  EXPECT_EQ(life.file(), std::string(kOwnLine) + "event-clock: 1\n");
}

TEST(SerfSnapshotTest, LeaveIsRecordedAtOnce) {
  Life life("clock: 7\nevent-clock: 3\n");
  life.Do([&](Serf& serf, Outbox& out) { serf.Leave(life.now, RequestId(1), out); });
  EXPECT_THAT(life.file(), HasSubstr("alive: self 10.0.0.1:7946\n"));
  EXPECT_THAT(life.file(), HasSubstr("leave\n"));
  life.Until(life.now + seconds(10));
  EXPECT_THAT(life.file(), ::testing::EndsWith("leave\nclock: 8\n"));
  EXPECT_EQ(Life(life.file())->Stats()["event_time"], "1");
  EXPECT_EQ(Life(life.file(), true)->Stats()["event_time"], "4");
}

// A node that left without a record of it comes back after a restart, against its operator's will.
TEST(SerfSnapshotTest, ALeaveThatIsNotRecordedIsAnError) {
  const auto leave = [](Life& life) {
    life.Do([&](Serf& serf, Outbox& out) { serf.Leave(life.now, RequestId(1), out); });
  };
  Life life("");
  life.disk = absl::ResourceExhaustedError("write x: no space left on device");
  leave(life);
  life.Until(life.now + seconds(10));
  EXPECT_THAT(life.ended,
              ElementsAre("RESOURCE_EXHAUSTED: left the cluster, but failed to record it in the "
                          "snapshot: write x: no space left on device"));
  EXPECT_TRUE(life.log.Has(
      "[ERR] serf: failed to flush leave to snapshot: write x: no space left on device"));
  EXPECT_EQ(life->state(), Serf::State::kLeft);
  // The next call gets the error again, until the line is on the disk.
  leave(life);
  EXPECT_EQ(life.ended.size(), 2u);
  EXPECT_EQ(life.ended.back(), life.ended.front());
  life.disk = absl::OkStatus();
  life.Until(life.now + seconds(31));
  leave(life);
  EXPECT_EQ(life.ended.back(), "OK");
  EXPECT_THAT(life.file(), HasSubstr("leave\n"));
}

TEST(SerfSnapshotTest, ALeaveWaitsForTheDiskNotForEver) {
  Life life("");
  life.disk.reset();
  life.Do([&](Serf& serf, Outbox& out) { serf.Leave(life.now, RequestId(1), out); });
  const Instant begin = life.now;
  while (life->state() != Serf::State::kLeft) life.Until(life.now + milliseconds(10));
  EXPECT_TRUE(life.ended.empty());
  life.Until(life.now + Serf::kLeaveRecordMax);
  ASSERT_EQ(life.ended.size(), 1u);
  EXPECT_THAT(life.ended[0], HasSubstr("the disk stands still"));
  EXPECT_LE(life.now - begin, seconds(10));
}

TEST(SerfSnapshotTest, ClocksGoOn) {
  Life life("clock: 7\nevent-clock: 30\nquery-clock: 5\n");
  const auto stats = life->Stats();
  EXPECT_EQ(stats.at("member_time"), "8");
  EXPECT_EQ(stats.at("event_time"), "31");
  EXPECT_EQ(stats.at("query_time"), "6");
}

TEST(SerfSnapshotTest, AsksThoseItKnew) {
  Life life(
      "alive: a 10.0.0.2:7946\nalive: self 10.0.0.1:7946\nnot-alive: b\n"
      "# failed: c 10.0.0.4:7946\n");
  EXPECT_THAT(life.dialled, ElementsAre("10.0.0.2:7946", "10.0.0.4:7946"));
  EXPECT_TRUE(
      life.log.Has("[INFO] serf: Attempting re-join to previously known node: a: 10.0.0.2:7946"));
  EXPECT_TRUE(life.log.Has("[WARN] serf: Failed to re-join any previously known node"));
  // Again after 1, 2 and 4 s, and then every 8 s: no node has answered.
  life.Until(life.now + seconds(40));
  const std::size_t dialled = life.dialled.size();
  EXPECT_GE(dialled, 12u);
  EXPECT_LE(dialled, 18u);
  life.Do([&](Serf& serf, Outbox& out) { serf.Leave(life.now, RequestId(1), out); });
  life.Until(life.now + seconds(3600));
  EXPECT_EQ(life.dialled.size(), dialled) << "whoever leaves asks nobody";
}

// Otherwise a Go Serf member that holds an intent of an earlier departure would list this node as
// leaving forever.
TEST(SerfSnapshotTest, WhoIsBackSaysSo) {
  Life life("alive: a 10.0.0.2:7946\nalive: b 10.0.0.3:7946\nclock: 7\n");
  EXPECT_EQ(life->Stats().at("intent_queue"), "0") << "nobody was there";
  EXPECT_EQ(life->Stats().at("member_time"), "8");
  life.peers_answer = true;
  life.Until(life.now + seconds(40));
  EXPECT_THAT(life.log.lines(), ::testing::Contains(HasSubstr("serf: Re-joined to previously")));
  EXPECT_NE(life->Stats().at("intent_queue"), "0");
  EXPECT_NE(life->Stats().at("member_time"), "8");
}

TEST(SerfSnapshotTest, WithoutOneNothingIsWritten) {
  testkit::LoneSerf self;
  EXPECT_EQ(self.serf().Stats().at("member_time"), "1");
}

TEST(SerfCoordinatesTest, Disabled) {
  Config config = testkit::LoneSerf::DefaultConfig();
  config.disable_coordinates = true;
  testkit::LoneSerf self(config);
  EXPECT_EQ(self.serf().coordinates(), nullptr);
  EXPECT_FALSE(self.serf().Stats().contains("coordinate_resets"));
  testkit::LoneSerf other;
  ASSERT_NE(other.serf().coordinates(), nullptr);
  EXPECT_EQ(other.serf().coordinates()->own(), Coordinate::Start());
  EXPECT_EQ(other.serf().coordinates()->Find("nobody"), nullptr);
}

}  // namespace
}  // namespace serf
