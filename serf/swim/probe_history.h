// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_PROBE_HISTORY_H_
#define SERF_SWIM_PROBE_HISTORY_H_

// ProbeHistory: how many of the members probed lately have answered, and how much more gossip to
// send if they are few: then many members that are listed as alive are dead, and messages to them
// are lost. And whether packets get lost at all.
//
// While up to half of the members are dead, the walk over the rings makes up for it
// (gossip_coverage_test.cc). Beyond that a message reaches as many live members as before only if
// it goes to more members.

#include <algorithm>
#include <bit>
#include <cstdint>

namespace serf::swim {

class ProbeHistory {
 public:
  // How many members count: those of two or three probes that fail, with their helpers, or of eight
  // that succeed. Few, so that a change is noticed within seconds.
  static constexpr int kProbes = 8;
  // How many members count for flows().
  static constexpr int kDirect = 32;
  // A node that is cut off itself must not send ever more; with this factor a message goes to 32
  // members.
  static constexpr int kStretchMax = 4;

  // So many members answered, or did not.
  void Add(int members, bool answered) {
    for (int i = 0; i < std::min(members, kProbes); ++i) {
      answers_ = static_cast<std::uint8_t>(answers_ << 1 | (answered ? 1 : 0));
    }
  }

  // A member that lives answered a ping in time, or only by way of others.
  void AddDirect(bool answered) { direct_ = direct_ << 1 | (answered ? 1u : 0u); }

  // Answers flow: none of the last kDirect members that live needed the help of others to answer.
  // Where one packet in twenty is lost, 96 % of the nodes notice it.
  bool flows() const { return direct_ == UINT32_MAX; }

  // How many of the last kProbes members did not answer.
  int missed() const { return kProbes - std::popcount(answers_); }

  // The factor for the transmissions of a message: 1 to kStretchMax.
  int stretch() const {
    const int answered = std::popcount(answers_);
    if (answered * 2 >= kProbes) return 1;
    return std::clamp(kProbes / std::max(answered, 1), 1, kStretchMax);
  }

 private:
  static_assert(kProbes == 8 && kDirect == 32);
  // By age, the latest lowest; starts without failures.
  std::uint8_t answers_ = 0xff;
  std::uint32_t direct_ = UINT32_MAX;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_PROBE_HISTORY_H_
