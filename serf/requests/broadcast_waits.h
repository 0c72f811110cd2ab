// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_REQUESTS_BROADCAST_WAITS_H_
#define SERF_REQUESTS_BROADCAST_WAITS_H_

// BroadcastWaits: requests that wait for the end of a broadcast, at most until their deadlines.

#include <algorithm>
#include <utility>
#include <vector>

#include "serf/base/time.h"
#include "serf/gossip/broadcasts.h"
#include "serf/outbox.h"

namespace serf {

class BroadcastWaits {
 public:
  // `token` is for Finish(). With zero only FinishAll() ends the request.
  void Add(RequestId request, Broadcasts::Token token, Instant deadline) {
    waits_.push_back({request, token, deadline});
  }

  // Each calls done(RequestId) for every request that ended: Finish() by its broadcast, FinishAll()
  // for any reason, OnTimer() by its deadline.
  template <typename Done>
  void Finish(Broadcasts::Token token, Done&& done) {
    EndIf(done, [token](const Wait& wait) { return wait.token == token; });
  }
  template <typename Done>
  void FinishAll(Done&& done) {
    EndIf(done, [](const Wait&) { return true; });
  }
  template <typename Done>
  void Expire(Instant now, Done&& done) {
    EndIf(done, [now](const Wait& wait) { return wait.deadline <= now; });
  }

  Instant NextDeadline() const {
    Instant next = kNever;
    for (const Wait& wait : waits_) next = std::min(next, wait.deadline);
    return next;
  }

 private:
  struct Wait {
    RequestId request;
    Broadcasts::Token token = 0;
    Instant deadline;
  };

  template <typename Done, typename Condition>
  void EndIf(Done&& done, Condition&& condition) {
    std::vector<Wait> rest;
    for (const Wait& wait : std::exchange(waits_, {})) {
      if (condition(wait)) {
        done(wait.request);
      } else {
        rest.push_back(wait);
      }
    }
    waits_ = std::move(rest);
  }

  std::vector<Wait> waits_;
};

}  // namespace serf

#endif  // SERF_REQUESTS_BROADCAST_WAITS_H_
