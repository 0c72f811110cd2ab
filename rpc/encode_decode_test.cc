#include <cstdint>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "msgpack/sbuffer.hpp"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/decode.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/protocol.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::rpc {
namespace {

template <typename Record>
bool DecodeHex(absl::string_view hex, Record& record) {
  const ByteVector bytes = testkit::Unhex(hex);
  Decoder decoder(bytes);
  return decoder.Read(record);
}

template <typename Record>
std::string EncodeHex(const Record& record) {
  msgpack::sbuffer buffer;
  Writer writer(buffer);
  Encode(writer, record);
  return testkit::Hex(ViewOf(buffer));
}

// Decodes the recorded body of a request and encodes it again.
template <typename Record>
void ExpectRoundTrip(const std::string& session, std::size_t frame) {
  SCOPED_TRACE(session);
  for (const auto& recorded : testkit::LoadVectors("rpc.json")) {
    if (recorded["name"] != session) continue;
    const std::string hex = recorded["decoded"]["frames"][frame]["hex"].get<std::string>();
    Record record;
    ASSERT_TRUE(DecodeHex(hex, record));
    EXPECT_EQ(EncodeHex(record), hex);
    return;
  }
  FAIL() << "no such session";
}

TEST(EncodeDecodeTest, RecordedRequests) {
  ExpectRoundTrip<RequestHeader>("members-single", 3);
  ExpectRoundTrip<RequestHeader>("seq-max", 0);
  ExpectRoundTrip<HandshakeRequest>("handshake", 1);
  ExpectRoundTrip<AuthRequest>("auth-ok", 4);
  ExpectRoundTrip<JoinRequest>("join-partial", 4);
  ExpectRoundTrip<ForceLeaveRequest>("force-leave-prune", 4);
  ExpectRoundTrip<MembersFilteredRequest>("members-filtered-tag", 4);
  ExpectRoundTrip<StreamRequest>("stream-member-update", 4);
  ExpectRoundTrip<MonitorRequest>("monitor-unknown-level", 4);
  ExpectRoundTrip<TagsRequest>("tags-both", 4);
  ExpectRoundTrip<QueryRequest>("query-ack-response", 4);
  ExpectRoundTrip<QueryRequest>("cli-query-json", 4);
  ExpectRoundTrip<RespondRequest>("stream-query-respond", 9);
  ExpectRoundTrip<CoordinateRequest>("get-coordinate-ok", 4);
  ExpectRoundTrip<CoordinateReply>("get-coordinate-ok", 6);
  ExpectRoundTrip<CoordinateReply>("get-coordinate-unknown", 6);
}

TEST(EncodeDecodeTest, QueryThatFinishesEarly) {
  QueryRequest request;
  request.name = "load";
  const std::string plain = EncodeHex(request);
  request.finish_early = true;
  const std::string early = EncodeHex(request);
  // One more pair, in the order of the keys. Without it the bytes are those of Go Serf's clients.
  EXPECT_EQ(early.size(), plain.size() + 2 * (1 + 11 + 1));
  EXPECT_EQ(plain.find("46696e6973684561726c79"), std::string::npos);
  QueryRequest decoded;
  ASSERT_TRUE(DecodeHex(early, decoded));
  EXPECT_TRUE(decoded.finish_early);
  EXPECT_EQ(decoded.name, "load");
  // In the list form it is the last element.
  ASSERT_TRUE(DecodeHex("98c0c0c20000a178c0c3", decoded));
  EXPECT_TRUE(decoded.finish_early);
  ASSERT_TRUE(DecodeHex("97c0c0c3020aa178c0", decoded));
  EXPECT_FALSE(decoded.finish_early);
  EXPECT_TRUE(decoded.request_ack);
  EXPECT_EQ(decoded.relay_factor, 2);
  EXPECT_EQ(decoded.timeout, 10);
  EXPECT_EQ(decoded.name, "x");
}

TEST(EncodeDecodeTest, QueryOfAHandler) {
  QueryRequest request;
  request.name = "load";
  request.from_handler = true;
  QueryRequest decoded;
  ASSERT_TRUE(DecodeHex(EncodeHex(request), decoded));
  EXPECT_TRUE(decoded.from_handler);
  EXPECT_FALSE(decoded.finish_early);
  request.finish_early = true;
  ASSERT_TRUE(DecodeHex(EncodeHex(request), decoded));
  EXPECT_TRUE(decoded.from_handler);
  EXPECT_TRUE(decoded.finish_early);
  // Go Serf's clients send no such key: "FromHandler".
  EXPECT_EQ(EncodeHex(QueryRequest{}).find("46726f6d48616e646c6572"), std::string::npos);
}

TEST(EncodeDecodeTest, LimitsOfAQuery) {
  QueryRequest request;
  EXPECT_FALSE(DecodeHex("81ab52656c6179466163746f72cd0100", request));      // 256
  EXPECT_FALSE(DecodeHex("81a754696d656f7574cf8000000000000000", request));  // 2^63
  ASSERT_TRUE(DecodeHex("81a754696d656f7574cf7fffffffffffffff", request));
  EXPECT_EQ(request.timeout, std::numeric_limits<std::int64_t>::max());
  ASSERT_TRUE(DecodeHex("81a754696d656f7574d0ff", request));
  EXPECT_EQ(request.timeout, -1);
}

// A coordinate of whole numbers has floats too, and any number is read as one.
TEST(EncodeDecodeTest, FloatsOfACoordinate) {
  CoordinateReply reply;
  ASSERT_TRUE(DecodeHex("9294920203ca3f80000001ffc3", reply));
  EXPECT_TRUE(reply.ok);
  ASSERT_EQ(reply.coord.vec.values().size(), 2u);
  EXPECT_EQ(reply.coord.vec.values()[1], 3.0);
  EXPECT_EQ(reply.coord.error, 1.0);
  EXPECT_EQ(reply.coord.adjustment, 1.0);
  EXPECT_EQ(reply.coord.height, -1.0);
  EXPECT_NE(EncodeHex(reply).find("cb3ff0000000000000"), std::string::npos);
}

// What a reader must accept, and what it must refuse (docs/protocol/agent.md 1.2).
TEST(EncodeDecodeTest, FormsOfARecord) {
  const struct {
    const char* hex;
    bool ok;
    const char* node;
    bool prune;
  } cases[] = {
      {"82a44e6f6465a162a55072756e65c3", true, "b", true},
      {"82a55072756e65c3a44e6f6465a162", true, "b", true},  // another order
      {"c0", true, "", false},
      {"80", true, "", false},
      {"90", true, "", false},
      {"91a162", true, "b", false},
      {"92a162c3", true, "b", true},
      {"94a162c39101c0", true, "b", true},  // surplus
      {"81a44e6f6465c0", true, "", false},
      {"81a44e6f6465d90162", true, "b", false},
      {"81a44e6f6465da000162", true, "b", false},
      {"81a44e6f6465db0000000162", true, "b", false},
      {"82a44e6f6465a161a44e6f6465a162", true, "b", false},  // the last wins
      {"82a15892018081a161c4017aa44e6f6465a162", false, "", false},
      {"82a158920181a161c4017aa44e6f6465a162", true, "b", false},
      {"81a55072756e6501", true, "", true},
      {"81a55072756e6500", true, "", false},
      {"81a55072756e6502", false, "", false},
      {"81a44e6f6465c40162", false, "", false},  // text is never bin
      {"81a44e6f646505", false, "", false},
      {"8105a162", false, "", false},
      {"05", false, "", false},
      {"a3616263", false, "", false},
      {"c3", false, "", false},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.hex);
    ForceLeaveRequest request;
    ASSERT_EQ(DecodeHex(c.hex, request), c.ok);
    if (!c.ok) continue;
    EXPECT_EQ(request.node, c.node);
    EXPECT_EQ(request.prune, c.prune);
  }
}

TEST(EncodeDecodeTest, Integers) {
  const struct {
    const char* hex;
    bool ok;
    std::int32_t version;
  } cases[] = {
      {"910a", true, 10},
      {"91ff", true, -1},
      {"91cc01", true, 1},
      {"91cf0000000000000001", true, 1},
      {"91d001", true, 1},
      {"91d3ffffffffffffffff", true, -1},
      {"91ce7fffffff", true, 2147483647},
      {"91ce80000000", false, 0},
      {"91d280000000", true, -2147483647 - 1},
      {"91d3ffffffff7fffffff", false, 0},
      {"91cfffffffffffffffff", false, 0},
      {"91cb3ff0000000000000", false, 0},
      {"91a131", false, 0},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.hex);
    HandshakeRequest request;
    ASSERT_EQ(DecodeHex(c.hex, request), c.ok);
    if (!c.ok) continue;
    EXPECT_EQ(request.version, c.version);
  }
  StopRequest stop;
  EXPECT_TRUE(DecodeHex("91cfffffffffffffffff", stop));
  EXPECT_EQ(stop.stop, std::uint64_t{0} - 1);
  EXPECT_FALSE(DecodeHex("91ff", stop));
}

TEST(EncodeDecodeTest, LengthsOfText) {
  for (const std::size_t size : {0, 1, 31, 32, 255, 256, 65535, 65536}) {
    const StreamRequest request{std::string(size, 'x')};
    StreamRequest decoded;
    ASSERT_TRUE(DecodeHex(EncodeHex(request), decoded));
    EXPECT_EQ(decoded.type, request.type);
  }
  EXPECT_EQ(EncodeHex(StreamRequest{std::string(32, 'x')}).substr(0, 16), "81a454797065d920");
}

TEST(EncodeDecodeTest, AddressesOfMembers) {
  const auto address = [](absl::string_view value) {
    const ByteVector head = testkit::Unhex("81a441646472");
    return testkit::Hex(head) + std::string(value);
  };
  Member member;
  ASSERT_TRUE(DecodeHex(address("c4047f000001"), member));
  EXPECT_EQ(member.endpoint.address.ToString(), "127.0.0.1");
  EXPECT_EQ(member.status, MemberStatus::kNone);
  ASSERT_TRUE(DecodeHex(address("c41000000000000000000000ffff0a000001"), member));
  EXPECT_EQ(member.endpoint.address.ToString(), "10.0.0.1");
  ASSERT_TRUE(DecodeHex(address("a47f000001"), member));  // text
  ASSERT_TRUE(DecodeHex(address("947f000001"), member));  // a list
  EXPECT_EQ(member.endpoint.address.ToString(), "127.0.0.1");
  EXPECT_FALSE(DecodeHex(address("c0"), member));
  EXPECT_FALSE(DecodeHex(address("c40a00000000000000000000"), member));
  EXPECT_FALSE(DecodeHex(address("94cd0100000001"), member));  // 256
}

TEST(EncodeDecodeTest, ResponseHeaders) {
  const auto is_header = [](absl::string_view hex) {
    const ByteVector bytes = testkit::Unhex(hex);
    ResponseHeader header;
    return Decoder(bytes).ReadResponseHeader(header);
  };
  EXPECT_TRUE(is_header("82a54572726f72a0a353657101"));
  EXPECT_TRUE(is_header("82a353657101a54572726f72a0"));
  EXPECT_FALSE(is_header("81a54572726f72a0"));
  EXPECT_FALSE(is_header("83a54572726f72a0a353657101a15800"));
  EXPECT_FALSE(is_header("82a54572726f72a0a54572726f72a0"));
  EXPECT_FALSE(is_header("82a54572726f7201a353657101"));
  EXPECT_FALSE(is_header("92a001"));
  EXPECT_FALSE(is_header("81a34e756d00"));
  EXPECT_FALSE(is_header("c0"));
}

TEST(EncodeDecodeTest, UnknownAnswerIsRefused) {
  AnswerRecord answer;
  EXPECT_FALSE(DecodeHex("81a454797065a178", answer));
  EXPECT_FALSE(DecodeHex("80", answer));
  ASSERT_TRUE(DecodeHex("82a454797065a361636ba446726f6da162", answer));
  EXPECT_EQ(answer.kind, QueryUpdate::Kind::kAck);
  EXPECT_EQ(answer.from, "b");
}

TEST(EncodeDecodeTest, UnknownEventIsRefused) {
  EventRecord event;
  EXPECT_FALSE(DecodeHex("81a54576656e74a178", event));
  ASSERT_TRUE(DecodeHex("82a54576656e74a475736572a75061796c6f6164c400", event));
  EXPECT_EQ(std::get<UserEvent>(event).payload, "");
}

}  // namespace
}  // namespace serf::rpc
