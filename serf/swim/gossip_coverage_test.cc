// The share of (message, node) pairs that gossip misses: waves and the walk over the rings, against
// random targets as in Go Serf. The clusters are models: real queues, tables and targets, rounds in
// lockstep, and no push/pulls but those of joins.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/gossip_targets.h"
#include "serf/swim/member_table.h"
#include "serf/swim/node_info.h"
#include "serf/swim/probe_history.h"
#include "serf/swim/probe_ring.h"
#include "serf/swim/scaling.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;

// kWalk: each round is a wave, and each kTickRounds-th one also a round of repeats. kWaves: the
// waves alone. kRandom: all transmissions in rounds that follow each other at once.
enum class Way { kWalk, kWaves, kRandom };

constexpr std::size_t kTargets = 3;
constexpr int kPacketsMax = 4;
constexpr Duration kRound = milliseconds(15);
constexpr std::size_t kTickRounds = 13;
constexpr std::size_t kPacketBytes = 1400;
constexpr std::size_t kMessageBytes = 64;  // an alive without metadata

// Messages have numbers. Those below the number of nodes say that a member is alive.
class Cluster {
 public:
  // `settled` nodes know each other; `late` ones know only themselves.
  Cluster(std::uint32_t settled, std::uint32_t late, int mult, Way way, std::uint64_t seed)
      : mult_(mult), way_(way), rng_(seed) {
    const std::uint32_t nodes = settled + late;
    for (std::uint32_t i = 0; i < nodes; ++i) {
      infos_.push_back(pool_.Intern({absl::StrCat("node-", i),
                                     {IpAddress::V4(10, 0, 0, 1), static_cast<std::uint16_t>(i)},
                                     {},
                                     {1, 5, 2, 2, 5, 5}}));
      peers_.push_back(std::make_unique<Peer>(rng_.Next(), way != Way::kRandom));
    }
    for (std::uint32_t i = 0; i < nodes; ++i) {
      Add(i, i);
      if (i < settled) {
        for (std::uint32_t m = 0; m < settled; ++m) {
          if (m != i) Add(i, m);
        }
      }
      Peer& p = *peers_[i];
      p.self = *p.table.Find(infos_[i]->name());
      p.targets.Start(p.self, p.rng);
    }
    messages_ = nodes;
    known_at_start_ = static_cast<std::size_t>(settled) * settled + late;
  }

  // A push/pull: each node takes what the other one has, and gossips what is new to it.
  void Join(std::uint32_t node, std::uint32_t via) {
    Peer& newcomer = *peers_[node];
    Peer& peer = *peers_[via];
    const std::vector<bool> there = peer.knows;
    for (std::uint32_t m = 0; m < infos_.size(); ++m) {
      if (m < newcomer.knows.size() && newcomer.knows[m]) Hear(via, m);
      if (m < there.size() && there[m]) Hear(node, m);
    }
    peer.targets.OnPulled(now_, *peer.table.Find(infos_[node]->name()));
  }

  // A random live node has news. Returns the number of the message.
  std::uint32_t Tell() {
    Hear(static_cast<std::uint32_t>(rng_.Below(peers_.size() - dead_)), messages_);
    return messages_++;
  }

  // The last `count` nodes die. Only failing probes show it.
  void Kill(std::uint32_t count) {
    dead_ = count;
    ProbeHistory history;
    for (int i = 0; i < ProbeHistory::kProbes; ++i) {
      history.Add(1, (i * 2 + 1) * peers_.size() >= 2 * ProbeHistory::kProbes * count);
    }
    if (way_ == Way::kRandom) return;
    stretch_ = history.stretch();
    missed_ = history.missed();
  }
  std::uint32_t living() const { return static_cast<std::uint32_t>(peers_.size()) - dead_; }
  bool Knows(std::uint32_t node, std::uint32_t message) const {
    const std::vector<bool>& knows = peers_[node]->knows;
    return message < knows.size() && knows[message];
  }

  // One round of each node with something to send; messages arrive at the end of the round.
  void RunRound() {
    now_ += kRound;
    ++rounds_;
    arrivals_.clear();
    for (const auto& peer : peers_) {
      if (peer->queue.empty()) continue;
      if (way_ == Way::kRandom) {
        RunRandomRound(*peer);
        continue;
      }
      if (peer->queue.fresh() > 0) RunWave(*peer);
      if (way_ == Way::kWaves) {
        peer->queue.Clear();
      } else if (rounds_ % kTickRounds == 0) {
        RunTick(*peer);
      }
    }
    for (const Arrival& a : arrivals_) Hear(a.to, a.message);
  }
  // Runs until all is sent that the protocol sends.
  template <typename OnRound>
  void Finish(const OnRound& on_round) {
    std::size_t round = 0;
    for (bool busy = true; busy;) {
      RunRound();
      on_round(++round);
      busy = false;
      for (const auto& p : peers_) busy = busy || !p->queue.empty();
    }
  }
  void Finish() {
    Finish([](std::size_t) {});
  }

  // Pairs of a message and a node that did not know it at the start.
  std::size_t pairs() const { return peers_.size() * messages_ - known_at_start_; }
  std::size_t missed() const {
    std::size_t count = peers_.size() * messages_;
    for (const auto& p : peers_) {
      for (const bool known : p->knows) count -= known ? 1 : 0;
    }
    return count;
  }
  std::size_t transmissions() const { return transmissions_; }

 private:
  struct Peer {
    Peer(std::uint64_t seed, bool waves)
        : rng(seed), targets(table, ring), queue(16384, BroadcastQueue::OrderFor(waves)) {}

    Rng rng;
    MemberTable table;
    ProbeRing ring{table};
    GossipTargets targets;
    BroadcastQueue queue;
    MemberIndex self;
    std::vector<bool> knows;
  };

  struct Arrival {
    std::uint32_t to;
    std::uint32_t message;
  };

  // Fills a packet and sends it to the targets. False if nothing waits for them.
  bool SendPacket(Peer& p, const BroadcastQueue::Packet& packet) {
    parts_.clear();
    p.queue.Draw(Limit(p), 2, kPacketBytes, parts_, packet);
    for (const GossipTargets::Target& target : targets_) {
      const std::uint32_t to = p.table.info(target.member).endpoint().port;
      for (const ByteView part : parts_) {
        arrivals_.push_back({to, std::uint32_t{part[0]} | std::uint32_t{part[1]} << 8 |
                                     std::uint32_t{part[2]} << 16});
      }
      transmissions_ += parts_.size();
    }
    return !parts_.empty();
  }
  void RunWave(Peer& p) {
    const auto eligible = [&p](MemberIndex m) { return m != p.self; };
    Portion portion = Portion::Unlimited();
    p.targets.Update(Limit(p), portion, eligible);
    const int count = std::min(WaveTargets(kTargets, missed_), Limit(p));
    p.targets.Wave(now_, static_cast<std::size_t>(count), targets_, eligible,
                   [](MemberIndex) { return true; });
    BroadcastQueue::Packet packet{.places = p.targets.places(), .capacity = kPacketBytes};
    for (const GossipTargets::Target& target : targets_) {
      packet.wave |= std::uint32_t{1} << target.place;
    }
    if (targets_.empty()) return;
    for (int i = 0; i < kPacketsMax && SendPacket(p, packet); ++i) {
    }
  }
  void RunTick(Peer& p) {
    const auto eligible = [&p](MemberIndex m) { return m != p.self; };
    Portion portion = Portion::Unlimited();
    p.targets.Update(Limit(p), portion, eligible);
    std::size_t served = 0;
    for (std::size_t tried = 0; served < kTargets && tried < BroadcastQueue::kPlacesMax; ++tried) {
      p.targets.Next(now_, 1, p.rng, targets_, eligible);
      if (targets_.empty() || (tried > 0 && tried >= p.targets.places())) return;
      BroadcastQueue::Packet packet{.place = targets_[0].place, .places = p.targets.places()};
      bool any = false;
      for (int i = 0; i < kPacketsMax && SendPacket(p, packet); ++i) any = packet.further = true;
      served += any ? 1 : 0;
    }
  }
  void RunRandomRound(Peer& p) {
    p.ring.Pick(kTargets, p.rng, picked_, [&p](MemberIndex m) { return m != p.self; });
    for (const MemberIndex m : picked_) {
      targets_.assign(1, {m, 0});
      SendPacket(p, {});
    }
  }
  bool Learn(Peer& p, std::uint32_t message) {
    if (p.knows.size() <= message) p.knows.resize(message + 1);
    if (p.knows[message]) return false;
    p.knows[message] = true;
    return true;
  }
  void Add(std::uint32_t node, std::uint32_t member) {
    Peer& p = *peers_[node];
    Learn(p, member);
    const MemberIndex m = p.table.Add(infos_[member], now_);
    p.table.SetState(m, NodeState::kAlive, now_);
    p.ring.Insert(m, p.rng);
    p.targets.OnJoin(m);
  }
  void Hear(std::uint32_t node, std::uint32_t message) {
    if (node >= living()) return;
    Peer& p = *peers_[node];
    if (message < infos_.size()) {
      if (p.knows.size() > message && p.knows[message]) return;
      Add(node, message);
    } else if (!Learn(p, message)) {
      return;
    }
    ByteVector bytes(kMessageBytes);
    for (int i = 0; i < 3; ++i) bytes[i] = static_cast<std::uint8_t>(message >> 8 * i);
    p.queue.Enqueue("", bytes);
  }
  int Limit(const Peer& p) const { return RetransmitLimit(mult_, p.table.known()) * stretch_; }

  int mult_;
  Way way_;
  Rng rng_;
  Instant now_{};
  NodeInfoPool pool_;
  std::vector<NodeInfoRef> infos_;
  std::vector<std::unique_ptr<Peer>> peers_;
  std::uint32_t dead_ = 0;
  int stretch_ = 1;
  int missed_ = 0;
  std::size_t rounds_ = 0;
  std::vector<Arrival> arrivals_;
  std::uint32_t messages_ = 0;
  std::size_t known_at_start_ = 0;
  std::size_t transmissions_ = 0;
  std::vector<GossipTargets::Target> targets_;
  std::vector<MemberIndex> picked_;
  std::vector<ByteView> parts_;
};

struct Result {
  std::size_t missed = 0;
  std::size_t pairs = 0;
  std::size_t transmissions = 0;

  double share() const { return static_cast<double>(missed) / static_cast<double>(pairs); }
};

struct Case {
  const char* name;
  std::uint32_t settled;
  std::uint32_t late;     // join by way of node 0, one a round
  bool at_once;           // all in the first round instead
  std::uint32_t changes;  // news of random nodes, one a round
  int mult;               // retransmit_mult of the profile
  int runs;
  bool random_misses;  // so many pairs that random targets must miss some
};

Result Measure(const Case& c, Way way) {
  Result result;
  for (int run = 1; run <= c.runs; ++run) {
    Cluster cluster(c.settled, c.late, c.mult, way, static_cast<std::uint64_t>(run));
    for (std::uint32_t i = 0; i < c.late; ++i) {
      cluster.Join(c.settled + i, 0);
      if (!c.at_once) cluster.RunRound();
    }
    for (std::uint32_t i = 0; i < c.changes; ++i) {
      cluster.Tell();
      cluster.RunRound();
    }
    cluster.Finish();
    result.missed += cluster.missed();
    result.pairs += cluster.pairs();
    result.transmissions += cluster.transmissions();
  }
  return result;
}

TEST(GossipCoverage, TheWalkMissesNobodyWhereRandomTargetsDo) {
  constexpr Case kCases[] = {
      {"50 nodes, LAN, news", 50, 0, false, 100, 4, 10, false},
      {"50 nodes, local, news", 50, 0, false, 100, 2, 10, true},
      {"50 join at once, LAN", 1, 49, true, 0, 4, 100, true},
      {"50 join at once, local", 1, 49, true, 0, 2, 100, true},
      {"50 join in 750 ms, LAN", 1, 49, false, 0, 4, 100, true},
      {"50 join in 750 ms, local", 1, 49, false, 0, 2, 100, true},
      {"1000 nodes, LAN, news", 1000, 0, false, 50, 4, 1, false},
      {"1000 nodes, local, news", 1000, 0, false, 50, 2, 1, true},
      {"50 join 1000, LAN", 1000, 50, false, 0, 4, 1, false},
      {"50 join 1000, local", 1000, 50, false, 0, 2, 1, true},
  };
  for (const Case& c : kCases) {
    const Result walk = Measure(c, Way::kWalk);
    const Result random = Measure(c, Way::kRandom);
    std::printf("%-26s %9zu pairs; missed by the walk: %zu (%.1e), by random targets: %zu (%.1e)\n",
                c.name, walk.pairs, walk.missed, walk.share(), random.missed, random.share());
    RecordProperty(absl::StrCat(c.name, ", walk"), absl::StrCat(walk.share()));
    RecordProperty(absl::StrCat(c.name, ", random"), absl::StrCat(random.share()));
    // Every node that has a message sends it as often as the protocol says.
    EXPECT_LE(static_cast<double>(walk.transmissions) * (1 - random.share()),
              static_cast<double>(random.transmissions) * 1.02)
        << c.name;
    EXPECT_EQ(walk.missed, 0u) << c.name;
    if (c.random_misses) {
      EXPECT_GT(random.missed, 0u) << c.name;
    }
  }
}

// Without loss the waves alone reach everybody, in a logarithm of hops.
TEST(GossipCoverage, AWaveMissesNobody) {
  struct Size {
    std::uint32_t nodes;
    int mult;
    std::size_t hops;
  };
  constexpr Size kSizes[] = {{2, 4, 1},   {3, 4, 1},   {5, 4, 2},   {5, 2, 4},    {9, 2, 6},
                             {12, 2, 4},  {20, 4, 5},  {20, 2, 5},  {50, 4, 6},   {99, 4, 7},
                             {100, 4, 7}, {100, 2, 7}, {300, 4, 8}, {1000, 4, 9}, {1000, 2, 9}};
  for (const Size& size : kSizes) {
    std::size_t worst = 0;
    for (std::uint64_t seed = 1; seed <= (size.nodes > 100 ? 1u : 10u); ++seed) {
      Cluster cluster(size.nodes, 0, size.mult, Way::kWaves, seed);
      for (int i = 0; i < 20; ++i) {
        const std::uint32_t message = cluster.Tell();
        std::size_t hops = 0;
        cluster.Finish([&](std::size_t round) {
          std::uint32_t know = 0;
          for (std::uint32_t n = 0; n < size.nodes; ++n) know += cluster.Knows(n, message);
          if (know == size.nodes && hops == 0) hops = round;
        });
        worst = std::max(worst, hops);
      }
      EXPECT_EQ(cluster.missed(), 0u) << size.nodes << " nodes, seed " << seed;
    }
    std::printf("%4u nodes, retransmit_mult %d: the last one has a message after %zu hops\n",
                size.nodes, size.mult, worst);
    EXPECT_LE(worst, size.hops) << size.nodes;
  }
}

// Gossip while many of the listed members are dead and no node has noticed yet: a rack failed, or
// somebody made members up.
struct DeadResult {
  std::size_t pairs = 0;   // pairs of a message and a live node
  std::size_t missed = 0;  // of these
  std::size_t rounds = 0;  // the sum over the messages of the rounds until the last node has it
  std::size_t worst = 0;   // the most messages in a row that one node misses

  double share() const { return static_cast<double>(missed) / static_cast<double>(pairs); }
};

DeadResult MeasureDead(std::uint32_t nodes, int percent, int mult, Way way) {
  constexpr int kMessages = 20;
  const int runs = nodes > 100 ? 4 : 20;
  DeadResult result;
  for (int run = 1; run <= runs; ++run) {
    Cluster cluster(nodes, 0, mult, way, static_cast<std::uint64_t>(run));
    cluster.Kill(nodes * static_cast<std::uint32_t>(percent) / 100);
    std::vector<std::size_t> in_a_row(cluster.living());
    for (int i = 0; i < kMessages; ++i) {
      const std::uint32_t message = cluster.Tell();
      std::size_t knew = 0;
      std::size_t last = 0;
      cluster.Finish([&](std::size_t round) {
        std::size_t know = 0;
        for (std::uint32_t n = 0; n < cluster.living(); ++n) know += cluster.Knows(n, message);
        if (know > knew) last = round;
        knew = know;
      });
      result.rounds += last;
      result.pairs += cluster.living();
      result.missed += cluster.living() - knew;
      for (std::uint32_t n = 0; n < cluster.living(); ++n) {
        in_a_row[n] = cluster.Knows(n, message) ? 0 : in_a_row[n] + 1;
        result.worst = std::max(result.worst, in_a_row[n]);
      }
    }
  }
  result.rounds /= static_cast<std::size_t>(kMessages * runs);
  return result;
}

TEST(GossipCoverage, TheLivingAreReachedWhileManyListedOnesAreDead) {
  for (const std::uint32_t nodes : {33u, 100u, 400u}) {
    for (const int percent : {0, 10, 30, 60, 90}) {
      if (percent == 90 && nodes > 33) continue;
      const DeadResult walk = MeasureDead(nodes, percent, 4, Way::kWalk);
      const DeadResult random = MeasureDead(nodes, percent, 4, Way::kRandom);
      std::printf(
          "%4u nodes, %2d %% dead: missed by the walk %.1e (%zu in a row, %zu rounds), by "
          "random targets %.1e (%zu, %zu)\n",
          nodes, percent, walk.share(), walk.worst, walk.rounds, random.share(), random.worst,
          random.rounds);
      EXPECT_LE(walk.missed, random.missed);
      EXPECT_LE(walk.share(), percent <= 60 ? 1e-3 : 2e-2);
      EXPECT_LE(walk.worst, 2u);
      if (percent <= 60) {
        EXPECT_LE(walk.rounds, random.rounds + 2);
      }
    }
  }
}

}  // namespace
}  // namespace serf::swim
