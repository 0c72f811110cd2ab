#ifndef SERF_JOIN_QUEUE_H_
#define SERF_JOIN_QUEUE_H_

// JoinQueue: requests to join, which wait for each other: the first is under way.
// Source: spec/serf.md 3.5.1.

#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "serf/outbox.h"
#include "serf/swim/node.h"

namespace serf {

class JoinQueue {
 public:
  struct Join {
    RequestId request;
    RequestId token;  // what the engine calls it; never zero
    std::vector<swim::JoinTarget> targets;
    bool ignore_old = false;
  };

  void Push(RequestId request, std::vector<swim::JoinTarget> targets, bool ignore_old) {
    joins_.push_back({request, RequestId(next_token_++), std::move(targets), ignore_old});
  }

  // The join to start now; null if one is under way, or there is none.
  Join* StartNext() {
    if (under_way_ || joins_.empty()) return nullptr;
    under_way_ = true;
    return &joins_.front();
  }

  // The join that the engine calls `token` has ended: its request, if it was under way.
  std::optional<RequestId> Finish(RequestId token) {
    if (!under_way_ || joins_.front().token != token) return std::nullopt;
    const RequestId request = joins_.front().request;
    joins_.pop_front();
    under_way_ = false;
    return request;
  }

  // Calls done(RequestId) for each.
  template <typename Done>
  void FinishAll(Done&& done) {
    under_way_ = false;
    for (const Join& join : std::exchange(joins_, {})) done(join.request);
  }

 private:
  std::deque<Join> joins_;
  bool under_way_ = false;
  std::uint64_t next_token_ = 1;
};

}  // namespace serf

#endif  // SERF_JOIN_QUEUE_H_
