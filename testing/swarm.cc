#include "serf/testing/swarm.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/config.h"
#include "serf/testing/checkers.h"
#include "serf/testing/link_model.h"
#include "serf/testing/test_crypto.h"
#include "serf/testing/world.h"

namespace serf::testing {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// The engine's statistics outlive the machines here.
class StatsCollector : public World::Observer {
 public:
  StatsCollector(World& world, SwarmFaults& faults) : world_(world), faults_(faults) {
    world.AddObserver(this);
  }
  void OnStop(NodeId node) override { Collect(node); }
  void Collect(NodeId node) {
    const swim::Stats& stats = world_.serf(node).node().stats();
    faults_.suspicions += stats.suspect_applied;
    faults_.refutations += stats.refutations;
  }

 private:
  World& world_;
  SwarmFaults& faults_;
};

// Tells of every datagram, for the study of a seed.
class SendLogger : public World::Observer {
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

class Swarm {
 public:
  Swarm(std::uint64_t seed, Logger* logger)
      : rng_(seed),
        world_(rng_.Next()),
        logger_(logger),
        violations_(world_),
        incarnations_(world_, violations_),
        events_(world_, violations_),
        bounds_(world_, violations_),
        stats_(world_, result_.faults),
        sends_(world_, logger) {
    world_.SetLogger(logger);
  }

  SwarmResult Run() {
    Start();
    Chaos();
    Calm();
    if (violations_.count() == 0) LeaveInCalm();
    return Report();
  }

 private:
  template <typename... Args>
  void Say(const Args&... args) {
    Log(logger_, LogLevel::kInfo, "swarm: ", ToSeconds(world_.now().time_since_epoch()), " ",
        args...);
  }
  bool Chance(int percent) { return rng_.Below(100) < static_cast<std::uint64_t>(percent); }
  NodeId Any() { return NodeId(static_cast<std::uint32_t>(rng_.Below(world_.size()))); }
  bool IsActive(NodeId node) const {
    return world_.is_up(node) && !world_.is_paused(node) &&
           world_.serf(node).state() == Serf::State::kAlive;
  }
  // A random node for which test(node) holds.
  template <typename Test>
  std::optional<NodeId> Pick(Test&& test) {
    std::vector<NodeId> list;
    for (std::uint32_t i = 0; i < world_.size(); ++i) {
      if (test(NodeId(i))) list.push_back(NodeId(i));
    }
    if (list.empty()) return std::nullopt;
    return list[rng_.Below(list.size())];
  }
  std::optional<NodeId> PickActive() {
    return Pick([this](NodeId n) { return IsActive(n); });
  }
  void JoinSomebody(NodeId node) {
    const auto target = Pick([&](NodeId n) { return n != node && IsActive(n); });
    if (target) world_.Join(node, {*target}, Chance(20));
  }

  void Start();
  void Chaos();
  void Disturb();
  void DisturbLinks();
  void DisturbNodes();
  void Calm();
  void LeaveInCalm();
  SwarmResult Report();

  Rng rng_;
  World world_;
  Logger* logger_;
  Violations violations_;
  SwarmResult result_;
  IncarnationChecker incarnations_;
  EventChecker events_;
  BoundsChecker bounds_;
  StatsCollector stats_;
  SendLogger sends_;
  // Nodes that an operator declared gone while they lived may stay apart until told to join.
  bool removed_the_living_ = false;
};

void Swarm::Start() {
  const std::size_t nodes = 2 + rng_.Below(15);
  Config config = Chance(25) ? Config::Local() : Config::Lan();
  config.swim.gossip_pacing =
      Chance(70) ? swim::GossipPacing::kPrompt : swim::GossipPacing::kTicked;
  config.swim.enable_compression = Chance(50);
  if (Chance(20)) config.swim.label = "swarm";
  if (Chance(20)) Encrypt(config.swim, AsBytes("sixteen byte key"));
  if (Chance(20)) config.swim.packet_size = 600 + rng_.Below(800);
  if (Chance(20)) config.swim.disable_tcp_pings = true;
  if (Chance(20)) config.reconnect_timeout = config.tombstone_timeout = minutes(2);
  Say(nodes, " nodes, retransmit_mult ", config.swim.retransmit_mult,
      config.swim.gossip_pacing == swim::GossipPacing::kPrompt ? ", prompt" : ", ticked");
  for (std::size_t i = 0; i < nodes; ++i) {
    config.tags = {{"number", absl::StrCat(i)}};
    const NodeId node = world_.Add(absl::StrCat("n", i), config);
    if (i > 0) JoinSomebody(node);
    world_.RunFor(rng_.Below(milliseconds(300)));
  }
  // Usually the cluster is whole before the chaos begins.
  if (Chance(80)) world_.RunFor(seconds(3));
}

void Swarm::Chaos() {
  const Instant end = world_.now() + seconds(20) + rng_.Below(seconds(60));
  while (world_.now() < end) {
    Disturb();
    // Mostly in quick succession, sometimes with time for suspicions to end.
    world_.RunFor(Chance(80) ? rng_.Below(seconds(2)) : rng_.Below(seconds(25)));
  }
}

void Swarm::Disturb() {
  if (Chance(50)) {
    DisturbLinks();
  } else {
    DisturbNodes();
  }
}

void Swarm::DisturbLinks() {
  LinkModel& links = world_.links();
  switch (rng_.Below(6)) {
    case 0: {
      constexpr std::array kRates = {0.0, 0.05, 0.2, 0.5, 0.9};
      links.settings().loss = kRates[rng_.Below(kRates.size())];
      links.settings().duplication = kRates[rng_.Below(3)];
      links.settings().reordering = kRates[rng_.Below(4)];
      Say("loss ", links.settings().loss);
      break;
    }
    case 1: {
      std::vector<std::vector<NodeId>> groups(2 + rng_.Below(2));
      for (std::uint32_t i = 0; i < world_.size(); ++i) {
        groups[rng_.Below(groups.size())].push_back(NodeId(i));
      }
      links.Partition(groups);
      ++result_.faults.partitions;
      Say("partition");
      break;
    }
    case 2:
    case 3: {
      const NodeId from = Any();
      const NodeId to = Any();
      if (from == to) break;
      links.Cut(from, to);
      Say("cut ", world_.name(from), " to ", world_.name(to));
      break;
    }
    default:
      links.Heal();
      Say("heal");
      break;
  }
}

void Swarm::DisturbNodes() {
  const NodeId node = Any();
  switch (rng_.Below(9)) {
    case 0:
      if (!world_.is_up(node)) break;
      Say("crash ", world_.name(node));
      world_.Crash(node);
      ++result_.faults.crashes;
      break;
    case 1:
    case 2:
      if (world_.is_up(node)) break;
      Say("restart ", world_.name(node));
      world_.Restart(node);
      ++result_.faults.restarts;
      JoinSomebody(node);
      break;
    case 3:
      if (!world_.is_up(node)) break;
      Say("pause ", world_.name(node));
      world_.Pause(node);
      ++result_.faults.pauses;
      break;
    case 4:
    case 5:
      Say("resume ", world_.name(node));
      world_.Resume(node);
      break;
    case 6:
      if (!IsActive(node) || !Chance(50)) break;
      Say("leave ", world_.name(node));
      world_.Leave(node);
      ++result_.faults.leaves;
      break;
    case 7: {
      if (!IsActive(node)) break;
      const NodeId target = Any();
      const bool prune = Chance(30);
      Say("remove ", world_.name(target), prune ? " and prune" : "");
      if (world_.is_up(target)) removed_the_living_ = true;
      world_.RemoveFailedNode(node, world_.name(target), prune);
      ++result_.faults.removals;
      break;
    }
    case 8:
      if (!IsActive(node)) break;
      Say("tags of ", world_.name(node));
      world_.SetTags(node, {{"number", absl::StrCat(rng_.Below(1000))}});
      ++result_.faults.tag_changes;
      break;
  }
}

void Swarm::Calm() {
  world_.links().Calm();
  for (std::uint32_t i = 0; i < world_.size(); ++i) world_.Resume(NodeId(i));
  // Who left stays away or comes back as a new process; who crashed the same.
  for (std::uint32_t i = 0; i < world_.size(); ++i) {
    const NodeId node(i);
    if (world_.is_up(node) && world_.serf(node).state() != Serf::State::kAlive && Chance(70)) {
      world_.Crash(node);
    }
    if (!world_.is_up(node) && Chance(50)) world_.Restart(node);
  }
  if (!PickActive()) {
    world_.Crash(NodeId(0));
    world_.Restart(NodeId(0));
  }
  for (std::uint32_t i = 0; i < world_.size(); ++i) {
    if (IsActive(NodeId(i)) && world_.serf(NodeId(i)).member_count() == 1) JoinSomebody(NodeId(i));
  }
  const Instant calm = world_.now();
  Say("calm");
  // Reconnecting is a matter of chance every 30 s; the rest is not.
  const auto agrees = [this] { return Agrees(world_); };
  if (!world_.RunUntil(agrees, minutes(5), milliseconds(500)) && removed_the_living_) {
    Say("operator joins");
    const NodeId first = *PickActive();
    for (std::uint32_t i = 0; i < world_.size(); ++i) {
      if (NodeId(i) != first && IsActive(NodeId(i))) world_.Join(NodeId(i), {first});
    }
    world_.RunUntil(agrees, minutes(2), milliseconds(500));
  }
  result_.agreed_after = world_.now() - calm;
  Say("agreed after ", ToSeconds(result_.agreed_after));
  if (const std::string text = Disagreement(world_); !text.empty()) {
    violations_.Add("no agreement after calm: ", text);
    return;
  }
  // It must stay so, and crashes must be known.
  world_.RunFor(DetectorBounds::Of(world_).detection);
  events_.CheckCrashes();
  // A push/pull with one that missed the last news may show a member as leaving for a while, by an
  // intent from before its return, until that is seen to be stuck (serf.md 15.3, issue 662).
  if (!world_.RunUntil(agrees, minutes(2), milliseconds(500))) {
    violations_.Add("agreement was lost: ", Disagreement(world_));
  }
}

void Swarm::LeaveInCalm() {
  const auto leaver = PickActive();
  if (!leaver || !Pick([&](NodeId n) { return n != *leaver && IsActive(n); })) return;
  // An intent counts only if it is newer than what others heard last of the leaver, so its clock
  // must have caught up with theirs. Push/pulls see to that.
  const auto level = [&] {
    const auto time = [&](NodeId n) { return world_.serf(n).Stats().at("member_time"); };
    return !Pick([&](NodeId n) { return IsActive(n) && time(n) != time(*leaver); });
  };
  if (!world_.RunUntil(level, minutes(10), seconds(1))) {
    violations_.Add("the Lamport clocks never met");
    return;
  }
  Say("last leave: ", world_.name(*leaver));
  const RequestId request = world_.Leave(*leaver);
  if (!world_.RunUntil([&] { return world_.completion(request) != nullptr; }, seconds(15)) ||
      !world_.completion(request)->status.ok()) {
    violations_.Add("the leave of ", world_.name(*leaver), " did not end well");
  }
  const auto straggler = [&]() -> std::optional<NodeId> {
    return Pick([&](NodeId n) {
      if (!IsActive(n)) return false;
      const auto member = world_.serf(n).FindMember(world_.name(*leaver));
      return !member || member->status != MemberStatus::kLeft;
    });
  };
  // Ticked gossip may need a push/pull to reach the last.
  const bool ticked =
      world_.serf(*leaver).config().swim.gossip_pacing == swim::GossipPacing::kTicked;
  if (!world_.RunUntil([&] { return !straggler(); }, ticked ? minutes(3) : Duration(seconds(3)),
                       milliseconds(100))) {
    violations_.Add(world_.name(*straggler()), " does not have ", world_.name(*leaver), " as left");
  }
}

SwarmResult Swarm::Report() {
  for (std::uint32_t i = 0; i < world_.size(); ++i) {
    if (world_.is_up(NodeId(i))) stats_.Collect(NodeId(i));
  }
  const LinkModel::Counters& counters = world_.links().counters();
  SwarmFaults& faults = result_.faults;
  faults.lost = counters.lost;
  faults.duplicated = counters.duplicated;
  faults.reordered = counters.reordered;
  faults.cut = counters.cut;
  faults.failures = events_.failures();
  faults.false_failures = events_.false_failures();
  result_.violations = violations_.list();
  result_.trace_hash = world_.trace_hash();
  result_.steps = world_.steps();
  result_.nodes = world_.size();
  return result_;
}

}  // namespace

void SwarmFaults::Add(const SwarmFaults& other) {
  lost += other.lost;
  duplicated += other.duplicated;
  reordered += other.reordered;
  cut += other.cut;
  partitions += other.partitions;
  crashes += other.crashes;
  restarts += other.restarts;
  pauses += other.pauses;
  leaves += other.leaves;
  removals += other.removals;
  tag_changes += other.tag_changes;
  suspicions += other.suspicions;
  refutations += other.refutations;
  failures += other.failures;
  false_failures += other.false_failures;
}

std::string SwarmFaults::Missing() const {
  std::string missing;
  const auto check = [&missing](const char* what, std::uint64_t count) {
    if (count == 0) absl::StrAppend(&missing, missing.empty() ? "" : ", ", what);
  };
  check("loss", lost);
  check("duplication", duplicated);
  check("reordering", reordered);
  check("cuts", cut);
  check("partitions", partitions);
  check("crashes", crashes);
  check("restarts", restarts);
  check("pauses", pauses);
  check("leaves", leaves);
  check("removals", removals);
  check("tag changes", tag_changes);
  check("suspicions", suspicions);
  check("refutations", refutations);
  check("failures", failures);
  check("false failures", false_failures);
  return missing;
}

SwarmResult RunSwarm(std::uint64_t seed, Logger* logger) { return Swarm(seed, logger).Run(); }

}  // namespace serf::testing
