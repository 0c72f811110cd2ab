// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBERS_INTENT_LOG_H_
#define SERF_MEMBERS_INTENT_LOG_H_

// IntentLog: what was said about names that are no members: the newest join or leave intent of
// each, in case the member appears soon, and for how long a pruned name's last time is remembered,
// so that late copies of its leave message are not passed on for ever.
// Source: docs/protocol/serf.md 3.2; 15.3 for pruned names.

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/wire/ids.h"

namespace serf {

enum class IntentKind : std::uint8_t {
  kJoin,
  kLeave,
  kPruned,  // not an intent: the member was erased at this time
};

struct Intent {
  IntentKind kind = IntentKind::kJoin;
  wire::LamportTime time;
  Instant arrived;
};

class IntentLog {
 public:
  // Names come unauthenticated. Room for the departed of a day in a large cluster, all of which a
  // joining node hears of at once; a few megabytes.
  static constexpr std::size_t kIntentsMax = 65536;

  // Notes the intent unless an entry as new exists; its kind does not matter. False also if the
  // log is full.
  bool Upsert(Instant now, absl::string_view name, IntentKind kind, wire::LamportTime time);

  // None if nothing is known. Valid until the next change.
  const Intent* Find(absl::string_view name) const {
    const auto found = intents_.find(name);
    return found == intents_.end() ? nullptr : &found->second;
  }

  // Forgets intents older than `intent_timeout` and pruned names older than `pruned_timeout`.
  void Expire(Instant now, Duration intent_timeout, Duration pruned_timeout);

  std::size_t size() const { return intents_.size(); }
  // Intents that found no room.
  std::uint64_t overflows() const { return overflows_; }

 private:
  absl::flat_hash_map<std::string, Intent> intents_;
  std::uint64_t overflows_ = 0;
};

inline bool IntentLog::Upsert(Instant now, absl::string_view name, IntentKind kind,
                              wire::LamportTime time) {
  const auto found = intents_.find(name);
  if (found != intents_.end()) {
    if (time <= found->second.time) return false;
    found->second = {kind, time, now};
    return true;
  }
  if (intents_.size() >= kIntentsMax) {
    ++overflows_;
    return false;
  }
  intents_.emplace(std::string(name), Intent{kind, time, now});
  return true;
}

inline void IntentLog::Expire(Instant now, Duration intent_timeout, Duration pruned_timeout) {
  absl::erase_if(intents_, [&](const auto& entry) {
    const Intent& intent = entry.second;
    const Duration age = now - intent.arrived;
    return age > (intent.kind == IntentKind::kPruned ? pruned_timeout : intent_timeout);
  });
}

}  // namespace serf

#endif  // SERF_MEMBERS_INTENT_LOG_H_
