// What a stream costs until it is known to be a unit or worthless: the processor's time, and the
// most memory that its reader holds, beside the bytes that came.
//
//   bazel run -c opt //serf/wire:stream_frame_benchmark

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/base/rng.h"
#include "serf/wire/ids.h"
#include "serf/wire/lzw.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

ByteVector Compressed(ByteView text) {
  LzwEncoder encoder;
  ByteVector deflated;
  encoder.Encode(text, std::numeric_limits<std::size_t>::max(), deflated);
  ByteVector message;
  Encode(CompressMessage{.algo = kCompressLzw, .buf = deflated}, message);
  return message;
}

// Runs of one byte that deflate to a fiftieth, less than the bound.
ByteVector TextThatIsNoMessage() {
  Rng rng(1);
  ByteVector text = {0xff};
  while (text.size() < std::size_t{38} << 20) {
    text.insert(text.end(), 1200, static_cast<std::uint8_t>(rng.Below(std::uint64_t{256})));
  }
  return text;
}

// Records in the form that costs most for its bytes, as many as the bounds allow, and then of
// nothing valid.
ByteVector DearRecords(std::size_t count) {
  Rng rng(2);
  ByteVector message;
  Encode(PushPullHeader{.nodes = static_cast<std::int64_t>(count) + 1, .user_state_len = 0},
         message);
  for (std::size_t i = 0; i < count; ++i) {
    // The keys in descending order, and the bytes as lists.
    MsgpackWriter writer(message);
    writer.Map(7);
    writer.Pair("Vsn", absl::string_view("123456"));
    writer.Pair("State", std::uint64_t{0});
    writer.Pair("Port", std::uint64_t{7946});
    writer.Pair("Name", absl::string_view("a"));
    writer.Pair("Meta", absl::string_view());
    writer.Pair("Incarnation", rng.Below(std::uint64_t{1} << 16));
    writer.Write(absl::string_view("Addr"));
    writer.List(4);
    for (int j = 0; j < 4; ++j) writer.Write(std::uint64_t{1});
  }
  message.push_back(0xc1);
  return message;
}

// A push/pull of so many records, and then of nothing valid.
ByteVector Records(int count, std::size_t metadata) {
  ByteVector message;
  Encode(PushPullHeader{.nodes = count + 1, .user_state_len = 0}, message);
  const ByteVector meta(metadata, 7);
  for (int i = 0; i < count; ++i) {
    const std::string name = absl::StrCat("node-", i);
    Encode(
        PushPullNode{.name = name, .addr = AsBytes("abcd"), .meta = meta, .vsn = AsBytes("123456")},
        message);
  }
  message.push_back(0xc1);
  return message;
}

void Read(benchmark::State& state, const ByteVector& bytes) {
  constexpr std::size_t kPiece = 64 << 10;
  std::size_t held = 0;
  for (auto _ : state) {
    StreamReader reader{StreamOptions()};
    const auto note = [&] { held = std::max(held, reader.held()); };
    for (ByteView rest = bytes; !rest.empty(); rest = rest.subspan(std::min(kPiece, rest.size()))) {
      Portion portion;
      reader.Feed(rest.first(std::min(kPiece, rest.size())), portion);
      note();
    }
    while (reader.status() == StreamStatus::kBusy) {
      Portion portion;
      reader.Continue(portion);
      note();
    }
    if (reader.status() != StreamStatus::kFailed) state.SkipWithError("not refused");
  }
  state.counters["wire_MiB"] = static_cast<double>(bytes.size()) / (1 << 20);
  state.counters["held_MiB"] = static_cast<double>(held) / (1 << 20);
}

// What ten thousand members say of themselves, valid: read, and read again for the merge.
ByteVector TenThousandMembers() {
  Rng rng(3);
  constexpr int kMembers = 10'000;
  ByteVector state;
  for (int i = 0; i < kMembers; ++i) {
    MsgpackWriter writer(state);
    writer.Write(absl::StrCat("node-", i, ".example.com"));
    writer.Write(rng.Below(std::uint64_t{1} << 14));
  }
  ByteVector message;
  Encode(
      PushPullHeader{.nodes = kMembers, .user_state_len = static_cast<std::int64_t>(state.size())},
      message);
  for (int i = 0; i < kMembers; ++i) {
    const std::string name = absl::StrCat("node-", i, ".example.com");
    const std::uint8_t address[] = {10, 1, static_cast<std::uint8_t>(i >> 8),
                                    static_cast<std::uint8_t>(i)};
    const std::string tags = absl::StrCat(
        "\xff\x83\xa4role\xa3web\xa2"
        "dc\xa4"
        "east\xa2id\xa8",
        10'000'000 + i);
    Encode(PushPullNode{.name = name,
                        .addr = address,
                        .port = 7946,
                        .meta = AsBytes(tags),
                        .incarnation = Incarnation(
                            1 + static_cast<std::uint32_t>(rng.Below(std::uint64_t{9}))),
                        .vsn = AsBytes("123456")},
           message);
  }
  Append(message, state);
  return message;
}

void TenThousandMembersCompressed(benchmark::State& state) {
  const ByteVector text = TenThousandMembers();
  const ByteVector bytes = Compressed(text);
  std::size_t held = 0;
  for (auto _ : state) {
    StreamReader reader{StreamOptions()};
    Portion first;
    reader.Feed(bytes, first);
    while (reader.status() == StreamStatus::kBusy) {
      Portion portion;
      reader.Continue(portion);
      held = std::max(held, reader.held());
    }
    PushPullReader content(reader.unit());
    for (PushPullNode node; content.Next(node);) held = std::max(held, content.held());
    if (!content.ReadState()) state.SkipWithError("not valid");
    held = std::max(held, reader.held() + content.held());
  }
  state.counters["text_MiB"] = static_cast<double>(text.size()) / (1 << 20);
  state.counters["wire_MiB"] = static_cast<double>(bytes.size()) / (1 << 20);
  state.counters["held_MiB"] = static_cast<double>(held) / (1 << 20);
}

// Swells beyond the bound, which is enough: no more than any program holds.
void Swelling(benchmark::State& state) {
  Read(state, Compressed(ByteVector(std::size_t{4} << 20, 0)));
}
void NoMessage(benchmark::State& state) { Read(state, Compressed(TextThatIsNoMessage())); }
void SmallRecords(benchmark::State& state) { Read(state, Records(200'000, 0)); }
void SmallRecordsCompressed(benchmark::State& state) {
  Read(state, Compressed(Records(200'000, 0)));
}
void LargeRecords(benchmark::State& state) { Read(state, Records(60'000, 512)); }
void LargeRecordsCompressed(benchmark::State& state) {
  Read(state, Compressed(Records(60'000, 512)));
}

// A mebibyte of them.
void DearRecordsCompressed(benchmark::State& state) {
  Read(state, Compressed(DearRecords(kInflatedRecordsFree + 120'000)));
}

BENCHMARK(Swelling)->Unit(benchmark::kMillisecond);
BENCHMARK(NoMessage)->Unit(benchmark::kMillisecond);
BENCHMARK(SmallRecords)->Unit(benchmark::kMillisecond);
BENCHMARK(SmallRecordsCompressed)->Unit(benchmark::kMillisecond);
BENCHMARK(LargeRecords)->Unit(benchmark::kMillisecond);
BENCHMARK(LargeRecordsCompressed)->Unit(benchmark::kMillisecond);
BENCHMARK(DearRecordsCompressed)->Unit(benchmark::kMillisecond);
BENCHMARK(TenThousandMembersCompressed)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace serf::wire
