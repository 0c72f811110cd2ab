#ifndef SERF_CMD_VERSION_H_
#define SERF_CMD_VERSION_H_

// The version of this program: `serf version`, and `version` in the stats of an agent.

#include "absl/strings/string_view.h"

namespace serf::cmd {

// MODULE.bazel and CHANGELOG.md must name the same version.
inline constexpr absl::string_view kVersion = "0.11.0";

// The Serf protocols that this program speaks (docs/protocol/agent.md 4.16).
inline constexpr int kProtocolMin = 2;
inline constexpr int kProtocolMax = 5;

}  // namespace serf::cmd

#endif  // SERF_CMD_VERSION_H_
