// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_KEYRING_EDITOR_H_
#define SERF_QUERIES_KEYRING_EDITOR_H_

// KeyringEditor: changes the keyring of this node when a key query asks for it, and answers the
// query. Source: docs/protocol/serf.md 6.9.1.
//
// With Config::keyring_is_saved an answer to a change waits until the driver has written the
// keyring file. If the driver could not, the editor undoes the change, so that memory and file
// never differ, and the answer says so. One save is under way at a time. Changes that come
// meanwhile are in force at once, and are saved together after it.
//
// Of two requests for a primary key the later one counts, by Lamport time and then by number, in
// whatever order they come, so that all nodes end with the same key. In Go Serf the last one to
// arrive counts.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/context/context.h"
#include "serf/keys.h"
#include "serf/queries/query_receiver.h"
#include "serf/query.h"
#include "serf/wire/aead.h"
#include "serf/wire/list_view.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class KeyringEditor {
 public:
  // The most changes that wait for a save. Only an attacker sends more.
  static constexpr std::size_t kChangesMax = 256;

  // Both must outlive the editor. `receiver` sends the answers.
  KeyringEditor(SerfContext& context, QueryReceiver& receiver)
      : context_(context), receiver_(receiver) {}
  KeyringEditor(const KeyringEditor&) = delete;
  KeyringEditor& operator=(const KeyringEditor&) = delete;

  // A key query reached this node.
  void OnQuery(Instant now, KeyOperation operation, const QueryEvent& query);
  // The driver has written the keyring of the last save, or could not.
  void OnSaved(Instant now, std::uint64_t version, const absl::Status& status);
  // The number of a save that the driver is to carry out; OnSaved(now, version, ...) follows.
  std::optional<std::uint64_t> TakeSave() { return std::exchange(save_, std::nullopt); }

 private:
  // The least bytes of a listed key (24 of base64 for 16 bytes, and a head). They give the first
  // guess of how many keys fit into an answer.
  static constexpr std::size_t kListedKeyMin = 25;

  struct Change {
    KeyOperation operation = KeyOperation::kInstall;
    ByteVector key;
    QueryId query;
  };
  // What a save writes, and the request that chose its primary key.
  struct State {
    std::vector<wire::Keyring::Key> keys;
    QueryId use;
  };

  wire::Keyring* keyring() const {
    wire::Keyring* const keyring = context_.config.swim.keyring.get();
    return keyring != nullptr && !keyring->empty() ? keyring : nullptr;
  }
  // The key that a request names; nothing if the request is malformed.
  std::optional<ByteVector> KeyOf(const QueryEvent& query) const;
  // Makes the change. The error is the text for the answer.
  absl::Status Edit(const Change& change);
  absl::Status Use(const Change& change);
  State Current() const {
    const auto keys = keyring()->keys();
    return {{keys.begin(), keys.end()}, use_};
  }
  void Restore(const State& state);
  void Save();
  void Answer(Instant now, QueryId query, bool result, absl::string_view message);
  void AnswerList(Instant now, QueryId query);

  SerfContext& context_;
  QueryReceiver& receiver_;
  QueryId use_;  // the request that chose the primary key
  std::uint64_t version_ = 0;
  std::vector<Change> changes_;  // in force, but not known to be saved
  std::size_t saving_ = 0;       // the first so many are being saved
  State saved_;                  // what the file holds, while there are changes
  State saving_state_;
  std::optional<std::uint64_t> save_;
};

inline std::optional<ByteVector> KeyringEditor::KeyOf(const QueryEvent& query) const {
  const ByteView payload = AsBytes(query.payload);
  wire::DecodeScratch scratch;
  wire::KeyRequest request;
  // The value of the type byte does not matter.
  const wire::DecodeResult result =
      Decode(payload.empty() ? payload : payload.subspan(1), request, scratch);
  if (result == wire::DecodeResult::kOk) return ByteVector(request.key.begin(), request.key.end());
  Log(context_.config.swim.logger, LogLevel::kError,
      "serf: Failed to decode key request: ", wire::DecodeResultName(result));
  return std::nullopt;
}

inline void KeyringEditor::OnQuery(Instant now, KeyOperation operation, const QueryEvent& query) {
  if (keyring() != nullptr) {
    Log(context_.config.swim.logger, LogLevel::kInfo, "serf: Received ",
        KeyQueryName(operation).substr(kInternalQueryPrefix.size()), " query");
  }
  if (operation == KeyOperation::kList) return AnswerList(now, query.id);
  std::optional<ByteVector> key = KeyOf(query);
  if (!key) return Answer(now, query.id, false, "");
  if (changes_.size() >= kChangesMax)
    return Answer(now, query.id, false, "too many key operations");
  const bool is_saved = context_.config.keyring_is_saved;
  if (is_saved && changes_.empty() && keyring() != nullptr) saved_ = Current();
  Change change{operation, *std::move(key), query.id};
  if (const absl::Status status = Edit(change); !status.ok()) {
    return Answer(now, query.id, false, absl::string_view(status.message()));
  }
  if (!is_saved) return Answer(now, query.id, true, "");
  changes_.push_back(std::move(change));
  if (saving_ == 0) Save();
}

inline void KeyringEditor::Save() {
  saving_ = changes_.size();
  saving_state_ = Current();
  save_ = ++version_;
}

inline absl::Status KeyringEditor::Edit(const Change& change) {
  if (keyring() == nullptr) {
    constexpr absl::string_view kNoKeyring = "No keyring to modify (encryption not enabled)";
    Log(context_.config.swim.logger, LogLevel::kError, "serf: ", kNoKeyring);
    return absl::FailedPreconditionError(kNoKeyring);
  }
  absl::Status status;
  absl::string_view what;
  switch (change.operation) {
    case KeyOperation::kInstall:
      status = keyring()->Add(change.key);
      what = "Failed to install key: ";
      break;
    case KeyOperation::kUse:
      status = Use(change);
      what = "Failed to change primary key: ";
      break;
    case KeyOperation::kRemove:
      status = keyring()->Remove(change.key);
      if (!status.ok()) {
        status = absl::FailedPreconditionError("Removing the primary key is not allowed");
      } else {
        context_.config.swim.aead->Forget(change.key);
      }
      what = "Failed to remove key: ";
      break;
    case KeyOperation::kList:
      break;
  }
  if (!status.ok()) {
    Log(context_.config.swim.logger, LogLevel::kError, "serf: ", what,
        absl::string_view(status.message()));
  }
  return status;
}

inline absl::Status KeyringEditor::Use(const Change& change) {
  if (change.query < use_ && AsText(keyring()->primary()) != AsText(change.key)) {
    return absl::AbortedError("A later request has made another key the primary one");
  }
  if (!keyring()->Use(change.key).ok()) {
    return absl::NotFoundError("Requested key is not in the keyring");
  }
  use_ = std::max(use_, change.query);
  return absl::OkStatus();
}

inline void KeyringEditor::Restore(const State& state) {
  // Each key was in a keyring before, so Add() cannot fail.
  for (const wire::Keyring::Key& key : state.keys) static_cast<void>(keyring()->Add(key));
  static_cast<void>(keyring()->Use(state.keys.front()));
  for (const wire::Keyring::Key& key : Current().keys) {
    const bool known = std::find(state.keys.begin(), state.keys.end(), key) != state.keys.end();
    if (!known && keyring()->Remove(key).ok()) context_.config.swim.aead->Forget(key);
  }
  use_ = state.use;
}

inline void KeyringEditor::OnSaved(Instant now, std::uint64_t version, const absl::Status& status) {
  if (saving_ == 0 || version != version_) return;  // not the answer to a save under way
  std::string message;
  if (!status.ok()) {
    message = std::string(status.message());
    Log(context_.config.swim.logger, LogLevel::kError,
        "serf: Failed to write keyring file: ", message);
  }
  const auto first_unsaved = changes_.begin() + static_cast<std::ptrdiff_t>(saving_);
  const std::vector<Change> done(changes_.begin(), first_unsaved);
  const std::vector<Change> rest(first_unsaved, changes_.end());
  changes_.clear();
  saving_ = 0;
  if (status.ok()) {
    saved_ = std::move(saving_state_);
    changes_ = rest;
  } else {
    Restore(saved_);
    for (const Change& change : rest) {
      // The change may concern a key that is now missing, or there again.
      if (const absl::Status again = Edit(change); again.ok()) {
        changes_.push_back(change);
      } else {
        Answer(now, change.query, false, absl::string_view(again.message()));
      }
    }
  }
  for (const Change& change : done) Answer(now, change.query, status.ok(), message);
  if (!changes_.empty()) return Save();
  // Forget keys as soon as they are not needed.
  saved_ = saving_state_ = State();
}

inline void KeyringEditor::Answer(Instant now, QueryId query, bool result,
                                  absl::string_view message) {
  ByteVector payload;
  Encode(wire::KeyResponse{.result = result, .message = message}, payload);
  receiver_.RespondInternally(now, "key", query, payload);
}

inline void KeyringEditor::AnswerList(Instant now, QueryId query) {
  if (keyring() == nullptr) {
    constexpr absl::string_view kNoKeys = "Keyring is empty (encryption not enabled)";
    Log(context_.config.swim.logger, LogLevel::kError, "serf: ", kNoKeys);
    return Answer(now, query, false, kNoKeys);
  }
  std::vector<std::string> keys;
  for (const wire::Keyring::Key& key : keyring()->keys()) {
    keys.push_back(absl::Base64Escape(AsText(key)));
  }
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  std::string message;
  std::size_t shown = keys.size();
  // Cut the list until the answer fits.
  for (std::ptrdiff_t next = static_cast<std::ptrdiff_t>(
           std::min(context_.config.query_response_size_limit / kListedKeyMin, keys.size()));
       ; --next) {
    wire::KeyResponse response;
    response.result = true;
    response.message = message;
    response.keys = wire::ListView<absl::string_view>(std::span(views).first(shown));
    response.primary_key = keys.front();
    ByteVector payload;
    Encode(response, payload);
    if (receiver_.Fits(query, AsText(payload))) {
      if (!message.empty()) Log(context_.config.swim.logger, LogLevel::kWarn, "serf: ", message);
      return receiver_.RespondInternally(now, "key", query, payload);
    }
    if (next < 0) break;
    shown = static_cast<std::size_t>(next);
    message = absl::StrCat("truncated key list response, showing first ", shown, " of ",
                           keys.size(), " keys");
  }
  Log(context_.config.swim.logger, LogLevel::kError,
      "serf: Failed to truncate response so that it fits into message");
}

}  // namespace serf

#endif  // SERF_QUERIES_KEYRING_EDITOR_H_
