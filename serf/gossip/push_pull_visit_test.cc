#include "serf/gossip/push_pull_visit.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/gossip/push_pull_state.h"
#include "serf/wire/list_view.h"
#include "serf/wire/msgpack.h"

namespace serf {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using wire::LamportTime;

struct Recorder {
  void OnClocks(LamportTime member, LamportTime event, LamportTime query) {
    if (member.value() + event.value() + query.value() == 0) return;
    lines.push_back(
        absl::StrCat("clocks ", member.value(), " ", event.value(), " ", query.value()));
  }
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

// All that the visit reports of a message, and how.
struct Outcome {
  std::vector<std::string> lines;
  std::size_t turns = 0;
  std::size_t most_of_a_turn = 0;  // lines
  std::size_t surplus = 0;
  wire::DecodeResult result = wire::DecodeResult::kOk;
};

Outcome VisitBody(ByteView body) {
  Outcome outcome;
  Recorder recorder;
  PushPullVisit visit(body);
  PushPullVisit::Progress progress = PushPullVisit::Progress::kMore;
  while (progress == PushPullVisit::Progress::kMore) {
    const std::size_t before = recorder.lines.size();
    progress = visit.Run(recorder);
    ++outcome.turns;
    outcome.most_of_a_turn = std::max(outcome.most_of_a_turn, recorder.lines.size() - before);
  }
  EXPECT_EQ(progress == PushPullVisit::Progress::kDone, visit.result() == wire::DecodeResult::kOk);
  outcome.lines = std::move(recorder.lines);
  outcome.surplus = visit.surplus();
  outcome.result = visit.result();
  return outcome;
}

Outcome Visit(const wire::PushPullState& state) {
  ByteVector message;
  Encode(state, message);
  return VisitBody(ByteView(message).subspan(1));
}

// Slots with so many events without a name; their times count from 1.
struct Ring {
  explicit Ring(const std::vector<std::size_t>& sizes) {
    std::size_t most = 0;
    for (const std::size_t size : sizes) most = std::max(most, size);
    events.resize(most);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      wire::EventSlot& slot = slots.emplace_back();
      slot.used = true;
      slot.ltime = LamportTime(i + 1);
      slot.events = wire::ListView<wire::RecentEvent>(std::span(events).first(sizes[i]));
    }
    state.events = wire::ListView<wire::EventSlot>(slots);
  }
  std::vector<wire::RecentEvent> events;
  std::vector<wire::EventSlot> slots;
  wire::PushPullState state;
};

TEST(PushPullVisitTest, LeftMembersComeFirstAndEventsByTime) {
  EventBuffer events;
  events.Add(LamportTime(600), LamportTime(601), "b", "2");
  events.Add(LamportTime(511), LamportTime(601), "a", "");
  events.Add(LamportTime(600), LamportTime(601), "a", "1");
  ByteVector message;
  AppendPushPullState({LamportTime(9),
                       LamportTime(601),
                       LamportTime(1),
                       {{"n1", LamportTime(1)}, {"n2", LamportTime(200)}, {"n3", LamportTime(3)}},
                       {"n2"}},
                      events, message);
  const Outcome outcome = VisitBody(ByteView(message).subspan(1));
  EXPECT_THAT(outcome.lines,
              ElementsAre("clocks 9 601 1", "left n2 200", "status n1 1", "status n3 3",
                          "event 511 a=", "event 600 b=2", "event 600 a=1"));
  EXPECT_EQ(outcome.turns, 1u) << "what is small is done at once";
}

TEST(PushPullVisitTest, AWrappedRingIsSorted) {
  Ring ring({1, 0, 1});
  ring.slots[0].ltime = LamportTime(513);
  ring.slots[1].used = false;
  EXPECT_THAT(Visit(ring.state).lines, ElementsAre("event 3 =", "event 513 ="));
}

TEST(PushPullVisitTest, ALeftMemberWithoutStatusTimeHasZero) {
  const std::vector<absl::string_view> left = {"x", "y", "x"};
  const std::vector<wire::StatusLTime> times = {{"y", LamportTime(4)}};
  wire::PushPullState state;
  state.left_members = wire::ListView<absl::string_view>(left);
  state.status_ltimes = wire::ListView<wire::StatusLTime>(times);
  EXPECT_THAT(Visit(state).lines, ElementsAre("left x 0", "left y 4", "left x 0"));
}

// The visit reports what decoding the message as a whole gives, in all the forms that it may have.
TEST(PushPullVisitTest, TakesWhatTheDecoderTakes) {
  using testing::ElementsAre;
  const struct {
    const char* what;
    ByteVector body;
    std::vector<std::string> lines;
  } kCases[] = {
      {"nil", {0xc0}, {}},
      {"an empty map", {0x80}, {}},
      {"an empty list", {0x90}, {}},
      {"a list: times, status times, left, event time, events, query time",
       {0x96, 0x05, 0x81, 0xa1, 'n',  0x04, 0x91, 0xa1, 'm', 0x06,
        0x91, 0x92, 0x03, 0x91, 0x92, 0xa1, 'e',  0xa1, 'p', 0x07},
       {"clocks 5 6 7", "left m 0", "status n 4", "event 3 e=p"}},
      {"a list that ends early, or goes on", {0x91, 0x05}, {"clocks 5 0 0"}},
      {"unknown fields",
       {0x82, 0xa1, 'z', 0x82, 0x01, 0x92, 0xc0, 0xa1, 'x', 0x02, 0xc3, 0xa5, 'L', 'T', 'i', 'm',
        'e', 0x05},
       {"clocks 5 0 0"}},
      {"the last of equal fields",
       {0x82, 0xa5, 'L', 'T', 'i', 'm', 'e', 0x04, 0xa5, 'L', 'T', 'i', 'm', 'e', 0x05},
       {"clocks 5 0 0"}},
      {"absent lists", {0x81, 0xa6, 'E', 'v', 'e', 'n', 't', 's', 0xc0}, {}},
  };
  for (const auto& c : kCases) {
    const Outcome outcome = VisitBody(c.body);
    EXPECT_EQ(outcome.result, wire::DecodeResult::kOk) << c.what;
    EXPECT_EQ(outcome.lines, c.lines) << c.what;
    wire::DecodeScratch scratch;
    wire::PushPullState state;
    EXPECT_EQ(Decode(c.body, state, scratch), wire::DecodeResult::kOk) << c.what;
    // A cut message is malformed here, as for the decoder.
    for (std::size_t size = 0; size < c.body.size(); ++size) {
      const ByteView cut = ByteView(c.body).first(size);
      EXPECT_THAT(VisitBody(cut).lines, IsEmpty()) << c.what << " cut at " << size;
      EXPECT_EQ(VisitBody(cut).result, Decode(cut, state, scratch)) << c.what << size;
    }
  }
}

TEST(PushPullVisitTest, OfWhatIsMalformedNothingIsTold) {
  const std::vector<ByteVector> kBodies = {
      {0x05},                                                        // a number
      {0x81, 0xa5, 'L', 'T', 'i', 'm', 'e', 0xc3},                   // a boolean for a time
      {0x91, 0x91},                                                  // a list for a time, cut
      {0x92, 0x05, 0x91, 0xa1, 'n'},                                 // a list for a map
      {0x93, 0x05, 0xc0, 0x92, 0xa1, 'n', 0x01},                     // a number for a name
      {0x95, 0x05, 0xc0, 0xc0, 0x06, 0x91, 0x92, 0x03, 0x91, 0x91},  // cut within an event
      {0x81, 0xc1},                                                  // a byte that begins no value
  };
  for (const ByteVector& body : kBodies) {
    const Outcome outcome = VisitBody(body);
    EXPECT_NE(outcome.result, wire::DecodeResult::kOk);
    EXPECT_THAT(outcome.lines, IsEmpty());
    wire::DecodeScratch scratch;
    wire::PushPullState state;
    EXPECT_EQ(Decode(body, state, scratch), outcome.result);
  }
}

TEST(PushPullVisitTest, UnknownValuesAreFewAndNestLittle) {
  const auto unknown = [](std::size_t values) {
    ByteVector body = {0x81,
                       0xa1,
                       'z',
                       0xdc,
                       static_cast<std::uint8_t>(values >> 8),
                       static_cast<std::uint8_t>(values)};
    body.insert(body.end(), values, 0xc0);
    return body;
  };
  EXPECT_EQ(VisitBody(unknown(PushPullVisit::kUnknownValuesMax - 1)).result,
            wire::DecodeResult::kOk);
  EXPECT_EQ(VisitBody(unknown(PushPullVisit::kUnknownValuesMax)).result,
            wire::DecodeResult::kTooLong);
  ByteVector deep = {0x81, 0xa1, 'z'};
  deep.insert(deep.end(), 100, 0x91);
  deep.push_back(0xc0);
  EXPECT_EQ(VisitBody(deep).result, wire::DecodeResult::kTooDeep);
}

// --- the cost ---

// Slots that are present but empty once cost a hundred bytes of memory and a share of a sort for
// each byte.
TEST(PushPullVisitTest, AnEmptySlotIsUnused) {
  Ring ring(std::vector<std::size_t>(200'000, 0));
  const Outcome outcome = Visit(ring.state);
  EXPECT_THAT(outcome.lines, IsEmpty());
  EXPECT_EQ(outcome.surplus, 0u);
  EXPECT_GT(outcome.turns, 5u);
}

// A byte each is enough for slots and events that say nothing.
TEST(PushPullVisitTest, SlotsAndEventsAreLimitedInAll) {
  const auto append_list = [](ByteVector& body, std::size_t size) {
    body.push_back(0xdd);
    for (int shift = 24; shift >= 0; shift -= 8) {
      body.push_back(static_cast<std::uint8_t>(size >> shift));
    }
    body.insert(body.end(), size, 0xc0);
  };
  for (const std::size_t more : {0u, 1u}) {
    // The field comes twice.
    ByteVector slots = {0x82};
    for (const std::size_t size : {std::size_t{5}, PushPullVisit::kListedMax - 5 + more}) {
      slots.push_back(0xa6);
      Append(slots, AsBytes("Events"));
      append_list(slots, size);
    }
    ByteVector events = {0x81, 0xa6};
    Append(events, AsBytes("Events"));
    events.push_back(0x92);
    for (const std::size_t size : {std::size_t{5}, PushPullVisit::kListedMax - 5 + more}) {
      Append(events, ByteVector{0x92, 0x01});
      append_list(events, size);
    }
    const auto expected = more == 0 ? wire::DecodeResult::kOk : wire::DecodeResult::kTooLong;
    EXPECT_EQ(VisitBody(slots).result, expected);
    EXPECT_EQ(VisitBody(events).result, expected);
  }
}

TEST(PushPullVisitTest, OfManySlotsTheLatestCount) {
  Ring ring(std::vector<std::size_t>(5000, 1));
  const Outcome outcome = Visit(ring.state);
  ASSERT_THAT(outcome.lines, SizeIs(PushPullVisit::kSlotsMax));
  EXPECT_EQ(outcome.lines.front(), "event 4489 =");
  EXPECT_EQ(outcome.lines.back(), "event 5000 =");
  EXPECT_EQ(outcome.surplus, 5000 - PushPullVisit::kSlotsMax);
}

TEST(PushPullVisitTest, OfManyEventsTheLatestCountAndATurnTellsFew) {
  Ring ring(std::vector<std::size_t>(100, 1000));
  const Outcome outcome = Visit(ring.state);
  ASSERT_THAT(outcome.lines, SizeIs(PushPullVisit::kEventsMax));
  EXPECT_EQ(outcome.lines.front(), "event 84 =");
  EXPECT_EQ(outcome.surplus, 100'000 - PushPullVisit::kEventsMax);
  EXPECT_LE(outcome.most_of_a_turn, PushPullVisit::kTurnCost / PushPullVisit::kEventCost);
}

TEST(PushPullVisitTest, OfOneTimeAsManyCountAsTheWindowKeeps) {
  Ring ring({10'000});
  EXPECT_THAT(Visit(ring.state).lines, SizeIs(LamportWindow<BufferedEvent>::kSlotEntriesMax));
}

TEST(PushPullVisitTest, MembersOfALargeClusterAreToldInPortions) {
  constexpr std::size_t kMembers = 50'000;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kMembers; ++i) names.push_back(absl::StrCat("n", i));
  std::vector<wire::StatusLTime> times;
  std::vector<absl::string_view> left;
  for (std::size_t i = 0; i < kMembers; ++i) {
    times.push_back({names[i], LamportTime(i)});
    if (i % 5 == 0) left.push_back(names[i]);
  }
  wire::PushPullState state;
  state.left_members = wire::ListView<absl::string_view>(left);
  state.status_ltimes = wire::ListView<wire::StatusLTime>(times);
  const Outcome outcome = Visit(state);
  ASSERT_THAT(outcome.lines, SizeIs(kMembers));
  EXPECT_EQ(outcome.lines[1], "left n5 5");
  EXPECT_EQ(outcome.lines[kMembers / 5], "status n1 1");
  EXPECT_LE(outcome.most_of_a_turn, PushPullVisit::kTurnCost / PushPullVisit::kStatusCost);
}

TEST(PushPullVisitTest, MoreMembersThanTheEngineAdmitsAreRefused) {
  for (const char* field : {"LeftMembers", "StatusLTimes"}) {
    const bool map = field[0] == 'S';
    const std::size_t members = PushPullVisit::kMembersMax + 1;
    ByteVector body = {0x81, static_cast<std::uint8_t>(0xa0 + std::string(field).size())};
    Append(body, AsBytes(field));
    body.push_back(map ? 0xdf : 0xdd);
    for (int shift = 24; shift >= 0; shift -= 8) {
      body.push_back(static_cast<std::uint8_t>(members >> shift));
    }
    body.insert(body.end(), (map ? 2 : 1) * members, 0xa0);
    EXPECT_EQ(VisitBody(body).result, wire::DecodeResult::kTooLong) << field;
  }
}

}  // namespace
}  // namespace serf
