// What a compressed push/pull costs its reader in memory and in work, whatever it swells to.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/testing/allocations.h"
#include "serf/wire/lzw.h"
#include "serf/wire/message_text.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/packet.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

ByteVector Compressed(ByteView text) {
  LzwEncoder encoder;
  ByteVector deflated;
  EXPECT_TRUE(encoder.Encode(text, kNoCompressLimit, deflated));
  ByteVector message;
  Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, message);
  return message;
}

// A push/pull whose records repeat half a kibibyte of metadata, which LZW shortens well.
ByteVector Records(int count, std::size_t state, bool valid = true) {
  ByteVector text;
  Encode(PushPullHeader{.nodes = count + 1, .user_state_len = static_cast<std::int64_t>(state)},
         text);
  const ByteVector meta(512, 7);
  for (int i = 0; i <= count; ++i) {
    const std::string name = absl::StrCat("node-", i);
    if (i == count && !valid) {
      text.push_back(0xc1);
      break;
    }
    Encode(
        PushPullNode{.name = name, .addr = AsBytes("abcd"), .meta = meta, .vsn = AsBytes("123456")},
        text);
  }
  for (std::size_t i = 0; i < state; ++i) text.push_back(static_cast<std::uint8_t>(i >> 8));
  return text;
}

// Reads a stream in turns, and remembers the most memory that was taken meanwhile.
class Reading {
 public:
  explicit Reading(ByteView bytes) {
    testkit::Allocations& allocations = testkit::allocations();
    allocations.peak = allocations.live;
    const std::size_t before = allocations.live;
    Portion first;
    reader_.Feed(bytes, first);
    while (reader_.status() == StreamStatus::kBusy) {
      Portion portion;
      reader_.Continue(portion);
      held_ = std::max(held_, reader_.held());
    }
    peak_ = allocations.peak - before;
  }

  const StreamReader& reader() const { return reader_; }
  std::size_t peak() const { return peak_; }
  std::size_t held() const { return held_; }

 private:
  StreamReader reader_{StreamOptions()};
  std::size_t peak_ = 0;
  std::size_t held_ = 0;
};

TEST(StreamMemoryTest, ALateFaultCostsNoMoreThanTheWireAndAMebibyte) {
  const ByteVector valid = Records(20'000, 1 << 20);
  const struct {
    const char* what;
    ByteVector bytes;
    StreamError error;
  } kCases[] = {
      {"the last record", Compressed(Records(20'000, 0, /*valid=*/false)), StreamError::kBadBody},
      {"the state ends early", Compressed(ByteView(valid).first(valid.size() - 1)),
       StreamError::kBadBody},
  };
  ASSERT_GT(valid.size(), std::size_t{10} << 20);
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    ASSERT_LT(c.bytes.size(), std::size_t{1} << 20);
    const Reading reading(c.bytes);
    ASSERT_EQ(reading.reader().status(), StreamStatus::kFailed);
    EXPECT_EQ(reading.reader().failure().error, c.error);
    EXPECT_LE(reading.peak(), 2 * c.bytes.size() + kInflatedHeldMax);
    EXPECT_LE(reading.held(), c.bytes.size() + kInflatedHeldMax);
  }
}

// It is read twice, and no reading has more than a mebibyte of it; only the state is one piece.
TEST(StreamMemoryTest, ALongPushPullIsInflatedAgainByWhoReadsIt) {
  constexpr std::size_t kState = 3 << 20;
  const ByteVector text = Records(20'000, kState);
  const ByteVector bytes = Compressed(text);
  const Reading reading(bytes);
  ASSERT_EQ(reading.reader().status(), StreamStatus::kUnit) << reading.reader().failure().text;
  EXPECT_LE(reading.peak(), 2 * bytes.size() + kInflatedHeldMax);
  const StreamUnit& unit = reading.reader().unit();
  EXPECT_EQ(unit.inflated_size, text.size());
  testkit::Allocations& allocations = testkit::allocations();
  allocations.peak = allocations.live;
  const std::size_t before = allocations.live;
  PushPullReader content(unit);
  EXPECT_EQ(content.header().nodes, 20'001);
  int records = 0;
  int turns = 1;
  for (PushPullNode node; !content.is_done(); ++turns) {
    Portion portion;
    for (; content.Next(node, portion); ++records) portion.Spend(1000);
  }
  EXPECT_EQ(records, 20'001);
  EXPECT_GE(turns, static_cast<int>(text.size() / Portion::kWhole));
  EXPECT_LE(allocations.peak - before, kInflatedHeldMax);
  while (!content.ReadState()) ASSERT_EQ(content.result(), DecodeResult::kOk);
  EXPECT_TRUE(std::ranges::equal(content.user_state(), ByteView(text).last(kState)));
  EXPECT_LE(allocations.peak - before, kState + kInflatedHeldMax);
  content.Restart();
  for (PushPullNode node; content.Next(node); --records) {
  }
  EXPECT_EQ(records, 0);
}

// A short one is inflated once.
TEST(StreamMemoryTest, AShortPushPullIsKept) {
  const ByteVector text = Records(500, 1000);
  ASSERT_LT(text.size() + MessageText::kPiece + LzwDecoder::kBeyondMax, MessageText::kKeptMax);
  const Reading reading(Compressed(text));
  ASSERT_EQ(reading.reader().status(), StreamStatus::kUnit);
  EXPECT_TRUE(reading.reader().unit().deflated.empty());
  EXPECT_TRUE(std::ranges::equal(reading.reader().unit().body, ByteView(text).subspan(1)));
}

// Text whose LZW has a fault is not believed, however good its beginning is: Go Serf inflates
// all of it first.
TEST(StreamMemoryTest, TextBehindTheUnitMustBeValidToo) {
  for (const int count : {10, 20'000}) {
    SCOPED_TRACE(count);
    const ByteVector text = Records(count, 100);
    ByteVector longer = text;
    longer.insert(longer.end(), 100'000, 9);
    for (const bool cut : {false, true}) {
      LzwEncoder encoder;
      ByteVector deflated;
      ASSERT_TRUE(encoder.Encode(longer, kNoCompressLimit, deflated));
      if (cut) deflated.resize(deflated.size() - 4);
      ByteVector message;
      Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, message);
      const Reading reading(message);
      ASSERT_EQ(reading.reader().status(), cut ? StreamStatus::kFailed : StreamStatus::kUnit);
      if (!cut) continue;
      EXPECT_EQ(reading.reader().failure().error, StreamError::kBadLzw);
      EXPECT_EQ(reading.reader().failure().end, StreamEnd::kAnswer);
    }
  }
}

// A user message goes to its receiver as a whole, so it may not swell so far.
TEST(StreamMemoryTest, AUserMessageSwellsByAMebibyte) {
  for (const std::size_t size : {kInflatedHeldMax, std::size_t{2} << 20}) {
    ByteVector text;
    Encode(UserHeader{.user_msg_len = static_cast<std::int64_t>(size)}, text);
    for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<std::uint8_t>(i / 300));
    const ByteVector bytes = Compressed(text);
    const Reading reading(bytes);
    const bool fits = size <= kInflatedHeldMax;
    ASSERT_EQ(reading.reader().status(), fits ? StreamStatus::kUnit : StreamStatus::kFailed);
    if (!fits) EXPECT_EQ(reading.reader().failure().error, StreamError::kTooLarge);
    if (fits) EXPECT_EQ(reading.reader().unit().body.size(), size);
    EXPECT_LE(reading.held(), bytes.size() + kInflatedHeldMax + (256 << 10));
  }
}

// --- work ---

StreamError ErrorOf(ByteView text) {
  const Reading reading(Compressed(text));
  return reading.reader().status() == StreamStatus::kFailed ? reading.reader().failure().error
                                                            : StreamError::kNone;
}

// Empty records cost much for their bytes, so there may not be many more of them than members have.
TEST(StreamMemoryTest, TheBytesBoundTheRecords) {
  for (const std::int64_t more : {0, 1'000'000}) {
    ByteVector text;
    const std::int64_t nodes = std::min<std::int64_t>(
        static_cast<std::int64_t>(kInflatedRecordsFree) + more, kPushPullNodesMax);
    Encode(PushPullHeader{.nodes = nodes, .user_state_len = 0}, text);
    text.insert(text.end(), static_cast<std::size_t>(nodes), 0xc0);
    EXPECT_EQ(ErrorOf(text), more == 0 ? StreamError::kNone : StreamError::kTooLarge);
  }
}

// So do values of a byte, of which a record may have many that nobody knows.
TEST(StreamMemoryTest, TheRecordsBoundTheirValues) {
  for (const bool many : {false, true}) {
    ByteVector text;
    constexpr int kRecords = 100;
    Encode(PushPullHeader{.nodes = kRecords, .user_state_len = 0}, text);
    const std::size_t values =
        many ? kRecordValuesFree / kRecordValuesMax : kRecordValuesFree / kRecords;
    for (int i = 0; i < kRecords; ++i) {
      MsgpackWriter writer(text);
      writer.Map(2);
      writer.Pair("Name", absl::StrCat("node-", i));
      writer.Write(absl::string_view("Later"));
      writer.List(values);
      for (std::size_t v = 0; v < values; ++v) writer.Nil();
    }
    EXPECT_EQ(ErrorOf(text), many ? StreamError::kTooLarge : StreamError::kNone);
  }
}

// Ten thousand members fit, with all that they may say of themselves, if all say the same.
TEST(StreamMemoryTest, TenThousandMembersFit) {
  EXPECT_EQ(ErrorOf(Records(10'000, 2 << 20)), StreamError::kNone);
}

}  // namespace
}  // namespace serf::wire
