#ifndef SERF_TESTING_CHECKERS_HEARING_CHECKER_H_
#define SERF_TESTING_CHECKERS_HEARING_CHECKER_H_

// HearingChecker: every living node hears the others and is heard. In a round each living node of a
// World sends an event and asks all others. Then all must receive each event, and acknowledge each
// question.
//
//   HearingChecker hearing(world);
//   hearing.Speak(/*ask=*/true, seconds(10));
//   world.RunUntil([&] { return hearing.Missing().empty(); }, seconds(10));
//   EXPECT_EQ(hearing.Missing(), "");

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/serf.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/sim/world_observer.h"

namespace serf::testkit {

class HearingChecker : public WorldObserver {
 public:
  explicit HearingChecker(World& world) : world_(world) { world.AddObserver(this); }

  // Begins a round, and forgets what the round before still lacked. With `ask` the nodes also send
  // questions, which wait for `patience`.
  void Speak(bool ask, Duration patience) {
    speakers_ = Living();
    ++round_;
    told_.clear();
    asked_.clear();
    acks_.clear();
    trouble_.clear();
    for (const NodeId node : speakers_) {
      if (const absl::Status status = world_.SendUserEvent(node, "hearing", TextOf(node), {});
          !status.ok()) {
        absl::StrAppend(&trouble_, world_.name(node), ": ", status.message(), "; ");
      }
      if (!ask) continue;
      QueryParams params;
      params.request_ack = true;
      params.timeout = patience;
      const absl::StatusOr<QueryId> query = world_.SendQuery(node, "hearing", "", params);
      if (query.ok()) {
        asked_[node] = *query;
      } else {
        absl::StrAppend(&trouble_, world_.name(node), ": ", query.status().message(), "; ");
      }
    }
  }

  // Which nodes have not heard which others in this round; an empty text if none.
  std::string Missing() const {
    if (!trouble_.empty()) return trouble_;
    for (const NodeId speaker : speakers_) {
      for (const NodeId hearer : speakers_) {
        if (!world_.is_up(speaker) || !world_.is_up(hearer)) continue;
        const auto told = told_.find(hearer);
        if (told == told_.end() || !told->second.contains(TextOf(speaker))) {
          return absl::StrCat(world_.name(hearer), " was not told the event of ",
                              world_.name(speaker));
        }
        if (asked_.empty()) continue;
        const auto acks = acks_.find(asked_.at(speaker));
        if (acks == acks_.end() || !acks->second.contains(world_.name(hearer))) {
          return absl::StrCat(world_.name(hearer), " did not hear the question of ",
                              world_.name(speaker));
        }
      }
    }
    return "";
  }

  // --- WorldObserver ---
  void OnEvent(NodeId node, const Event& event) override {
    if (const auto* user = std::get_if<UserEvent>(&event)) told_[node].insert(user->payload);
  }
  void OnQueryUpdate(NodeId /*node*/, const QueryUpdate& update) override {
    if (update.kind == QueryUpdate::Kind::kAck) acks_[update.query].insert(update.from);
  }

 private:
  std::vector<NodeId> Living() const {
    std::vector<NodeId> nodes;
    for (std::uint32_t i = 0; i < world_.size(); ++i) {
      const NodeId node(i);
      if (world_.is_up(node) && !world_.is_paused(node) &&
          world_.serf(node).state() == Serf::State::kAlive) {
        nodes.push_back(node);
      }
    }
    return nodes;
  }
  std::string TextOf(NodeId node) const {
    return absl::StrCat("hearing ", round_, " ", world_.name(node));
  }

  World& world_;
  std::uint64_t round_ = 0;
  std::vector<NodeId> speakers_;
  std::map<NodeId, std::set<std::string>> told_;  // payloads
  std::map<NodeId, QueryId> asked_;
  std::map<QueryId, std::set<std::string>> acks_;  // names
  std::string trouble_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_CHECKERS_HEARING_CHECKER_H_
