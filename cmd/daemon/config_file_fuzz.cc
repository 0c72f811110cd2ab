// Reads configuration files with any content. A file is accepted or refused. An accepted one can be
// applied, or is refused then with a reason.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/agent_tuning.h"
#include "serf/cmd/daemon/config_file.h"
#include "serf/config.h"
#include "serf/testing/fuzz_bounds.h"

namespace {

// An element of JSON may have two bytes, and becomes a node of a map with its value.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {512, 32 << 10},
    .peak = {256, 32 << 10},
    .work = {10, 5000},
};

void Fuzz(serf::ByteView input) {
  const absl::string_view text = serf::AsText(input);
  serf::cmd::AgentConfig config;
  const absl::Status decoded = serf::cmd::DecodeConfig(text, config);
  if (!decoded.ok()) {
    if (decoded.message().empty()) std::abort();
    return;
  }
  std::vector<std::string> warnings;
  serf::cmd::CompleteConfig(config, warnings).IgnoreError();
  serf::Config serf = serf::Config::Lan();
  serf.swim.name = "n";
  if (serf::cmd::ApplyTuning(config.tuning, serf).ok()) serf.Validate().IgnoreError();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
