// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_OUTBOX_H_
#define SERF_OUTBOX_H_

// Outbox of serf::Serf: the effects of one or more inputs. A driver lends one to each input,
// carries out what is in it, clears it, and uses it again. It extends the outbox of the membership
// layer (datagrams and streams) by what the application gets.
//
//   serf.OnTimer(now, out);
//   for (const Event& event : out.events()) Deliver(event);
//   for (const Completion& completion : out.completions()) End(completion);
//   ...                                     // everything else below, and that of swim::Outbox
//   out.Clear();
//
// An application that uses transport::Host never sees it. It matters only for a driver of your own;
// testing/sim/world.h is an example. Carry out each kind in its own order. Do not call the machine
// with this outbox before Clear(): inputs append. Not thread-safe.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "serf/base/newtype.h"
#include "serf/event.h"
#include "serf/judgement.h"
#include "serf/keys.h"
#include "serf/query.h"
#include "serf/snapshot_op.h"
#include "serf/swim/outbox.h"
#include "serf/wire/aead.h"

namespace serf {

// Names a request. The caller chooses it, to find the completion again; it must be unused.
using RequestId = Newtype<struct RequestIdTag, std::uint64_t>;

// A request ended. Each request completes exactly once, unless the machine is destroyed before.
struct Completion {
  RequestId request;
  // The texts of errors are those of docs/protocol/agent.md 1.5.
  absl::Status status = {};
  // Join only: how many targets answered, and one text for each that did not.
  int contacted = 0;
  std::vector<std::string> errors = {};
  // ManageKeys only, and then never null.
  std::shared_ptr<const KeyOutcome> keys = nullptr;
};

// The keyring has changed, and the driver must save these keys; see Config::keyring_is_saved. The
// driver answers with Serf::OnKeyringSaved(version, ...), after a failure too.
struct KeyringSave {
  // The number of this state of the keyring, for the answer.
  std::uint64_t version = 0;
  // The primary key first.
  std::vector<wire::Keyring::Key> keys;
};

class Outbox : public swim::Outbox {
 public:
  // What to deliver to the application, in this order.
  const std::vector<Event>& events() const { return events_; }
  // The requests that have ended.
  const std::vector<Completion>& completions() const { return completions_; }
  // What came of this node's queries. A query may end, and an early answer may come, within the
  // very call that asks: find the caller by the QueryId after that call has returned.
  const std::vector<QueryUpdate>& query_updates() const { return query_updates_; }
  // What to do to the snapshot file, one after the other. The driver answers each with
  // Serf::OnSnapshotDone(). Empty without Config::snapshot.
  const std::vector<SnapshotOp>& snapshot_ops() const { return snapshot_ops_; }

  // Slow query filters. The driver takes them, runs each where nothing waits for it, in order, and
  // hands it back with Serf::OnQueryJudged(). If the driver has no room for more, it hands the
  // judgement back at once, without having run it.
  std::vector<std::unique_ptr<Judgement>>& judgements() { return judgements_; }

  // The keyring to save, if it changed. A newer state replaces an older one.
  const std::optional<KeyringSave>& keyring_save() const { return keyring_save_; }

  // Empties the outbox and keeps its memory. References into it end here.
  void Clear() {
    swim::Outbox::Clear();
    events_.clear();
    completions_.clear();
    query_updates_.clear();
    keyring_save_.reset();
    snapshot_ops_.clear();
    judgements_.clear();
  }

  // Adds a MemberEvent, UserEvent or QueryEvent.
  template <typename E>
  void Emit(E event) {
    events_.emplace_back(std::move(event));
  }
  void Complete(Completion completion) { completions_.push_back(std::move(completion)); }
  void Save(KeyringSave save) { keyring_save_ = std::move(save); }
  void Tell(QueryUpdate update) { query_updates_.push_back(std::move(update)); }
  std::vector<SnapshotOp>& snapshot_ops() { return snapshot_ops_; }

 private:
  std::vector<Event> events_;
  std::vector<Completion> completions_;
  std::vector<QueryUpdate> query_updates_;
  std::optional<KeyringSave> keyring_save_;
  std::vector<SnapshotOp> snapshot_ops_;
  std::vector<std::unique_ptr<Judgement>> judgements_;
};

}  // namespace serf

#endif  // SERF_OUTBOX_H_
