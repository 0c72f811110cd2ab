// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_ANSWER_RATE_H_
#define SERF_SWIM_ANSWER_RATE_H_

// AnswerRate: how fast this node answers push/pulls of one address. The rate counts bytes, because
// a large state costs more. An address that asks faster waits.
//
//   const Instant at = rate.Take(now, peer, state.size());   // answer then

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "serf/base/endpoint.h"
#include "serf/base/fair_shares.h"
#include "serf/base/time.h"

namespace serf::swim {

class AnswerRate {
 public:
  // A node is asked about once per push/pull interval, and once by each node that joins. At this
  // rate a thousand nodes behind one address join a cluster of a thousand at once, in seconds.
  static constexpr std::uint64_t kBytesPerSecond = 32 << 20;
  static constexpr Duration kBurst = std::chrono::seconds(2);

  // When so many bytes may go to an address. Counts them from now on.
  Instant Take(Instant now, const IpAddress& to, std::size_t bytes) {
    if (paid_.size() >= kForgetFrom) {
      absl::erase_if(paid_, [now](const auto& entry) { return entry.second <= now; });
    }
    Instant& paid = paid_.try_emplace(SharingAddress(to), now).first->second;
    const Instant allowed = std::max(now, paid - kBurst);
    const double cost = static_cast<double>(bytes) * 1e9 / kBytesPerSecond;
    paid = std::max(paid, now) + Duration(static_cast<Duration::rep>(cost));
    return allowed;
  }

  // How many addresses are remembered.
  std::size_t size() const { return paid_.size(); }

 private:
  // With more addresses than this, those with nothing to wait for are forgotten.
  static constexpr std::size_t kForgetFrom = 1024;

  absl::flat_hash_map<IpAddress, Instant> paid_;  // when the address has nothing more to wait for
};

}  // namespace serf::swim

#endif  // SERF_SWIM_ANSWER_RATE_H_
