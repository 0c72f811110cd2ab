#include "serf/testing/checkers/checkers.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/serf.h"
#include "serf/swim/node_info.h"
#include "serf/swim/scaling.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/wire/ids.h"

namespace serf::testkit {

DetectorBounds DetectorBounds::Of(const World& world) {
  DetectorBounds bounds;
  for (std::uint32_t i = 0; i < world.size(); ++i) {
    if (!world.is_up(NodeId(i))) continue;
    const swim::Config& c = world.serf(NodeId(i)).config().swim;
    const std::size_t n = world.size();
    const Duration suspicion = swim::SuspicionTimeout(c.suspicion_mult, n, c.probe_interval) *
                               c.suspicion_max_timeout_mult;
    const Duration gossip = std::chrono::seconds(10);
    bounds.aftermath = std::max(bounds.aftermath,
                                c.probe_interval * c.awareness_max_multiplier + suspicion + gossip);
    bounds.detection =
        std::max(bounds.detection, 2 * static_cast<int>(n) * c.probe_interval + suspicion + gossip);
  }
  return bounds;
}

void IncarnationChecker::OnTransition(NodeId node) {
  ++transition_;
  const swim::Node& machine = world_.serf(node).node();
  std::vector<Seen>& seen = seen_[node.value()];
  machine.ForEachMember([&](swim::MemberIndex m) {
    const swim::NodeInfo& info = machine.info(m);
    if (m.value() >= seen.size()) seen.resize(m.value() + 1);
    Seen& s = seen[m.value()];
    const wire::Incarnation incarnation = machine.incarnation(m);
    const swim::NodeState state = machine.state(m);
    const bool same_row = s.transition != 0 && s.name == info.name();
    // A node that was gone for a long time may come back as an unknown one.
    const bool gone = s.state == swim::NodeState::kDead || s.state == swim::NodeState::kLeft;
    const bool forgotten =
        gone && world_.now() - s.changed_at > machine.config().gossip_to_the_dead_time;
    if (same_row && !forgotten && s.endpoint == info.endpoint()) {
      if (incarnation < s.incarnation) {
        violations_.Add(world_.name(node), " lowered the incarnation of ", s.name, " from ",
                        s.incarnation.value(), " to ", incarnation.value());
      }
      if (state == swim::NodeState::kAlive && s.state != swim::NodeState::kAlive &&
          incarnation <= s.incarnation && s.incarnation != wire::Incarnation(0)) {
        violations_.Add(world_.name(node), " resurrected ", s.name, " at incarnation ",
                        incarnation.value());
      }
    }
    s.transition = transition_;
    if (s.name != info.name()) s.name = std::string(info.name());
    s.endpoint = info.endpoint();
    s.incarnation = incarnation;
    s.state = state;
    s.changed_at = machine.changed_at(m);
  });
  // A row that disappeared was purged; its next tenant starts afresh.
  for (Seen& s : seen) {
    if (s.transition != 0 && s.transition != transition_) s = Seen();
  }
}

void EventChecker::OnStart(NodeId node) {
  if (node.value() >= lives_.size()) {
    lives_.resize(node.value() + 1);
    presence_.resize(node.value() + 1);
  }
  lives_[node.value()] = {true, world_.now(), kNever};
  presence_[node.value()].clear();
}

void EventChecker::OnStop(NodeId node) { lives_[node.value()] = {false, world_.now(), kNever}; }

void EventChecker::OnEvent(NodeId node, const Event& event) {
  if (const auto* members = std::get_if<MemberEvent>(&event)) {
    for (const Member& m : members->members) OnMember(node, members->kind, m.name);
  }
}

void EventChecker::OnMember(NodeId observer, MemberEventKind kind, const std::string& name) {
  Presence& presence = presence_[observer.value()][name];
  const Presence before = presence;
  bool valid = false;
  switch (kind) {
    case MemberEventKind::kJoin:
      valid = before != Presence::kPresent;
      presence = Presence::kPresent;
      break;
    case MemberEventKind::kLeave:
      // A failed member becomes a left one by a late intent, or by an operator's force-leave.
      valid = before == Presence::kPresent || before == Presence::kFailed;
      presence = Presence::kLeft;
      if (before == Presence::kPresent) OnLeave(observer, name);
      break;
    case MemberEventKind::kFailed:
      valid = before == Presence::kPresent;
      presence = Presence::kFailed;
      OnFailure(observer, name);
      break;
    case MemberEventKind::kUpdate:
      valid = before == Presence::kPresent;
      break;
    case MemberEventKind::kReap:
      valid = before == Presence::kFailed || before == Presence::kLeft;
      presence = Presence::kAbsent;
      break;
  }
  if (!valid) {
    violations_.Add(world_.name(observer), " was told ", std::string(MemberEventName(kind)), " of ",
                    name, " in presence ", static_cast<int>(before));
  }
}

void EventChecker::OnFailure(NodeId observer, const std::string& name) {
  ++failures_;
  const auto subject = world_.FindNode(name);
  if (!subject || !world_.is_up(*subject)) return;
  ++false_failures_;
  const Duration calm = CalmFor(observer, *subject);
  if (calm == Duration::zero()) return;
  const bool leaves = world_.serf(*subject).state() != Serf::State::kAlive;
  violations_.Add(world_.name(observer), " was told that ", name, " failed, which ",
                  leaves ? "left" : "lives", ", ", ToSeconds(calm), " s after the last fault");
}

void EventChecker::OnLeave(NodeId observer, const std::string& name) {
  const auto subject = world_.FindNode(name);
  if (!subject || !world_.is_up(*subject)) return;
  if (world_.serf(*subject).state() != Serf::State::kAlive) return;
  ++false_leaves_;
  const Duration calm = CalmFor(observer, *subject);
  if (calm == Duration::zero()) return;
  violations_.Add(world_.name(observer), " was told that ", name, " left, which lives, ",
                  ToSeconds(calm), " s after the last fault");
}

Duration EventChecker::CalmFor(NodeId observer, NodeId subject) const {
  // Nobody gossips to a node that has left.
  if (world_.serf(observer).state() != Serf::State::kAlive) return Duration::zero();
  const Duration calm = world_.now() - std::max({world_.last_fault(), lives_[subject.value()].since,
                                                 lives_[observer.value()].since});
  return calm > DetectorBounds::Of(world_).aftermath ? calm : Duration::zero();
}

void EventChecker::CheckCrashes() {
  const Duration bound = DetectorBounds::Of(world_).detection;
  for (std::uint32_t s = 0; s < lives_.size(); ++s) {
    if (lives_[s].up || world_.now() - std::max(lives_[s].since, world_.last_fault()) <= bound) {
      continue;
    }
    for (std::uint32_t o = 0; o < lives_.size(); ++o) {
      if (!lives_[o].up || world_.now() - lives_[o].since <= bound ||
          world_.serf(NodeId(o)).state() != Serf::State::kAlive) {
        continue;
      }
      if (PresenceOf(NodeId(o), world_.name(NodeId(s))) == Presence::kPresent) {
        violations_.Add(world_.name(NodeId(o)), " still believes in ", world_.name(NodeId(s)),
                        ", which crashed ", ToSeconds(world_.now() - lives_[s].since), " s ago");
      }
    }
  }
}

void BoundsChecker::OnTransition(NodeId node) {
  if (++transition_ % kPeriod != 0) return;
  const Serf& serf = world_.serf(node);
  const std::map<std::string, std::string> stats = serf.Stats();
  const auto number = [&stats](const std::string& key) {
    std::uint64_t value = 0;
    const auto it = stats.find(key);
    if (it != stats.end()) (void)absl::SimpleAtoi(it->second, &value);
    return value;
  };
  for (const char* key : {"member_time", "event_time", "query_time"}) {
    const std::uint64_t time = number(key);
    std::uint64_t& before = times_[node.value()][key];
    if (time < before) {
      violations_.Add(world_.name(node), " lowered its ", key, " from ", before, " to ", time);
    }
    before = time;
  }
  for (const char* key : {"intent_queue", "event_queue", "query_queue"}) {
    if (number(key) > serf.config().max_queue_depth) {
      violations_.Add(world_.name(node), " holds ", number(key), " messages in its ", key);
    }
  }
  if (serf.node().known_nodes() > world_.size() || serf.member_count() > world_.size()) {
    violations_.Add(world_.name(node),
                    " knows more nodes than there are: ", serf.node().known_nodes(), ", ",
                    serf.member_count());
  }
}

std::string Disagreement(const World& world) {
  const auto takes_part = [&world](NodeId node) {
    return world.is_up(node) && world.serf(node).state() == Serf::State::kAlive;
  };
  for (std::uint32_t o = 0; o < world.size(); ++o) {
    const NodeId observer(o);
    if (!takes_part(observer)) continue;
    const Serf& serf = world.serf(observer);
    for (std::uint32_t s = 0; s < world.size(); ++s) {
      const NodeId subject(s);
      const std::optional<Member> member = serf.FindMember(world.name(subject));
      const MemberStatus status = member ? member->status : MemberStatus::kNone;
      if (takes_part(subject)) {
        if (status != MemberStatus::kAlive) {
          return absl::StrCat(world.name(observer), " has ", world.name(subject), " as ",
                              MemberStatusName(status), ", not alive");
        }
        if (member->tags != world.serf(subject).LocalMember().tags) {
          return absl::StrCat(world.name(observer), " has old tags of ", world.name(subject));
        }
      } else if (status == MemberStatus::kAlive || status == MemberStatus::kLeaving) {
        return absl::StrCat(world.name(observer), " has ", world.name(subject), " as ",
                            MemberStatusName(status), ", but it is gone");
      }
    }
  }
  return "";
}

}  // namespace serf::testkit
