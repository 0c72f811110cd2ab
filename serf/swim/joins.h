// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_JOINS_H_
#define SERF_SWIM_JOINS_H_

// Joins: the joins under way. Each join asks its targets one after the other; the owner dials.
// Source: docs/protocol/membership.md 7.5.
//
//   const JoinId id = joins.Start(targets);
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

// An address to join: the text of the user (for error messages), and the address it resolved to.
struct JoinTarget {
  std::string text;
  Endpoint endpoint;
};

// Names a join of this node.
using JoinId = Newtype<struct JoinIdTag, std::uint64_t>;

class Joins {
 public:
  struct Attempt {
    JoinId id;
    Endpoint to;
  };
  struct Done {
    JoinId id;
    int contacted = 0;  // how many targets answered and were merged
    // One text per failed target: "Failed to join 10.0.0.1:7946: ...".
    std::vector<std::string> errors = {};
    std::vector<Endpoint> answered = {};
  };

  JoinId Start(std::vector<JoinTarget> targets) {
    const JoinId id(next_id_++);
    requests_.push_back({std::move(targets), 0, false, {.id = id}});
    return id;
  }

  // True while a join is under way.
  bool active() const { return !requests_.empty(); }

  // A target to dial now, if any join waits for one. Joins without further targets end.
  std::optional<Attempt> NextAttempt() {
    for (std::size_t i = 0; i < requests_.size();) {
      Request& request = requests_[i];
      if (request.attempting) {
        ++i;
        continue;
      }
      if (request.next < request.targets.size()) {
        request.attempting = true;
        return Attempt{request.done.id, request.targets[request.next].endpoint};
      }
      done_.push_back(std::move(request.done));
      requests_.erase(requests_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    return std::nullopt;
  }

  // "Failed to join ...", as in the result; empty if the attempt succeeded.
  std::string OnAttemptEnded(JoinId id, const absl::Status& status) {
    for (Request& request : requests_) {
      if (request.done.id != id || !request.attempting) continue;
      request.attempting = false;
      const JoinTarget& target = request.targets[request.next++];
      if (status.ok()) {
        ++request.done.contacted;
        request.done.answered.push_back(target.endpoint);
        break;
      }
      request.done.errors.push_back(
          absl::StrCat("Failed to join ", target.endpoint.ToString(), ": ", status.message()));
      return request.done.errors.back();
    }
    return "";
  }

  // The joins that ended since the last call.
  std::vector<Done> TakeDone() { return std::exchange(done_, {}); }

 private:
  struct Request {
    std::vector<JoinTarget> targets;
    std::size_t next = 0;
    bool attempting = false;
    Done done;
  };

  std::vector<Request> requests_;
  std::vector<Done> done_;
  std::uint64_t next_id_ = 1;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_JOINS_H_
