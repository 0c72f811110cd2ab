// The chaos of the swarm.

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "serf/base/time.h"
#include "serf/keys.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/virtual_disk.h"
#include "serf/testing/swarm/swarm_world.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

void DisturbLinks(SwarmWorld& swarm) {
  LinkModel& links = swarm.world.links();
  switch (swarm.rng.Below(6)) {
    case 0: {
      constexpr std::array kRates = {0.0, 0.05, 0.2, 0.5, 0.9};
      links.settings().loss = kRates[swarm.rng.Below(kRates.size())];
      links.settings().duplication = kRates[swarm.rng.Below(3)];
      links.settings().reordering = kRates[swarm.rng.Below(4)];
      swarm.Say("loss ", links.settings().loss);
      break;
    }
    case 1: {
      std::vector<std::vector<NodeId>> groups(2 + swarm.rng.Below(2));
      swarm.ForEachNode(
          [&](NodeId node) { groups[swarm.rng.Below(groups.size())].push_back(node); });
      links.Partition(groups);
      ++swarm.faults.partitions;
      swarm.Say("partition");
      break;
    }
    case 2:
    case 3: {
      const NodeId from = swarm.Any();
      const NodeId to = swarm.Any();
      if (from == to) break;
      links.Cut(from, to);
      swarm.Say("cut ", swarm.world.name(from), " to ", swarm.world.name(to));
      break;
    }
    default:
      links.Heal();
      swarm.Say("heal");
      break;
  }
}

void EndProcess(SwarmWorld& swarm, NodeId node) {
  World& world = swarm.world;
  if (!world.is_up(node)) return;
  // An agent that has left, or received a signal, ends in order.
  if (!world.is_paused(node) && swarm.Chance(30)) {
    swarm.Say("shutdown ", world.name(node));
    return world.Shutdown(node);
  }
  // In the middle of a write, if there is something to write.
  if (world.has_disk(node) && swarm.IsActive(node) && swarm.Chance(50)) {
    swarm.SendEvent(node);
    world.RunUntil([&] { return world.disk_works(node); }, milliseconds(600));
  }
  const bool power = swarm.Chance(40);
  swarm.Say("crash ", world.name(node), power ? ", no power" : "");
  world.Crash(node, power ? VirtualDisk::Loss::kUnsynced : VirtualDisk::Loss::kNothing);
  ++(power ? swarm.faults.power_failures : swarm.faults.crashes);
}

void Restart(SwarmWorld& swarm, NodeId node) {
  World& world = swarm.world;
  if (world.is_up(node)) return;
  swarm.Say("restart ", world.name(node));
  world.Restart(node);
  ++swarm.faults.restarts;
  if (swarm.departed[node.value()]) ++swarm.faults.rejoins;
  // A node with a file may find the cluster by itself.
  if (!world.has_disk(node) || swarm.Chance(30)) swarm.JoinSomebody(node);
}

void Remove(SwarmWorld& swarm, NodeId node) {
  World& world = swarm.world;
  const NodeId target = swarm.Any();
  const bool prune = swarm.Chance(30);
  swarm.Say("remove ", world.name(target), prune ? " and prune" : "");
  swarm.departed[target.value()] = true;
  world.ForceLeave(node, world.name(target), {.prune = prune});
  ++swarm.faults.removals;
  if (prune) ++swarm.faults.prunes;
}

void DisturbNodes(SwarmWorld& swarm) {
  World& world = swarm.world;
  const NodeId node = swarm.Any();
  // A node that is down or paused soon continues, because otherwise nothing would happen any more.
  if (const auto down = swarm.Pick([&](NodeId n) { return !world.is_up(n); });
      down && swarm.Chance(40)) {
    return Restart(swarm, *down);
  }
  switch (swarm.rng.Below(8)) {
    case 0:
    case 1:
    case 2:
      return EndProcess(swarm, node);
    case 3:
      if (!world.is_up(node)) return;
      swarm.Say("pause ", world.name(node));
      world.Pause(node);
      ++swarm.faults.pauses;
      return;
    case 4:
    case 5:
      swarm.Say("resume ", world.name(node));
      return world.Resume(node);
    case 6:
      if (!swarm.IsActive(node) || !swarm.Chance(50)) return;
      swarm.Say("leave ", world.name(node));
      world.Leave(node);
      swarm.departed[node.value()] = true;
      ++swarm.faults.leaves;
      return;
    case 7:
      if (swarm.IsActive(node)) Remove(swarm, node);
      return;
    default:
      if (world.is_up(node) && world.serf(node).state() == Serf::State::kLeft) {
        EndProcess(swarm, node);
        return Restart(swarm, node);
      }
      return;
  }
}

void UseApplication(SwarmWorld& swarm) {
  const auto node = swarm.PickActive();
  if (!node) return;
  World& world = swarm.world;
  switch (swarm.rng.Below(8)) {
    case 0:
      swarm.Say("tags of ", world.name(*node));
      world.SetTags(*node, swarm.SomeTags());
      ++swarm.faults.tag_changes;
      return;
    case 1:
    case 2:
    case 3: {
      swarm.Say("query of ", world.name(*node));
      const auto query = world.SendQuery(*node, "question", "?", swarm.SomeParams());
      if (!query.ok()) {
        swarm.violations.Add(world.name(*node), " could not ask: ", query.status().ToString());
      }
      return;
    }
    case 4:
      if (world.serf(*node).config().swim.keyring == nullptr) return;
      swarm.Say("list-keys of ", world.name(*node));
      world.ManageKeys(*node, KeyOperation::kList, {}, 0);
      ++swarm.faults.key_operations;
      return;
    default: {
      // Sometimes more at once than packets hold.
      const std::uint64_t events = swarm.Chance(5) ? 60 : 1 + swarm.rng.Below(3);
      swarm.Say(events, " events of ", world.name(*node));
      for (std::uint64_t i = 0; i < events; ++i) swarm.SendEvent(*node);
      return;
    }
  }
}

}  // namespace

void RunSwarmChaos(SwarmWorld& swarm) {
  // Only such a configuration accepts messages in plaintext without a label.
  const swim::Config& config = swarm.world.serf(NodeId(0)).config().swim;
  const bool jumps = config.keyring == nullptr && config.label.empty() && swarm.jumps.Below(2) == 0;
  const Instant end = swarm.world.now() + seconds(30) + swarm.rng.Below(seconds(90));
  while (swarm.world.now() < end) {
    if (jumps && swarm.jumps.Below(10) == 0) {
      const std::vector<NodeId> active = swarm.AllActive();
      if (!active.empty()) {
        swarm.JumpClock(active[swarm.jumps.Below(active.size())]);
        ++swarm.faults.clock_jumps;
      }
    }
    if (swarm.Chance(40)) {
      UseApplication(swarm);
    } else if (swarm.Chance(40)) {
      DisturbLinks(swarm);
    } else {
      DisturbNodes(swarm);
    }
    // Mostly in quick succession, sometimes with time for suspicions to end.
    swarm.world.RunFor(swarm.Chance(85) ? swarm.rng.Below(seconds(2))
                                        : swarm.rng.Below(seconds(25)));
  }
}

}  // namespace serf::testkit
