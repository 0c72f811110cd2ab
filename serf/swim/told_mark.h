// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_TOLD_MARK_H_
#define SERF_SWIM_TOLD_MARK_H_

// The mark of a packet whose sender tells all members itself: an empty user message at its head.
// A node that receives it passes the messages behind it on in repeats only
// (docs/decisions/0003-prompt-gossip.md). Go Serf, and this program before it knew the mark, drop
// an empty user message without a word. A forged mark costs time, but repeats still come.

#include <array>
#include <cstddef>
#include <cstdint>

#include "serf/base/bytes.h"
#include "serf/wire/compound.h"
#include "serf/wire/message_type.h"

namespace serf::swim {

inline constexpr std::array<std::uint8_t, 1> kToldMark = {
    static_cast<std::uint8_t>(wire::MessageType::kUser)};
// What it takes of a packet's budget.
inline constexpr std::size_t kToldMarkCost = kToldMark.size() + wire::kCompoundPartOverhead;

inline bool IsToldMark(wire::MessageType type, ByteView body) {
  return type == wire::MessageType::kUser && body.empty();
}

}  // namespace serf::swim

#endif  // SERF_SWIM_TOLD_MARK_H_
