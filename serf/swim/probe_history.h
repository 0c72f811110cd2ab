// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PROBE_HISTORY_H_
#define SERF_SWIM_PROBE_HISTORY_H_

// ProbeHistory: how many of the members that were asked lately answered, and how much more gossip
// is to be sent if it is few: then many of the members that are listed as alive are dead, and what
// goes to them is lost.
//
// Up to half of them the walk over the rings makes up for it (gossip_coverage_test.cc); beyond,
// each message goes to as many living members as before if it goes to more members altogether.

#include <algorithm>
#include <bit>
#include <cstdint>

namespace serf::swim {

class ProbeHistory {
 public:
  // Members asked: by two or three probes that fail, with their helpers, or eight that don't. Few,
  // so that it notices within seconds.
  static constexpr int kProbes = 8;
  // A node that is cut off itself need not try forever; with it a message goes to 32 members.
  static constexpr int kStretchMax = 4;

  // So many members did, or did not, answer.
  void Add(int members, bool answered) {
    for (int i = 0; i < std::min(members, kProbes); ++i) {
      answers_ = static_cast<std::uint8_t>(answers_ << 1 | (answered ? 1 : 0));
    }
  }

  // By how much the transmissions of a message are multiplied: 1 to kStretchMax.
  int stretch() const {
    const int answered = std::popcount(answers_);
    if (answered * 2 >= kProbes) return 1;
    return std::clamp(kProbes / std::max(answered, 1), 1, kStretchMax);
  }

 private:
  static_assert(kProbes == 8);
  std::uint8_t answers_ = 0xff;  // by age, the last one lowest; there are no failures to begin with
};

}  // namespace serf::swim

#endif  // SERF_SWIM_PROBE_HISTORY_H_
