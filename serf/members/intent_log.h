// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_MEMBERS_INTENT_LOG_H_
#define SERF_MEMBERS_INTENT_LOG_H_

// IntentLog: the newest join or leave intent of each name that is not a member, in case the member
// appears soon. It also remembers the last time of a pruned name for a while, so that late copies
// of its leave message stop circulating. Source: docs/protocol/serf.md 3.2, 15.3.

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
  // Unauthenticated nodes choose the names. The limit leaves room for all departures of a day in a
  // large cluster, which a joining node receives all at once; they take a few megabytes.
  static constexpr std::size_t kIntentsMax = 65536;

  // Adds the intent unless the entry of that name is as new, of either kind. False also if the log
  // is full.
  bool Upsert(Instant now, absl::string_view name, IntentKind kind, wire::LamportTime time);

  // Null if nothing is known. Valid until the next change.
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
  if (intents_.empty()) return;
  absl::erase_if(intents_, [&](const auto& entry) {
    const Intent& intent = entry.second;
    const Duration age = now - intent.arrived;
    return age > (intent.kind == IntentKind::kPruned ? pruned_timeout : intent_timeout);
  });
}

}  // namespace serf

#endif  // SERF_MEMBERS_INTENT_LOG_H_
