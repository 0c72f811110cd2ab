#ifndef SERF_TESTING_CHECKERS_LISTING_CHECKER_H_
#define SERF_TESTING_CHECKERS_LISTING_CHECKER_H_

// ListingChecker: the rule for Serf::members_version(), by which an agent keeps encoded listings:
// whenever a node's listing changes, so does its version. Checks every kPeriod-th transition of a
// World, because a listing takes long.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "serf/member.h"
#include "serf/serf.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/sim/world_observer.h"

namespace serf::testkit {

class ListingChecker : public WorldObserver {
 public:
  ListingChecker(World& world, Violations& violations) : world_(world), violations_(violations) {
    world.AddObserver(this);
  }

  // A node has this listing at this version.
  void OnListing(NodeId node, std::uint64_t version, std::string listing) {
    Seen& seen = SeenOf(node);
    if (seen.version == version && seen.listing != listing && !seen.listing.empty()) {
      violations_.Add(world_.name(node), " lists other members at the same version ", version,
                      ": before\n", seen.listing, "now\n", listing);
    }
    changes_ += seen.listing != listing;
    seen = {version, std::move(listing)};
  }

  // How often a listing was another one than before.
  std::uint64_t changes() const { return changes_; }

  // --- WorldObserver ---
  void OnStart(NodeId node) override { SeenOf(node) = {}; }
  void OnTransition(NodeId node) override {
    if (++transition_ % kPeriod != 0) return;
    const Serf& serf = world_.serf(node);
    OnListing(node, serf.members_version(), TextOf(serf.Members()));
  }

 private:
  static constexpr std::uint64_t kPeriod = 32;

  struct Seen {
    std::uint64_t version = 0;
    std::string listing;
  };

  Seen& SeenOf(NodeId node) {
    if (node.value() >= seen_.size()) seen_.resize(node.value() + 1);
    return seen_[node.value()];
  }
  // All that a reply to `members` shows.
  static std::string TextOf(const std::vector<Member>& members) {
    std::string text;
    for (const Member& member : members) {
      absl::StrAppend(&text, member.name, " ", member.endpoint.ToString(), " ",
                      MemberStatusName(member.status));
      for (const auto& [key, value] : member.tags) absl::StrAppend(&text, " ", key, "=", value);
      const wire::VersionVector& v = member.versions;
      absl::StrAppend(&text, " ", v.protocol_min, v.protocol_max, v.protocol_cur, v.delegate_min,
                      v.delegate_max, v.delegate_cur, "\n");
    }
    return text;
  }

  World& world_;
  Violations& violations_;
  std::vector<Seen> seen_;  // by node
  std::uint64_t transition_ = 0;
  std::uint64_t changes_ = 0;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_CHECKERS_LISTING_CHECKER_H_
