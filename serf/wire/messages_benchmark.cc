// Costs of encoding and decoding single messages.

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "benchmark/benchmark.h"
#include "serf/base/bytes.h"
#include "serf/wire/coordinate_message.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace serf::wire {
namespace {

constexpr std::array<std::uint8_t, 4> kAddress = {10, 0, 0, 1};
constexpr std::array<std::uint8_t, 6> kVersions = {1, 5, 2, 2, 5, 5};

template <typename Message>
void EncodeLoop(benchmark::State& state, const Message& message) {
  ByteVector out;
  for (auto _ : state) {
    out.clear();
    Encode(message, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * out.size()));
}

template <typename Message>
void DecodeLoop(benchmark::State& state, const Message& message) {
  ByteVector bytes;
  Encode(message, bytes);
  const ByteView body = ByteView(bytes).subspan(1);
  DecodeScratch scratch;
  Message decoded;
  for (auto _ : state) {
    benchmark::DoNotOptimize(Decode(body, decoded, scratch));
    benchmark::DoNotOptimize(decoded);
  }
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * bytes.size()));
}

Ping MakePing() {
  return {.seq_no = SequenceNumber(123456),
          .node = "node-0001.dc1",
          .source_addr = kAddress,
          .source_port = 7946,
          .source_node = "node-0002.dc1"};
}
Ack MakeAck() { return {.seq_no = SequenceNumber(123456), .payload = kVersions}; }
Suspect MakeSuspect() {
  return {.incarnation = Incarnation(3), .node = "node-0001.dc1", .from = "node-0002.dc1"};
}
Alive MakeAlive() {
  return {.incarnation = Incarnation(3),
          .node = "node-0001.dc1",
          .addr = kAddress,
          .port = 7946,
          .meta = AsBytes("\xff\x82\xa2"
                          "dc\xa4"
                          "east\xa4role\xa3web"),
          .vsn = kVersions};
}
UserEventMessage MakeEvent() {
  return {.ltime = LamportTime(4711), .name = "deploy", .payload = AsBytes("v1.2.3"), .cc = true};
}
QueryMessage MakeQuery() {
  return {.ltime = LamportTime(4711),
          .id = 531013965,
          .addr = kAddress,
          .port = 7946,
          .source_node = "node-0001.dc1",
          .timeout_ns = 15'000'000'000,
          .name = "load",
          .payload = AsBytes("hello")};
}
QueryResponseMessage MakeResponse() {
  return {.ltime = LamportTime(4711),
          .id = 531013965,
          .from = "node-0001.dc1",
          .payload = AsBytes("up 3 days")};
}

// A record of a push/pull; it has no type byte.
PushPullNode MakeNode() {
  return {.name = "node-0001.dc1",
          .addr = kAddress,
          .port = 7946,
          .meta = AsBytes("\xff\x81\xa4role\xa3web"),
          .incarnation = Incarnation(3),
          .vsn = kVersions};
}
RelayHeader MakeRelay() {
  return {.dest_addr = {.ip = kAddress, .port = 7946}, .dest_name = "node-0001.dc1"};
}
CoordinateMessage MakeCoordinate() {
  static constexpr std::array<double, 8> kVec = {1, 2, 3, 4, 5, 6, 7, 8};
  return {.vec = CoordinateVector(kVec), .error = 1.5, .adjustment = 0.001, .height = 1e-5};
}

#define BOTH_WAYS(name, message)                \
  BENCHMARK_CAPTURE(EncodeLoop, name, message); \
  BENCHMARK_CAPTURE(DecodeLoop, name, message)

BOTH_WAYS(ping, MakePing());
BOTH_WAYS(ack, MakeAck());
BOTH_WAYS(suspect, MakeSuspect());
BOTH_WAYS(alive, MakeAlive());
BOTH_WAYS(user_event, MakeEvent());
BOTH_WAYS(query, MakeQuery());
BOTH_WAYS(query_response, MakeResponse());
BOTH_WAYS(relay, MakeRelay());
BOTH_WAYS(coordinate, MakeCoordinate());
BENCHMARK_CAPTURE(EncodeLoop, push_pull_node, MakeNode());

// The Serf layer's part of a push/pull: members, and a ring of 512 unused slots.
void PushPullStateOf(benchmark::State& state) {
  const std::vector<StatusLTime> status(static_cast<std::size_t>(state.range(0)),
                                        {"node-0001.dc1", LamportTime(4711)});
  const std::vector<EventSlot> events(512);
  ByteVector out;
  std::uint64_t sum = 0;
  for (auto _ : state) {
    out.clear();
    Encode(PushPullState{.status_ltimes = ListView<StatusLTime>(status),
                         .events = ListView<EventSlot>(events)},
           out);
    PushPullState decoded;
    DecodeScratch scratch;
    benchmark::DoNotOptimize(Decode(ByteView(out).subspan(1), decoded, scratch));
    decoded.status_ltimes.ForEach([&](const StatusLTime& s) { sum += s.ltime.value(); });
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(PushPullStateOf)->Arg(100)->Arg(10000);

}  // namespace
}  // namespace serf::wire
