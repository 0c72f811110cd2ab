#ifndef SERF_SERF_H_
#define SERF_SERF_H_

// Serf: decentralized cluster membership as a pure machine: the Serf layer (Lamport clocks, join
// and leave intents, member states, tags) over a swim::Node. Source: spec/serf.md.
//
// Inputs take the instant first and the Outbox last: On... tells what happened, a verb what is
// wanted. It never blocks, reads no clock and opens no socket. One thread. transport::Host drives
// it with sockets, testing::World with virtual time.
//
//   auto serf = Serf::Create(config);           // config.swim.advertise is set
//   (*serf)->Start(now, out);
//   loop: carry out `out`; wait for I/O or NextDeadline(); feed it; ...

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/member.h"
#include "serf/outbox.h"
#include "serf/swim/node.h"

namespace serf {

class Serf final : private swim::Delegate {
 public:
  // "alive", "leaving", "left", "shutdown" (spec/serf.md 3.8).
  enum class State : std::uint8_t { kAlive, kLeaving, kLeft, kShutdown };

  static absl::StatusOr<std::unique_ptr<Serf>> Create(Config config);

  // Announces the node (an event for its own join follows). Once, before any other input.
  void Start(Instant now, Outbox& out);

  // --- what happened: as swim::Node ---
  void OnDatagram(Instant now, const Endpoint& from, ByteView datagram, Outbox& out);
  void OnDatagramFailed(Instant now, const Endpoint& to, Outbox& out);
  void OnTimer(Instant now, Outbox& out);
  std::optional<swim::StreamId> OnStreamAccepted(Instant now, const Endpoint& from, Outbox& out);
  void OnStreamConnected(Instant now, swim::StreamId stream, Outbox& out);
  void OnStreamBytes(Instant now, swim::StreamId stream, ByteView bytes, Outbox& out);
  void OnStreamClosed(Instant now, swim::StreamId stream, const absl::Status& reason, Outbox& out);
  Instant NextDeadline() const;

  // --- what is wanted: each ends with one Completion in some later Outbox (or this one) ---

  // Push/pull with each target, one after the other; then a join intent, if any answered. OK if
  // at least one did, or if there were none to ask. `ignore_old` drops user events older than the
  // join (spec/serf.md 4.4).
  void Join(Instant now, RequestId request, std::vector<swim::JoinTarget> targets, bool ignore_old,
            Outbox& out);
  // Leaves the cluster; a second call while leaving shares the result of the first.
  void Leave(Instant now, RequestId request, Outbox& out);
  // Turns a failed member into a left one; `prune` also forgets it.
  void RemoveFailedNode(Instant now, RequestId request, absl::string_view name, bool prune,
                        Outbox& out);
  // Replaces the own tags and announces them.
  void SetTags(Instant now, RequestId request, Tags tags, Outbox& out);
  // Stops: no message is sent, no deadline remains, requests under way complete as cancelled.
  void Shutdown(Instant now, Outbox& out);

  // --- views ---
  State state() const;
  const Config& config() const;
  Member LocalMember() const;
  std::optional<Member> FindMember(absl::string_view name) const;
  // All members, in every state, sorted by name.
  std::vector<Member> Members() const;
  std::size_t member_count() const;
  // Spec 13.2: "members", "failed", "left", "health_score", "member_time", ...
  std::map<std::string, std::string> Stats() const;
  const swim::Node& node() const;
};

}  // namespace serf

#endif  // SERF_SERF_H_
