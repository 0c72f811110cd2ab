#ifndef SERF_TESTING_CHECKERS_QUERY_APPLICATION_H_
#define SERF_TESTING_CHECKERS_QUERY_APPLICATION_H_

// QueryApplication: the part of all nodes' applications that answers queries. It answers most of
// them after a while, some never and some twice. In calm it answers all of them at once.

#include <chrono>
#include <cstdint>
#include <map>
#include <variant>

#include "absl/status/status.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/testing/checkers/checkers.h"
#include "serf/testing/checkers/query_checker.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/testing/sim/world_observer.h"

namespace serf::testkit {

class QueryApplication : public WorldObserver {
 public:
  QueryApplication(World& world, Violations& violations, std::uint64_t seed)
      : world_(world), violations_(violations), rng_(seed) {
    world.AddObserver(this);
  }

  void set_calm() { calm_ = true; }

  void OnStart(NodeId node) override { ++lives_[node]; }
  void OnEvent(NodeId node, const Event& event) override {
    const auto* query = std::get_if<QueryEvent>(&event);
    if (query == nullptr) return;
    const std::uint64_t luck = calm_ ? 0 : rng_.Below(10);
    if (luck < kAnswered) Schedule(node, query->id, /*twice=*/false);
    if (luck == 0 && !calm_) Schedule(node, query->id, /*twice=*/true);
  }

 private:
  static constexpr std::uint64_t kAnswered = 8;  // in ten
  static constexpr Duration kSlowest = std::chrono::milliseconds(800);

  void Schedule(NodeId node, QueryId query, bool twice) {
    const Duration delay = calm_ ? Duration::zero() : rng_.Below(kSlowest);
    world_.After(twice ? kSlowest + delay : delay, [this, node, query, twice, life = lives_[node]] {
      // A process that is paused or gone does not answer.
      if (!world_.is_up(node) || world_.is_paused(node) || lives_[node] != life) return;
      const absl::Status status = world_.Respond(node, query, AnswerText(world_.name(node), query));
      if (twice && status.ok() && answered_[{node, life, query}]) {
        violations_.Add(world_.name(node), " could answer twice");
      }
      if (status.ok()) answered_[{node, life, query}] = true;
    });
  }

  World& world_;
  Violations& violations_;
  Rng rng_;
  bool calm_ = false;
  std::map<NodeId, int> lives_;
  std::map<std::tuple<NodeId, int, QueryId>, bool> answered_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_CHECKERS_QUERY_APPLICATION_H_
