// Benchmarks of the SWIM layer's structures at 10,000 members.

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/swim/broadcast_queue.h"
#include "serf/swim/member_table.h"
#include "serf/swim/node_info.h"
#include "serf/swim/probe_ring.h"
#include "serf/swim/state_rules.h"

namespace serf::swim {
namespace {

constexpr std::size_t kMembers = 10'000;

std::vector<std::string> Names() {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kMembers; ++i) names.push_back(absl::StrCat("node-", i));
  return names;
}

NodeInfoView View(absl::string_view name) {
  return {name, {IpAddress::V4(10, 0, 0, 1), 7946}, AsBytes("role=web"), {1, 5, 2, 2, 5, 5}};
}

void BM_MemberTableFind(benchmark::State& state) {
  const std::vector<std::string> names = Names();
  NodeInfoPool pool;
  MemberTable table;
  for (const std::string& name : names) table.Add(pool.Intern(View(name)), Instant{});
  std::size_t i = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(table.Find(names[i]));
    i = (i + 7919) % kMembers;
  }
}
BENCHMARK(BM_MemberTableFind);

// A push/pull body of 10,000 records about members that are all known: look up, judge.
void BM_MergeKnown(benchmark::State& state) {
  const std::vector<std::string> names = Names();
  NodeInfoPool pool;
  MemberTable table;
  for (const std::string& name : names) {
    const MemberIndex m = table.Add(pool.Intern(View(name)), Instant{});
    table.SetState(m, NodeState::kAlive, Instant{});
    table.EditRow(m).incarnation = wire::Incarnation(1);
  }
  for (auto _ : state) {
    int accepted = 0;
    for (const std::string& name : names) {
      const NodeInfoView view = View(name);
      const MemberIndex m = *table.Find(view.name);
      const MemberTable::Row& row = table.row(m);
      const AliveVerdict verdict =
          JudgeAlive({.known = true, .state = row.state, .incarnation = row.incarnation},
                     {.incarnation = wire::Incarnation(1),
                      .same_endpoint = row.info->endpoint() == view.endpoint},
                     false, Duration::zero(), Duration::zero());
      accepted += verdict == AliveVerdict::kAccept ? 1 : 0;
    }
    benchmark::DoNotOptimize(accepted);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kMembers));
}
BENCHMARK(BM_MergeKnown);

// The same into an empty table: what a joiner does.
void BM_MergeUnknown(benchmark::State& state) {
  const std::vector<std::string> names = Names();
  NodeInfoPool pool;
  Rng rng(1);
  for (auto _ : state) {
    MemberTable table;
    ProbeRing ring(table);
    for (const std::string& name : names) {
      const MemberIndex m = table.Add(pool.Intern(View(name)), Instant{});
      table.SetState(m, NodeState::kAlive, Instant{});
      ring.Insert(m, rng);
    }
    benchmark::DoNotOptimize(table.live());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kMembers));
}
BENCHMARK(BM_MergeUnknown);

// Draws a packet from a queue that stays at `range` messages of 100 bytes.
void BM_BroadcastQueueDraw(benchmark::State& state) {
  const auto depth = static_cast<std::size_t>(state.range(0));
  BroadcastQueue queue(kMembers);
  const ByteVector message(100, 'x');
  std::size_t next = 0;
  std::vector<ByteView> parts;
  for (auto _ : state) {
    while (queue.size() < depth) queue.Enqueue(absl::StrCat("n", next++), message);
    parts.clear();
    benchmark::DoNotOptimize(queue.Draw(16, 2, 1400, parts));
  }
}
BENCHMARK(BM_BroadcastQueueDraw)->Arg(1)->Arg(16)->Arg(1000)->Arg(10'000);

void BM_BroadcastQueueDisplace(benchmark::State& state) {
  const std::vector<std::string> names = Names();
  BroadcastQueue queue(kMembers);
  const ByteVector message(100, 'x');
  std::size_t i = 0;
  for (auto _ : state) {
    queue.Enqueue(names[i], message);
    i = (i + 7919) % kMembers;
  }
}
BENCHMARK(BM_BroadcastQueueDisplace);

// What a probe begins with.
void BM_ProbeRingNext(benchmark::State& state) {
  NodeInfoPool pool;
  MemberTable table;
  ProbeRing ring(table);
  Rng rng(1);
  for (const std::string& name : Names()) ring.Insert(table.Add(pool.Intern(View(name)), {}), rng);
  for (auto _ : state) {
    benchmark::DoNotOptimize(
        ring.Next([](MemberIndex m) { return m.value() != 0; }, [&] { ring.Shuffle(rng); }));
  }
}
BENCHMARK(BM_ProbeRingNext);

void BM_ProbeRingPickThree(benchmark::State& state) {
  NodeInfoPool pool;
  MemberTable table;
  ProbeRing ring(table);
  Rng rng(1);
  for (const std::string& name : Names()) ring.Insert(table.Add(pool.Intern(View(name)), {}), rng);
  std::vector<MemberIndex> picked;
  for (auto _ : state) {
    ring.Pick(3, rng, picked, [](MemberIndex m) { return m.value() != 0; });
    benchmark::DoNotOptimize(picked.data());
  }
}
BENCHMARK(BM_ProbeRingPickThree);

}  // namespace
}  // namespace serf::swim
