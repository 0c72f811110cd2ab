#ifndef SERF_CMD_DAEMON_CONFIG_FILE_H_
#define SERF_CMD_DAEMON_CONFIG_FILE_H_

// Configuration files: JSON objects that are merged over an AgentConfig, one after the other.
// Source: docs/protocol/agent.md 2.4.
//
// A non-empty text, a non-zero number or duration, and a true replace the old value; lists are
// appended, tags merged key by key. `enable_compression`, `event_handlers_parallel` and the keys of
// agent_tuning.h always replace it. Letter case in keys does not matter.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/cmd/daemon/agent_config.h"

namespace serf::cmd {

// Reads a file, or all "*.json" files of a folder in the order of their names. An error's message
// is the text to print; it names the path and every wrong value, and `config` is then unspecified.
// `wait_max` applies to each file: see ReadTextFile().
absl::Status ReadConfigPath(const std::string& path, AgentConfig& config,
                            Duration wait_max = Duration::max());

// The file, or the files of a folder that ReadConfigPath() reads, in its order.
absl::StatusOr<std::vector<std::string>> ConfigFilesOf(const std::string& path);

// Decodes the text of one file. Only the first JSON value counts.
absl::Status DecodeConfig(absl::string_view text, AgentConfig& config);

// A mistake that DecodeConfig() reports.
struct ConfigMistake {
  std::string path;      // of the value, "mdns.interface"; as JsonPlaces::Find() takes it
  std::string text;      // what DecodeConfig() says of it
  bool unknown = false;  // there is no key `path`
};

// The same as DecodeConfig(), with every mistake on its own, in no order. Decodes what is right.
// The text must be JSON.
std::vector<ConfigMistake> DecodeMistakes(absl::string_view text, AgentConfig& config);

// Every key that a file may have: "node_name", "mdns.interface". In any order.
std::vector<std::string> ConfigKeys();

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_CONFIG_FILE_H_
