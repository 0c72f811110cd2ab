#ifndef SERF_TESTING_SCENARIOS_SCENARIO_WORLD_H_
#define SERF_TESTING_SCENARIOS_SCENARIO_WORLD_H_

// ScenarioWorld: the ScenarioDriver in virtual time, over the links of a World.

#include <cassert>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/tags.h"
#include "serf/testing/scenarios/scenario.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"

namespace serf::testkit {

class ScenarioWorld final : public ScenarioDriver, private World::Observer {
 public:
  ScenarioWorld() { world_.AddObserver(this); }

  using ScenarioDriver::Add;
  NodeId Add(Config config) override {
    // Before the World's node, which reports its own join at once.
    const NodeId node = NewNode();
    const NodeId same = world_.Add(std::move(config));
    assert(node == same);
    static_cast<void>(same);
    return node;
  }
  void Crash(NodeId node) override { world_.Crash(node); }
  void Restart(NodeId node) override { world_.Restart(node); }

  JoinResult Join(NodeId node, const std::vector<NodeId>& targets, JoinOptions options) override {
    const Completion answer = Await(world_.Join(node, targets, options));
    return {answer.status, answer.contacted, answer.errors};
  }
  absl::Status Leave(NodeId node) override { return Await(world_.Leave(node)).status; }
  absl::Status ForceLeave(NodeId node, absl::string_view name, ForceLeaveOptions options) override {
    return Await(world_.ForceLeave(node, name, options)).status;
  }
  absl::Status SetTags(NodeId node, Tags tags) override {
    return Await(world_.SetTags(node, std::move(tags))).status;
  }

  void SendDatagram(NodeId to, ByteView bytes) override {
    world_.Call(to, [&](Serf& serf, Instant now, Outbox& out) {
      serf.OnDatagram(now, kStranger, bytes, out);
    });
  }
  // The node's answer goes nowhere, because the World knows no such connection.
  void SendStream(NodeId to, ByteView bytes) override {
    std::optional<swim::StreamId> stream;
    world_.Call(to, [&](Serf& serf, Instant now, Outbox& out) {
      stream = serf.OnStreamAccepted(now, kStranger, out);
    });
    if (!stream) return;
    world_.Call(to, [&](Serf& serf, Instant now, Outbox& out) {
      serf.OnStreamBytes(now, *stream, bytes, out);
    });
  }

  bool RunUntil(const std::function<bool()>& done, Duration limit) override {
    return world_.RunUntil(done, limit);
  }

  const Serf& serf(NodeId node) override { return world_.serf(node); }
  std::string address(NodeId node) override { return world_.endpoint(node).ToString(); }

 private:
  // An address that the World gives to no node.
  inline static const Endpoint kStranger = {IpAddress::V4(10, 255, 0, 1), 7946};

  void OnEvent(NodeId node, const Event& event) override { Tell(node, event); }

  Completion Await(RequestId request) {
    if (!world_.RunUntil([&] { return world_.completion(request) != nullptr; }, kPatience)) {
      return {request, absl::DeadlineExceededError("no answer"), 0, {}};
    }
    return *world_.completion(request);
  }

  World world_{1};
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_SCENARIOS_SCENARIO_WORLD_H_
