#ifndef SERF_SERF_STATE_H_
#define SERF_SERF_STATE_H_

// SerfState: of a node's own life. Source: spec/serf.md 3.8.

#include <cstdint>

#include "absl/strings/string_view.h"

namespace serf {

// Only forward: left follows leaving, shutdown any of the others.
enum class SerfState : std::uint8_t { kAlive, kLeaving, kLeft, kShutdown };

// "alive", "leaving", "left", "shutdown".
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
