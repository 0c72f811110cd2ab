// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_REQUESTS_JOIN_QUEUE_H_
#define SERF_REQUESTS_JOIN_QUEUE_H_

// JoinQueue: requests to join. The first ones are under way, and the others wait for them. Source:
// docs/protocol/serf.md 3.5.1, where joins run one by one.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "serf/join.h"
#include "serf/outbox.h"
#include "serf/swim/node.h"

namespace serf {

class JoinQueue {
 public:
  // The most joins under way. As many silent targets delay the next join. An eighth of the streams
  // that a node dials.
  static constexpr std::size_t kAtOnceMax = 32;

  struct Join {
    RequestId request;
    swim::JoinId id;  // of the SWIM layer; the owner sets it when the join starts
    std::vector<swim::JoinTarget> targets;
    JoinOptions options;
  };

  void Push(RequestId request, std::vector<swim::JoinTarget> targets, JoinOptions options) {
    joins_.push_back({request, swim::JoinId(), std::move(targets), options});
  }

  // The join to start now; null if enough are under way, or none waits.
  Join* StartNext() {
    if (under_way_ == kAtOnceMax || under_way_ == joins_.size()) return nullptr;
    return &joins_[under_way_++];
  }

  // Whether old user events are delivered now. One join that wants them wins over those that do
  // not, because a push/pull state does not show which join it belongs to.
  bool replays() const {
    return under_way_ == 0 || std::any_of(joins_.cbegin(), under_way_end(),
                                          [](const Join& join) { return join.options.replay; });
  }

  // The join `id` has ended. Returns its request, if it was under way.
  std::optional<RequestId> Finish(swim::JoinId id) {
    const auto join = std::find_if(joins_.cbegin(), under_way_end(),
                                   [id](const Join& other) { return other.id == id; });
    if (join == under_way_end()) return std::nullopt;
    const RequestId request = join->request;
    joins_.erase(join);
    --under_way_;
    return request;
  }

  // The caller gives up this request. True: it waited, and is now gone.
  bool Cancel(RequestId request) {
    const auto join = std::find_if(under_way_end(), joins_.cend(), [request](const Join& other) {
      return other.request == request;
    });
    if (join == joins_.end()) return false;
    joins_.erase(join);
    return true;
  }

  // Calls done(RequestId) for each.
  template <typename Done>
  void FinishAll(Done&& done) {
    under_way_ = 0;
    for (const Join& join : std::exchange(joins_, {})) done(join.request);
  }

 private:
  std::deque<Join>::const_iterator under_way_end() const {
    return joins_.begin() + static_cast<std::ptrdiff_t>(under_way_);
  }

  std::deque<Join> joins_;  // those under way first
  std::size_t under_way_ = 0;
};

}  // namespace serf

#endif  // SERF_REQUESTS_JOIN_QUEUE_H_
