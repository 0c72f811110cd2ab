#ifndef SERF_TESTING_SIM_WORLD_OBSERVER_H_
#define SERF_TESTING_SIM_WORLD_OBSERVER_H_

// WorldObserver: watches the events of a World. The World calls it from within its own calls, so an
// observer must not change the World, except by World::After.

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/event.h"
#include "serf/outbox.h"
#include "serf/query.h"
#include "serf/snapshot_op.h"
#include "serf/snapshot_state.h"
#include "serf/swim/outbox.h"
#include "serf/testing/sim/link_model.h"

namespace serf::testkit {

class WorldObserver {
 public:
  virtual ~WorldObserver() = default;

  // --- lives --- The content of the snapshot file of `node`; OnStart follows.
  virtual void OnRecovered(NodeId /*node*/, const SnapshotState& /*state*/) {}
  // A machine was created for `node`, or will be destroyed next.
  virtual void OnStart(NodeId /*node*/) {}
  virtual void OnStop(NodeId /*node*/) {}

  // --- what the application did ---
  virtual void OnUserEventSent(NodeId /*node*/, absl::string_view /*name*/,
                               absl::string_view /*payload*/) {}
  virtual void OnQuerySent(NodeId /*node*/, QueryId /*query*/, const QueryParams& /*params*/) {}

  // --- what the machine delivered to the application ---
  virtual void OnEvent(NodeId /*node*/, const Event& /*event*/) {}
  virtual void OnCompletion(NodeId /*node*/, const Completion& /*completion*/) {}
  virtual void OnQueryUpdate(NodeId /*node*/, const QueryUpdate& /*update*/) {}

  // --- what the machine asked for ---
  virtual void OnSnapshotOp(NodeId /*node*/, const SnapshotOp& /*op*/) {}
  // The disk has finished the oldest operation under way.
  virtual void OnSnapshotDone(NodeId /*node*/, const absl::Status& /*status*/) {}
  // A datagram leaves a node, whatever its fate.
  virtual void OnSend(NodeId /*node*/, const Endpoint& /*to*/, ByteView /*bytes*/) {}
  // A node dials, writes these bytes or closes; or a dial reached the node.
  virtual void OnStreamOp(NodeId /*node*/, const swim::Outbox::StreamOp& /*op*/,
                          ByteView /*bytes*/) {}
  virtual void OnAccept(NodeId /*node*/, swim::StreamId /*stream*/, const Endpoint& /*from*/) {}

  // The node has handled an input. All calls above for this input came before.
  virtual void OnTransition(NodeId /*node*/) {}
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_WORLD_OBSERVER_H_
