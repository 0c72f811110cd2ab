#include "serf/testing/swarm/swarm.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/config.h"
#include "serf/snapshot_state.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/swarm/swarm_world.h"
#include "serf/testing/test_crypto.h"

namespace serf::testkit {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

void Start(SwarmWorld& swarm) {
  Rng& rng = swarm.rng;
  const std::size_t nodes = 2 + rng.Below(15);
  Config config = swarm.Chance(25) ? Config::Local() : Config::Lan();
  config.swim.gossip_pacing =
      swarm.Chance(70) ? swim::GossipPacing::kPrompt : swim::GossipPacing::kTicked;
  config.swim.enable_compression = swarm.Chance(50);
  if (swarm.Chance(20)) config.swim.label = "swarm";
  const bool encrypt = swarm.Chance(20);
  if (swarm.Chance(20)) config.swim.packet_size = 600 + rng.Below(800);
  if (swarm.Chance(20)) config.swim.disable_tcp_pings = true;
  if (swarm.Chance(20)) config.reconnect_timeout = config.tombstone_timeout = minutes(2);
  // Percent of nodes that have a file, and percent of these that come back after a leave.
  const int with_file = swarm.Chance(60) ? 70 : 0;
  const int rejoin_after_leave = swarm.Chance(50) ? 50 : 0;
  const double disk_errors = swarm.Chance(20) ? 0.1 : 0;
  swarm.Say(nodes, " nodes, retransmit_mult ", config.swim.retransmit_mult,
            config.swim.gossip_pacing == swim::GossipPacing::kPrompt ? ", prompt" : ", ticked",
            with_file > 0 ? ", snapshots" : "");
  for (std::size_t i = 0; i < nodes; ++i) {
    config.tags = swarm.SomeTags();
    config.swim.name = absl::StrCat("n", i);
    // Each node has its own keyring.
    if (encrypt) Encrypt(config.swim, AsBytes(kSwarmKey));
    config.snapshot.reset();
    if (swarm.Chance(with_file)) config.snapshot.emplace();
    const NodeId node = swarm.world.Add(config, swarm.Chance(rejoin_after_leave));
    if (swarm.world.has_disk(node)) {
      swarm.world.disk(node).set_failure(disk_errors);
      swarm.world.disk(node).set_folder_closed(i % 2 == 0);
    }
    swarm.departed.push_back(false);
    if (i > 0) swarm.JoinSomebody(node);
    swarm.world.RunFor(rng.Below(milliseconds(300)));
  }
  // In most runs the cluster is whole before the chaos begins.
  if (swarm.Chance(80)) swarm.world.RunFor(seconds(3));
}

SwarmResult Report(SwarmWorld& swarm) {
  SwarmFaults& faults = swarm.faults;
  swarm.ForEachNode([&](NodeId node) {
    if (swarm.world.is_up(node)) swarm.stats.Collect(node);
    if (!swarm.world.has_disk(node)) return;
    faults.torn_writes += swarm.world.disk(node).torn();
    faults.disk_errors += swarm.world.disk(node).failures();
    faults.overwrites += swarm.world.disk(node).overwrites();
  });
  const LinkModel::Counters& links = swarm.world.links().counters();
  faults.lost = links.lost;
  faults.duplicated = links.duplicated;
  faults.reordered = links.reordered;
  faults.cut = links.cut;
  faults.failures = swarm.members.failures();
  faults.false_failures = swarm.members.false_failures();
  faults.false_leaves = swarm.members.false_leaves();
  faults.recoveries = swarm.snapshots.recoveries();
  faults.events_sent = swarm.user_events.sent();
  faults.events_told = swarm.user_events.told();
  faults.events_told_again = swarm.user_events.told_again();
  const QueryChecker::Counters& queries = swarm.queries.counters();
  faults.queries = queries.sent;
  faults.acks = queries.acks;
  faults.responses = queries.responses;
  faults.early_ends = queries.ended_early;
  faults.incomplete_queries = queries.incomplete;
  SwarmResult result;
  result.violations = swarm.violations.list();
  result.faults = faults;
  result.trace_hash = swarm.world.trace_hash();
  result.steps = swarm.world.steps();
  result.nodes = swarm.world.size();
  return result;
}

constexpr struct {
  const char* name;
  std::uint64_t SwarmFaults::*count;
} kCounts[] = {
    {"lost", &SwarmFaults::lost},
    {"duplicated", &SwarmFaults::duplicated},
    {"reordered", &SwarmFaults::reordered},
    {"cut", &SwarmFaults::cut},
    {"partitions", &SwarmFaults::partitions},
    {"crashes", &SwarmFaults::crashes},
    {"power failures", &SwarmFaults::power_failures},
    {"torn writes", &SwarmFaults::torn_writes},
    {"disk errors", &SwarmFaults::disk_errors},
    {"snapshots overwritten", &SwarmFaults::overwrites},
    {"restarts", &SwarmFaults::restarts},
    {"recoveries", &SwarmFaults::recoveries},
    {"pauses", &SwarmFaults::pauses},
    {"leaves", &SwarmFaults::leaves},
    {"rejoins", &SwarmFaults::rejoins},
    {"removals", &SwarmFaults::removals},
    {"prunes", &SwarmFaults::prunes},
    {"tag changes", &SwarmFaults::tag_changes},
    {"suspicions", &SwarmFaults::suspicions},
    {"refutations", &SwarmFaults::refutations},
    {"failures", &SwarmFaults::failures},
    {"false failures", &SwarmFaults::false_failures},
    {"false leaves", &SwarmFaults::false_leaves},
    {"events sent", &SwarmFaults::events_sent},
    {"events told", &SwarmFaults::events_told},
    {"events told again", &SwarmFaults::events_told_again},
    {"queries", &SwarmFaults::queries},
    {"acknowledgements", &SwarmFaults::acks},
    {"responses", &SwarmFaults::responses},
    {"early ends", &SwarmFaults::early_ends},
    {"incomplete queries", &SwarmFaults::incomplete_queries},
    {"relayed answers", &SwarmFaults::relayed},
    {"key operations", &SwarmFaults::key_operations},
    {"clock jumps", &SwarmFaults::clock_jumps},
};

}  // namespace

void SwarmFaults::Add(const SwarmFaults& other) {
  for (const auto& c : kCounts) this->*c.count += other.*c.count;
}

std::string SwarmFaults::Missing() const {
  std::string missing;
  for (const auto& c : kCounts) {
    if (this->*c.count == 0) absl::StrAppend(&missing, missing.empty() ? "" : ", ", c.name);
  }
  return missing;
}

std::string SwarmFaults::ToString() const {
  std::string text;
  for (const auto& c : kCounts) {
    absl::StrAppend(&text, text.empty() ? "" : ", ", c.name, " ", this->*c.count);
  }
  return text;
}

SwarmResult RunSwarm(std::uint64_t seed, Logger* logger) {
  SwarmWorld swarm(seed, logger);
  Start(swarm);
  RunSwarmChaos(swarm);
  const Duration agreed_after = RunSwarmCalm(swarm);
  SwarmResult result = Report(swarm);
  result.agreed_after = agreed_after;
  return result;
}

}  // namespace serf::testkit
