// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBERS_INTENT_ISSUER_H_
#define SERF_MEMBERS_INTENT_ISSUER_H_

// IntentIssuer: the intents that this node issues: its join, its leave, and the leave of another
// member. It applies each one to this node's own members first, as if it had arrived from
// elsewhere, and then queues it. The caller wakes gossip. Source: docs/protocol/serf.md 3.5.2 to
// 3.5.4.

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/gossip/broadcasts.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/members/member_tracker.h"
#include "serf/wire/ids.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class IntentIssuer {
 public:
  // All three must outlive the issuer.
  IntentIssuer(SerfContext& context, MemberTracker& members, Broadcasts& broadcasts)
      : context_(context), members_(members), broadcasts_(broadcasts) {}
  IntentIssuer(const IntentIssuer&) = delete;
  IntentIssuer& operator=(const IntentIssuer&) = delete;

  void IssueJoin(Instant now) {
    const wire::LamportTime time = members_.clock().Take();
    members_.OnJoinMessage(now, context_.config.swim.name, time);
    Queue(context_.config.swim.name, /*prune=*/false,
          wire::JoinMessage{.ltime = time, .node = context_.config.swim.name}, 0);
  }

  // Another node claims that this node leaves, although it does not (docs/protocol/serf.md 3.4.2).
  void Refute(Instant now) {
    Log(context_.config.swim.logger, LogLevel::kDebug, "serf: Refuting an older leave intent");
    ++context_.counters.refutations;
    IssueJoin(now);
  }

  // This node leaves; context.lives() is false. `token` reports the end of the broadcast. Returns
  // false if there is nobody to send it to.
  bool IssueLeave(Instant now, Broadcasts::Token token) {
    const wire::LamportTime time = members_.clock().Take();
    members_.OnLeaveMessage(now, context_.config.swim.name, time, /*prune=*/false);
    if (!members_.HasAlivePeer()) return false;
    Queue(context_.config.swim.name, /*prune=*/false,
          wire::LeaveMessage{.ltime = time, .node = context_.config.swim.name}, token);
    return true;
  }

  // Declares that another member has left. Returns false as IssueLeave() does. If `name` is this
  // node and it is alive, a refutation is all that the others need.
  bool IssueLeaveOf(Instant now, absl::string_view name, bool prune, Broadcasts::Token token) {
    const wire::LamportTime time = members_.clock().Take();
    if (members_.OnLeaveMessage(now, name, time, prune).refute) {
      Refute(now);
      return false;
    }
    if (!members_.HasAlivePeer()) return false;
    Queue(name, prune, wire::LeaveMessage{.ltime = time, .node = name, .prune = prune}, token);
    return true;
  }

 private:
  template <typename Message>
  void Queue(absl::string_view name, bool prune, const Message& message, Broadcasts::Token token) {
    ByteVector bytes;
    Encode(message, bytes);
    broadcasts_.AddIntent(name, prune, bytes, swim::Spread::kAll, token);
  }

  SerfContext& context_;
  MemberTracker& members_;
  Broadcasts& broadcasts_;
};

}  // namespace serf

#endif  // SERF_MEMBERS_INTENT_ISSUER_H_
