// Any bytes, as a datagram, as a stream of a peer, as the answer to a join, and as a series of
// datagrams with time between. The node keeps its own name alive, keeps its deadlines and its
// limits, and still answers.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/swim/delegate.h"
#include "serf/swim/node.h"
#include "serf/swim/outbox.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/wire/packet.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {
namespace {

class QuietDelegate final : public Delegate {
 public:
  void OnNodeJoin(Instant, MemberIndex) override {}
  void OnNodeLeave(Instant, MemberIndex) override {}
  void OnNodeUpdate(Instant, MemberIndex) override {}
  void OnNodePurged(Instant, MemberIndex) override {}
  void OnConflict(Instant, MemberIndex, const Endpoint&) override {}
  void OnUserMessage(Instant, const Endpoint&, ByteView, Spread) override {}
  std::size_t DrawBroadcasts(std::size_t, std::size_t, std::vector<ByteView>&,
                             BroadcastQueue::Packet) override {
    return 0;
  }
  BroadcastsWaiting QueuedBroadcasts() const override { return {}; }
  std::unique_ptr<StateWriter> WriteLocalState(bool) override {
    return std::make_unique<ShortState>(ByteVector());
  }
  bool MergeRemoteState(Instant, const serf::swim::RemoteState&) override { return true; }
  void AppendAckPayload(ByteVector&) override {}
  void OnPingComplete(Instant, MemberIndex, Duration, ByteView) override {}
  void OnLeaveBroadcast(Instant) override {}
  void OnUpdateBroadcast(Instant) override {}
};

class FuzzedNode {
 public:
  explicit FuzzedNode(Outbox& out) : out_(out), node_(MakeConfig(), delegate_) {
    node_.Start(now_, out_);
    out_.Clear();
  }

  void Datagram(ByteView bytes) {
    node_.OnDatagram(now_, kPeer, bytes, out_);
    out_.Clear();
  }

  void AcceptedStream(ByteView bytes, std::size_t piece) {
    const std::optional<StreamId> id = node_.OnStreamAccepted(now_, kPeer, out_);
    if (!id) std::abort();
    Feed(*id, bytes, piece);
  }

  void JoinAnswer(ByteView bytes) {
    node_.Join(now_, {{"peer", kPeer}}, out_);
    if (out_.stream_ops().size() != 1) std::abort();
    const StreamId id = out_.stream_ops()[0].stream;
    node_.OnStreamConnected(now_, id, out_);
    out_.Clear();
    Feed(id, bytes, bytes.size() + 1);
    if (node_.TakeJoinResults().size() != 1) std::abort();
  }

  // Serves timers as a driver would.
  void Pass(Duration duration) {
    const Instant end = now_ + duration;
    for (int served = 0; node_.NextDeadline() <= end; ++served) {
      if (served > 100'000) std::abort();  // it wakes the driver without end
      now_ = std::max(now_, node_.NextDeadline());
      node_.OnTimer(now_, out_);
      out_.Clear();
    }
    now_ = end;
  }

  void Check() {
    const MemberIndex self = node_.self();
    if (node_.state(self) != NodeState::kAlive) std::abort();
    if (node_.Find("self") != self || node_.info(self).endpoint() != kSelf) std::abort();
    node_.ForEachMember([&](MemberIndex m) {
      const NodeInfo& info = node_.info(m);
      if (info.name().empty() || info.name().size() > kNodeNameMax) std::abort();
      if (info.meta().size() > kMetaMax) std::abort();
      if (node_.Find(info.name()) != m) std::abort();
    });
    Pass(std::chrono::seconds(2));
    ByteVector ping;
    wire::Encode(wire::Ping{.node = "self"}, ping);
    node_.OnDatagram(now_, kPeer, ping, out_);
    if (out_.datagrams().size() != 1) std::abort();
    out_.Clear();
  }

 private:
  static constexpr Endpoint kSelf{IpAddress::V4(10, 0, 0, 1), 7946};
  static constexpr Endpoint kPeer{IpAddress::V4(10, 0, 0, 9), 7946};

  static Config MakeConfig() {
    Config config = Config::Lan();
    config.name = "self";
    config.advertise = kSelf;
    config.delegate_protocol_min = 2;
    config.delegate_protocol_max = 5;
    config.delegate_protocol_version = 4;
    return config;
  }

  void Feed(StreamId id, ByteView bytes, std::size_t piece) {
    bool closed = false;
    const auto settle = [&] {
      for (const Outbox::StreamOp& op : out_.stream_ops()) {
        closed = closed || (op.stream == id && op.kind == Outbox::StreamOp::Kind::kClose);
      }
      out_.Clear();
    };
    while (!bytes.empty() && !closed) {
      const std::size_t size = std::min(piece, bytes.size());
      node_.OnStreamBytes(now_, id, bytes.first(size), out_);
      bytes = bytes.subspan(size);
      settle();
    }
    if (closed) return;
    node_.OnStreamClosed(now_, id, absl::OkStatus(), out_);
    out_.Clear();
  }

  Outbox& out_;
  Instant now_{std::chrono::hours(1)};
  QuietDelegate delegate_;
  Node node_;
};

}  // namespace
}  // namespace serf::swim

namespace {

// Two nodes get the input twice as a datagram, inflated into a vector that doubles, and three times
// as a stream, each inflated as far as allowed.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {9 * serf::wire::kInflationMax,
              3 * serf::wire::kInflationFree + 6 * serf::wire::kPacketInflationFree + (2 << 20)},
    .peak = {4 * serf::wire::kInflationMax,
             2 * serf::wire::kInflationFree + 3 * serf::wire::kPacketInflationFree + (1 << 20)},
    .work = {300, 100000},
};

void Fuzz(serf::ByteView input) {
  using serf::swim::FuzzedNode;
  static serf::swim::Outbox out;
  FuzzedNode node(out);
  node.Datagram(input);
  node.AcceptedStream(input, input.size() + 1);
  node.AcceptedStream(input, 1 + input.size() / 8);
  node.JoinAnswer(input);
  node.Check();
  // length datagram length datagram ...
  FuzzedNode series(out);
  for (serf::ByteView rest = input; !rest.empty();) {
    const std::size_t length = std::min<std::size_t>(rest[0], rest.size() - 1);
    series.Datagram(rest.subspan(1, length));
    series.Pass(std::chrono::milliseconds(rest[0]));
    rest = rest.subspan(1 + length);
  }
  series.Check();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
