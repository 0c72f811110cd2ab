#include "serf/coordinates/coordinate_client.h"

#include <bit>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/testing/vectors/vectors.h"

namespace serf {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

double ReadNumber(const json& value) {
  if (!value.is_string()) return value.get<double>();
  const std::string text = value;
  if (text == "NaN") return kNan;
  return text == "-Inf" ? -kInfinity : kInfinity;
}

Coordinate ReadCoordinate(const json& value) {
  Coordinate coordinate;
  coordinate.dimensions = value["Vec"].size();
  for (std::size_t i = 0; i < coordinate.dimensions; ++i) {
    coordinate.vec.at(i) = ReadNumber(value["Vec"][i]);
  }
  coordinate.error = ReadNumber(value["Error"]);
  coordinate.adjustment = ReadNumber(value["Adjustment"]);
  coordinate.height = ReadNumber(value["Height"]);
  return coordinate;
}

CoordinateConfig ReadConfig(const json& value) {
  CoordinateConfig config;
  config.dimensions = value["Dimensionality"];
  config.height_min = value["HeightMin"];
  config.adjustment_window = value["AdjustmentWindowSize"];
  config.gravity_rho = value["GravityRho"];
  EXPECT_EQ(value["LatencyFilterSize"].get<std::size_t>(), CoordinateClient::kLatencyFilterSize);
  EXPECT_EQ(value["VivaldiErrorMax"].get<double>(), kCoordinateErrorMax);
  EXPECT_EQ(value["VivaldiCC"].get<double>(), 0.25);
  EXPECT_EQ(value["VivaldiCE"].get<double>(), 0.25);
  return config;
}

std::uint64_t Bits(double value) { return std::bit_cast<std::uint64_t>(value); }

void ExpectSameBits(const Coordinate& got, const Coordinate& want) {
  ASSERT_EQ(got.dimensions, want.dimensions);
  for (std::size_t i = 0; i < got.dimensions; ++i) {
    EXPECT_EQ(Bits(got.vec[i]), Bits(want.vec[i])) << i << ": " << got.vec[i] - want.vec[i];
  }
  EXPECT_EQ(Bits(got.error), Bits(want.error)) << got.error - want.error;
  EXPECT_EQ(Bits(got.adjustment), Bits(want.adjustment)) << got.adjustment - want.adjustment;
  EXPECT_EQ(Bits(got.height), Bits(want.height)) << got.height - want.height;
}

const json& Cases() {
  static const json& cases = *new json(testkit::LoadVectors("coordinates.json")["cases"]);
  return cases;
}

void RunSequence(const json& vector, CoordinateConfig config) {
  Rng rng(1);
  CoordinateClient client(config);
  ASSERT_TRUE(client.Set(ReadCoordinate(vector["start"])).ok());
  for (const json& step : vector["steps"]) {
    SCOPED_TRACE(step.dump());
    if (step["op"] == "forget") {
      client.Forget(step["node"].get<std::string>());
      EXPECT_EQ(client.peers(), 0u);
      continue;
    }
    const Coordinate other = ReadCoordinate(step["other"]);
    const json& estimate = step["estimate_before_ns"];
    if (!estimate.is_null() && estimate.get<std::int64_t>() >= 0) {
      EXPECT_EQ(client.DistanceTo(other).count(), estimate.get<std::int64_t>());
    }
    const absl::Status status = client.Update(step["node"].get<std::string>(), other,
                                              nanoseconds(step["rtt_ns"].get<std::int64_t>()), rng);
    EXPECT_EQ(status.message(), step.value("error", ""));
    ExpectSameBits(client.coordinate(), ReadCoordinate(step["after"]));
    EXPECT_EQ(client.resets(), step["resets"].get<std::uint64_t>());
  }
}

TEST(CoordinateVectorsTest, Updates) {
  int sequences = 0;
  for (const json& vector : Cases()) {
    if (vector["kind"] != "update-sequence") continue;
    SCOPED_TRACE(vector["name"]);
    CoordinateConfig config = ReadConfig(vector["config"]);
    config.hardened = vector["name"] != "reset";  // which believes 1e200 s
    RunSequence(vector, config);
    ++sequences;
  }
  EXPECT_EQ(sequences, 13);
}

TEST(CoordinateVectorsTest, Distances) {
  int checked = 0;
  for (const json& vector : Cases()) {
    if (vector["kind"] != "distance") continue;
    for (const json& c : vector["cases"]) {
      SCOPED_TRACE(c["name"]);
      EXPECT_EQ(Distance(ReadCoordinate(c["a"]), ReadCoordinate(c["b"])).count(),
                c["distance_ns"].get<std::int64_t>());
      ++checked;
    }
  }
  EXPECT_EQ(checked, 9);
}

TEST(CoordinateVectorsTest, Forces) {
  Rng rng(1);
  int checked = 0;
  for (const json& vector : Cases()) {
    if (vector["kind"] != "apply-force") continue;
    for (const json& c : vector["cases"]) {
      SCOPED_TRACE(c["name"]);
      ExpectSameBits(ApplyForce(ReadCoordinate(c["a"]), c["force"], ReadCoordinate(c["b"]),
                                c["height_min"], rng),
                     ReadCoordinate(c["result"]));
      ++checked;
    }
  }
  EXPECT_EQ(checked, 4);
}

TEST(CoordinateVectorsTest, TwoNodesMoveAgainstEachOther) {
  Rng rng(1);
  int rounds = 0;
  for (const json& vector : Cases()) {
    if (vector["kind"] != "mutual") continue;
    CoordinateClient x(ReadConfig(vector["config"]));
    CoordinateClient y(ReadConfig(vector["config"]));
    ASSERT_TRUE(x.Set(ReadCoordinate(vector["x_start"])).ok());
    ASSERT_TRUE(y.Set(ReadCoordinate(vector["y_start"])).ok());
    for (const json& round : vector["rounds"]) {
      const nanoseconds rtt(round["rtt_ns"].get<std::int64_t>());
      ASSERT_TRUE(x.Update("y", y.coordinate(), rtt, rng).ok());
      ASSERT_TRUE(y.Update("x", x.coordinate(), rtt, rng).ok());
      ExpectSameBits(x.coordinate(), ReadCoordinate(round["x"]));
      ExpectSameBits(y.coordinate(), ReadCoordinate(round["y"]));
      EXPECT_EQ(x.DistanceTo(y.coordinate()).count(), round["distance_ns"].get<std::int64_t>());
      ++rounds;
    }
  }
  EXPECT_EQ(rounds, 10);
}

TEST(CoordinateTest, DistanceIsClampedWhereTheOriginalOverflows) {
  Coordinate far = Coordinate::Start();
  far.vec[0] = 1e200;
  EXPECT_EQ(Distance(far, Coordinate::Start()), Duration::max());
  far.vec[0] = kNan;
  EXPECT_EQ(Distance(far, Coordinate::Start()), Duration::max());
  far.vec[0] = 1e10;
  EXPECT_EQ(Distance(far, Coordinate::Start()), Duration::max());
  far.vec[0] = 0;
  far.height = -1e300;
  EXPECT_EQ(Distance(far, Coordinate::Start()), Duration::min());
}

TEST(CoordinateTest, PointsThatCoincidePart) {
  Rng rng(7);
  const Coordinate start = Coordinate::Start();
  const Coordinate moved = ApplyForce(start, 0.5, start, kCoordinateHeightMin, rng);
  EXPECT_NEAR(RawDistance(moved, start) - 2 * kCoordinateHeightMin, 0.5, 1e-12);
  EXPECT_EQ(moved.height, start.height);
  // Another generator gives another direction; an equal one gives the same.
  Rng same(7);
  Rng other(8);
  EXPECT_EQ(ApplyForce(start, 0.5, start, kCoordinateHeightMin, same), moved);
  EXPECT_NE(ApplyForce(start, 0.5, start, kCoordinateHeightMin, other), moved);
}

TEST(CoordinateTest, MessagesBothWays) {
  Coordinate coordinate = Coordinate::Start(3);
  coordinate.vec = {0.25, -1, 2};
  coordinate.adjustment = -0.125;
  const wire::CoordinateMessage message = ToMessage(coordinate);
  EXPECT_EQ(message.vec.values().size(), 3u);
  EXPECT_EQ(FromMessage(message), coordinate);
  const double values[kCoordinateDimensionsMax + 1] = {};
  EXPECT_EQ(FromMessage({.vec = wire::CoordinateVector(values)}), std::nullopt);
}

// No part of what an attacker, or a broken peer, may send moves this node.
TEST(CoordinateClientTest, PoisonIsRefused) {
  const struct {
    const char* what;
    void (*poison)(Coordinate&);
    const char* error;
  } kCases[] = {
      {"NaN", [](Coordinate& c) { c.vec[7] = kNan; }, "coordinate is invalid"},
      {"infinite", [](Coordinate& c) { c.adjustment = -kInfinity; }, "coordinate is invalid"},
      {"error NaN", [](Coordinate& c) { c.error = kNan; }, "coordinate is invalid"},
      {"huge", [](Coordinate& c) { c.vec[0] = 1e200; }, "coordinate is invalid"},
      {"far", [](Coordinate& c) { c.vec[3] = -60.5; }, "coordinate is invalid"},
      {"high", [](Coordinate& c) { c.height = 61; }, "coordinate is invalid"},
      {"adjusted", [](Coordinate& c) { c.adjustment = 61; }, "coordinate is invalid"},
      {"deep", [](Coordinate& c) { c.height = -1e-9; }, "coordinate is invalid"},
      {"error -1", [](Coordinate& c) { c.error = -1; }, "coordinate is invalid"},
      {"flat", [](Coordinate& c) { c.dimensions = 2; }, "dimensions aren't compatible"},
      {"none", [](Coordinate& c) { c.dimensions = 0; }, "dimensions aren't compatible"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    Rng rng(1);
    CoordinateClient client;
    Coordinate peer = Coordinate::Start();
    peer.vec[0] = 0.02;
    ASSERT_TRUE(client.Update("peer", peer, milliseconds(30), rng).ok());
    const Coordinate before = client.coordinate();
    c.poison(peer);
    EXPECT_EQ(client.Update("other", peer, milliseconds(30), rng).message(), c.error);
    EXPECT_EQ(client.Set(peer).message(), c.error);
    EXPECT_EQ(client.coordinate(), before);
    EXPECT_EQ(client.peers(), 1u);
    EXPECT_EQ(client.resets(), 0u);
  }
}

TEST(CoordinateClientTest, WorstThatIsBelievedLeavesUsUsable) {
  Rng rng(3);
  CoordinateClient client;
  for (int i = 0; i < 20'000; ++i) {
    Coordinate peer = Coordinate::Start();
    for (double& value : peer.vec) {
      value = rng.Below(std::uint64_t{2}) != 0 ? kCoordinatePartMax : -1e-6;
    }
    peer.error = rng.NextDouble() * 1e-7;
    peer.adjustment = (rng.NextDouble() - 0.5) * 2 * kCoordinatePartMax;
    peer.height = rng.NextDouble() * kCoordinatePartMax;
    if (i % 3 == 0) peer.vec = client.coordinate().vec;
    if (i % 6 == 0) peer.vec[0] += 2e-6;
    ASSERT_TRUE(client.Update("peer", peer, rng.Below(CoordinateClient::kRoundTripMax), rng).ok());
    ASSERT_TRUE(IsPlausible(client.coordinate())) << i;
  }
}

TEST(CoordinateClientTest, ResetClearsTheWindow) {
  Rng rng(3);
  CoordinateClient client;
  Coordinate peer = Coordinate::Start();
  peer.vec[0] = 2e-6;
  peer.height = kCoordinatePartMax;
  peer.error = 0;
  // So near and so high: the height formula divides by the distance.
  ASSERT_TRUE(client.Update("peer", peer, milliseconds(1), rng).ok());
  peer.vec[0] = client.coordinate().vec[0] + 2e-6;
  for (int i = 0; i < 1000 && client.resets() == 0; ++i) {
    Coordinate wild = client.coordinate();
    wild.vec[0] += 1.1e-6;
    wild.height = 0;
    wild.error = 0;
    ASSERT_TRUE(client.Update("wild", wild, CoordinateClient::kRoundTripMax, rng).ok());
  }
  ASSERT_EQ(client.resets(), 1u);
  EXPECT_EQ(client.coordinate(), Coordinate::Start());
  peer = Coordinate::Start();
  peer.vec[0] = 0.01;
  ASSERT_TRUE(client.Update("good", peer, milliseconds(10), rng).ok());
  EXPECT_EQ(client.resets(), 1u);
  EXPECT_NE(client.coordinate(), Coordinate::Start());
}

}  // namespace
}  // namespace serf
