// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_JOIN_LIST_H_
#define SERF_TRANSPORT_JOIN_LIST_H_

// JoinList: the entries of one join request. It gives out a few steps at a time, each a lookup of
// an entry or a join of one of its addresses, so a name without an answer or a silent address does
// not delay the rest. It reports the errors in the order of the entries.
//
//   while (auto step = list.Next()) step->target ? join : look up the entry;
//   list.OnResolved(entry, targets);      // then, and after the next: Next() again
//   list.OnJoined(entry, address, error);
//   if (list.ended()) ... list.contacted(), list.TakeErrors()

#include <cassert>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "serf/swim/joins.h"
#include "serf/transport/resolver.h"

namespace serf::transport {

class JoinList {
 public:
  // Lookups and joins at once. A silent address takes ten seconds: a hundred of them take two
  // minutes with this value, and a quarter of an hour one by one.
  static constexpr std::size_t kAtOnceMax = 8;

  // What to do now: look up `entry`, or join its `target`.
  struct Step {
    std::size_t entry = 0;
    std::size_t address = 0;  // the index among the entry's addresses
    std::optional<swim::JoinTarget> target;
  };

  explicit JoinList(std::vector<std::string> entries)
      : entries_(std::move(entries)), errors_(entries_.size()) {}

  const std::string& text(std::size_t entry) const { return entries_[entry]; }

  // Nothing: enough steps are under way, or none is left.
  std::optional<Step> Next();
  void OnResolved(std::size_t entry, JoinTargets targets);
  // An empty `error` means that the address was contacted.
  void OnJoined(std::size_t entry, std::size_t address, std::string error);
  // Begins no further step. What the lookups under way find is dropped.
  void Stop() {
    stopped_ = true;
    next_ = entries_.size();
    ready_.clear();
  }

  // True when nothing is under way and no step is left.
  bool ended() const { return under_way_ == 0 && next_ == entries_.size() && ready_.empty(); }
  int contacted() const { return contacted_; }
  // An error for each entry and each address that failed.
  std::vector<std::string> TakeErrors();

 private:
  const std::vector<std::string> entries_;
  std::size_t next_ = 0;    // the next entry to look up
  std::deque<Step> ready_;  // the joins that may begin
  std::size_t under_way_ = 0;
  bool stopped_ = false;
  int contacted_ = 0;
  std::vector<std::vector<std::string>> errors_;  // by entry and address; empty: no error
};

inline std::optional<JoinList::Step> JoinList::Next() {
  if (under_way_ == kAtOnceMax) return std::nullopt;
  std::optional<Step> step;
  if (!ready_.empty()) {
    step = std::move(ready_.front());
    ready_.pop_front();
  } else if (next_ < entries_.size()) {
    step.emplace().entry = next_++;
  }
  if (step) ++under_way_;
  return step;
}

inline void JoinList::OnResolved(std::size_t entry, JoinTargets targets) {
  assert(under_way_ > 0);
  --under_way_;
  if (!targets.ok()) {
    errors_[entry] = {std::string(targets.status().message())};
    return;
  }
  if (stopped_) return;
  errors_[entry].resize(targets->size());
  for (std::size_t i = 0; i < targets->size(); ++i) {
    ready_.push_back({entry, i, std::move((*targets)[i])});
  }
}

inline void JoinList::OnJoined(std::size_t entry, std::size_t address, std::string error) {
  assert(under_way_ > 0);
  --under_way_;
  if (error.empty()) ++contacted_;
  errors_[entry][address] = std::move(error);
}

inline std::vector<std::string> JoinList::TakeErrors() {
  std::vector<std::string> all;
  for (std::vector<std::string>& entry : errors_) {
    for (std::string& error : entry) {
      if (!error.empty()) all.push_back(std::move(error));
    }
  }
  return all;
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_JOIN_LIST_H_
