// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_REQUESTS_REQUESTS_H_
#define SERF_REQUESTS_REQUESTS_H_

// Requests: the application's requests that are under way, and how each ends. Joins run a few at a
// time. Leaves end together. A removal and a change of tags end with their broadcasts, or when
// these take too long. Source: docs/protocol/serf.md 3.5.
//
//   requests.AddTagUpdate(now, request);
//   requests.OnTagsSent(out);               // completes it; or:
//   at requests.NextDeadline(): requests.OnTimer(now, out);

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "serf/base/time.h"
#include "serf/gossip/broadcasts.h"
#include "serf/outbox.h"
#include "serf/requests/broadcast_waits.h"
#include "serf/requests/join_queue.h"

namespace serf {

class Requests {
 public:
  // The token of this node's own leave intent.
  static constexpr Broadcasts::Token kLeaveToken = 1;

  // `broadcast_timeout`: how long a removal or a change of tags waits.
  explicit Requests(Duration broadcast_timeout) : broadcast_timeout_(broadcast_timeout) {}
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;

  JoinQueue& joins() { return joins_; }
  void AddLeave(RequestId request) { leaves_.push_back(request); }
  // The token of the next removal's intent.
  Broadcasts::Token removal_token() const { return next_token_; }
  void AddRemoval(Instant now, RequestId request) {
    removals_.Add(request, next_token_++, now + broadcast_timeout_);
  }
  void AddTagUpdate(Instant now, RequestId request) {
    tag_updates_.Add(request, 0, now + broadcast_timeout_);
  }

  // --- what ends them ---
  void OnLeft(const absl::Status& status, Outbox& out) { EndLeaves({status, out}); }
  // An intent has been sent (in a wave, or else for the last time), or a newer message replaced it.
  void OnIntentSent(Broadcasts::Token token, Outbox& out) {
    removals_.Finish(token, Completer{absl::OkStatus(), out});
  }
  void OnTagsSent(Outbox& out) { tag_updates_.FinishAll(Completer{absl::OkStatus(), out}); }
  void OnTimer(Instant now, Outbox& out) {
    if (now < NextDeadline()) return;
    removals_.Expire(
        now, Completer{absl::DeadlineExceededError("timed out broadcasting node removal"), out});
    tag_updates_.Expire(
        now, Completer{absl::DeadlineExceededError("timeout waiting for update broadcast"), out});
  }
  Instant NextDeadline() const {
    return std::min(removals_.NextDeadline(), tag_updates_.NextDeadline());
  }
  // Ends all requests for this reason.
  void Cancel(const absl::Status& reason, Outbox& out) {
    joins_.FinishAll(Completer{reason, out});
    EndLeaves({reason, out});
    removals_.FinishAll(Completer{reason, out});
    tag_updates_.FinishAll(Completer{reason, out});
  }

  // Ends a request that has only a status to report.
  static void Complete(RequestId request, absl::Status status, Outbox& out) {
    out.Complete({request, std::move(status)});
  }

 private:
  // Ends each request that is passed to it.
  struct Completer {
    absl::Status status;
    Outbox& out;

    void operator()(RequestId request) const { Complete(request, status, out); }
  };

  void EndLeaves(const Completer& complete) {
    for (const RequestId request : std::exchange(leaves_, {})) complete(request);
  }

  Duration broadcast_timeout_;
  JoinQueue joins_;
  std::vector<RequestId> leaves_;
  BroadcastWaits removals_;
  BroadcastWaits tag_updates_;
  Broadcasts::Token next_token_ = kLeaveToken + 1;
};

}  // namespace serf

#endif  // SERF_REQUESTS_REQUESTS_H_
