#ifndef SERF_LONE_SERF_H_
#define SERF_LONE_SERF_H_

// LoneSerf: for tests: a Serf machine without a network. What its peers say is put into its ear as
// packets, what it does is kept. testing::World runs several machines that talk.
//
//   LoneSerf self;
//   self.PeerAlive("a");
//   self.Receive(wire::LeaveMessage{.ltime = LamportTime(5), .node = "a"});
//   EXPECT_EQ(self.Status("a"), MemberStatus::kLeaving);

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/snapshot_op.h"
#include "serf/tags.h"
#include "serf/wire/ids.h"
#include "serf/wire/message_type.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace serf::testing {

// Keeps lines as "[INFO] serf: ...".
class LineLogger final : public Logger {
 public:
  bool Enabled(LogLevel level) const override { return level != LogLevel::kTrace; }
  void Write(LogLevel level, absl::string_view text) override {
    lines_.push_back(absl::StrCat("[", LogLevelName(level), "] ", text));
  }

  int Count(absl::string_view line) const {
    int count = 0;
    for (const std::string& each : lines_) count += each == line;
    return count;
  }
  bool Has(absl::string_view line) const { return Count(line) > 0; }
  bool Contains(absl::string_view part) const {
    return std::any_of(lines_.begin(), lines_.end(),
                       [&](const std::string& line) { return absl::StrContains(line, part); });
  }
  const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::vector<std::string> lines_;
};

inline wire::LeaveMessage LeaveOf(absl::string_view node, std::uint64_t time, bool prune = false) {
  return {.ltime = wire::LamportTime(time), .node = node, .prune = prune};
}
inline wire::JoinMessage JoinOf(absl::string_view node, std::uint64_t time) {
  return {.ltime = wire::LamportTime(time), .node = node};
}

class LoneSerf {
 public:
  static Config DefaultConfig() {
    Config config = Config::Lan();
    // Peers that are only words answer no probe, and would be suspected.
    config.swim.probe_interval = Duration::zero();
    return config;
  }

  explicit LoneSerf(Config config = DefaultConfig()) {
    config.swim.name = "self";
    config.swim.advertise = {IpAddress::V4(10, 0, 0, 1), 7946};
    config.swim.logger = &log_;
    serf_ = Serf::Create(std::move(config)).value();
    serf_->Start(now_, out_);
    Collect();
  }

  // --- what peers say ---

  void PeerAlive(absl::string_view name, const Tags& tags = {}) {
    const ByteVector meta = EncodeTags(tags, kSerfProtocolMax).value();
    const auto versions = wire::VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
    const Endpoint endpoint = EndpointOf(name);
    wire::Alive alive;
    alive.incarnation = wire::Incarnation(++incarnations_[std::string(name)]);
    alive.node = name;
    alive.addr = endpoint.address.bytes();
    alive.port = endpoint.port;
    alive.meta = meta;
    alive.vsn = versions;
    ReceivePacket(Encoded(alive));
  }
  // The engine learns that the peer died, or, `by_itself`, that it left.
  void PeerGone(absl::string_view name, bool by_itself = false) {
    wire::Dead dead;
    dead.incarnation = wire::Incarnation(incarnations_[std::string(name)]);
    dead.node = name;
    dead.from = by_itself ? name : absl::string_view("somebody");
    ReceivePacket(Encoded(dead));
  }

  // A message of the Serf layer.
  template <typename Message>
  void Receive(const Message& message) {
    ReceiveBytes(Encoded(message));
  }
  void ReceiveBytes(ByteView message) {
    ByteVector packet = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
    Append(packet, message);
    ReceivePacket(packet);
  }
  void ReceivePacket(ByteView packet) {
    serf_->OnDatagram(now_, EndpointOf("somebody"), packet, out_);
    Collect();
  }
  // A push/pull that a peer starts, with no node records and this state.
  void ReceiveState(ByteView state, bool join = false) {
    const auto stream = serf_->OnStreamAccepted(now_, EndpointOf("somebody"), out_);
    Collect();
    if (!stream.has_value()) return;
    wire::PushPullHeader header;
    header.user_state_len = static_cast<std::int64_t>(state.size());
    header.join = join;
    ByteVector bytes = Encoded(header);
    Append(bytes, state);
    serf_->OnStreamBytes(now_, *stream, bytes, out_);
    Collect();
    // It may have been closed over a fault; then this input has no meaning and is ignored.
    if (!closed_) serf_->OnStreamClosed(now_, *stream, absl::OkStatus(), out_);
    Collect();
  }

  // --- what the application wants ---
  RequestId Leave() {
    const RequestId request = NewRequest();
    serf_->Leave(now_, request, out_);
    return Done(request);
  }
  RequestId Join(std::vector<swim::JoinTarget> targets, bool ignore_old = false) {
    const RequestId request = NewRequest();
    serf_->Join(now_, request, std::move(targets), ignore_old, out_);
    return Done(request);
  }
  RequestId RemoveFailedNode(absl::string_view name, bool prune) {
    const RequestId request = NewRequest();
    serf_->RemoveFailedNode(now_, request, name, prune, out_);
    return Done(request);
  }
  RequestId SetTags(Tags tags) {
    const RequestId request = NewRequest();
    serf_->SetTags(now_, request, std::move(tags), out_);
    return Done(request);
  }
  // The error's text, or "ok".
  std::string SendUserEvent(absl::string_view name, absl::string_view payload = {},
                            bool coalesce = false) {
    const absl::Status status = serf_->SendUserEvent(now_, name, payload, coalesce, out_);
    Collect();
    return status.ok() ? "ok" : std::string(status.message());
  }
  absl::StatusOr<QueryId> SendQuery(absl::string_view name, absl::string_view payload = {},
                                    const QueryParams& params = {}) {
    const absl::StatusOr<QueryId> query = serf_->SendQuery(now_, name, payload, params, out_);
    Collect();
    return query;
  }
  void CancelQuery(QueryId query) {
    serf_->CancelQuery(now_, query, out_);
    Collect();
  }
  // The error's text, or "ok".
  std::string Respond(QueryId query, absl::string_view payload) {
    const absl::Status status = serf_->Respond(now_, query, payload, out_);
    Collect();
    return status.ok() ? "ok" : std::string(status.message());
  }
  RequestId ManageKeys(KeyOperation operation, ByteView key = {}) {
    const RequestId request = NewRequest();
    serf_->ManageKeys(now_, request, operation, key, /*relay_factor=*/0, out_);
    return Done(request);
  }
  void KeyringSaved(std::uint64_t version, const absl::Status& status) {
    serf_->OnKeyringSaved(now_, version, status, out_);
    Collect();
  }
  void Shutdown() {
    serf_->Shutdown(now_, out_);
    Collect();
  }

  // --- time ---
  void RunFor(Duration duration) {
    const Instant end = now_ + duration;
    while (serf_->NextDeadline() <= end) {
      now_ = std::max(now_, serf_->NextDeadline());
      serf_->OnTimer(now_, out_);
      Collect();
    }
    now_ = end;
  }
  Instant time() const { return now_; }

  // --- what came of it ---
  Serf& serf() { return *serf_; }
  const LineLogger& log() const { return log_; }
  MemberStatus Status(absl::string_view name) const {
    const auto member = serf_->FindMember(name);
    return member.has_value() ? member->status : MemberStatus::kNone;
  }
  // The events since the last call, as "member-join a alive" and "user deploy".
  std::vector<std::string> TakeEvents() { return std::exchange(events_, {}); }
  std::vector<UserEvent> TakeUserEvents() { return std::exchange(user_events_, {}); }
  std::vector<QueryEvent> TakeQueries() { return std::exchange(queries_, {}); }
  // What came of own queries since the last call: "ack a", "response a: payload", "done".
  std::vector<std::string> TakeUpdates() { return std::exchange(updates_, {}); }
  // How a request ended: its text, "ok", or "pending".
  std::string Result(RequestId request) const {
    const auto found = completions_.find(request);
    if (found == completions_.end()) return "pending";
    return found->second.status.ok() ? "ok" : std::string(found->second.status.message());
  }
  // Of a key operation that has ended.
  const KeyOutcome& Keys(RequestId request) const { return *completions_.at(request).keys; }
  std::vector<KeyringSave> TakeKeyringSaves() { return std::exchange(keyring_saves_, {}); }
  // Packets sent since the last call, and to whom.
  struct Packet {
    Endpoint to;
    ByteVector bytes;
  };
  std::vector<Packet> TakePackets() { return std::exchange(packets_, {}); }
  // What the snapshot file holds, if there is one: its disk never fails.
  const std::string& snapshot() const { return snapshot_; }
  // Streams dialled since the start.
  int dials() const { return dials_; }
  std::string Stat(const char* key) const { return serf_->Stats()[key]; }

  // 10.0.x.y, by the name.
  static Endpoint EndpointOf(absl::string_view name) {
    std::uint32_t h = 7;
    for (const char c : name) h = h * 31 + static_cast<unsigned char>(c);
    return {IpAddress::V4(10, 1, static_cast<std::uint8_t>(h >> 8), static_cast<std::uint8_t>(h)),
            7946};
  }

 private:
  template <typename Message>
  static ByteVector Encoded(const Message& message) {
    ByteVector bytes;
    Encode(message, bytes);
    return bytes;
  }
  RequestId NewRequest() { return RequestId(next_request_++); }
  RequestId Done(RequestId request) {
    Collect();
    return request;
  }
  void Collect();

  LineLogger log_;
  Instant now_ = Instant{} + std::chrono::hours(1);
  Outbox out_;
  std::unique_ptr<Serf> serf_;
  std::map<std::string, std::uint32_t, std::less<>> incarnations_;
  std::vector<std::string> events_;
  std::vector<UserEvent> user_events_;
  std::vector<QueryEvent> queries_;
  std::vector<std::string> updates_;
  std::vector<KeyringSave> keyring_saves_;
  std::map<RequestId, Completion> completions_;
  std::vector<Packet> packets_;
  std::string snapshot_;
  bool closed_ = false;
  int dials_ = 0;
  std::uint64_t next_request_ = 1;
};

inline void LoneSerf::Collect() {
  for (const Event& event : out_.events()) {
    if (const auto* member_event = std::get_if<MemberEvent>(&event)) {
      std::string line(MemberEventName(member_event->kind));
      for (const Member& member : member_event->members) {
        absl::StrAppend(&line, " ", member.name, " ", MemberStatusName(member.status));
      }
      events_.push_back(line);
    } else if (const auto* user = std::get_if<UserEvent>(&event)) {
      events_.push_back(absl::StrCat("user ", user->name));
      user_events_.push_back(*user);
    } else {
      events_.push_back(absl::StrCat("query ", std::get<QueryEvent>(event).name));
      queries_.push_back(std::get<QueryEvent>(event));
    }
  }
  for (const QueryUpdate& update : out_.query_updates()) {
    switch (update.kind) {
      case QueryUpdate::Kind::kAck:
        updates_.push_back(absl::StrCat("ack ", update.from));
        break;
      case QueryUpdate::Kind::kResponse:
        updates_.push_back(absl::StrCat("response ", update.from, ": ", update.payload));
        break;
      case QueryUpdate::Kind::kDone:
        updates_.push_back("done");
        break;
    }
  }
  for (const Completion& completion : out_.completions()) {
    completions_.insert_or_assign(completion.request, completion);
  }
  for (const auto& datagram : out_.datagrams()) {
    const ByteView bytes = out_.bytes(datagram);
    packets_.push_back({datagram.to, ByteVector(bytes.begin(), bytes.end())});
  }
  if (out_.keyring_save()) keyring_saves_.push_back(*out_.keyring_save());
  closed_ = false;
  for (const auto& op : out_.stream_ops()) {
    dials_ += op.kind == swim::Outbox::StreamOp::Kind::kDial;
    closed_ = closed_ || op.kind == swim::Outbox::StreamOp::Kind::kClose;
  }
  const std::vector<SnapshotOp> ops = out_.snapshot_ops();
  out_.Clear();
  for (const SnapshotOp& op : ops) {
    if (op.kind == SnapshotOp::Kind::kReplace) snapshot_.clear();
    snapshot_ += op.text;
    serf_->OnSnapshotDone(now_, absl::OkStatus(), out_);
    Collect();
  }
}

}  // namespace serf::testing

#endif  // SERF_LONE_SERF_H_
