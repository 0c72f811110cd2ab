#ifndef SERF_TESTING_SCENARIOS_SCENARIO_H_
#define SERF_TESTING_SCENARIOS_SCENARIO_H_

// ScenarioDriver: a small cluster that a scenario uses, independent of what drives the machines.
// Each scenario is written once, in scenario_test.cc, and runs in virtual time (scenario_world.h)
// and over real sockets (scenario_host.h).
//
//   const NodeId a = driver.Add("a");
//   const NodeId b = driver.Add("b");
//   EXPECT_TRUE(driver.Join(b, {a}).status.ok());
//   EXPECT_TRUE(driver.RunUntil([&] { return driver.View(a) == "a:alive b:alive"; }));
//   EXPECT_THAT(driver.events(a), Contains("member-join b"));
//
// Requests run the cluster until they have an answer. RunUntil waits for results in the background,
// and Probe shows that something does not happen: no scenario reads a clock.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/join.h"
#include "serf/member.h"
#include "serf/serf.h"
#include "serf/tags.h"
#include "serf/testing/sim/link_model.h"

namespace serf::testkit {

// A profile for scenarios, which also run in real time: a node detects a failure within a second,
// and a push/pull delivers within two seconds what gossip missed.
inline Config ScenarioConfig() {
  Config config = Config::Local();
  config.swim.probe_interval = std::chrono::milliseconds(100);
  config.swim.probe_timeout = std::chrono::milliseconds(50);
  config.swim.push_pull_interval = std::chrono::seconds(2);
  config.leave_propagate_delay = std::chrono::milliseconds(100);
  return config;
}

class ScenarioDriver {
 public:
  // Longer than anything takes. A scenario that needs so long has failed.
  static constexpr Duration kPatience = std::chrono::seconds(30);

  ScenarioDriver() = default;
  virtual ~ScenarioDriver() = default;
  ScenarioDriver(const ScenarioDriver&) = delete;
  ScenarioDriver& operator=(const ScenarioDriver&) = delete;

  // --- nodes ---

  // Starts a node at an address of its own. The driver sets address, seed and logger.
  virtual NodeId Add(Config config) = 0;
  NodeId Add(absl::string_view name, Config config = ScenarioConfig()) {
    config.swim.name = std::string(name);
    return Add(std::move(config));
  }
  // Ends the node without a leave.
  virtual void Crash(NodeId node) = 0;
  // Starts a crashed node afresh, with its former configuration and address.
  virtual void Restart(NodeId node) = 0;

  // --- requests; DeadlineExceeded if there is no answer within kPatience ---

  virtual JoinResult Join(NodeId node, const std::vector<NodeId>& targets,
                          JoinOptions options = {.replay = true}) = 0;
  virtual absl::Status Leave(NodeId node) = 0;
  virtual absl::Status ForceLeave(NodeId node, absl::string_view name,
                                  ForceLeaveOptions options = {}) = 0;
  virtual absl::Status SetTags(NodeId node, Tags tags) = 0;

  // --- a stranger on the same network ---

  // Sends one datagram; or dials, sends the bytes, and waits until the node has closed.
  virtual void SendDatagram(NodeId to, ByteView bytes) = 0;
  virtual void SendStream(NodeId to, ByteView bytes) = 0;

  // --- time ---

  // Runs until done() holds; false if `limit` passes first.
  virtual bool RunUntil(const std::function<bool()>& done, Duration limit = kPatience) = 0;
  // Runs until the node got `count` more answers to its probes. False if it gets none.
  bool Probe(NodeId node, std::uint64_t count = 5);

  // --- views ---

  // The machine of a running node.
  virtual const Serf& serf(NodeId node) = 0;
  // "10.0.0.1:7946"
  virtual std::string address(NodeId node) = 0;
  // The events that all lives of the node delivered: "member-join a", "user deploy".
  const std::vector<std::string>& events(NodeId node) const { return events_[node.value()]; }
  // How often the node delivered this event.
  std::ptrdiff_t Told(NodeId node, absl::string_view event) const {
    return std::count(events(node).begin(), events(node).end(), event);
  }
  void ForgetEvents() {
    for (std::vector<std::string>& events : events_) events.clear();
  }
  // All members that the node knows, by name: "a:alive b:left".
  std::string View(NodeId node) {
    return absl::StrJoin(serf(node).Members(), " ", [](std::string* out, const Member& m) {
      absl::StrAppend(out, m.name, ":", MemberStatusName(m.status));
    });
  }
  // Runs until all of these nodes have this view.
  bool AllSee(const std::vector<NodeId>& nodes, absl::string_view view) {
    return RunUntil([&] {
      return std::all_of(nodes.begin(), nodes.end(), [&](NodeId n) { return View(n) == view; });
    });
  }

 protected:
  // Names the next node.
  NodeId NewNode() {
    events_.emplace_back();
    return NodeId(static_cast<std::uint32_t>(events_.size() - 1));
  }
  void Tell(NodeId node, const Event& event);

 private:
  std::vector<std::vector<std::string>> events_;
};

// --- bodies ---

inline bool ScenarioDriver::Probe(NodeId node, std::uint64_t count) {
  const swim::Counters& counters = serf(node).node().counters();
  const std::uint64_t enough = counters.acks_received + count;
  return RunUntil([&] { return counters.acks_received >= enough; });
}

inline void ScenarioDriver::Tell(NodeId node, const Event& event) {
  std::vector<std::string>& log = events_[node.value()];
  if (const auto* user = std::get_if<UserEvent>(&event)) {
    log.push_back(absl::StrCat("user ", user->name));
    return;
  }
  if (const auto* query = std::get_if<QueryEvent>(&event)) {
    log.push_back(absl::StrCat("query ", query->name));
    return;
  }
  const auto& told = std::get<MemberEvent>(event);
  for (const Member& member : told.members) {
    log.push_back(absl::StrCat(MemberEventName(told.kind), " ", member.name));
  }
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SCENARIOS_SCENARIO_H_
