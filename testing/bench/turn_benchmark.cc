// Measures the processor time of the longest turn of the loop in a large cluster. The time of an
// iteration is that of its longest turn, during which the node answers no ping.
//   bazel run -c opt //testing/bench:turn_benchmark

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/cmd/events/script_event.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/member_listing.h"
#include "serf/outbox.h"
#include "serf/rpc/stream_event.h"
#include "serf/serf.h"
#include "serf/snapshot/snapshot.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"
#include "serf/swim/config.h"
#include "serf/swim/counters.h"
#include "serf/tags.h"
#include "serf/testing/cpu_time.h"
#include "serf/testing/test_crypto.h"
#include "serf/wire/aead.h"
#include "serf/wire/compound.h"
#include "serf/wire/ids.h"
#include "serf/wire/list_view.h"
#include "serf/wire/message_type.h"
#include "serf/wire/packet.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {
namespace {

// The seconds that f takes.
template <typename F>
double Time(F&& f) {
  const Duration start = ThreadCpuTime();
  f();
  return std::chrono::duration<double>(ThreadCpuTime() - start).count();
}

Endpoint EndpointOfMember(std::int64_t i) {
  return {IpAddress::V4(10, static_cast<std::uint8_t>(1 + (i >> 16)),
                        static_cast<std::uint8_t>(i >> 8), static_cast<std::uint8_t>(i)),
          7946};
}

std::string NameOfMember(std::int64_t i) { return absl::StrCat("member-", i * 7919 % 1'000'003); }

// A node that knows `members` others, and the agent's treatment of its events.
class Subject {
 public:
  explicit Subject(std::int64_t members, Config config = Quiet()) {
    config.swim.name = "self";
    config.swim.advertise = {IpAddress::V4(10, 0, 0, 1), 7946};
    serf_ = Serf::Create(std::move(config)).value();
    serf_->Start(now, out);
    Carry();
    for (std::int64_t i = 0; i < members; ++i) Hear(Alive(i));
  }

  static Config Quiet() {
    Config config = Config::Lan();
    config.swim.probe_interval = Duration::zero();
    config.swim.push_pull_interval = Duration::zero();
    config.coalesce_period = config.quiescent_period = Duration::zero();
    return config;
  }

  static ByteVector Alive(std::int64_t i, std::uint32_t incarnation = 1) {
    static const ByteVector& meta =
        *new ByteVector(EncodeTags({{"role", "web"}, {"dc", "east-1"}}, 5).value());
    return Alive(i, incarnation, meta);
  }
  static ByteVector Alive(std::int64_t i, std::uint32_t incarnation, const ByteVector& meta) {
    const auto vsn = wire::VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
    const Endpoint endpoint = EndpointOfMember(i);
    const std::string name = NameOfMember(i);
    return Encoded(wire::Alive{.incarnation = wire::Incarnation(incarnation),
                               .node = name,
                               .addr = endpoint.address.bytes(),
                               .port = endpoint.port,
                               .meta = meta,
                               .vsn = vsn});
  }
  static ByteVector Dead(std::int64_t i) {
    const std::string name = NameOfMember(i);
    return Encoded(
        wire::Dead{.incarnation = wire::Incarnation(1), .node = name, .from = "somebody"});
  }
  template <typename Message>
  static ByteVector Encoded(const Message& message) {
    ByteVector bytes;
    Encode(message, bytes);
    return bytes;
  }

  void Hear(const ByteVector& packet) {
    serf_->OnDatagram(now, EndpointOfMember(0), packet, out);
    Carry();
  }
  // Runs turns until none is due. Returns the longest time.
  double Settle() {
    double longest = 0;
    while (serf_->NextDeadline() <= now) longest = std::max(longest, Turn());
    return longest;
  }
  double Turn() {
    return Time([&] {
      serf_->OnTimer(now, out);
      Carry();
    });
  }
  // Does the work of a driver and of an agent that has one streaming client and one script.
  void Carry() {
    for (const Event& event : out.events()) {
      if (!tells) break;
      benchmark::DoNotOptimize(rpc::StreamEvent(event));
      benchmark::DoNotOptimize(cmd::MakeScriptEvent(event, serf_->LocalMember()));
    }
    events += out.events().size();
    datagrams += out.datagrams().size();
    const std::size_t ops = out.snapshot_ops().size();
    out.Clear();
    for (std::size_t i = 0; i < ops; ++i) serf_->OnSnapshotDone(now, absl::OkStatus(), out);
  }

  Serf& serf() { return *serf_; }

  Instant now{std::chrono::hours(1)};
  Outbox out;
  bool tells = false;
  std::size_t events = 0;
  std::size_t datagrams = 0;

 private:
  std::unique_ptr<Serf> serf_;
};

// A peer asks for the whole state.
void BM_PushPull(benchmark::State& state) {
  Subject subject(state.range(0));
  std::uint64_t time = 10;
  const ByteVector ask = Subject::Encoded(wire::PushPullHeader{});
  for (auto _ : state) {
    // The cached state is out of date.
    subject.Hear(Subject::Alive(0, static_cast<std::uint32_t>(++time)));
    const auto id = subject.serf().OnStreamAccepted(subject.now, EndpointOfMember(1), subject.out);
    subject.Carry();
    const double first = Time([&] {
      subject.serf().OnStreamBytes(subject.now, *id, ask, subject.out);
      subject.Carry();
    });
    state.SetIterationTime(std::max(first, subject.Settle()));
    subject.serf().OnStreamClosed(subject.now, *id, absl::OkStatus(), subject.out);
    subject.now += std::chrono::seconds(1);
    subject.Settle();
  }
}
BENCHMARK(BM_PushPull)->Arg(10'000)->Arg(50'000)->UseManualTime()->Unit(benchmark::kMillisecond);

// All events come at once, and are delivered together.
void BM_CoalescedJoins(benchmark::State& state) {
  for (auto _ : state) {
    Config config = Subject::Quiet();
    config.coalesce_period = std::chrono::seconds(5);
    config.quiescent_period = std::chrono::seconds(1);
    Subject subject(state.range(0), config);
    subject.tells = true;
    double longest = 0;
    // Other turns deliver no event.
    while (subject.events == 0) {
      subject.now = std::max(subject.now, subject.serf().NextDeadline());
      longest = subject.Turn();
    }
    state.SetIterationTime(std::max(longest, subject.Settle()));
  }
}
BENCHMARK(BM_CoalescedJoins)
    ->Arg(10'000)
    ->Arg(16'000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// All members have been dead for a day.
void BM_Reap(benchmark::State& state) {
  for (auto _ : state) {
    Subject subject(state.range(0));
    for (std::int64_t i = 0; i < state.range(0); ++i) subject.Hear(Subject::Dead(i));
    subject.tells = true;
    subject.now += std::chrono::hours(24);
    double longest = 0;
    for (int i = 0; i < 10; ++i) {
      subject.now = std::max(subject.now, subject.serf().NextDeadline());
      longest = std::max({longest, subject.Turn(), subject.Settle()});
    }
    if (subject.serf().member_count() != 1) state.SkipWithError("not all were reaped");
    state.SetIterationTime(longest);
  }
}
BENCHMARK(BM_Reap)->Arg(10'000)->Arg(50'000)->UseManualTime()->Unit(benchmark::kMillisecond);

// All suspects time out at once.
void BM_SuspicionsEnd(benchmark::State& state) {
  for (auto _ : state) {
    Subject subject(state.range(0));
    for (std::int64_t i = 0; i < state.range(0); ++i) {
      const std::string name = NameOfMember(i);
      subject.Hear(Subject::Encoded(
          wire::Suspect{.incarnation = wire::Incarnation(1), .node = name, .from = "somebody"}));
    }
    subject.tells = true;
    subject.now += std::chrono::hours(1);
    state.SetIterationTime(subject.Settle());
  }
}
BENCHMARK(BM_SuspicionsEnd)
    ->Arg(10'000)
    ->Arg(50'000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// The SWIM layer forgets half of the members.
void BM_RingWraps(benchmark::State& state) {
  for (auto _ : state) {
    Config config = Subject::Quiet();
    config.swim.probe_interval = std::chrono::seconds(1);
    Subject subject(state.range(0), config);
    for (std::int64_t i = 1; i < state.range(0); ++i) subject.Hear(Subject::Dead(i));
    subject.Settle();
    subject.now += std::chrono::hours(1);
    double longest = 0;
    for (int i = 0; i < 200; ++i) {
      subject.now = std::max(subject.now, subject.serf().NextDeadline());
      longest = std::max(longest, subject.Turn());
    }
    state.counters["known"] = static_cast<double>(subject.serf().node().known_nodes());
    state.SetIterationTime(longest);
  }
}
BENCHMARK(BM_RingWraps)->Arg(10'000)->Arg(50'000)->UseManualTime()->Unit(benchmark::kMillisecond);

// --- a packet with as many messages as it may hold ---

// Messages of each kind that cost the most for their size. `i` is another one each time.
using MakeMessage = ByteVector (*)(std::int64_t i);

ByteVector User(const ByteVector& message) {
  ByteVector user{static_cast<std::uint8_t>(wire::MessageType::kUser)};
  Append(user, message);
  return user;
}

wire::QueryMessage QueryOf(std::int64_t i) {
  static const std::string& source = *new std::string(NameOfMember(1));
  static const Endpoint& from = *new Endpoint(EndpointOfMember(1));
  return {.ltime = wire::LamportTime(static_cast<std::uint64_t>(2 + i / 256)),
          .id = static_cast<std::uint32_t>(i),
          .addr = from.address.bytes(),
          .port = from.port,
          .source_node = source,
          .timeout_ns = 1'000'000'000,
          .name = "q"};
}

// From a member, so that gossip rides on each answer.
ByteVector PingOf(std::int64_t i) {
  const Endpoint from = EndpointOfMember(1);
  const std::string source = NameOfMember(1);
  return Subject::Encoded(wire::Ping{.seq_no = wire::SequenceNumber(static_cast<std::uint32_t>(i)),
                                     .source_addr = from.address.bytes(),
                                     .source_port = from.port,
                                     .source_node = source});
}
ByteVector IndirectPingOf(std::int64_t i) {
  const Endpoint from = EndpointOfMember(1);
  const std::string source = NameOfMember(1);
  const std::string target = NameOfMember(2);
  const Endpoint to = EndpointOfMember(2);
  return Subject::Encoded(
      wire::IndirectPing{.seq_no = wire::SequenceNumber(static_cast<std::uint32_t>(i)),
                         .target = to.address.bytes(),
                         .port = to.port,
                         .node = target,
                         .source_addr = from.address.bytes(),
                         .source_port = from.port,
                         .source_node = source});
}
ByteVector StrangerOf(std::int64_t i) {
  static const ByteVector& meta = *new ByteVector(
      EncodeTags({{"role", std::string(250, 'r')}, {"dc", std::string(240, 'd')}}, 5).value());
  return Subject::Alive(100'000 + i, 1, meta);
}
ByteVector TagsOf(std::int64_t i) {
  return Subject::Alive(i % 1000, static_cast<std::uint32_t>(2 + i / 1000));
}
ByteVector SuspectOf(std::int64_t i) {
  const std::string name = NameOfMember(i % 10'000);
  return Subject::Encoded(wire::Suspect{
      .incarnation = wire::Incarnation(1), .node = name, .from = absl::StrCat("m", i % 7)});
}
ByteVector DeadOf(std::int64_t i) { return Subject::Dead(i % 10'000); }
ByteVector JoinIntentOf(std::int64_t i) {
  const std::string name = NameOfMember(i % 1000);
  return User(Subject::Encoded(wire::JoinMessage{
      .ltime = wire::LamportTime(static_cast<std::uint64_t>(2 + i / 1000)), .node = name}));
}
ByteVector UserEventOf(std::int64_t i) {
  const std::string name = absl::StrCat("e", i);
  return User(Subject::Encoded(wire::UserEventMessage{
      .ltime = wire::LamportTime(static_cast<std::uint64_t>(2 + i / 64)), .name = name}));
}
ByteVector AckedQueryOf(std::int64_t i) {
  wire::QueryMessage query = QueryOf(i);
  query.flags = wire::kQueryFlagAck;
  return User(Subject::Encoded(query));
}
ByteVector RelayedQueryOf(std::int64_t i) {
  wire::QueryMessage query = QueryOf(i);
  query.flags = wire::kQueryFlagAck;
  query.relay_factor = 255;
  return User(Subject::Encoded(query));
}
ByteVector FilteredQueryOf(std::int64_t i) {
  wire::QueryMessage query = QueryOf(i);
  const std::string expression = absl::StrCat("(x*|y*)*(x|z)*", i, "$");
  ByteVector filter;
  wire::EncodeFilter(wire::TagFilter{.tag = "role", .expr = expression}, filter);
  const std::vector<ByteView> filters{filter};
  query.filters = wire::ListView<ByteView>(filters);
  return User(Subject::Encoded(query));
}

// The packet that holds most of them.
ByteVector PacketOf(MakeMessage make, std::int64_t& next, const swim::Config& config) {
  for (std::size_t count = wire::kPacketLeavesMax;; count -= count / 8) {
    std::vector<ByteVector> messages;
    for (std::size_t i = 0; i < count; ++i) messages.push_back(make(next++));
    std::vector<ByteVector> inner;
    for (std::size_t i = 0; i < count;) {
      std::vector<ByteView> parts;
      std::size_t size = 2;
      while (i < count && parts.size() < wire::kCompoundPartsMax &&
             size + messages[i].size() + 2 < 60'000) {
        size += messages[i].size() + 2;
        parts.push_back(messages[i++]);
      }
      wire::AppendCompound(parts, inner.emplace_back());
    }
    ByteVector packet;
    wire::AppendCompound(std::vector<ByteView>(inner.begin(), inner.end()), packet);
    wire::PacketScratch scratch;
    ByteVector sealed;
    const wire::SealOptions options{.keyring = config.keyring.get(),
                                    .aead = config.aead.get(),
                                    .nonces = config.nonces.get(),
                                    .compress = true};
    if (wire::SealPacket(packet, options, scratch, sealed) && sealed.size() <= wire::kDatagramMax) {
      return sealed;
    }
  }
}

void BM_Packet(benchmark::State& state, MakeMessage make,
               swim::GossipPacing pacing = swim::GossipPacing::kPrompt) {
  Config config = Subject::Quiet();
  // Long, so that it is dear to match.
  config.tags = {{"role", std::string(400, 'x')}};
  config.swim.gossip_pacing = pacing;
  Encrypt(config.swim, ByteVector(32, 7));
  config.swim.verify_incoming = false;  // of the members
  Subject subject(10'000, config);
  std::int64_t next = 1;
  std::size_t datagrams = 0;
  for (auto _ : state) {
    const ByteVector packet = PacketOf(make, next, subject.serf().config().swim);
    subject.now += std::chrono::seconds(1);
    subject.Settle();
    const std::size_t before = subject.datagrams;
    subject.tells = true;
    const double first = Time([&] { subject.Hear(packet); });
    state.SetIterationTime(std::max(first, subject.Settle()));
    datagrams = subject.datagrams - before;
    state.counters["bytes"] = static_cast<double>(packet.size());
  }
  const swim::Counters& counters = subject.serf().node().counters();
  state.counters["sent"] = static_cast<double>(datagrams);
  state.counters["sent_bytes"] = static_cast<double>(counters.datagram_bytes_sent);
  state.counters["queue"] = static_cast<double>(subject.serf().node().queue().size());
  state.counters["faults"] = static_cast<double>(
      counters.dropped_compound + counters.dropped_decompress + counters.dropped_malformed +
      counters.dropped_nesting + counters.dropped_decrypt);
}
#define BENCHMARK_PACKET(name)              \
  BENCHMARK_CAPTURE(BM_Packet, name, &name) \
      ->Iterations(20)                      \
      ->UseManualTime()                     \
      ->Unit(benchmark::kMillisecond)
BENCHMARK_PACKET(PingOf);
// Without prompt gossip it rides on the answers.
BENCHMARK_CAPTURE(BM_Packet, PingOf_ticked, &PingOf, swim::GossipPacing::kTicked)
    ->Iterations(20)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK_PACKET(IndirectPingOf);
BENCHMARK_PACKET(StrangerOf);
BENCHMARK_PACKET(TagsOf);
BENCHMARK_PACKET(SuspectOf);
BENCHMARK_PACKET(DeadOf);
BENCHMARK_PACKET(JoinIntentOf);
BENCHMARK_PACKET(UserEventOf);
BENCHMARK_PACKET(AckedQueryOf);
BENCHMARK_PACKET(RelayedQueryOf);
BENCHMARK_PACKET(FilteredQueryOf);

// The snapshot is replaced.
void BM_SnapshotIsReplaced(benchmark::State& state) {
  SnapshotState file;
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    file.alive[NameOfMember(i)] = EndpointOfMember(i).ToString();
  }
  file.size = std::uint64_t{1} << 40;
  const Instant now{};
  std::vector<SnapshotOp> ops;
  for (auto _ : state) {
    Snapshot snapshot(now, file, {});
    double longest = 0;
    while (ops.empty()) {
      longest = std::max(longest, Time([&] { snapshot.Flush(now, ops); }));
    }
    ops.clear();
    state.SetIterationTime(longest);
  }
}
BENCHMARK(BM_SnapshotIsReplaced)
    ->Arg(10'000)
    ->Arg(50'000)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// --- views, each in one turn ---

void BM_ListMembers(benchmark::State& state) {
  Subject subject(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(subject.serf().ListMembers());
}
BENCHMARK(BM_ListMembers)->Arg(10'000)->Arg(50'000)->Unit(benchmark::kMillisecond);

void BM_Members(benchmark::State& state) {
  Subject subject(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(subject.serf().Members());
}
BENCHMARK(BM_Members)->Arg(1'000)->Arg(10'000)->Arg(50'000)->Unit(benchmark::kMillisecond);

void BM_Stats(benchmark::State& state) {
  Subject subject(state.range(0));
  for (auto _ : state) {
    benchmark::DoNotOptimize(subject.serf().Stats());
    benchmark::DoNotOptimize(subject.serf().LocalMember());
  }
}
BENCHMARK(BM_Stats)->Arg(10'000)->Arg(50'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace serf::testkit
