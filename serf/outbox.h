#ifndef SERF_OUTBOX_H_
#define SERF_OUTBOX_H_

// Outbox of serf::Serf: the engine's datagrams and streams, and what the application gets.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "serf/event.h"
#include "serf/judgement.h"
#include "serf/keys.h"
#include "serf/query.h"
#include "serf/snapshot_op.h"
#include "serf/swim/outbox.h"
#include "serf/wire/aead.h"

namespace serf {

using swim::RequestId;

// A request ended. Each request completes exactly once, if the machine lives on.
struct Completion {
  RequestId request;
  absl::Status status;  // with the texts of spec/agent.md 1.5
  // Of Join only: how many targets answered, and one text for each that did not.
  int contacted = 0;
  std::vector<std::string> errors;
  // Of ManageKeys only, and not null then.
  std::shared_ptr<const KeyOutcome> keys = nullptr;
};

// The keyring has changed and is to be saved as it is now: see Config::keyring_is_saved.
struct KeyringSave {
  std::uint64_t version = 0;             // for OnKeyringSaved
  std::vector<wire::Keyring::Key> keys;  // primary first
};

class Outbox : public swim::Outbox {
 public:
  const std::vector<Event>& events() const { return events_; }
  const std::vector<Completion>& completions() const { return completions_; }
  // Of own queries. They may end, and an early answer may come, within the very call that asks.
  const std::vector<QueryUpdate>& query_updates() const { return query_updates_; }
  // To be done one after the other; OnSnapshotDone for each. None without Config::snapshot.
  const std::vector<SnapshotOp>& snapshot_ops() const { return snapshot_ops_; }

  // To be run where nothing waits for them, in order, and handed back with OnQueryJudged; at once,
  // and not run, if there is no room for more. Whoever drives the machine takes them.
  std::vector<std::unique_ptr<Judgement>>& judgements() { return judgements_; }

  // The newest, if there is one.
  const std::optional<KeyringSave>& keyring_save() const { return keyring_save_; }

  void Clear() {
    swim::Outbox::Clear();
    events_.clear();
    completions_.clear();
    query_updates_.clear();
    keyring_save_.reset();
    snapshot_ops_.clear();
    judgements_.clear();
  }

  // --- for the machine ---
  // A MemberEvent, UserEvent or QueryEvent.
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
