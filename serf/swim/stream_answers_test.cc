#include "serf/swim/stream_answers.h"

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/swim/config.h"
#include "serf/wire/ids.h"
#include "serf/wire/packet.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {
namespace {

const Endpoint kPeer{*IpAddress::Parse("10.0.0.7"), 7946};

// The body of a message, which in a unit stands without its type.
template <typename Message>
ByteVector Body(const Message& message) {
  ByteVector bytes;
  wire::Encode(message, bytes);
  bytes.erase(bytes.begin());
  return bytes;
}

TEST(StreamAnswersTest, APushPullIsAnsweredByAState) {
  EXPECT_TRUE(JudgePushPullAnswer({.type = wire::MessageType::kPushPull}, kPeer).ok());
}

TEST(StreamAnswersTest, APeersErrorIsShownNoLongerThanAName) {
  const std::string said(2 * kNodeNameMax, 'x');
  const ByteVector body = Body(wire::ErrorMessage{.error = said});
  const absl::Status status =
      JudgePushPullAnswer({.type = wire::MessageType::kError, .body = body}, kPeer);
  EXPECT_EQ(status, absl::UnavailableError("remote error: " + said.substr(0, kNodeNameMax)));
}

TEST(StreamAnswersTest, AnythingElseIsNoAnswerToAPushPull) {
  const absl::Status expected = absl::InvalidArgumentError(
      "received invalid msgType (2), expected pushPullMsg (6) from=10.0.0.7:7946");
  EXPECT_EQ(JudgePushPullAnswer({.type = wire::MessageType::kAck}, kPeer), expected);
  // An error whose text is unreadable does not count as one.
  EXPECT_EQ(JudgePushPullAnswer({.type = wire::MessageType::kError}, kPeer).code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(StreamAnswersTest, AFallbackPingIsAnsweredByItsNumber) {
  const wire::SequenceNumber expected(41);
  const ByteVector right = Body(wire::Ack{.seq_no = expected, .payload = {}});
  const ByteVector wrong = Body(wire::Ack{.seq_no = wire::SequenceNumber(40), .payload = {}});
  const wire::MessageType ack = wire::MessageType::kAck;
  EXPECT_TRUE(JudgePingAnswer({.type = ack, .body = right}, expected).ok());
  EXPECT_EQ(JudgePingAnswer({.type = ack, .body = wrong}, expected).message(),
            "Sequence number from ack (40) doesn't match ping (41)");
  EXPECT_EQ(JudgePingAnswer({.type = ack}, expected).message(), "Unexpected msgType (2) from ping");
  EXPECT_EQ(JudgePingAnswer({.type = wire::MessageType::kPing, .body = right}, expected).message(),
            "Unexpected msgType (0) from ping");
}

}  // namespace
}  // namespace serf::swim
