#ifndef SERF_KEYRING_EDITOR_H_
#define SERF_KEYRING_EDITOR_H_

// KeyringEditor: what a node does with its own keyring when a key query asks for it, and what it
// answers. Source: spec/serf.md 6.9.1.
//
// With Config::keyring_is_saved an answer to a change waits until the driver has written the
// keyring file, or could not: the answer says so. A change stays in force either way.

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
#include "serf/config.h"
#include "serf/keys.h"
#include "serf/query.h"
#include "serf/wire/aead.h"
#include "serf/wire/list_view.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {

class KeyringEditor {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // The payload of the answer.
    virtual void AnswerKeyQuery(QueryId query, ByteView payload) = 0;
    // Whether an answer with this payload keeps the limit.
    virtual bool AnswerFits(QueryId query, ByteView payload) const = 0;
    // The keyring has changed for the `version`th time; then OnSaved(version, ...).
    virtual void SaveKeyring(std::uint64_t version) = 0;
  };

  // Answers that wait for a save. More come only from an attacker.
  static constexpr std::size_t kPendingMax = 256;

  // Both must outlive it.
  KeyringEditor(const Config& config, Listener& listener) : config_(config), listener_(listener) {}
  KeyringEditor(const KeyringEditor&) = delete;
  KeyringEditor& operator=(const KeyringEditor&) = delete;

  // A key query reached this node.
  void OnQuery(KeyOperation operation, const QueryEvent& query);
  // The keyring as of this version was written, or why not.
  void OnSaved(std::uint64_t version, const absl::Status& status);

 private:
  // The least bytes that a listed key takes (24 of base64 for 16 bytes, and a head): where to begin
  // when an answer is too long.
  static constexpr std::size_t kListedKeyMin = 25;

  struct Pending {
    std::uint64_t version = 0;
    QueryId query;
  };

  wire::Keyring* keyring() const {
    wire::Keyring* const keyring = config_.swim.keyring.get();
    return keyring != nullptr && !keyring->empty() ? keyring : nullptr;
  }
  // The key that a request is about; none if it makes no sense.
  std::optional<ByteVector> KeyOf(const QueryEvent& query) const;
  // Does it. The error is the text for the answer.
  absl::Status Edit(KeyOperation operation, ByteView key);
  void Answer(QueryId query, bool result, absl::string_view message);
  void AnswerList(QueryId query);

  const Config& config_;
  Listener& listener_;
  std::uint64_t version_ = 0;
  std::vector<Pending> pending_;
};

inline std::optional<ByteVector> KeyringEditor::KeyOf(const QueryEvent& query) const {
  const ByteView payload = AsBytes(query.payload);
  wire::DecodeScratch scratch;
  wire::KeyRequest request;
  // The type byte is not looked at.
  const wire::DecodeResult result =
      Decode(payload.empty() ? payload : payload.subspan(1), request, scratch);
  if (result == wire::DecodeResult::kOk) return ByteVector(request.key.begin(), request.key.end());
  Log(config_.swim.logger, LogLevel::kError,
      "serf: Failed to decode key request: ", wire::DecodeResultName(result));
  return std::nullopt;
}

inline void KeyringEditor::OnQuery(KeyOperation operation, const QueryEvent& query) {
  if (keyring() != nullptr) {
    Log(config_.swim.logger, LogLevel::kInfo, "serf: Received ",
        KeyQueryName(operation).substr(kInternalQueryPrefix.size()), " query");
  }
  if (operation == KeyOperation::kList) return AnswerList(query.id);
  const std::optional<ByteVector> key = KeyOf(query);
  if (!key) return Answer(query.id, false, "");
  if (const absl::Status status = Edit(operation, *key); !status.ok()) {
    return Answer(query.id, false, absl::string_view(status.message()));
  }
  if (!config_.keyring_is_saved) return Answer(query.id, true, "");
  if (pending_.size() >= kPendingMax) return Answer(query.id, false, "too many key operations");
  pending_.push_back({++version_, query.id});
  listener_.SaveKeyring(version_);
}

inline absl::Status KeyringEditor::Edit(KeyOperation operation, ByteView key) {
  if (keyring() == nullptr) {
    constexpr absl::string_view kNoKeyring = "No keyring to modify (encryption not enabled)";
    Log(config_.swim.logger, LogLevel::kError, "serf: ", kNoKeyring);
    return absl::FailedPreconditionError(kNoKeyring);
  }
  absl::Status status;
  absl::string_view what;
  switch (operation) {
    case KeyOperation::kInstall:
      status = keyring()->Add(key);
      what = "Failed to install key: ";
      break;
    case KeyOperation::kUse:
      status = keyring()->Use(key);
      if (!status.ok()) status = absl::NotFoundError("Requested key is not in the keyring");
      what = "Failed to change primary key: ";
      break;
    case KeyOperation::kRemove:
      status = keyring()->Remove(key);
      if (!status.ok()) {
        status = absl::FailedPreconditionError("Removing the primary key is not allowed");
      } else {
        config_.swim.aead->Forget(key);
      }
      what = "Failed to remove key: ";
      break;
    case KeyOperation::kList:
      break;
  }
  if (!status.ok()) {
    Log(config_.swim.logger, LogLevel::kError, "serf: ", what, absl::string_view(status.message()));
  }
  return status;
}

inline void KeyringEditor::OnSaved(std::uint64_t version, const absl::Status& status) {
  std::string message;
  if (!status.ok()) {
    message = std::string(status.message());
    Log(config_.swim.logger, LogLevel::kError, "serf: Failed to write keyring file: ", message);
  }
  std::vector<Pending> rest;
  for (const Pending& pending : std::exchange(pending_, {})) {
    if (pending.version <= version) {
      Answer(pending.query, status.ok(), message);
    } else {
      rest.push_back(pending);
    }
  }
  pending_ = std::move(rest);
}

inline void KeyringEditor::Answer(QueryId query, bool result, absl::string_view message) {
  ByteVector payload;
  Encode(wire::KeyResponse{.result = result, .message = message}, payload);
  listener_.AnswerKeyQuery(query, payload);
}

inline void KeyringEditor::AnswerList(QueryId query) {
  if (keyring() == nullptr) {
    constexpr absl::string_view kNoKeys = "Keyring is empty (encryption not enabled)";
    Log(config_.swim.logger, LogLevel::kError, "serf: ", kNoKeys);
    return Answer(query, false, kNoKeys);
  }
  std::vector<std::string> keys;
  for (const wire::Keyring::Key& key : keyring()->keys()) {
    keys.push_back(absl::Base64Escape(AsText(key)));
  }
  const std::vector<absl::string_view> views(keys.begin(), keys.end());
  std::string message;
  std::size_t shown = keys.size();
  // Cut until it fits.
  for (std::ptrdiff_t next = static_cast<std::ptrdiff_t>(
           std::min(config_.query_response_size_limit / kListedKeyMin, keys.size()));
       ; --next) {
    wire::KeyResponse response;
    response.result = true;
    response.message = message;
    response.keys = wire::ListView<absl::string_view>(std::span(views).first(shown));
    response.primary_key = keys.front();
    ByteVector payload;
    Encode(response, payload);
    if (listener_.AnswerFits(query, payload)) {
      if (!message.empty()) Log(config_.swim.logger, LogLevel::kWarn, "serf: ", message);
      return listener_.AnswerKeyQuery(query, payload);
    }
    if (next < 0) break;
    shown = static_cast<std::size_t>(next);
    message = absl::StrCat("truncated key list response, showing first ", shown, " of ",
                           keys.size(), " keys");
  }
  Log(config_.swim.logger, LogLevel::kError,
      "serf: Failed to truncate response so that it fits into message");
}

}  // namespace serf

#endif  // SERF_KEYRING_EDITOR_H_
