#ifndef SERF_TESTING_AGENTS_CLUSTER_H_
#define SERF_TESTING_AGENTS_CLUSTER_H_

// Cluster: agents of this project and of Go Serf that join each other.
//
//   Cluster cluster({"-encrypt=..."});
//   cluster.Add(OurSerf(), "a");
//   cluster.Add(DebianSerf(), "b", {"-tag=role=db"});
//   ASSERT_TRUE(cluster.WaitForMembers({{"a", "alive"}, {"b", "alive"}}));

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "serf/testing/agents/agent_process.h"

namespace serf::testkit {

class Cluster {
 public:
  // The agents that a new agent joins. With kFirst the others learn of it by gossip. With
  // -profile=local Go Serf sends so little gossip that this can take until a push/pull, 15 s later.
  enum class Joins { kFirst, kAll };

  // Every agent gets `flags`.
  explicit Cluster(std::vector<std::string> flags = {}, Joins joins = Joins::kFirst)
      : flags_(std::move(flags)), joins_(joins) {}

  // Starts an agent and lets it join. Returns after the join, successful or not.
  AgentProcess& Add(std::string program, std::string name, std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), flags_.begin(), flags_.end());
    for (const auto& agent : agents_) {
      flags.push_back(absl::StrCat("-join=", agent->gossip()));
      if (joins_ == Joins::kFirst) break;
    }
    agents_.push_back(std::make_unique<AgentProcess>(AgentProcess::Options{
        .program = std::move(program), .name = std::move(name), .flags = std::move(flags)}));
    agents_.back()->WaitUntilRunning();
    return *agents_.back();
  }

  AgentProcess& operator[](std::size_t index) { return *agents_[index]; }
  std::size_t size() const { return agents_.size(); }

  // Waits until every running agent lists exactly these members. False at the deadline; problem()
  // then has the logs.
  bool WaitForMembers(const MemberStates& expected) {
    for (const auto& agent : agents_) {
      if (agent->process().ended() || agent->WaitForMembers(expected)) continue;
      problem_ = absl::StrCat(agent->name(), " disagrees; its log:\n", agent->log());
      return false;
    }
    return true;
  }

  const std::string& problem() const { return problem_; }

 private:
  const std::vector<std::string> flags_;
  const Joins joins_;
  std::vector<std::unique_ptr<AgentProcess>> agents_;
  std::string problem_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_AGENTS_CLUSTER_H_
