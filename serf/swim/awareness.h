// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_AWARENESS_H_
#define SERF_SWIM_AWARENESS_H_

// Awareness: the local health multiplier (Lifeguard, 2018, section IV-A;
// docs/protocol/membership.md 5.5): a node that gets no answers suspects itself first and probes
// more slowly.

#include <algorithm>
#include <cassert>

#include "serf/base/time.h"

namespace serf::swim {

class Awareness {
 public:
  // The score stays in [0, max_multiplier - 1]; max_multiplier is at least 1.
  explicit Awareness(int max_multiplier) : max_(max_multiplier - 1) { assert(max_ >= 0); }

  // Adds `delta`. True if the score changed.
  bool Apply(int delta) {
    const int before = score_;
    score_ = std::clamp(score_ + delta, 0, max_);
    return score_ != before;
  }

  // Zero is healthy.
  int score() const { return score_; }

  // The probe interval, stretched by ill health. The probe timeout is never stretched.
  Duration Scale(Duration interval) const { return interval * (score_ + 1); }

 private:
  int max_;
  int score_ = 0;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_AWARENESS_H_
