#ifndef SERF_TESTING_CLUSTER_H_
#define SERF_TESTING_CLUSTER_H_

// Cluster: agents, ours and the original mixed, that join the first of them.
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
#include "serf/testing/agent_process.h"

namespace serf::testing {

class Cluster {
 public:
  // Every agent gets `flags`.
  explicit Cluster(std::vector<std::string> flags = {}) : flags_(std::move(flags)) {}

  // Starts an agent and lets it join the first one. Returns when it has: then it is listed there.
  AgentProcess& Add(std::string program, std::string name, std::vector<std::string> flags = {}) {
    flags.insert(flags.begin(), flags_.begin(), flags_.end());
    if (!agents_.empty()) flags.push_back(absl::StrCat("-join=", agents_.front()->gossip()));
    agents_.push_back(std::make_unique<AgentProcess>(AgentProcess::Options{
        .program = std::move(program), .name = std::move(name), .flags = std::move(flags)}));
    agents_.back()->WaitUntilRunning();
    return *agents_.back();
  }

  AgentProcess& operator[](std::size_t index) { return *agents_[index]; }
  std::size_t size() const { return agents_.size(); }

  // Until every agent that runs lists exactly these. False at the deadline, with the logs in
  // problem().
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
  std::vector<std::string> flags_;
  std::vector<std::unique_ptr<AgentProcess>> agents_;
  std::string problem_;
};

}  // namespace serf::testing

#endif  // SERF_TESTING_CLUSTER_H_
