// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MACHINE_LOCAL_STATE_WRITER_H_
#define SERF_MACHINE_LOCAL_STATE_WRITER_H_

// LocalStateWriter: builds the Serf layer's part of a push/pull in portions, so that a large
// cluster does not hold up the node. Source: docs/protocol/serf.md 4.2.
//
//   LocalStateWriter writer(members, event_clock, events, query_clock);
//   while (!writer.Continue(portion, out)) ...another turn, another portion...

#include <cstddef>

#include "absl/container/btree_map.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/gossip/push_pull_state.h"
#include "serf/lamport/event_buffer.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/members/member_tracker.h"
#include "serf/swim/delegate.h"
#include "serf/swim/node_info.h"
#include "serf/wire/ids.h"

namespace serf {

class LocalStateWriter final : public swim::StateWriter {
 public:
  // All of them must outlive the writer.
  LocalStateWriter(const MemberTracker& members, const LamportClock& event_clock,
                   const EventBuffer& events, const LamportClock& query_clock)
      : members_(members), event_clock_(event_clock), events_(events), query_clock_(query_clock) {}

  inline bool Continue(Portion& portion, ByteVector& out) override;

 private:
  struct Row {
    swim::NodeInfoRef info;  // owns the name
    wire::LamportTime time;
    bool left = false;
  };
  // The cost of writing a row in its order. The walk counts the cost of sorting it in.
  static constexpr std::size_t kTellCost = 32;

  bool Collect(Portion& portion);

  const MemberTracker& members_;
  const LamportClock& event_clock_;
  const EventBuffer& events_;
  const LamportClock& query_clock_;
  MemberTracker::Walk walk_;
  bool collected_ = false;
  absl::btree_map<absl::string_view, Row> rows_;
  decltype(rows_)::const_iterator next_;  // set once all rows are there
  LocalState state_;
};

inline bool LocalStateWriter::Continue(Portion& portion, ByteVector& out) {
  if (!Collect(portion)) return false;
  for (; next_ != rows_.end(); ++next_) {
    if (portion.empty()) return false;
    portion.Spend(kTellCost);
    const auto& [name, row] = *next_;
    state_.status_times.push_back({name, row.time});
    if (row.left) state_.left.push_back(name);
  }
  // Later than all times that are written.
  state_.member_time = members_.clock().time();
  state_.event_time = event_clock_.time();
  state_.query_time = query_clock_.time();
  AppendPushPullState(state_, events_, out);
  return true;
}

inline bool LocalStateWriter::Collect(Portion& portion) {
  if (collected_) return true;
  collected_ = members_.VisitTimes(
      walk_, portion, [this](const swim::NodeInfoRef& info, wire::LamportTime time, bool left) {
        const auto [at, is_new] = rows_.try_emplace(info->name(), Row{info, time, left});
        if (is_new) return;
        at->second.time = time;
        at->second.left = left;
      });
  if (!collected_) return false;
  state_.status_times.reserve(rows_.size());
  next_ = rows_.begin();
  return true;
}

}  // namespace serf

#endif  // SERF_MACHINE_LOCAL_STATE_WRITER_H_
