#ifndef SERF_TESTING_SWARM_H_
#define SERF_TESTING_SWARM_H_

// Swarm: a cluster of 2 to 16 nodes under chaos, then calm, for a seed; with all checkers. The
// seed decides everything: size, configuration, what goes wrong and when.
//
//   const SwarmResult result = RunSwarm(seed);
//   EXPECT_THAT(result.violations, IsEmpty()) << "seed " << seed;

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "serf/base/logger.h"
#include "serf/base/time.h"

namespace serf::testing {

// What went wrong with the network and the nodes, on purpose, and what came of it.
struct SwarmFaults {
  std::uint64_t lost = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t cut = 0;
  std::uint64_t partitions = 0;
  std::uint64_t crashes = 0;
  std::uint64_t restarts = 0;
  std::uint64_t pauses = 0;
  std::uint64_t leaves = 0;
  std::uint64_t removals = 0;
  std::uint64_t tag_changes = 0;
  std::uint64_t suspicions = 0;
  std::uint64_t refutations = 0;
  std::uint64_t failures = 0;        // reported
  std::uint64_t false_failures = 0;  // of them, about nodes that lived

  void Add(const SwarmFaults& other);
  // What did not happen, or nothing: a run that had no faults proves nothing.
  std::string Missing() const;
};

struct SwarmResult {
  std::vector<std::string> violations;
  SwarmFaults faults;
  std::uint64_t trace_hash = 0;
  std::uint64_t steps = 0;
  std::size_t nodes = 0;
  Duration agreed_after{};  // how long after the last fault all agreed
};

// `logger` gets the log lines and what the swarm does, for the study of a seed; may be null.
SwarmResult RunSwarm(std::uint64_t seed, Logger* logger = nullptr);

}  // namespace serf::testing

#endif  // SERF_TESTING_SWARM_H_
