// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_KEY_MANAGER_H_
#define SERF_QUERIES_KEY_MANAGER_H_

// KeyManager: asks all nodes for an operation on their keyrings and adds up the answers. Operations
// wait for each other, but operations that only list run together. Source: docs/protocol/serf.md
// 6.9.2.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/results.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/keys.h"
#include "serf/outbox.h"
#include "serf/queries/query_issuer.h"
#include "serf/query.h"
#include "serf/wire/aead.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {

// A key operation of the application ended.
struct KeysDone {
  RequestId request;
  KeyOutcome outcome;
};

class KeyManager {
 public:
  // The most operations that wait.
  static constexpr std::size_t kWaitingMax = 256;
  // A node answers when its keyring file is on the disk, and a disk under load takes seconds. An
  // operation ends as soon as all nodes have answered. Clients of Go Serf give up after ten
  // seconds.
  static constexpr Duration kChangeTimeout = std::chrono::seconds(8);

  // Both must outlive the manager.
  KeyManager(SerfContext& context, QueryIssuer& issuer) : context_(context), issuer_(issuer) {}
  KeyManager(const KeyManager&) = delete;
  KeyManager& operator=(const KeyManager&) = delete;

  // kList ignores `key`.
  void Start(Instant now, RequestId request, KeyOperation operation, ByteView key,
             std::uint8_t relay_factor);
  // False: the query does not belong to a key operation.
  bool OnUpdate(Instant now, const QueryUpdate& update);
  // Ends all operations with this status.
  void Cancel(const absl::Status& status);
  // The operations that ended.
  Results<KeysDone>& done() { return done_; }

 private:
  struct Operation {
    RequestId request;
    KeyOperation operation = KeyOperation::kList;
    ByteVector key;
    std::uint8_t relay_factor = 0;
    KeyOutcome outcome = {};
  };

  // The most bytes of a listed key: 32, in base64.
  static constexpr std::size_t kListedKeyMax = 44;
  // The most bytes of a malformed answer that a message shows.
  static constexpr std::size_t kShownMax = 256;

  void StartNext(Instant now);
  void OnResponse(KeyOutcome& outcome, const QueryUpdate& update);
  void Finish(Operation operation);
  static std::string Shown(absl::string_view payload);

  SerfContext& context_;
  QueryIssuer& issuer_;
  std::deque<Operation> waiting_;
  absl::btree_map<QueryId, Operation> running_;
  bool cancelled_ = false;
  Results<KeysDone> done_;
};

inline void KeyManager::Start(Instant now, RequestId request, KeyOperation operation, ByteView key,
                              std::uint8_t relay_factor) {
  if (waiting_.size() >= kWaitingMax) {
    return done_.Add(
        {request, {.status = absl::ResourceExhaustedError("too many key operations are waiting")}});
  }
  if (operation == KeyOperation::kList) key = {};
  waiting_.push_back({request, operation, ByteVector(key.begin(), key.end()), relay_factor});
  StartNext(now);
}

inline void KeyManager::StartNext(Instant now) {
  while (!waiting_.empty()) {
    const bool lists = waiting_.front().operation == KeyOperation::kList;
    const bool others_list =
        running_.empty() || running_.begin()->second.operation == KeyOperation::kList;
    if (!running_.empty() && !(lists && others_list)) return;
    Operation next = std::move(waiting_.front());
    waiting_.pop_front();
    ByteVector payload;
    Encode(wire::KeyRequest{.key = next.key}, payload);
    QueryParams params;
    params.relay_factor = next.relay_factor;
    params.finish_early = true;
    if (next.operation != KeyOperation::kList) {
      params.timeout = std::max(kChangeTimeout, issuer_.DefaultTimeout());
    }
    const absl::StatusOr<QueryId> query =
        issuer_.Send(now, KeyQueryName(next.operation), AsText(payload), params);
    if (!query.ok()) {
      done_.Add({next.request, {.status = query.status()}});
      continue;
    }
    next.outcome.nodes = context_.node.live_nodes();
    running_.emplace(*query, std::move(next));
  }
}

inline bool KeyManager::OnUpdate(Instant now, const QueryUpdate& update) {
  const auto found = running_.find(update.query);
  if (found == running_.end()) return false;
  if (cancelled_) return true;
  if (update.kind == QueryUpdate::Kind::kResponse) {
    OnResponse(found->second.outcome, update);
  } else if (update.kind == QueryUpdate::Kind::kDone) {
    Operation operation = std::move(found->second);
    running_.erase(found);
    Finish(std::move(operation));
    StartNext(now);
  }
  return true;
}

inline void KeyManager::OnResponse(KeyOutcome& outcome, const QueryUpdate& update) {
  ++outcome.responses;
  const ByteView payload = AsBytes(update.payload);
  const auto fail = [&](std::string message) {
    ++outcome.errors;
    outcome.messages[update.from] = std::move(message);
  };
  if (payload.empty() ||
      static_cast<wire::SerfMessageType>(payload.front()) != wire::SerfMessageType::kKeyResponse) {
    return fail(absl::StrCat("Invalid key query response type: ", Shown(update.payload)));
  }
  wire::DecodeScratch scratch;
  wire::KeyResponse response;
  if (Decode(payload.subspan(1), response, scratch) != wire::DecodeResult::kOk) {
    return fail(absl::StrCat("Failed to decode key query response: ", Shown(update.payload)));
  }
  if (!response.result) {
    fail(std::string(response.message));
  } else if (!response.message.empty()) {
    outcome.messages[update.from] = std::string(response.message);
    Log(context_.config.swim.logger, LogLevel::kWarn, "serf: ", response.message);
  }
  // A keyring holds no more keys and no longer ones: an answer that lists such keys is forged.
  std::size_t listed = 0;
  response.keys.ForEach([&](absl::string_view key) {
    if (++listed <= wire::Keyring::kKeysMax && key.size() <= kListedKeyMax) {
      ++outcome.keys[std::string(key)];
    }
  });
  ++outcome.primary_keys[std::string(response.primary_key.substr(0, kListedKeyMax))];
}

inline void KeyManager::Finish(Operation operation) {
  KeyOutcome& outcome = operation.outcome;
  if (outcome.errors > 0) {
    outcome.status = absl::AbortedError(
        absl::StrCat(outcome.errors, "/", outcome.nodes, " nodes reported failure"));
  } else if (outcome.responses < outcome.nodes) {
    outcome.status = absl::AbortedError(
        absl::StrCat(outcome.responses, "/", outcome.nodes, " nodes reported success"));
  }
  done_.Add({operation.request, std::move(outcome)});
}

inline void KeyManager::Cancel(const absl::Status& status) {
  for (Operation& operation : std::exchange(waiting_, {})) {
    done_.Add({operation.request, {.status = status}});
  }
  // Further updates of their queries are dropped; the application does not see them either.
  cancelled_ = true;
  for (auto& [query, operation] : running_) {
    operation.outcome.status = status;
    done_.Add({operation.request, std::move(operation.outcome)});
  }
}

// As Go Serf prints bytes: "[8 1]".
inline std::string KeyManager::Shown(absl::string_view payload) {
  std::string text = "[";
  for (const std::uint8_t byte : AsBytes(payload.substr(0, kShownMax))) {
    absl::StrAppend(&text, text.size() > 1 ? " " : "", byte);
  }
  return absl::StrCat(text, payload.size() > kShownMax ? " ...]" : "]");
}

}  // namespace serf

#endif  // SERF_QUERIES_KEY_MANAGER_H_
