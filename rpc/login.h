// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_LOGIN_H_
#define SERF_RPC_LOGIN_H_

// Login: the state of trust in a connection of the agent's RPC server: first the handshake, then
// the key if the agent has one, each within its time. Source: docs/protocol/agent.md 1.4 and 1.7.
//
//   Login login(now, key);
//   Reply(login.OnHandshake(request.version));          // empty: welcome
//   if (login.OnKey(now, request.auth_key)) Reply({});  // else the refusal waits:
//   at login.NextDeadline(): if (login.TakeRefusal(now)) Reply(kInvalidAuthToken);

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/rpc/constant_time.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {

class Login {
 public:
  // `now`: when the connection was accepted. Empty `key`: the client needs none.
  Login(Instant now, std::string key)
      : key_(std::move(key)), start_(now), deadline_(now + kHandshakeTimeout) {}

  bool shaken_hands() const { return shaken_hands_; }
  bool authenticated() const { return key_.empty() || authenticated_; }
  bool trusted() const { return shaken_hands_ && authenticated(); }
  // True if the client has tried too many keys. The connection ends after the last refusal.
  bool exhausted() const { return failures_ >= kAuthAttemptsMax; }

  // Returns the error of the reply, or an empty text if the client may continue.
  absl::string_view OnHandshake(std::int32_t version) {
    if (version != kIpcVersion) return kUnsupportedVersion;
    if (shaken_hands_) return kDuplicateHandshake;
    shaken_hands_ = true;
    deadline_ = authenticated() ? kNever : start_ + kAuthTimeout;
    return {};
  }
  // True if the key is right. Otherwise the refusal is due after kAuthDelay.
  bool OnKey(Instant now, absl::string_view key) {
    if (EqualInConstantTime(key, key_)) {
      authenticated_ = true;
      deadline_ = kNever;
      return true;
    }
    ++failures_;
    refusal_at_ = now + kAuthDelay;
    return false;
  }

  // True once when the refusal of a wrong key is due.
  bool TakeRefusal(Instant now) {
    if (now < refusal_at_) return false;
    refusal_at_ = kNever;
    return true;
  }
  // True if the client took too long.
  bool is_late(Instant now) const { return now >= deadline_; }
  Instant NextDeadline() const { return std::min(deadline_, refusal_at_); }

 private:
  const std::string key_;
  Instant start_;
  Instant deadline_;
  Instant refusal_at_ = kNever;
  bool shaken_hands_ = false;
  bool authenticated_ = false;
  int failures_ = 0;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_LOGIN_H_
