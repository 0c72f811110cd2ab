#include "serf/push_pull_state.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/wire/msgpack.h"

namespace serf {
namespace {

using testing::ElementsAre;
using wire::LamportTime;

struct Recorder {
  void OnRemoteLeft(absl::string_view name, LamportTime time) { Line("left", name, time); }
  void OnRemoteStatus(absl::string_view name, LamportTime time) { Line("status", name, time); }
  void OnRemoteEvent(LamportTime time, const wire::RecentEvent& event) {
    lines.push_back(
        absl::StrCat("event ", time.value(), " ", event.name, "=", AsText(event.payload)));
  }
  void Line(const char* what, absl::string_view name, LamportTime time) {
    lines.push_back(absl::StrCat(what, " ", name, " ", time.value()));
  }
  std::vector<std::string> lines;
};

std::vector<std::string> Visited(ByteView message) {
  wire::DecodeScratch scratch;
  wire::PushPullState state;
  EXPECT_EQ(wire::Decode(message.subspan(1), state, scratch), wire::DecodeResult::kOk);
  Recorder recorder;
  VisitPushPullState(state, recorder);
  return recorder.lines;
}

// spec/serf.md 1.4.3, with a ring of none.
TEST(PushPullStateTest, AFreshNode) {
  ByteVector out;
  AppendPushPullState(
      {LamportTime(1), LamportTime(1), LamportTime(1), {{"node-a", LamportTime(0)}}, {}},
      EventBuffer(), out);
  EXPECT_EQ(absl::BytesToHexString(AsText(out)),
            "0286aa4576656e744c54696d6501a64576656e747390a54c54696d6501ab4c6566744d656d6265727390aa"
            "51756572794c54696d6501ac5374617475734c54696d657381a66e6f64652d6100");
}

TEST(PushPullStateTest, LeftMembersComeFirstAndEventsByTime) {
  EventBuffer events;
  events.Add(LamportTime(600), LamportTime(601), "b", "2");
  events.Add(LamportTime(511), LamportTime(601), "a", "");
  events.Add(LamportTime(600), LamportTime(601), "a", "1");
  ByteVector out;
  AppendPushPullState({LamportTime(9),
                       LamportTime(601),
                       LamportTime(1),
                       {{"n3", LamportTime(3)}, {"n1", LamportTime(1)}, {"n2", LamportTime(200)}},
                       {"n2"}},
                      events, out);
  EXPECT_THAT(Visited(out), ElementsAre("left n2 200", "status n1 1", "status n3 3",
                                        "event 511 a=", "event 600 b=2", "event 600 a=1"));
}

TEST(PushPullStateTest, AWrappedRingIsSorted) {
  const std::vector<wire::RecentEvent> event = {{"e", {}}};
  const wire::ListView<wire::RecentEvent> events{event};
  std::vector<wire::EventSlot> ring(3);
  ring[0].used = ring[2].used = true;
  ring[0].ltime = LamportTime(513);
  ring[2].ltime = LamportTime(3);
  ring[0].events = ring[2].events = events;
  wire::PushPullState message;
  message.events = wire::ListView<wire::EventSlot>(ring);
  ByteVector out;
  Encode(message, out);
  EXPECT_THAT(Visited(out), ElementsAre("event 3 e=", "event 513 e="));
}

TEST(PushPullStateTest, ALeftMemberWithoutStatusTimeHasZero) {
  const std::vector<absl::string_view> left = {"x", "y", "x"};
  const std::vector<wire::StatusLTime> times = {{"y", LamportTime(4)}};
  wire::PushPullState message;
  message.left_members = wire::ListView<absl::string_view>(left);
  message.status_ltimes = wire::ListView<wire::StatusLTime>(times);
  ByteVector out;
  Encode(message, out);
  EXPECT_THAT(Visited(out), ElementsAre("left x 0", "left y 4", "left x 0"));
}

TEST(PushPullStateTest, Times) {
  EXPECT_EQ(TimeOfRemoteLeave(LamportTime(7)), LamportTime(8));
  EXPECT_EQ(TimeOfRemoteLeave(LamportTime(~std::uint64_t{0})), LamportTime(~std::uint64_t{0}));
  EXPECT_EQ(LastUsed(LamportTime(7)), LamportTime(6));
  EXPECT_EQ(LastUsed(LamportTime(0)), LamportTime(0));
}

}  // namespace
}  // namespace serf
