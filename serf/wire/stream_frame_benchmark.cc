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
#include "serf/wire/lzw.h"
#include "serf/wire/message_type.h"
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

BENCHMARK(Swelling)->Unit(benchmark::kMillisecond);
BENCHMARK(NoMessage)->Unit(benchmark::kMillisecond);
BENCHMARK(SmallRecords)->Unit(benchmark::kMillisecond);
BENCHMARK(SmallRecordsCompressed)->Unit(benchmark::kMillisecond);
BENCHMARK(LargeRecords)->Unit(benchmark::kMillisecond);
BENCHMARK(LargeRecordsCompressed)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace serf::wire
