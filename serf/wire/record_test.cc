#include "serf/wire/record.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/newtype.h"
#include "serf/base/rng.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/coordinate_message.h"
#include "serf/wire/list_view.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Hex;
using ::serf::testkit::Unhex;

template <typename Message>
std::string EncodedHex(const Message& message) {
  ByteVector out;
  Encode(message, out);
  return Hex(out);
}

// --- what a table says ---

struct Inner {
  static constexpr std::uint8_t kType = 0x11;
  std::uint8_t b = 0;
  absl::string_view a = {};
};
struct Outer {
  static constexpr std::uint8_t kType = 0x22;
  std::uint8_t kept = 0;
  absl::string_view left_out = {};
  absl::string_view nil = {};
  Inner inner = {};
};
constexpr auto RecordFields(const Inner*) {
  return std::tuple{Field{"B", &Inner::b}, Field{"A", &Inner::a}};
}
constexpr auto RecordFields(const Outer*) {
  return std::tuple{Field{"Z", &Outer::kept},
                    Field{"LeftOut", &Outer::left_out, IfEmpty::kLeaveOut},
                    Field{"Nil", &Outer::nil, IfEmpty::kNil}, Field{"Inner", &Outer::inner}};
}

static_assert(HasFields<Inner> && !HasFields<int> && !HasFields<absl::string_view>);
static_assert(kKeyOrder<Inner> == std::array<std::size_t, 2>{1, 0});
static_assert(kKeyOrder<Outer> == std::array<std::size_t, 4>{3, 1, 2, 0});
// As bytes, not as words: "LTime" comes before "LeftMembers".
static_assert(kKeyOrder<PushPullState> == std::array<std::size_t, 6>{3, 4, 0, 2, 5, 1});
static_assert(kKeyBytes<Outer, 2> == std::array<char, 4>{'\xa3', 'N', 'i', 'l'});

TEST(RecordTest, WritesKeysInOrderAndHeedsIfEmpty) {
  EXPECT_EQ(EncodedHex(Inner{.b = 7, .a = "x"}),
            "1182"
            "a141a178"
            "a14207");
  const std::string inner =
      "a5496e6e6572"
      "82"
      "a141a0"
      "a14200";
  EXPECT_EQ(EncodedHex(Outer{}), "2283" + inner +
                                     "a34e696cc0"
                                     "a15a00");
  EXPECT_EQ(EncodedHex(Outer{.left_out = "l", .nil = "n"}), "2284" + inner +
                                                                "a74c6566744f7574a16c"
                                                                "a34e696ca16e"
                                                                "a15a00");
}

TEST(RecordTest, ReadsFieldsByNameAndByPlace) {
  for (const char* hex : {"83a15a05a3466f6f01a34e696ca16e", "9305a0a16e"}) {
    const ByteVector bytes = Unhex(hex);
    DecodeScratch scratch;
    Outer outer;
    ASSERT_EQ(Decode(bytes, outer, scratch), DecodeResult::kOk) << hex;
    EXPECT_EQ(outer.kept, 5);
    EXPECT_EQ(outer.nil, "n");
    EXPECT_EQ(scratch.consumed(), bytes.size());
  }
  // Keys of the right length with other letters are unknown.
  DecodeScratch scratch;
  Outer outer;
  ASSERT_EQ(Decode(Unhex("82a15905a34e696da16e"), outer, scratch), DecodeResult::kOk);
  EXPECT_EQ(outer.kept, 0);
  EXPECT_TRUE(outer.nil.empty());
}

// The bytes of all other messages are recorded (memberlist.json, serf.json).
TEST(RecordTest, ACompressedMessage) {
  EXPECT_EQ(EncodedHex(CompressMessage{.algo = kCompressLzw, .buf = AsBytes("abc")}),
            "0982a4416c676f00a3427566a3616263");
}

// --- each message, with random fields ---

void Fill(Rng& rng, bool& out) { out = rng.Next() % 2 == 0; }
void Fill(Rng& rng, double& out) { out = static_cast<double>(rng.Next() % 1000) / 8; }
// Small numbers are as likely as large ones.
template <typename T>
requires std::is_integral_v<T>
void Fill(Rng& rng, T& out) { out = static_cast<T>((rng.Next() >> 1) >> rng.Next() % 64); }
template <typename Tag, typename T>
void Fill(Rng& rng, Newtype<Tag, T>& out) {
  T value = 0;
  Fill(rng, value);
  out = Newtype<Tag, T>(value);
}
void Fill(Rng& rng, absl::string_view& out) {
  static constexpr absl::string_view kText = "a name of a node, and more than 31 bytes of it";
  out = kText.substr(0, rng.Next() % 2 * (rng.Next() % kText.size()));
}
// Absent or not empty: the decoder does not distinguish absent from empty bytes.
void Fill(Rng& rng, ByteView& out) {
  absl::string_view text;
  Fill(rng, text);
  out = text.empty() ? ByteView() : AsBytes(text);
}
template <typename T>
void Fill(Rng& rng, ListView<T>& out) {
  static const std::array<T, 3> kItems = {};
  out = rng.Next() % 3 == 0 ? ListView<T>() : ListView<T>(std::span(kItems).first(rng.Next() % 4));
}
void Fill(Rng& rng, CoordinateVector& out) {
  const std::array<double, 8> values = {1, -2, 0.5};
  out = CoordinateVector(std::span(values).first(rng.Next() % 9));
}
template <HasFields Record>
void Fill(Rng& rng, Record& out) {
  AnyField<Record>([&](auto index) {
    Fill(rng, out.*kField<Record, index>.member);
    return false;
  });
}

// The names of the table, less those that this message leaves out.
template <typename Record>
std::vector<std::string> ExpectedKeys(const Record& record) {
  std::set<std::string> sorted;  // by bytes, as Go sorts strings
  std::size_t expected = 0;
  AnyField<Record>([&](auto index) {
    if (IsLeftOut<index>(record)) return false;
    sorted.insert(std::string(kField<Record, index>.name));
    ++expected;
    return false;
  });
  EXPECT_EQ(sorted.size(), expected) << "a key stands twice";
  return {sorted.begin(), sorted.end()};
}

std::vector<std::string> WrittenKeys(ByteView body) {
  std::vector<std::string> keys;
  DecodeScratch scratch;
  MsgpackReader reader(body, scratch);
  MsgpackReader::Head head;
  EXPECT_TRUE(reader.ReadHead(head));
  EXPECT_EQ(head.kind, MsgpackReader::Kind::kMap);
  for (std::uint64_t i = 0; i < head.value; ++i) {
    absl::string_view key;
    EXPECT_TRUE(reader.ReadKey(key) && reader.Skip());
    keys.emplace_back(key);
  }
  EXPECT_EQ(reader.position(), body.size());
  return keys;
}

template <typename Message>
class EachMessageTest : public ::testing::Test {};

using EachMessage =
    ::testing::Types<Ping, IndirectPing, Ack, Nack, Suspect, Dead, Alive, PushPullHeader,
                     PushPullNode, UserHeader, ErrorMessage, CompressMessage, LeaveMessage,
                     JoinMessage, PushPullState, UserEventMessage, QueryMessage,
                     QueryResponseMessage, RelayHeader, ConflictResponse, KeyRequest, KeyResponse,
                     CoordinateMessage>;
TYPED_TEST_SUITE(EachMessageTest, EachMessage);

// docs/protocol/membership.md 2.1: ascending byte order, and only the source of a ping may be left
// out. The list form has declaration order. Both decode to what was written.
TYPED_TEST(EachMessageTest, KeysAscendAndBothFormsAreRead) {
  constexpr std::size_t kTyped = std::is_same_v<TypeParam, PushPullNode> ? 0 : 1;
  Rng rng(12);
  for (int i = 0; i < 500; ++i) {
    TypeParam message;
    if (i > 0) Fill(rng, message);
    ByteVector bytes;
    Encode(message, bytes);
    const ByteView body = ByteView(bytes).subspan(kTyped);
    ASSERT_EQ(WrittenKeys(body), ExpectedKeys(message)) << Hex(bytes);

    ByteVector list;
    {
      MsgpackWriter writer(list);
      writer.List(kKeyOrder<TypeParam>.size());
      AnyField<TypeParam>([&](auto index) {
        writer.Value(message.*kField<TypeParam, index>.member);
        return false;
      });
    }
    for (const ByteView form : {body, ByteView(list)}) {
      DecodeScratch scratch;
      TypeParam decoded;
      ASSERT_EQ(Decode(form, decoded, scratch), DecodeResult::kOk) << Hex(form);
      EXPECT_EQ(scratch.consumed(), form.size());
      EXPECT_EQ(EncodedHex(decoded), Hex(bytes));
    }
  }
}

}  // namespace
}  // namespace serf::wire
