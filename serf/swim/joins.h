// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_JOINS_H_
#define SERF_SWIM_JOINS_H_

// Joins: the requests to join under way. Each asks its targets one after the other; the dialling
// is the owner's. Source: docs/protocol/membership.md 7.5.
//
//   joins.Start(id, targets);
//   while (auto attempt = joins.NextAttempt()) dial attempt->to;
//   joins.OnAttemptEnded(id, status);          // then look for the next attempt again
//   joins.TakeDone();

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serf/base/endpoint.h"
#include "serf/swim/outbox.h"

namespace serf::swim {

// An address to join: the text the user gave (for error messages), and what it resolved to.
struct JoinTarget {
  std::string text;
  Endpoint endpoint;
};

// How a Join ended: how many targets answered and were merged, and one text per failed target
// ("Failed to join 10.0.0.1:7946: ...").
struct JoinResult {
  int contacted = 0;
  std::vector<std::string> errors;
  std::vector<Endpoint> answered;
};

class Joins {
 public:
  struct Attempt {
    RequestId id;
    Endpoint to;
  };
  struct Done {
    RequestId id;
    JoinResult result;
  };

  // `id` must not be under way.
  void Start(RequestId id, std::vector<JoinTarget> targets) {
    requests_.push_back({id, std::move(targets), 0, false, {}});
  }

  // True while a request is under way.
  bool active() const { return !requests_.empty(); }

  // A target to be asked now, if any request waits for one. Requests without further targets end.
  std::optional<Attempt> NextAttempt() {
    for (std::size_t i = 0; i < requests_.size();) {
      Request& request = requests_[i];
      if (request.attempting) {
        ++i;
        continue;
      }
      if (request.next < request.targets.size()) {
        request.attempting = true;
        return Attempt{request.id, request.targets[request.next].endpoint};
      }
      done_.push_back({request.id, std::move(request.result)});
      requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return std::nullopt;
  }

  // "Failed to join ...", as in the result; empty if it did not fail.
  std::string OnAttemptEnded(RequestId id, const absl::Status& status) {
    for (Request& request : requests_) {
      if (request.id != id || !request.attempting) continue;
      request.attempting = false;
      const JoinTarget& target = request.targets[request.next++];
      if (status.ok()) {
        ++request.result.contacted;
        request.result.answered.push_back(target.endpoint);
        break;
      }
      request.result.errors.push_back(
          absl::StrCat("Failed to join ", target.endpoint.ToString(), ": ", status.message()));
      return request.result.errors.back();
    }
    return "";
  }

  // The requests that ended since the last call.
  std::vector<Done> TakeDone() { return std::exchange(done_, {}); }

 private:
  struct Request {
    RequestId id;
    std::vector<JoinTarget> targets;
    std::size_t next = 0;
    bool attempting = false;
    JoinResult result;
  };

  std::vector<Request> requests_;
  std::vector<Done> done_;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_JOINS_H_
