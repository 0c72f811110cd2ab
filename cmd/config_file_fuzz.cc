// Configuration files with any content are taken or refused, and what is taken can be applied or
// is refused with a reason.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/cmd/agent_config.h"
#include "serf/cmd/agent_tuning.h"
#include "serf/cmd/config_file.h"
#include "serf/config.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  serf::cmd::AgentConfig config;
  const absl::Status decoded = serf::cmd::DecodeConfig(text, config);
  if (!decoded.ok()) {
    if (decoded.message().empty()) std::abort();
    return 0;
  }
  std::vector<std::string> warnings;
  serf::cmd::CompleteConfig(config, warnings).IgnoreError();
  serf::Config serf = serf::Config::Lan();
  serf.swim.name = "n";
  if (serf::cmd::ApplyTuning(config.tuning, serf).ok()) serf.Validate().IgnoreError();
  return 0;
}
