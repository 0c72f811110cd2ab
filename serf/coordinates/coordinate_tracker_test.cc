#include "serf/coordinates/coordinate_tracker.h"

#include <chrono>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/testing/vectors/vectors.h"

namespace serf {
namespace {

using std::chrono::milliseconds;
using testkit::Hex;
using testkit::Unhex;

class Lines : public Logger {
 public:
  bool Enabled(LogLevel level) const override {
    static_cast<void>(level);
    return true;
  }
  void Write(LogLevel level, absl::string_view text) override {
    lines.push_back(absl::StrCat("[", LogLevelName(level), "] ", text));
  }
  std::vector<std::string> lines;
};

constexpr Instant kNow{};

ByteVector Payload(const Coordinate& coordinate) {
  ByteVector payload;
  Encode(ToMessage(coordinate), payload);
  return payload;
}

TEST(CoordinateTrackerTest, PayloadOfAStartingNodeIsTheRecordedOne) {
  const CoordinateTracker tracker("a", 1, nullptr);
  ByteVector payload;
  tracker.AppendPayload(payload);
  int checked = 0;
  for (const auto& vector : testkit::LoadVectors("serf.json")) {
    if (vector["name"] != "ping-payload-fresh") continue;
    EXPECT_EQ(Hex(payload), vector["hex"]);
    ++checked;
  }
  EXPECT_EQ(checked, 1);
}

TEST(CoordinateTrackerTest, AnAcknowledgementMovesAndIsRemembered) {
  CoordinateTracker tracker("a", 1, nullptr);
  Coordinate peer = Coordinate::Start();
  peer.vec[0] = 0.03;
  EXPECT_EQ(tracker.Find("b"), nullptr);
  tracker.OnPingComplete(kNow, "b", milliseconds(20), Payload(peer));
  ASSERT_NE(tracker.Find("b"), nullptr);
  EXPECT_EQ(*tracker.Find("b"), peer);
  EXPECT_NE(tracker.own(), Coordinate::Start());
  EXPECT_EQ(*tracker.Find("a"), tracker.own());
  EXPECT_EQ(tracker.counters().updates, 1u);
  EXPECT_GT(tracker.counters().last_move, Duration::zero());

  // A peer with the name of this node does not replace this node's coordinate.
  tracker.OnPingComplete(kNow, "a", Duration::zero(), Payload(peer));
  EXPECT_EQ(*tracker.Find("a"), tracker.own());
  EXPECT_EQ(tracker.counters().zero_round_trips, 1u);

  tracker.Forget("b");
  EXPECT_EQ(tracker.Find("b"), nullptr);
}

TEST(CoordinateTrackerTest, BadPayloads) {
  Coordinate poison = Coordinate::Start();
  poison.vec[0] = 1e300;
  Coordinate flat = Coordinate::Start(2);
  const double nine[kCoordinateDimensionsMax + 1] = {};
  ByteVector long_payload;
  Encode(wire::CoordinateMessage{.vec = wire::CoordinateVector(nine)}, long_payload);
  const struct {
    const char* what;
    ByteVector payload;
    const char* line;
    std::uint64_t rejected;
    std::uint64_t unreadable;
  } kCases[] = {
      {"empty", {}, "", 0, 0},
      {"version", Unhex("0284"), "[ERR] serf: Unsupported ping version: 2", 0, 1},
      {"no body", Unhex("01"), "[ERR] serf: Failed to decode coordinate from ping: ", 0, 1},
      {"poison", Payload(poison), "[TRACE] serf: Rejected coordinate from b: coordinate is invalid",
       1, 0},
      {"flat", Payload(flat),
       "[TRACE] serf: Rejected coordinate from b: dimensions aren't compatible", 1, 0},
      {"long", long_payload,
       "[TRACE] serf: Rejected coordinate from b: dimensions aren't compatible", 1, 0},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    Lines lines;
    CoordinateTracker tracker("a", 1, &lines);
    for (int i = 0; i < 2; ++i) tracker.OnPingComplete(kNow, "b", milliseconds(20), c.payload);
    EXPECT_EQ(tracker.own(), Coordinate::Start());
    EXPECT_EQ(tracker.Find("b"), nullptr);
    EXPECT_EQ(tracker.counters().rejected, 2 * c.rejected);
    EXPECT_EQ(tracker.counters().unreadable, 2 * c.unreadable);
    // Anyone can cause these lines, so they are logged once per second.
    ASSERT_EQ(lines.lines.size(), *c.line == '\0' ? 0 : c.unreadable + 2 * c.rejected);
    for (const std::string& line : lines.lines) EXPECT_EQ(line.find(c.line), 0u) << line;
  }
}

}  // namespace
}  // namespace serf
