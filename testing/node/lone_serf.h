#ifndef SERF_TESTING_NODE_LONE_SERF_H_
#define SERF_TESTING_NODE_LONE_SERF_H_

// LoneSerf: a Serf machine without a network, for tests. The test passes the messages of its peers
// as packets, and LoneSerf keeps its output. testkit::World runs several machines that talk to each
// other.
//
//   LoneSerf self;
//   self.PeerAlive("a");
//   self.Receive(wire::LeaveMessage{.ltime = LamportTime(5), .node = "a"});
//   EXPECT_EQ(self.Status("a"), MemberStatus::kLeaving);

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/join.h"
#include "serf/judgement.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/snapshot_op.h"
#include "serf/tags.h"
#include "serf/testing/node/line_logger.h"
#include "serf/testing/node/peers.h"

namespace serf::testkit {

class LoneSerf {
 public:
  static Config DefaultConfig() {
    Config config = Config::Lan();
    // The peers do not exist and answer no probe, so probes would make them suspect.
    config.swim.probe_interval = Duration::zero();
    return config;
  }

  explicit LoneSerf(Config config = DefaultConfig());
  LoneSerf(const LoneSerf&) = delete;
  LoneSerf& operator=(const LoneSerf&) = delete;
  ~LoneSerf();

  // --- messages of peers ---

  void PeerAlive(absl::string_view name, const Tags& tags = {});
  // The SWIM layer learns that the peer died, or, if `announced`, that it left.
  void PeerGone(absl::string_view name, bool announced = false);

  // Receives a message of the Serf layer.
  template <typename Message>
  void Receive(const Message& message, const Endpoint& from = EndpointOf("somebody")) {
    ReceiveBytes(Encoded(message), from);
  }
  void ReceiveBytes(ByteView message, const Endpoint& from = EndpointOf("somebody"));
  void ReceivePacket(ByteView packet, const Endpoint& from = EndpointOf("somebody"));
  // Receives a push/pull of a peer, with no node records and this state.
  void ReceiveState(ByteView state, bool join = false);

  // --- requests of the application ---
  RequestId Leave();
  RequestId Join(std::vector<swim::JoinTarget> targets, JoinOptions options = {.replay = true});
  RequestId ForceLeave(absl::string_view name, ForceLeaveOptions options);
  RequestId SetTags(Tags tags);
  // Returns the error's text, or "ok".
  std::string SendUserEvent(absl::string_view name, absl::string_view payload = {},
                            UserEventOptions options = {});
  absl::StatusOr<QueryId> SendQuery(absl::string_view name, absl::string_view payload = {},
                                    const QueryParams& params = {});
  void CancelQuery(QueryId query);
  // Returns the error's text, or "ok".
  std::string Respond(QueryId query, absl::string_view payload);
  RequestId ManageKeys(KeyOperation operation, ByteView key = {});
  void KeyringSaved(std::uint64_t version, const absl::Status& status);
  void Shutdown();
  // LoneSerf runs judgements and returns them at once, or keeps them for TakeJudgements() and
  // Judged().
  void HoldJudgements() { holds_judgements_ = true; }
  std::vector<std::unique_ptr<Judgement>> TakeJudgements() {
    return std::exchange(judgements_, {});
  }
  void Judged(const Judgement& judgement);

  // --- time ---
  void RunFor(Duration duration);
  // One call of OnTimer, now.
  void RunTurn();
  // Advances to the next deadline, if it lies ahead, and calls OnTimer once.
  void RunToNextTurn() {
    now_ = std::max(now_, serf_->NextDeadline());
    RunTurn();
  }
  Instant time() const { return now_; }

  // --- results ---
  Serf& serf() { return *serf_; }
  const LineLogger& log() const { return log_; }
  MemberStatus Status(absl::string_view name) const;
  // The events since the last call, as "member-join a alive" and "user deploy".
  std::vector<std::string> TakeEvents() { return std::exchange(events_, {}); }
  std::vector<UserEvent> TakeUserEvents() { return std::exchange(user_events_, {}); }
  std::vector<QueryEvent> TakeQueries() { return std::exchange(queries_, {}); }
  // The updates of this node's queries since the last call: "ack a", "response a: payload", "done".
  std::vector<std::string> TakeUpdates() { return std::exchange(updates_, {}); }
  // The result of a request: its text, "ok", or "pending".
  std::string Result(RequestId request) const;
  // The outcome of a key operation that has ended.
  const KeyOutcome& Keys(RequestId request) const { return *completions_.at(request).keys; }
  std::vector<KeyringSave> TakeKeyringSaves() { return std::exchange(keyring_saves_, {}); }
  // The packets that were sent since the last call, and their destinations.
  struct Packet {
    Endpoint to;
    ByteVector bytes;
  };
  std::vector<Packet> TakePackets() { return std::exchange(packets_, {}); }
  // The content of the snapshot file, if there is one. Its disk never fails.
  const std::string& snapshot() const { return snapshot_; }
  // The number of streams dialled since the start.
  int dials() const { return dials_; }
  std::string Stat(const char* key) const;

  static Endpoint EndpointOf(absl::string_view name) { return Peers::EndpointOf(name); }

 private:
  RequestId NewRequest() { return RequestId(next_request_++); }
  RequestId Done(RequestId request);
  void Collect();

  LineLogger log_;
  Instant now_ = Instant{} + std::chrono::hours(1);
  Outbox out_;
  std::unique_ptr<Serf> serf_;
  Peers peers_;
  std::vector<std::string> events_;
  std::vector<UserEvent> user_events_;
  std::vector<QueryEvent> queries_;
  std::vector<std::string> updates_;
  std::vector<KeyringSave> keyring_saves_;
  std::map<RequestId, Completion> completions_;
  std::vector<Packet> packets_;
  std::string snapshot_;
  std::vector<std::unique_ptr<Judgement>> judgements_;
  bool holds_judgements_ = false;
  bool closed_ = false;
  int dials_ = 0;
  std::uint64_t next_request_ = 1;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_NODE_LONE_SERF_H_
