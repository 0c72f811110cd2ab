// The cost of a Node: the answer to a ping, a packet of old news, a probe with its answer, and the
// merge of 10,000 records. Allocations are counted over a whole iteration.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "serf/base/bytes.h"
#include "serf/swim/node.h"
#include "serf/swim/outbox.h"
#include "serf/swim/test_net.h"
#include "serf/testing/allocations.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {
namespace {

constexpr int kMembers = 10'000;

Endpoint EndpointOfMember(int i) {
  return {IpAddress::V4(10, 1, static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)),
          7946};
}

// A node that knows `members` others.
class Subject {
 public:
  explicit Subject(int members) {
    Config config = Config::Lan();
    config.name = "self";
    config.advertise = TestNet::EndpointOf(1);
    config.push_pull_interval = Duration::zero();
    node_ = std::make_unique<Node>(config, delegate_);
    delegate_.node = node_.get();
    delegate_.ack_payload = std::string(60, 'c');
    node_->Start(now, out);
    for (int i = 0; i < members; ++i) node_->OnDatagram(now, EndpointOfMember(i), Alive(i), out);
    out.Clear();
  }

  static ByteVector Alive(int i) {
    const auto vsn = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
    const Endpoint endpoint = EndpointOfMember(i);
    const std::string name = absl::StrCat("member-", i);
    return TestNet::Encoded(wire::Alive{.incarnation = wire::Incarnation(1),
                                        .node = name,
                                        .addr = endpoint.address.bytes(),
                                        .port = endpoint.port,
                                        .meta = AsBytes("role=web"),
                                        .vsn = vsn});
  }

  // Runs until the news of all members are sent, which would ride on every packet.
  void Drain() {
    while (!node_->queue().empty()) {
      now = std::max(now, node_->NextDeadline());
      node_->OnTimer(now, out);
      out.Clear();
    }
  }

  // A peer's push/pull, from its first to its last portion.
  void PushPull(const Endpoint& from, ByteView request) {
    const auto id = node_->OnStreamAccepted(now, from, out);
    node_->OnStreamBytes(now, *id, request, out);
    out.Clear();
    while (node_->counters().push_pulls_merged == merged_) {
      node_->OnTimer(now, out);
      out.Clear();
    }
    ++merged_;
  }

  Node& node() { return *node_; }

  Instant now{std::chrono::hours(1)};
  Outbox out;

 private:
  RecordingDelegate delegate_;
  std::unique_ptr<Node> node_;
  std::uint64_t merged_ = 0;
};

void CountAllocations(benchmark::State& state, std::size_t before) {
  state.counters["allocations"] =
      benchmark::Counter(static_cast<double>(testkit::allocations().count - before),
                         benchmark::Counter::kAvgIterations);
}

void BM_AnswerPing(benchmark::State& state) {
  Subject subject(kMembers);
  std::vector<ByteVector> pings;
  for (int i = 0; i < 1000; ++i) {
    const Endpoint endpoint = EndpointOfMember(i);
    const std::string name = absl::StrCat("member-", i);
    pings.push_back(TestNet::Encoded(wire::Ping{.seq_no = wire::SequenceNumber(1'000'000),
                                                .node = "self",
                                                .source_addr = endpoint.address.bytes(),
                                                .source_port = endpoint.port,
                                                .source_node = name}));
  }
  subject.Drain();
  std::size_t i = 0;
  const std::size_t before = testkit::allocations().count;
  for (auto _ : state) {
    subject.node().OnDatagram(subject.now, EndpointOfMember(static_cast<int>(i)), pings[i],
                              subject.out);
    subject.out.Clear();
    i = (i + 1) % pings.size();
  }
  CountAllocations(state, before);
}
BENCHMARK(BM_AnswerPing);

void BM_OldNews(benchmark::State& state) {
  Subject subject(kMembers);
  std::vector<ByteVector> parts;
  for (int i = 0; i < 12; ++i) parts.push_back(Subject::Alive(i * 777));
  const std::vector<ByteView> views(parts.begin(), parts.end());
  ByteVector packet;
  wire::AppendCompound(views, packet);
  const std::size_t before = testkit::allocations().count;
  for (auto _ : state) {
    subject.node().OnDatagram(subject.now, EndpointOfMember(0), packet, subject.out);
    subject.out.Clear();
  }
  CountAllocations(state, before);
  state.SetItemsProcessed(state.iterations() * 12);
}
BENCHMARK(BM_OldNews);

ByteVector PushPullOf(int members) {
  const auto vsn = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
  ByteVector bytes;
  wire::Encode(wire::PushPullHeader{.nodes = members}, bytes);
  for (int i = 0; i < members; ++i) {
    const Endpoint endpoint = EndpointOfMember(i);
    const std::string name = absl::StrCat("member-", i);
    wire::Encode(wire::PushPullNode{.name = name,
                                    .addr = endpoint.address.bytes(),
                                    .port = endpoint.port,
                                    .meta = AsBytes("role=web"),
                                    .incarnation = wire::Incarnation(1),
                                    .vsn = vsn},
                 bytes);
  }
  return bytes;
}

// A push/pull of 10,000 records of which the receiver knows all: read, answered and merged.
void BM_PushPullKnown(benchmark::State& state) {
  Subject subject(kMembers);
  const ByteVector request = PushPullOf(kMembers);
  subject.Drain();
  const std::size_t before = testkit::allocations().count;
  int from = 0;
  for (auto _ : state) subject.PushPull(EndpointOfMember(from++ % kMembers), request);
  CountAllocations(state, before);
  state.SetItemsProcessed(state.iterations() * kMembers);
}
BENCHMARK(BM_PushPullKnown)->Unit(benchmark::kMillisecond);

// The same for a receiver that knows none.
void BM_PushPullNew(benchmark::State& state) {
  const ByteVector request = PushPullOf(kMembers);
  for (auto _ : state) {
    state.PauseTiming();
    auto subject = std::make_unique<Subject>(0);
    state.ResumeTiming();
    subject->PushPull(EndpointOfMember(0), request);
    state.PauseTiming();
    subject.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * kMembers);
}
BENCHMARK(BM_PushPullNew)->Unit(benchmark::kMillisecond);

// A probe from its tick to its acknowledgement.
void BM_Probe(benchmark::State& state) {
  Subject subject(100);
  subject.Drain();
  const Counters& counters = subject.node().counters();
  const std::size_t before = testkit::allocations().count;
  ByteVector ack;
  for (auto _ : state) {
    subject.now = subject.node().NextDeadline();
    subject.node().OnTimer(subject.now, subject.out);
    if (subject.out.datagrams().empty()) continue;
    const Outbox::Datagram ping = subject.out.datagrams()[0];
    wire::PacketScratch& scratch = subject.out.workspace().packet;
    wire::SequenceNumber sequence;
    wire::OpenPacket(subject.out.bytes(ping), {}, scratch, [&](wire::MessageType, ByteView body) {
      wire::Ping decoded;
      wire::DecodeScratch decode;
      if (wire::Decode(body, decoded, decode) == wire::DecodeResult::kOk) sequence = decoded.seq_no;
    });
    subject.out.Clear();
    ack.clear();
    wire::Encode(wire::Ack{.seq_no = sequence}, ack);
    subject.node().OnDatagram(subject.now, ping.to, ack, subject.out);
    subject.out.Clear();
  }
  CountAllocations(state, before);
  state.counters["failed"] = static_cast<double>(counters.probes_failed);
}
BENCHMARK(BM_Probe);

}  // namespace
}  // namespace serf::swim
