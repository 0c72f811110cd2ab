#ifndef SERF_TESTING_SIM_WORLD_REQUESTS_H_
#define SERF_TESTING_SIM_WORLD_REQUESTS_H_

// WorldRequests<World>: the requests of operators and applications to the nodes of a World. It is a
// base of World, and separate because it is independent of the simulation.
//
//   const RequestId join = world.Join(b, {a});   // ends with a Completion: World::completion()
//   world.SendUserEvent(a, "deploy", "1.2.3", {});

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/swim/joins.h"
#include "serf/tags.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world_observer.h"

namespace serf::testkit {

// All requests need a node that is up and not paused.
template <typename World>
class WorldRequests {
 public:
  RequestId Join(NodeId node, const std::vector<NodeId>& targets,
                 JoinOptions options = {.replay = true}) {
    std::vector<swim::JoinTarget> list;
    for (const NodeId target : targets) {
      list.push_back({world().endpoint(target).ToString(), world().endpoint(target)});
    }
    return JoinEndpoints(node, std::move(list), options);
  }
  RequestId JoinEndpoints(NodeId node, std::vector<swim::JoinTarget> targets, JoinOptions options) {
    return Ask(node, [&](Serf& serf, Instant now, RequestId request, Outbox& out) {
      serf.Join(now, request, std::move(targets), options, out);
    });
  }
  RequestId Leave(NodeId node) {
    return Ask(node, [](Serf& serf, Instant now, RequestId request, Outbox& out) {
      serf.Leave(now, request, out);
    });
  }
  RequestId ForceLeave(NodeId node, absl::string_view name, ForceLeaveOptions options) {
    return Ask(node, [&](Serf& serf, Instant now, RequestId request, Outbox& out) {
      serf.ForceLeave(now, request, name, options, out);
    });
  }
  RequestId SetTags(NodeId node, Tags tags) {
    return Ask(node, [&](Serf& serf, Instant now, RequestId request, Outbox& out) {
      serf.SetTags(now, request, std::move(tags), out);
    });
  }
  RequestId ManageKeys(NodeId node, KeyOperation operation, ByteView key,
                       std::uint8_t relay_factor) {
    return Ask(node, [&](Serf& serf, Instant now, RequestId request, Outbox& out) {
      serf.ManageKeys(now, request, operation, key, relay_factor, out);
    });
  }

  // --- requests that end at once, except for their answers ---

  absl::Status SendUserEvent(NodeId node, absl::string_view name, absl::string_view payload,
                             UserEventOptions options) {
    absl::Status status;
    world().Call(node, [&](Serf& serf, Instant now, Outbox& out) {
      status = serf.SendUserEvent(now, name, payload, options, out);
      if (!status.ok()) return;
      world().ForEachObserver([&](WorldObserver& o) { o.OnUserEventSent(node, name, payload); });
    });
    return status;
  }
  absl::StatusOr<QueryId> SendQuery(NodeId node, absl::string_view name, absl::string_view payload,
                                    const QueryParams& params) {
    absl::StatusOr<QueryId> query = absl::UnknownError("no call");
    world().Call(node, [&](Serf& serf, Instant now, Outbox& out) {
      query = serf.SendQuery(now, name, payload, params, out);
      if (!query.ok()) return;
      world().ForEachObserver([&](WorldObserver& o) { o.OnQuerySent(node, *query, params); });
    });
    return query;
  }
  absl::Status Respond(NodeId node, QueryId query, absl::string_view payload) {
    absl::Status status;
    world().Call(node, [&](Serf& serf, Instant now, Outbox& out) {
      status = serf.Respond(now, query, payload, out);
    });
    return status;
  }

 private:
  World& world() { return static_cast<World&>(*this); }

  template <typename Input>
  RequestId Ask(NodeId node, Input&& input) {
    const RequestId request = world().NewRequest();
    world().Call(node,
                 [&](Serf& serf, Instant now, Outbox& out) { input(serf, now, request, out); });
    return request;
  }
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_WORLD_REQUESTS_H_
