#include "serf/wire/coordinate_message.h"

#include <cstddef>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/testing/vectors/vectors.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Hex;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::Unhex;

TEST(CoordinateMessageTest, VectorsInBothDirections) {
  int checked = 0;
  for (const auto& vector : LoadVectors("serf.json")) {
    const std::string name = vector["name"];
    if (!name.starts_with("ping-payload-")) continue;
    SCOPED_TRACE(name);
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const auto& decoded = vector["decoded"];
    ASSERT_EQ(bytes[0], kPingPayloadVersion);
    DecodeScratch scratch;
    CoordinateMessage message;
    ASSERT_EQ(Decode(ByteView(bytes).subspan(1), message, scratch), DecodeResult::kOk);
    EXPECT_EQ(message.adjustment, decoded["Adjustment"].get<double>());
    EXPECT_EQ(message.error, decoded["Error"].get<double>());
    EXPECT_EQ(message.height, decoded["Height"].get<double>());
    const auto values = message.vec.values();
    EXPECT_EQ(std::vector<double>(values.begin(), values.end()),
              decoded["Vec"].get<std::vector<double>>());
    ByteVector again;
    Encode(message, again);
    EXPECT_EQ(Hex(again), Hex(bytes));
    ++checked;
  }
  EXPECT_EQ(checked, 2);
}

// Two dimensions and NaN are well-formed; the coordinate's client refuses them.
TEST(CoordinateMessageTest, RejectVectors) {
  for (const auto& vector : LoadVectors("serf.json")) {
    const std::string name = vector["name"];
    if (!name.starts_with("ping-reject-")) continue;
    SCOPED_TRACE(name);
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    if (bytes.empty()) continue;
    if (name == "ping-reject-version") {
      EXPECT_NE(bytes[0], kPingPayloadVersion);
      continue;
    }
    DecodeScratch scratch;
    CoordinateMessage message;
    const DecodeResult result = Decode(ByteView(bytes).subspan(1), message, scratch);
    EXPECT_EQ(result, name == "ping-reject-garbage" ? DecodeResult::kReserved : DecodeResult::kOk);
    if (name == "ping-reject-dimensions") {
      EXPECT_EQ(message.vec.values().size(), 2u);
    }
  }
}

TEST(CoordinateMessageTest, VectorsAreTolerated) {
  DecodeScratch scratch;
  CoordinateMessage message;
  // {Vec: [1, -2, ca 1.5]}
  ASSERT_EQ(Decode(Unhex("81a35665639301feca3fc00000"), message, scratch), DecodeResult::kOk);
  ASSERT_EQ(message.vec.values().size(), 3u);
  EXPECT_EQ(message.vec.values()[1], -2);
  EXPECT_EQ(message.vec.values()[2], 1.5);
  ASSERT_EQ(Decode(Unhex("81a3566563c0"), message, scratch), DecodeResult::kOk);
  EXPECT_TRUE(message.vec.values().empty());
  EXPECT_EQ(Decode(Unhex("81a356656305"), message, scratch), DecodeResult::kBadType);
  ByteVector many = Unhex("81a3566563dc0021");
  many.resize(many.size() + kCoordinateDimensionsMax + 1, 1);
  EXPECT_EQ(Decode(many, message, scratch), DecodeResult::kTooLong);
}

}  // namespace
}  // namespace serf::wire
