// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_TEST_NET_H_
#define SERF_SWIM_TEST_NET_H_

// TestNet: a handful of swim::Nodes on a virtual network, for the tests of the SWIM layer: exact
// virtual time, one latency, links that can be cut. testing/sim/world.h is the simulator for
// everything else.

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/delegate.h"
#include "serf/swim/node.h"
#include "serf/swim/outbox.h"
#include "serf/swim/told_mark.h"
#include "serf/wire/aead.h"
#include "serf/wire/crc32.h"
#include "serf/wire/label.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/openssl_aead.h"
#include "serf/wire/packet.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

// Nonces that count, for runs that must be repeatable.
class CountingNonces final : public wire::NonceSource {
 public:
  void Fill(wire::Nonce& nonce) override {
    ++count_;
    for (std::size_t i = 0; i < nonce.size(); ++i) {
      nonce[i] = i < 8 ? static_cast<std::uint8_t>(count_ >> (8 * i)) : std::uint8_t{0};
    }
  }

 private:
  std::uint64_t count_ = 0;
};

// Installs a keyring with `key`, of 16, 24 or 32 bytes.
inline void Encrypt(Config& config, ByteView key) {
  config.keyring = std::make_shared<wire::Keyring>();
  const absl::Status status = config.keyring->Add(key);
  assert(status.ok());
  (void)status;
  config.aead = std::make_shared<wire::OpensslAead>();
  config.nonces = std::make_shared<CountingNonces>();
}

class LinesLogger final : public Logger {
 public:
  bool Enabled(LogLevel level) const override { return level >= least; }
  void Write(LogLevel level, absl::string_view text) override {
    lines.push_back(absl::StrCat("[", LogLevelName(level), "] ", text));
  }
  // How many lines contain `part`.
  int Count(absl::string_view part) const {
    int n = 0;
    for (const std::string& line : lines) {
      n += line.find(part.data(), 0, part.size()) != std::string::npos;
    }
    return n;
  }

  LogLevel least = LogLevel::kDebug;
  std::vector<std::string> lines;
};

// Writes down each call, in order.
class RecordingDelegate : public Delegate {
 public:
  explicit RecordingDelegate(BroadcastQueue::Order order = BroadcastQueue::Order::kWaves)
      : queue(1024, order) {}

  void OnNodeJoin(Instant, MemberIndex m) override { Note("join", m); }
  void OnNodeLeave(Instant, MemberIndex m) override {
    Note(node->state(m) == NodeState::kLeft ? "left" : "failed", m);
  }
  void OnNodeUpdate(Instant, MemberIndex m) override { Note("update", m); }
  void OnNodePurged(Instant, MemberIndex m) override { Note("purged", m); }
  void OnConflict(Instant, MemberIndex m, const Endpoint& other) override {
    events.push_back(absl::StrCat("conflict ", node->info(m).name(), " ", other.ToString()));
  }
  void OnUserMessage(Instant, const Endpoint&, ByteView message, Spread spread) override {
    messages.emplace_back(AsText(message));
    if (!regossip || !heard.insert(messages.back()).second) return;
    queue.Enqueue("", message, 0, spread);
    if (on_heard) on_heard(*this);
  }
  std::size_t DrawBroadcasts(std::size_t overhead, std::size_t budget, std::vector<ByteView>& parts,
                             BroadcastQueue::Packet packet) override {
    return queue.Draw(transmit_limit, overhead, budget, parts, packet);
  }
  BroadcastsWaiting QueuedBroadcasts() const override { return queue.waiting(); }
  std::unique_ptr<StateWriter> WriteLocalState(bool join) override {
    ByteVector bytes;
    if (!state.empty()) Append(bytes, AsBytes(absl::StrCat(state, join ? "+join" : "")));
    return std::make_unique<ShortState>(std::move(bytes));
  }
  bool MergeRemoteState(Instant, const RemoteState& remote) override {
    ++state_calls;
    // All calls of one state come before the first of another.
    assert(remote.first == (portions_left == 0));
    assert(remote.first || remote.bytes.data() == merging);
    if (remote.first) portions_left = 1 + state_portions;
    merging = remote.bytes.data();
    if (--portions_left > 0) return false;
    merged.push_back(absl::StrCat(AsText(remote.bytes), remote.join ? " join" : ""));
    return true;
  }
  void AppendAckPayload(ByteVector& out) override { Append(out, AsBytes(ack_payload)); }
  void OnPingComplete(Instant, MemberIndex m, Duration rtt, ByteView payload) override {
    pings.push_back(absl::StrCat(node->info(m).name(), " ",
                                 std::chrono::duration_cast<std::chrono::milliseconds>(rtt).count(),
                                 "ms ", AsText(payload)));
  }
  void OnLeaveBroadcast(Instant) override { events.push_back("leave is out"); }
  void OnUpdateBroadcast(Instant) override { events.push_back("update is out"); }

  void Note(absl::string_view what, MemberIndex m) {
    events.push_back(absl::StrCat(what, " ", node->info(m).name()));
  }
  int Count(absl::string_view event) const {
    int n = 0;
    for (const std::string& e : events) n += e == event;
    return n;
  }

  const Node* node = nullptr;
  int transmit_limit = 4;
  BroadcastQueue queue;
  bool regossip = false;                             // gossips each new user message
  std::set<std::string> heard;                       // with `regossip`
  std::function<void(RecordingDelegate&)> on_heard;  // a new message
  std::vector<Instant> heard_at;
  std::string state;
  int state_portions = 0;  // how many calls a state of others takes, besides the last one
  int state_calls = 0;
  std::string ack_payload;
  std::vector<std::string> events;
  std::vector<std::string> messages;
  std::vector<std::string> merged;
  std::vector<std::string> pings;

 private:
  int portions_left = 0;
  const std::uint8_t* merging = nullptr;
};

class TestNet {
 public:
  struct Host {
    explicit Host(const Config& config)
        : delegate(BroadcastQueue::OrderFor(config.gossips_promptly())) {}

    std::string name;
    Endpoint endpoint;
    LinesLogger logger;
    RecordingDelegate delegate;
    std::unique_ptr<Node> node;
    bool up = true;
    std::vector<Node::JoinDone> joins;
  };

  // A datagram that some node sent, as text: the messages in it, " + " between them.
  struct Sent {
    Instant at;
    std::string from;
    Endpoint to;
    std::string text;
    std::vector<wire::SequenceNumber> sequences;  // of its pings, indirect pings, acks and nacks
    std::size_t size = 0;
    bool crc = false;
  };

  static Endpoint EndpointOf(int i) {
    return {IpAddress::V4(10, 0, 0, static_cast<std::uint8_t>(i)), 7946};
  }

  // A node "n<i>" at 10.0.0.<i>, started at once. Compression and the promptness of gossip are
  // those of the profile.
  Host& Add(int i, Config config = Config::Lan()) {
    auto host = std::make_unique<Host>(config);
    host->name = absl::StrCat("n", i);
    host->endpoint = EndpointOf(i);
    config.name = host->name;
    config.advertise = host->endpoint;
    config.seed = seed + static_cast<std::uint64_t>(i);
    config.logger = &host->logger;
    assert(config.Validate().ok());
    host->node = std::make_unique<Node>(config, host->delegate);
    host->delegate.node = host->node.get();
    Host& added = *host;
    hosts_[host->endpoint] = std::move(host);
    added.node->Start(now, out_);
    Flush(added);
    return added;
  }

  void Remove(Host& host) { hosts_.erase(host.endpoint); }
  Host* Find(const Endpoint& endpoint) {
    const auto it = hosts_.find(endpoint);
    return it == hosts_.end() ? nullptr : it->second.get();
  }

  // `host` makes a push/pull with `other`; returns when that is done.
  Node::JoinDone Join(Host& host, const Endpoint& other) {
    const JoinId id = host.node->Join(now, {{other.ToString(), other}}, out_);
    Flush(host);
    for (int i = 0; i < 100000; ++i) {
      for (const Node::JoinDone& done : host.joins) {
        if (done.id == id) return done;
      }
      Step();
    }
    return {};
  }

  // Calls input(node, now, out) and carries out the effects.
  template <typename Input>
  void Do(Host& host, const Input& input) {
    input(*host.node, now, out_);
    Flush(host);
  }
  // Delivers a datagram from any address, at once.
  void Inject(Host& host, const Endpoint& from, ByteView datagram) {
    host.node->OnDatagram(now, from, datagram, out_);
    Flush(host);
  }

  void RunFor(Duration duration) {
    const Instant end = now + duration;
    while (NextEvent() <= end) Step();
    now = end;
  }
  // Runs until `done()` or the time is over; true if done.
  template <typename Done>
  bool RunUntil(Duration limit, const Done& done) {
    const Instant end = now + limit;
    while (!done()) {
      if (NextEvent() > end) {
        now = end;
        return done();
      }
      Step();
    }
    return true;
  }

  std::uint64_t seed = 1;
  Instant now{std::chrono::hours(1)};
  Duration latency = std::chrono::milliseconds(1);
  // Datagrams are lost, and streams refused, if these return true.
  std::function<bool(const Host& from, const Endpoint& to)> drop;
  std::function<bool(const Host& from, const Endpoint& to)> refuse;
  // All datagrams that were sent. Encrypted ones are "sealed".
  std::vector<Sent> sent;

  // The datagrams to `to` whose text contains `part`.
  std::vector<Sent> SentTo(const Endpoint& to, absl::string_view part) const {
    std::vector<Sent> found;
    for (const Sent& s : sent) {
      if (s.to == to && s.text.find(part.data(), 0, part.size()) != std::string::npos) {
        found.push_back(s);
      }
    }
    return found;
  }

  template <typename Message>
  static ByteVector Encoded(const Message& message) {
    ByteVector bytes;
    wire::Encode(message, bytes);
    return bytes;
  }

 private:
  struct StreamEnd {
    Host* host = nullptr;
    StreamId id;
    bool operator<(const StreamEnd& other) const {
      return std::pair(host->endpoint, id) < std::pair(other.host->endpoint, other.id);
    }
  };
  using Event = std::function<void()>;

  void At(Instant when, Event event) {
    events_.emplace(std::pair(when, next_event_++), std::move(event));
  }

  Instant NextEvent() const {
    Instant next = events_.empty() ? kNever : events_.begin()->first.first;
    for (const auto& [endpoint, host] : hosts_) {
      if (host->up) next = std::min(next, host->node->NextDeadline());
    }
    return next;
  }

  void Step() {
    const Instant next = NextEvent();
    assert(next != kNever);
    now = std::max(now, next);
    if (!events_.empty() && events_.begin()->first.first <= now) {
      Event event = std::move(events_.begin()->second);
      events_.erase(events_.begin());
      event();
      return;
    }
    for (const auto& [endpoint, host] : hosts_) {
      if (!host->up || host->node->NextDeadline() > now) continue;
      host->node->OnTimer(now, out_);
      Flush(*host);
      return;
    }
  }

  void Flush(Host& host) {
    for (const Outbox::Datagram& d : out_.datagrams()) Send(host, d.to, out_.bytes(d));
    for (const Outbox::StreamOp& op : out_.stream_ops()) Carry(host, op);
    out_.Clear();
    for (Node::JoinDone& done : host.node->TakeJoinResults()) host.joins.push_back(std::move(done));
  }

  void Send(Host& host, const Endpoint& to, ByteView bytes) {
    sent.push_back(Describe(host, to, bytes));
    if (!host.up || (drop && drop(host, to))) return;
    At(now + latency, [this, from = host.endpoint, to, b = ByteVector(bytes.begin(), bytes.end())] {
      Host* target = Find(to);
      if (target == nullptr || !target->up) return;
      target->node->OnDatagram(now, from, b, out_);
      Flush(*target);
    });
  }

  Sent Describe(const Host& host, const Endpoint& to, ByteView bytes);

  void Carry(Host& host, const Outbox::StreamOp& op) {
    const StreamEnd self{&host, op.stream};
    switch (op.kind) {
      case Outbox::StreamOp::Kind::kDial:
        At(now + latency, [this, self, to = op.to] { Connect(self, to); });
        return;
      case Outbox::StreamOp::Kind::kWrite: {
        const auto peer = peers_.find(self);
        if (peer == peers_.end()) return;
        const ByteView bytes = out_.bytes(op);
        At(now + latency, [this, self, b = ByteVector(bytes.begin(), bytes.end())] {
          const auto found = peers_.find(self);
          if (found == peers_.end()) return;
          const StreamEnd end = found->second;
          end.host->node->OnStreamBytes(now, end.id, b, out_);
          Flush(*end.host);
        });
        return;
      }
      case Outbox::StreamOp::Kind::kClose:
        At(now + latency, [this, self] {
          const auto found = peers_.find(self);
          if (found == peers_.end()) return;
          const StreamEnd end = found->second;
          peers_.erase(self);
          peers_.erase(end);
          end.host->node->OnStreamClosed(now, end.id, absl::OkStatus(), out_);
          Flush(*end.host);
        });
        return;
    }
  }

  void Connect(const StreamEnd& self, const Endpoint& to) {
    Host* target = Find(to);
    if (target == nullptr || !target->up || (refuse && refuse(*self.host, to))) {
      self.host->node->OnStreamClosed(
          now, self.id,
          absl::UnavailableError(
              absl::StrCat("dial tcp ", to.ToString(), ": connect: connection refused")),
          out_);
      Flush(*self.host);
      return;
    }
    const auto id = target->node->OnStreamAccepted(now, {self.host->endpoint.address, 50000}, out_);
    Flush(*target);
    if (id) {
      peers_[self] = {target, *id};
      peers_[{target, *id}] = self;
    }
    self.host->node->OnStreamConnected(now, self.id, out_);
    Flush(*self.host);
  }

  std::map<Endpoint, std::unique_ptr<Host>> hosts_;
  std::map<std::pair<Instant, std::uint64_t>, Event> events_;
  std::map<StreamEnd, StreamEnd> peers_;
  std::uint64_t next_event_ = 0;
  Outbox out_;
  wire::PacketScratch scratch_;
};

inline std::string DescribeMessage(wire::MessageType type, ByteView body,
                                   std::vector<wire::SequenceNumber>& sequences) {
  wire::DecodeScratch scratch;
  const auto decoded = [&](auto message, const auto& describe) -> std::string {
    if (wire::Decode(body, message, scratch) != wire::DecodeResult::kOk) return "malformed";
    if constexpr (requires { message.seq_no; }) sequences.push_back(message.seq_no);
    return describe(message);
  };
  switch (type) {
    case wire::MessageType::kPing:
      return decoded(wire::Ping{}, [](const auto& m) {
        return absl::StrCat("ping ", m.node, " from ", m.source_node);
      });
    case wire::MessageType::kIndirectPing:
      return decoded(wire::IndirectPing{}, [](const auto& m) {
        return absl::StrCat("indirect-ping ", m.node, m.nack ? " nack" : "", " from ",
                            m.source_node);
      });
    case wire::MessageType::kAck:
      return decoded(wire::Ack{}, [](const auto& m) {
        return absl::StrCat("ack", m.payload.empty() ? "" : " ", AsText(m.payload));
      });
    case wire::MessageType::kNack:
      return decoded(wire::Nack{}, [](const auto&) { return std::string("nack"); });
    case wire::MessageType::kSuspect:
      return decoded(wire::Suspect{}, [](const auto& m) {
        return absl::StrCat("suspect ", m.node, "@", m.incarnation.value(), " by ", m.from);
      });
    case wire::MessageType::kDead:
      return decoded(wire::Dead{}, [](const auto& m) {
        return absl::StrCat("dead ", m.node, "@", m.incarnation.value(), " by ", m.from);
      });
    case wire::MessageType::kAlive:
      return decoded(wire::Alive{}, [](const auto& m) {
        return absl::StrCat("alive ", m.node, "@", m.incarnation.value(), m.meta.empty() ? "" : " ",
                            AsText(m.meta));
      });
    default:
      return IsToldMark(type, body) ? "told" : absl::StrCat("user ", AsText(body));
  }
}

inline TestNet::Sent TestNet::Describe(const Host& host, const Endpoint& to, ByteView bytes) {
  Sent described{now, host.name, to, "", {}, bytes.size(), false};
  const Config& config = host.node->config();
  if (config.keyring != nullptr && !config.keyring->empty() && config.verify_outgoing) {
    described.text = "sealed";
    return described;
  }
  absl::string_view label;
  ByteView rest;
  wire::SplitLabel(bytes, label, rest);
  described.crc = wire::HasCrc(rest);
  wire::OpenPacket(bytes, {.label = config.label}, scratch_,
                   [&](wire::MessageType type, ByteView body) {
                     absl::StrAppend(&described.text, described.text.empty() ? "" : " + ",
                                     DescribeMessage(type, body, described.sequences));
                   });
  return described;
}

}  // namespace serf::swim

#endif  // SERF_SWIM_TEST_NET_H_
