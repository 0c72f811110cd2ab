// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SERF_STATE_H_
#define SERF_SERF_STATE_H_

// SerfState: where a node is in its own life. It says nothing about other members: for those see
// MemberStatus. Source: docs/protocol/serf.md 3.8.
//
//   if (host.serf().state() != serf::SerfState::kAlive) return;  // a join would be refused

#include <cstdint>

#include "absl/strings/string_view.h"

namespace serf {

// A node goes through these states in order and never back; kShutdown may follow any of the others.
//
// * kAlive: the node takes part.
// * kLeaving: a leave is under way; joins are refused.
// * kLeft: the leave is over; the node still answers probes.
// * kShutdown: the machine does nothing more; requests end with Cancelled.
enum class SerfState : std::uint8_t { kAlive, kLeaving, kLeft, kShutdown };

// The name of a state: "alive", "leaving", "left", "shutdown". The text lives as long as the
// program.
inline constexpr absl::string_view StateName(SerfState state) {
  switch (state) {
    case SerfState::kAlive:
      return "alive";
    case SerfState::kLeaving:
      return "leaving";
    case SerfState::kLeft:
      return "left";
    case SerfState::kShutdown:
      return "shutdown";
  }
  return "";
}

}  // namespace serf

#endif  // SERF_SERF_STATE_H_
