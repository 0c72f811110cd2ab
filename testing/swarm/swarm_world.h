#ifndef SERF_TESTING_SWARM_SWARM_WORLD_H_
#define SERF_TESTING_SWARM_SWARM_WORLD_H_

// SwarmWorld: the World of a swarm's run with all its checkers, and the tools that both chaos and
// calm need: dice, picks, joins. See swarm.h.

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/serf.h"
#include "serf/swim/node.h"
#include "serf/tags.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/checkers/hearing_checker.h"
#include "serf/testing/checkers/listing_checker.h"
#include "serf/testing/checkers/query_application.h"
#include "serf/testing/checkers/query_checker.h"
#include "serf/testing/checkers/snapshot_checker.h"
#include "serf/testing/checkers/user_event_checker.h"
#include "serf/testing/sim/clock_jump.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/swarm/swarm.h"

namespace serf::testkit {

// The statistics of machines that no longer exist.
class SwarmStats : public WorldObserver {
 public:
  SwarmStats(World& world, SwarmFaults& faults) : world_(world), faults_(faults) {
    world.AddObserver(this);
  }
  void OnStop(NodeId node) override { Collect(node); }
  void Collect(NodeId node) {
    const Serf& serf = world_.serf(node);
    faults_.suspicions += serf.node().counters().suspect_applied;
    faults_.refutations += serf.node().counters().refutations;
    faults_.relayed += serf.counters().relayed;
  }

 private:
  World& world_;
  SwarmFaults& faults_;
};

// Logs every datagram, for the study of a seed.
class SendLogger : public WorldObserver {
 public:
  SendLogger(World& world, Logger* logger) : world_(world), logger_(logger) {
    if (logger != nullptr) world.AddObserver(this);
  }
  void OnSend(NodeId node, const Endpoint& to, ByteView bytes) override {
    Log(logger_, LogLevel::kTrace, ToSeconds(world_.now().time_since_epoch()), " ",
        world_.name(node), " -> ", to.ToString(), " ", bytes.size(), " bytes ",
        absl::BytesToHexString(AsText(bytes.first(std::min<std::size_t>(bytes.size(), 48)))));
  }

 private:
  World& world_;
  Logger* logger_;
};

// The keys of clusters that encrypt: the key of the chaos, and the next one in calm.
inline constexpr absl::string_view kSwarmKey = "sixteen byte key";
inline constexpr absl::string_view kSwarmNextKey = "the next, longer key, 32 bytes..";

struct SwarmWorld {
  SwarmWorld(std::uint64_t seed, Logger* the_logger)
      : rng(seed),
        world(rng.Next()),
        logger(the_logger),
        violations(world),
        incarnations(world, violations),
        members(world, violations),
        bounds(world, violations),
        listings(world, violations),
        user_events(world, violations),
        hearing(world),
        queries(world, violations),
        application(world, violations, rng.Next()),
        snapshots(world, violations),
        stats(world, faults),
        sends(world, the_logger),
        jumps(seed) {
    world.SetLogger(the_logger);
  }

  template <typename... Args>
  void Say(const Args&... args) {
    Log(logger, LogLevel::kInfo, "swarm: ", ToSeconds(world.now().time_since_epoch()), " ",
        args...);
  }
  bool Chance(int percent) { return rng.Below(100) < static_cast<std::uint64_t>(percent); }
  NodeId Any() { return NodeId(static_cast<std::uint32_t>(rng.Below(world.size()))); }
  bool IsActive(NodeId node) const {
    return world.is_up(node) && !world.is_paused(node) &&
           world.serf(node).state() == Serf::State::kAlive;
  }
  template <typename F>
  void ForEachNode(F&& f) {
    for (std::uint32_t i = 0; i < world.size(); ++i) f(NodeId(i));
  }
  template <typename Test>
  std::vector<NodeId> All(Test&& test) {
    std::vector<NodeId> list;
    ForEachNode([&](NodeId node) {
      if (test(node)) list.push_back(node);
    });
    return list;
  }
  std::vector<NodeId> AllActive() {
    return All([this](NodeId node) { return IsActive(node); });
  }
  // A random node for which test(node) holds.
  template <typename Test>
  std::optional<NodeId> Pick(Test&& test) {
    const std::vector<NodeId> list = All(test);
    if (list.empty()) return std::nullopt;
    return list[rng.Below(list.size())];
  }
  std::optional<NodeId> PickActive() {
    return Pick([this](NodeId n) { return IsActive(n); });
  }

  void Join(NodeId node, NodeId target) {
    const JoinOptions options{.replay = !Chance(20)};
    const RequestId request = world.Join(node, {target}, options);
    if (!options.replay) user_events.OnJoinIgnoringOld(node, request);
  }
  void JoinSomebody(NodeId node) {
    const auto target = Pick([&](NodeId n) { return n != node && IsActive(n); });
    if (target) Join(node, *target);
  }
  void SendEvent(NodeId node) {
    const std::string payload = absl::StrCat("event ", ++events_sent);
    const std::string name = absl::StrCat("e", rng.Below(3));
    if (const auto status = world.SendUserEvent(node, name, payload, {}); !status.ok()) {
      violations.Add(world.name(node), " could not send an event: ", status.ToString());
    }
  }
  // Moves a clock of a node, by any distance.
  void JumpClock(NodeId node) {
    const Clocks clocks = ClocksOf(world, node);
    const std::uint64_t distance = std::uint64_t{1} << jumps.Below(62);
    const auto to = [&](std::uint64_t clock) {
      return clock < LamportClock::kCeiling ? clock + distance : clock + distance % 1024;
    };
    switch (jumps.Below(3)) {
      case 0: {
        const std::string payload = absl::StrCat("event ", ++events_sent, " of a jump");
        Say("clock of events of ", world.name(node), " jumps to ", to(clocks.event));
        user_events.OnUserEventSent(node, "jump", payload);
        return SayEvent(world, node, to(clocks.event), payload);
      }
      case 1:
        Say("clock of queries of ", world.name(node), " jumps to ", to(clocks.query));
        return SayQuery(world, node, to(clocks.query));
      default:
        Say("clock of intents of ", world.name(node), " jumps to ", to(clocks.member));
        return SayIntent(world, node, to(clocks.member));
    }
  }
  Tags SomeTags() {
    constexpr std::array kRoles = {"web", "db", "cache"};
    return {{"number", absl::StrCat(rng.Below(1000))}, {"role", kRoles[rng.Below(kRoles.size())]}};
  }
  QueryParams SomeParams();

  Rng rng;
  World world;
  Logger* logger;
  SwarmFaults faults;
  Violations violations;
  IncarnationChecker incarnations;
  EventChecker members;
  BoundsChecker bounds;
  ListingChecker listings;
  UserEventChecker user_events;
  HearingChecker hearing;
  QueryChecker queries;
  QueryApplication application;
  SnapshotChecker snapshots;
  SwarmStats stats;
  SendLogger sends;
  // A generator of its own, so that it disturbs no other choice.
  Rng jumps;
  std::uint64_t events_sent = 0;
  // Nodes that left, or were declared gone. Other nodes no longer look for them.
  std::vector<bool> departed;
};

inline QueryParams SwarmWorld::SomeParams() {
  QueryParams params;
  params.request_ack = Chance(50);
  params.finish_early = Chance(50);
  params.relay_factor = static_cast<std::uint8_t>(Chance(50) ? 0 : rng.Below(4));
  if (Chance(25)) {
    params.filter_nodes = {world.name(Any()), world.name(Any())};
  }
  if (Chance(25)) params.filter_tags = {{"role", Chance(50) ? "^(web|db)$" : "cache"}};
  if (Chance(30)) params.timeout = std::chrono::milliseconds(100 + rng.Below(10'000));
  return params;
}

// The chaos: disturbs `swarm` for a minute or so.
void RunSwarmChaos(SwarmWorld& swarm);
// The calm after it: checks that everything heals and works. Returns when all nodes agreed.
Duration RunSwarmCalm(SwarmWorld& swarm);

}  // namespace serf::testkit

#endif  // SERF_TESTING_SWARM_SWARM_WORLD_H_
