#ifndef SERF_CMD_COMMANDS_REACHABILITY_H_
#define SERF_CMD_COMMANDS_REACHABILITY_H_

// Reachability: which live members acknowledged, and what that means for the network. This part of
// `serf reachability` uses no agent. Source: docs/protocol/agent.md 4.13.
//
//   Reachability test({"alpha", "beta"});
//   test.OnAck("alpha");
//   Print(test.Verdict());  // "Received less acks than live nodes! Missing acks
//   from:\n\tbeta\n..." return test.passed() ? kExitSuccess : kExitFailure;

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/quote.h"

namespace serf::cmd {

class Reachability {
 public:
  explicit Reachability(std::set<std::string> live) : missing_(live), live_(std::move(live)) {}

  // False if the node has acknowledged before, which means that two nodes have this name.
  bool OnAck(const std::string& node) {
    if (!live_.contains(node)) {
      if (strangers_.insert(node).second) return true;
    } else if (missing_.erase(node) > 0) {
      return true;
    }
    duplicates_ = true;
    return false;
  }

  // Whether all live members have acknowledged.
  bool complete() const { return missing_.empty(); }

  // The verdict about all acknowledgements; each line ends with LF.
  std::string Verdict() const;
  bool passed() const { return missing_.empty() && strangers_.empty() && !duplicates_; }

 private:
  static std::string Names(const std::set<std::string>& nodes) {
    std::string lines;
    for (const std::string& node : nodes) absl::StrAppend(&lines, "\t", EscapeControls(node), "\n");
    return lines;
  }

  std::set<std::string> missing_;    // live members that have not acknowledged
  std::set<std::string> strangers_;  // nodes that acknowledged and are not live members
  const std::set<std::string> live_;
  bool duplicates_ = false;
};

inline std::string Reachability::Verdict() const {
  std::string text;
  if (duplicates_) {
    text =
        "Duplicate responses means there is a misconfiguration. Verify that node names are "
        "unique.\n";
  }
  if (missing_.empty() && strangers_.empty()) {
    return absl::StrCat(text, "Successfully contacted all live nodes\n");
  }
  if (!strangers_.empty()) {
    absl::StrAppend(&text, "Received more acks than live nodes! Acks from non-live nodes:\n",
                    Names(strangers_),
                    "This could mean Serf is detecting false-failures due to a misconfiguration or "
                    "network issue.\n");
  }
  if (!missing_.empty()) {
    absl::StrAppend(&text, "Received less acks than live nodes! Missing acks from:\n",
                    Names(missing_),
                    "This could mean Serf gossip packets are being lost due to a misconfiguration "
                    "or network issue.\n");
  }
  return absl::StrCat(text,
                      "\nTroubleshooting tips:\n"
                      "* Each node must be reachable at the address that `serf members` shows\n"
                      "* An advertised address must lead to the one that is bound\n"
                      "* Address translation (NAT) between nodes needs -advertise, or hides them\n"
                      "* Firewalls must let the gossip port through, both UDP and TCP\n"
                      "* Look for losses and congestion on the network's own equipment\n");
}

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_REACHABILITY_H_
