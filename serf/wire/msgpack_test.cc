#include "serf/wire/msgpack.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <utility>

#include "gtest/gtest.h"
#include "msgpack.hpp"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Hex;
using ::serf::testkit::Unhex;

template <typename T>
std::string Written(const T& value) {
  ByteVector out;
  MsgpackWriter(out).Write(value);
  return Hex(out);
}

std::string WrittenSize(void (MsgpackWriter::*head)(std::size_t), std::size_t size) {
  ByteVector out;
  {
    MsgpackWriter writer(out);
    (writer.*head)(size);
  }
  return Hex(out);
}

TEST(MsgpackWriterTest, IntegersAreShortest) {
  EXPECT_EQ(Written(std::uint8_t{0}), "00");
  EXPECT_EQ(Written(std::uint8_t{127}), "7f");
  EXPECT_EQ(Written(std::uint8_t{128}), "cc80");
  EXPECT_EQ(Written(std::uint16_t{255}), "ccff");
  EXPECT_EQ(Written(std::uint16_t{256}), "cd0100");
  EXPECT_EQ(Written(std::uint32_t{65535}), "cdffff");
  EXPECT_EQ(Written(std::uint32_t{65536}), "ce00010000");
  EXPECT_EQ(Written(std::uint64_t{0xffffffff}), "ceffffffff");
  EXPECT_EQ(Written(std::uint64_t{0x100000000}), "cf0000000100000000");
  EXPECT_EQ(Written(~std::uint64_t{0}), "cfffffffffffffffff");
  // Signed ones too, as in Go Serf up to 0.10.1.
  EXPECT_EQ(Written(std::int64_t{200}), "ccc8");
  EXPECT_EQ(Written(std::int64_t{3200000000}), "cebebc2000");
  EXPECT_EQ(Written(std::int64_t{-1}), "ff");
  EXPECT_EQ(Written(std::int64_t{-32}), "e0");
  EXPECT_EQ(Written(std::int64_t{-33}), "d0df");
  EXPECT_EQ(Written(std::int64_t{-129}), "d1ff7f");
  EXPECT_EQ(Written(std::int64_t{-32769}), "d2ffff7fff");
  EXPECT_EQ(Written(std::numeric_limits<std::int64_t>::min()), "d38000000000000000");
}

TEST(MsgpackWriterTest, TextAndBytesAreRaw) {
  EXPECT_EQ(Written(absl::string_view("")), "a0");
  EXPECT_EQ(Written("ab"), "a26162");
  EXPECT_EQ(Written(std::string(31, 'x')).substr(0, 4), "bf78");
  EXPECT_EQ(Written(std::string(32, 'x')).substr(0, 8), "da002078");
  EXPECT_EQ(Written(std::string(65535, 'x')).substr(0, 8), "daffff78");
  EXPECT_EQ(Written(std::string(65536, 'x')).substr(0, 12), "db0001000078");
  EXPECT_EQ(Written(ByteView()), "c0");
  EXPECT_EQ(Written(AsBytes("")), "a0");
  EXPECT_EQ(Written(AsBytes("ab")), "a26162");
}

TEST(MsgpackWriterTest, OtherValues) {
  EXPECT_EQ(Written(true), "c3");
  EXPECT_EQ(Written(false), "c2");
  EXPECT_EQ(Written(1.5), "cb3ff8000000000000");
  EXPECT_EQ(Written(0.0), "cb0000000000000000");
  EXPECT_EQ(Written(-2.0), "cbc000000000000000");
  EXPECT_EQ(WrittenSize(&MsgpackWriter::Map, 15), "8f");
  EXPECT_EQ(WrittenSize(&MsgpackWriter::Map, 16), "de0010");
  EXPECT_EQ(WrittenSize(&MsgpackWriter::Map, 65536), "df00010000");
  EXPECT_EQ(WrittenSize(&MsgpackWriter::List, 15), "9f");
  EXPECT_EQ(WrittenSize(&MsgpackWriter::List, 16), "dc0010");
  EXPECT_EQ(WrittenSize(&MsgpackWriter::List, 65536), "dd00010000");
}

// The value that `hex` gives for a field of type T, and how the reading went.
template <typename T>
struct ReadOutcome {
  DecodeResult result;
  T value;
};
template <typename T>
ReadOutcome<T> ReadAs(absl::string_view hex) {
  const ByteVector bytes = Unhex(hex);
  DecodeScratch scratch;
  T value{};
  return {Decode(bytes, value, scratch), value};
}
template <typename T>
T Value(absl::string_view hex) {
  const ReadOutcome<T> read = ReadAs<T>(hex);
  EXPECT_EQ(read.result, DecodeResult::kOk) << hex;
  return read.value;
}
template <typename T>
DecodeResult Result(absl::string_view hex) {
  return ReadAs<T>(hex).result;
}

TEST(MsgpackReaderTest, UnsignedIntegers) {
  for (const char* five : {"05", "cc05", "cd0005", "ce00000005", "cf0000000000000005", "d005",
                           "d10005", "d200000005", "d30000000000000005"}) {
    EXPECT_EQ(Value<std::uint8_t>(five), 5u) << five;
    EXPECT_EQ(Value<std::uint64_t>(five), 5u) << five;
    EXPECT_EQ(Value<std::int64_t>(five), 5) << five;
    EXPECT_EQ(Value<double>(five), 5.0) << five;
  }
  EXPECT_EQ(Value<std::uint16_t>("c0"), 0u);
  EXPECT_EQ(Value<std::uint8_t>("ccff"), 255u);
  EXPECT_EQ(Value<std::uint64_t>("cfffffffffffffffff"), ~std::uint64_t{0});
  EXPECT_EQ(Result<std::uint8_t>("cd0100"), DecodeResult::kOutOfRange);
  EXPECT_EQ(Result<std::uint16_t>("ce00010000"), DecodeResult::kOutOfRange);
  EXPECT_EQ(Result<std::uint32_t>("cf0000000100000000"), DecodeResult::kOutOfRange);
  for (const char* negative : {"ff", "e0", "d0ff", "d1ffff", "d2ffffffff", "d3ffffffffffffffff"}) {
    EXPECT_EQ(Result<std::uint64_t>(negative), DecodeResult::kOutOfRange) << negative;
  }
  for (const char* other :
       {"c2", "c3", "a135", "c40135", "ca3f800000", "cb3ff0000000000000", "90", "80", "d40001"}) {
    EXPECT_EQ(Result<std::uint64_t>(other), DecodeResult::kBadType) << other;
  }
  EXPECT_EQ(Result<std::uint64_t>("c1"), DecodeResult::kReserved);
}

TEST(MsgpackReaderTest, SignedIntegers) {
  for (const char* minus_two : {"fe", "d0fe", "d1fffe", "d2fffffffe", "d3fffffffffffffffe"}) {
    EXPECT_EQ(Value<std::int64_t>(minus_two), -2) << minus_two;
    EXPECT_EQ(Value<double>(minus_two), -2.0) << minus_two;
  }
  EXPECT_EQ(Value<std::int64_t>("d38000000000000000"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(Value<std::int64_t>("cf7fffffffffffffff"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(Result<std::int64_t>("cf8000000000000000"), DecodeResult::kOutOfRange);
  EXPECT_EQ(Value<std::int64_t>("c0"), 0);
  EXPECT_EQ(Result<std::int64_t>("c3"), DecodeResult::kBadType);
  EXPECT_EQ(Result<std::int64_t>("a0"), DecodeResult::kBadType);
}

TEST(MsgpackReaderTest, Booleans) {
  EXPECT_TRUE(Value<bool>("c3"));
  EXPECT_FALSE(Value<bool>("c2"));
  EXPECT_TRUE(Value<bool>("01"));
  EXPECT_TRUE(Value<bool>("cc01"));
  EXPECT_FALSE(Value<bool>("00"));
  EXPECT_FALSE(Value<bool>("c0"));
  for (const char* other : {"02", "ff", "a474727565", "90", "cb3ff0000000000000"}) {
    EXPECT_EQ(Result<bool>(other), DecodeResult::kBadType) << other;
  }
}

TEST(MsgpackReaderTest, Floats) {
  EXPECT_EQ(Value<double>("cb3ff8000000000000"), 1.5);
  EXPECT_EQ(Value<double>("ca3fc00000"), 1.5);
  EXPECT_EQ(Value<double>("c0"), 0.0);
  EXPECT_EQ(Result<double>("a0"), DecodeResult::kBadType);
  EXPECT_EQ(Result<double>("c3"), DecodeResult::kBadType);
}

TEST(MsgpackReaderTest, TextAndBytes) {
  for (const char* ab : {"a26162", "d9026162", "da00026162", "db000000026162", "c4026162",
                         "c500026162", "c6000000026162"}) {
    const ByteVector bytes = Unhex(ab);
    DecodeScratch scratch;
    absl::string_view text;
    ByteView view;
    EXPECT_EQ(Decode(bytes, text, scratch), DecodeResult::kOk) << ab;
    EXPECT_EQ(text, "ab");
    EXPECT_EQ(Decode(bytes, view, scratch), DecodeResult::kOk) << ab;
    EXPECT_EQ(AsText(view), "ab");
  }
  EXPECT_EQ(Value<ByteView>("c0").data(), nullptr);
  EXPECT_EQ(Value<ByteView>("a0").data(), nullptr);
  EXPECT_EQ(Value<ByteView>("90").data(), nullptr);
  EXPECT_EQ(Result<absl::string_view>("920102"), DecodeResult::kBadType);
  EXPECT_EQ(Result<ByteView>("9201cd0100"), DecodeResult::kOutOfRange);
  EXPECT_EQ(Result<ByteView>("9201a0"), DecodeResult::kBadType);
  EXPECT_EQ(Result<ByteView>("05"), DecodeResult::kBadType);
  EXPECT_EQ(Result<ByteView>("80"), DecodeResult::kBadType);
}

TEST(MsgpackReaderTest, TellsHowMuchIsMissing) {
  const std::pair<const char*, std::size_t> cases[] = {
      {"", 1},
      {"a3", 4},
      {"a36162", 4},
      {"da01", 3},
      {"da0100", 259},
      {"ce0000", 5},
      {"93", 4},
      {"82", 5},
      {"92a3", 3},
      {"db00010203", 5 + 0x010203},
      {"df00010203", 5 + 2 * 0x010203},
      {"c7", 2},
      {"c702", 5},
      {"d8", 18},
  };
  for (const auto& [hex, needed] : cases) {
    const ByteVector bytes = Unhex(hex);
    DecodeScratch scratch;
    MsgpackReader reader(bytes, scratch);
    EXPECT_FALSE(reader.Skip()) << hex;
    EXPECT_EQ(reader.Finish(), DecodeResult::kTruncated) << hex;
    EXPECT_EQ(scratch.needed(), needed) << hex;
  }
  // Beyond 32 bits, too.
  Rng rng(1);
  const ByteVector map = testkit::Announcing(rng, {}, testkit::kMap32);
  DecodeScratch scratch;
  MsgpackReader reader(map, scratch);
  EXPECT_FALSE(reader.Skip());
  EXPECT_EQ(reader.Finish(), DecodeResult::kTruncated);
  EXPECT_GE(scratch.needed(), std::size_t{1} << 32);
}

ByteVector Nested(std::size_t depth) {
  ByteVector bytes(depth, 0x91);
  bytes.push_back(0xc0);
  return bytes;
}

TEST(MsgpackReaderTest, SkippingIsBounded) {
  DecodeScratch scratch;
  for (const std::size_t depth : {std::size_t{0}, std::size_t{1}, kSkipNestingMax}) {
    const ByteVector bytes = Nested(depth);
    MsgpackReader reader(bytes, scratch);
    EXPECT_TRUE(reader.Skip()) << depth;
    EXPECT_EQ(reader.position(), bytes.size());
  }
  for (const std::size_t depth : {kSkipNestingMax + 1, std::size_t{60000}, std::size_t{8000000}}) {
    const ByteVector bytes = Nested(depth);
    MsgpackReader reader(bytes, scratch);
    EXPECT_FALSE(reader.Skip()) << depth;
    EXPECT_EQ(reader.result(), DecodeResult::kTooDeep);
  }
}

// Where msgpack-c's parser finds the end of the first value, the reader does too; where the parser
// finds none, the reader fails.
TEST(MsgpackReaderTest, SkipAgreesWithMsgpackC) {
  Rng rng(21);
  int accepted = 0;
  for (int i = 0; i < 200000; ++i) {
    ByteVector bytes(1 + rng.Below(std::uint64_t{24}));
    for (std::uint8_t& byte : bytes) {
      // Half of the bytes are small numbers, so that values end.
      const std::uint64_t r = rng.Next();
      byte = static_cast<std::uint8_t>(r & 1 ? r >> 8 & 7 : r >> 8);
    }
    DecodeScratch scratch;
    MsgpackReader reader(bytes, scratch);
    const bool ours = reader.Skip();
    msgpack::null_visitor visitor;
    std::size_t end = 0;
    const bool theirs =
        msgpack::parse(reinterpret_cast<const char*>(bytes.data()), bytes.size(), end, visitor);
    ASSERT_EQ(ours, theirs) << Hex(bytes);
    if (!ours) continue;
    ASSERT_EQ(reader.position(), end) << Hex(bytes);
    ++accepted;
  }
  EXPECT_GT(accepted, 50000);
}

struct Inner {
  std::uint8_t a = 0;
  absl::string_view b = {};
};
struct Outer {
  Inner inner = {};
  bool flag = false;
};
constexpr auto RecordFields(const Inner*) {
  return std::tuple{Field{"A", &Inner::a}, Field{"B", &Inner::b}};
}
constexpr auto RecordFields(const Outer*) {
  return std::tuple{Field{"Inner", &Outer::inner}, Field{"Flag", &Outer::flag}};
}

TEST(MsgpackReaderTest, NestedRecords) {
  // {Flag: true, Inner: {B: "x", A: 7}}, and the same by lists.
  for (const char* hex : {"82a4466c6167c3a5496e6e657282a142a178a14107", "929207a178c3"}) {
    const ByteVector bytes = Unhex(hex);
    DecodeScratch scratch;
    Outer outer;
    ASSERT_EQ(Decode(bytes, outer, scratch), DecodeResult::kOk) << hex;
    EXPECT_TRUE(outer.flag);
    EXPECT_EQ(outer.inner.a, 7);
    EXPECT_EQ(outer.inner.b, "x");
  }
  EXPECT_EQ(Result<Outer>("81a5496e6e657205"), DecodeResult::kBadType);
  EXPECT_EQ(Result<Outer>("81a5496e6e6572c0"), DecodeResult::kOk);
  EXPECT_EQ(Result<Outer>("05"), DecodeResult::kBadType);
  EXPECT_EQ(Result<Outer>("c3"), DecodeResult::kBadType);
  EXPECT_EQ(Result<Outer>("a0"), DecodeResult::kBadType);
  EXPECT_EQ(Result<Outer>("81c0c0"), DecodeResult::kBadType);  // nil is not a key
  EXPECT_EQ(Result<Outer>(""), DecodeResult::kTruncated);
}

}  // namespace
}  // namespace serf::wire
