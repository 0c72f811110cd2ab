#ifndef SERF_TESTING_TRANSCRIPTS_TRANSCRIPT_H_
#define SERF_TESTING_TRANSCRIPTS_TRANSCRIPT_H_

// WorldTranscript: the events in a small World, as a text for readers: each message by its kind,
// each event, each change of a member's state, in virtual time. (Recorded command lines are in
// testing/integration.)
//
//   WorldTranscript transcript(world);
//   transcript.Note("c crashes");
//   world.Crash(c);
//   world.RunFor(seconds(5));
//   EXPECT_EQ(transcript.text(), recorded);
//
//   4.000  a -> b    ping + suspect c/1 by a      a datagram; c/1 is c with incarnation 1
//   4.000  a -x b    ping                         one that does not arrive
//   4.000  a => b    push/pull: a alive/1         a stream; "=x" if it reaches nobody
//   4.001  b         c is suspect/1               what b believes from now on
//   4.001  b         * member-failed c            what b tells its application
//
// Within an instant, a node's beliefs come first, then its events, then its messages. Random loss
// must be zero or total.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/swim/node_info.h"
#include "serf/swim/outbox.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/wire/message_type.h"
#include "serf/wire/packet.h"
#include "serf/wire/push_pull_reader.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/stream_frame.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {

class WorldTranscript final : public World::Observer {
 public:
  // The transcript must outlive the last call of the World. Nodes must not encrypt.
  explicit WorldTranscript(World& world) : world_(world), start_(world.now()) {
    world.AddObserver(this);
  }

  // The text from the start.
  const std::string& text() const { return text_; }

  // Adds a line of the author's.
  void Note(absl::string_view what) { absl::StrAppend(&text_, "\n# ", what, "\n"); }
  // Turns the recording on or off. A change of state while it is off never shows.
  void SetRecording(bool recording) { recording_ = recording; }
  // Whether the text shows pings and acks that carry nothing else.
  void SetProbesShown(bool shown) { probes_shown_ = shown; }

  // --- World::Observer ---
  void OnStart(NodeId node) override { Line(world_.name(node), "starts"); }
  inline void OnStop(NodeId node) override;
  inline void OnEvent(NodeId node, const Event& event) override;
  inline void OnCompletion(NodeId node, const Completion& completion) override;
  inline void OnSend(NodeId node, const Endpoint& to, ByteView bytes) override;
  inline void OnStreamOp(NodeId node, const swim::Outbox::StreamOp& op, ByteView bytes) override;
  void OnAccept(NodeId node, swim::StreamId stream, const Endpoint& from) override {
    peers_[{node, stream}] = {from, /*dialled=*/false};
  }
  inline void OnTransition(NodeId node) override;

 private:
  struct Pending {
    std::string route;
    std::string what;
  };
  struct Peer {
    Endpoint endpoint;
    bool dialled = false;  // this node dialled it
  };

  void Line(absl::string_view route, absl::string_view what);
  std::string NameOf(const Endpoint& endpoint) const;
  // "a -> b", with `arrow` followed by 'x' if nothing arrives.
  std::string Route(NodeId from, absl::string_view arrow, const Endpoint& to) const;
  std::optional<NodeId> NodeAt(const Endpoint& endpoint) const;

  std::string DatagramText(ByteView bytes);
  std::string LeafText(wire::MessageType type, ByteView body);
  std::string UserText(ByteView message);
  // The text of a message that a node wrote; `dialled` if it is the request.
  std::string StreamText(ByteView bytes, bool dialled);

  World& world_;
  const Instant start_;
  std::string text_;
  bool recording_ = true;
  bool probes_shown_ = true;
  // The events of the input that is being handled.
  std::vector<Pending> told_;
  std::vector<Pending> sent_;
  std::map<std::pair<NodeId, swim::StreamId>, Peer> peers_;
  std::map<NodeId, std::map<std::string, std::string>> beliefs_;
  std::map<NodeId, int> health_;
  wire::PacketScratch packet_;
  wire::DecodeScratch decode_;
};

// "alive", "suspect", "dead", "left".
inline absl::string_view NodeStateName(std::int64_t state) {
  constexpr absl::string_view kNames[] = {"alive", "suspect", "dead", "left"};
  return state >= 0 && state < 4 ? kNames[state] : "unknown";
}

// --- bodies ---

inline void WorldTranscript::Line(absl::string_view route, absl::string_view what) {
  if (!recording_) return;
  absl::StrAppendFormat(&text_, "%7.3f  %-8s  %s\n", ToSeconds(world_.now() - start_), route, what);
}

inline void WorldTranscript::OnStop(NodeId node) {
  Line(world_.name(node), "stops");
  beliefs_.erase(node);
  health_.erase(node);
}

inline void WorldTranscript::OnEvent(NodeId node, const Event& event) {
  const auto tell = [&](const auto&... text) {
    told_.push_back({world_.name(node), absl::StrCat("* ", text...)});
  };
  if (const auto* user = std::get_if<UserEvent>(&event)) return tell("user ", user->name);
  if (const auto* query = std::get_if<QueryEvent>(&event)) return tell("query ", query->name);
  const auto& member_event = std::get<MemberEvent>(event);
  for (const Member& member : member_event.members) {
    tell(MemberEventName(member_event.kind), " ", member.name);
  }
}

inline void WorldTranscript::OnCompletion(NodeId node, const Completion& completion) {
  const std::string contacted =
      completion.contacted > 0 ? absl::StrCat(", reached ", completion.contacted) : "";
  told_.push_back(
      {world_.name(node), completion.status.ok()
                              ? absl::StrCat("request done", contacted)
                              : absl::StrCat("request failed: ", completion.status.message())});
}

inline std::optional<NodeId> WorldTranscript::NodeAt(const Endpoint& endpoint) const {
  for (std::uint32_t i = 0; i < world_.size(); ++i) {
    if (world_.endpoint(NodeId(i)) == endpoint) return NodeId(i);
  }
  return std::nullopt;
}

inline std::string WorldTranscript::NameOf(const Endpoint& endpoint) const {
  const std::optional<NodeId> node = NodeAt(endpoint);
  return node ? world_.name(*node) : endpoint.ToString();
}

inline std::string WorldTranscript::Route(NodeId from, absl::string_view arrow,
                                          const Endpoint& to) const {
  const std::optional<NodeId> node = NodeAt(to);
  const bool lost = arrow == "->" && world_.links().settings().loss >= 1;
  const bool arrives = node && world_.is_up(*node) && world_.links().Reaches(from, *node) && !lost;
  return absl::StrCat(world_.name(from), " ", arrow.substr(0, 1), arrives ? ">" : "x", " ",
                      NameOf(to));
}

inline void WorldTranscript::OnSend(NodeId node, const Endpoint& to, ByteView bytes) {
  const std::string what = DatagramText(bytes);
  if (!probes_shown_ && (what == "ping" || what == "ack")) return;
  sent_.push_back({Route(node, "->", to), what});
}

inline void WorldTranscript::OnStreamOp(NodeId node, const swim::Outbox::StreamOp& op,
                                        ByteView bytes) {
  using Kind = swim::Outbox::StreamOp::Kind;
  if (op.kind == Kind::kDial) peers_[{node, op.stream}] = {op.to, /*dialled=*/true};
  const Peer& peer = peers_[{node, op.stream}];
  const std::string what = op.kind == Kind::kDial    ? "dial"
                           : op.kind == Kind::kClose ? "close"
                                                     : StreamText(bytes, peer.dialled);
  sent_.push_back({Route(node, "=>", peer.endpoint), what});
}

inline void WorldTranscript::OnTransition(NodeId node) {
  const Serf& serf = world_.serf(node);
  std::map<std::string, std::string> now;
  for (const Member& member : serf.Members()) {
    const std::optional<swim::MemberIndex> row = serf.node().Find(member.name);
    if (!row) continue;
    std::string& belief = now[member.name];
    belief = absl::StrCat(NodeStateName(static_cast<std::int64_t>(serf.node().state(*row))), "/",
                          serf.node().incarnation(*row).value());
    if (member.status == MemberStatus::kLeaving) absl::StrAppend(&belief, ", leaving");
  }
  std::map<std::string, std::string>& before = beliefs_[node];
  for (const auto& [name, belief] : now) {
    if (before[name] != belief) Line(world_.name(node), absl::StrCat(name, " is ", belief));
  }
  for (const auto& [name, belief] : before) {
    if (!now.contains(name)) Line(world_.name(node), absl::StrCat(name, " is forgotten"));
  }
  before = std::move(now);
  if (const int score = serf.node().health_score(); health_[node] != score) {
    Line(world_.name(node), absl::StrCat("health score ", score));
    health_[node] = score;
  }
  for (std::vector<Pending>* lines : {&told_, &sent_}) {
    for (const Pending& line : *lines) Line(line.route, line.what);
    lines->clear();
  }
}

inline std::string WorldTranscript::DatagramText(ByteView bytes) {
  std::vector<std::string> parts;
  const wire::PacketError error = wire::OpenPacket(
      bytes, {}, packet_,
      [&](wire::MessageType type, ByteView body) { parts.push_back(LeafText(type, body)); });
  if (error != wire::PacketError::kOk) parts.push_back(std::string(PacketErrorText(error)));
  return absl::StrJoin(parts, " + ");
}

inline std::string WorldTranscript::LeafText(wire::MessageType type, ByteView body) {
  using wire::DecodeResult;
  using wire::MessageType;
  switch (type) {
    case MessageType::kPing:
      return "ping";
    case MessageType::kAck:
      return "ack";
    case MessageType::kNack:
      return "nack";
    case MessageType::kIndirectPing: {
      wire::IndirectPing m;
      if (Decode(body, m, decode_) != DecodeResult::kOk) break;
      return absl::StrCat("indirect ping of ", m.node);
    }
    case MessageType::kAlive: {
      wire::Alive m;
      if (Decode(body, m, decode_) != DecodeResult::kOk) break;
      return absl::StrCat("alive ", m.node, "/", m.incarnation.value());
    }
    case MessageType::kSuspect: {
      wire::Suspect m;
      if (Decode(body, m, decode_) != DecodeResult::kOk) break;
      return absl::StrCat("suspect ", m.node, "/", m.incarnation.value(), " by ", m.from);
    }
    case MessageType::kDead: {
      wire::Dead m;
      if (Decode(body, m, decode_) != DecodeResult::kOk) break;
      return absl::StrCat("dead ", m.node, "/", m.incarnation.value(), " by ",
                          m.from == m.node ? "itself" : m.from);
    }
    case MessageType::kUser:
      return UserText(body);
    default:
      break;
  }
  return absl::StrCat("malformed message of type ", static_cast<int>(type));
}

inline std::string WorldTranscript::UserText(ByteView message) {
  if (message.empty()) return "empty user message";
  const auto type = static_cast<wire::SerfMessageType>(message[0]);
  const ByteView body = message.subspan(1);
  if (type == wire::SerfMessageType::kJoin) {
    wire::JoinMessage m;
    if (Decode(body, m, decode_) == wire::DecodeResult::kOk) {
      return absl::StrCat("join intent of ", m.node, " at ", m.ltime.value());
    }
  }
  if (type == wire::SerfMessageType::kLeave) {
    wire::LeaveMessage m;
    if (Decode(body, m, decode_) == wire::DecodeResult::kOk) {
      return absl::StrCat("leave intent of ", m.node, " at ", m.ltime.value());
    }
  }
  return absl::StrCat("Serf message of type ", static_cast<int>(message[0]));
}

inline std::string WorldTranscript::StreamText(ByteView bytes, bool dialled) {
  wire::StreamReader reader({.initiator = !dialled});
  if (reader.Feed(bytes) != wire::StreamStatus::kUnit) return "incomplete message";
  const wire::StreamUnit& unit = reader.unit();
  if (unit.type != wire::MessageType::kPushPull) return LeafText(unit.type, unit.body);
  wire::PushPullReader records(unit);
  std::vector<std::string> parts;
  for (wire::PushPullNode record; records.Next(record);) {
    parts.push_back(absl::StrCat(record.name, " ", NodeStateName(record.state), "/",
                                 record.incarnation.value()));
  }
  return absl::StrCat(records.header().join ? "push/pull of a join: " : "push/pull: ",
                      absl::StrJoin(parts, ", "));
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_TRANSCRIPTS_TRANSCRIPT_H_
