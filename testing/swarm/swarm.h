#ifndef SERF_TESTING_SWARM_SWARM_H_
#define SERF_TESTING_SWARM_SWARM_H_

// Swarm: 2 to 16 nodes go through chaos (loss, cuts, partitions, crashes in the middle of a write,
// pauses, restarts, leaves) while applications send events, ask queries and change tags. Then calm
// follows, and the check that everything works again. All checkers watch. The same seed gives the
// same run; swarm_main runs seeds by hand.
//
//   const SwarmResult result = RunSwarm(7);
//   EXPECT_THAT(result.violations, IsEmpty());

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "serf/base/logger.h"
#include "serf/base/time.h"

namespace serf::testkit {

// Counts of the intended faults of the network and the nodes, of the applications' actions, and of
// their results.
struct SwarmFaults {
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t cut = 0;
  std::uint64_t partitions = 0;
  std::uint64_t crashes = 0;
  std::uint64_t power_failures = 0;
  std::uint64_t torn_writes = 0;
  std::uint64_t disk_errors = 0;
  std::uint64_t overwrites = 0;  // on snapshots in folders that take no new file
  std::uint64_t restarts = 0;
  std::uint64_t recoveries = 0;  // restarts with a file that named other nodes
  std::uint64_t pauses = 0;
  std::uint64_t leaves = 0;
  std::uint64_t rejoins = 0;  // restarts of nodes that had left
  std::uint64_t removals = 0;
  std::uint64_t prunes = 0;
  std::uint64_t tag_changes = 0;
  std::uint64_t suspicions = 0;
  std::uint64_t refutations = 0;
  std::uint64_t failures = 0;        // that nodes reported
  std::uint64_t false_failures = 0;  // failures reported of nodes that lived
  std::uint64_t false_leaves = 0;    // leaves reported of nodes that stayed
  std::uint64_t events_sent = 0;
  std::uint64_t events_told = 0;
  std::uint64_t events_told_again = 0;  // to a later life, whose file did not know of them yet
  std::uint64_t queries = 0;
  std::uint64_t acks = 0;
  std::uint64_t responses = 0;
  std::uint64_t early_ends = 0;
  std::uint64_t incomplete_queries = 0;
  std::uint64_t relayed = 0;
  std::uint64_t key_operations = 0;
  std::uint64_t clock_jumps = 0;

  void Add(const SwarmFaults& other);
  // The faults that did not happen, or an empty text: a run without faults proves nothing.
  std::string Missing() const;
  // "lost 17, duplicated 3, ..."
  std::string ToString() const;
};

struct SwarmResult {
  std::vector<std::string> violations;
  SwarmFaults faults;
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0;
  std::size_t nodes = 0;
  Duration agreed_after{};  // the time from the last fault until all agreed
};

// `logger` receives the log lines and the swarm's actions, for the study of a seed. It may be null.
SwarmResult RunSwarm(std::uint64_t seed, Logger* logger = nullptr);

}  // namespace serf::testkit

#endif  // SERF_TESTING_SWARM_SWARM_H_
