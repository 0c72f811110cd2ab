#ifndef SERF_CMD_DAEMON_CONFIG_CHECK_H_
#define SERF_CMD_DAEMON_CONFIG_CHECK_H_

// CheckConfigFiles: all mistakes of configuration files, each with its line, before an agent finds
// the first of them. It makes the checks of a start that change nothing: keys and values are
// decoded as an agent decodes them, then each key is added to those before it, and what a start
// would refuse is a mistake of the key that was added last.
//
//   const ConfigReport report = CheckConfigFiles({"/etc/serf"});
//   for (const ConfigFinding& finding : report.findings) Print(FindingText(finding));

#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "serf/cmd/daemon/agent_config.h"

namespace serf::cmd {

struct ConfigFinding {
  std::string file;
  // Both from 1; zero: the file cannot be read, or the folder has no files.
  std::size_t line = 0;
  std::size_t column = 0;  // in code points
  // A start goes along with it, but hardly as the operator meant.
  bool warning = false;
  std::string message;  // may hold text of the file: escape it
};

struct ConfigReport {
  struct File {
    std::string path;
    std::size_t keys = 0;      // at the top of the file
    std::size_t mistakes = 0;  // without warnings
  };
  std::vector<File> files;
  // By file, line and column.
  std::vector<ConfigFinding> findings;
  std::size_t mistakes = 0;
  std::size_t warnings = 0;
  // What the right keys of all files together say, before missing values are filled in.
  AgentConfig config;
  // By key, "node_name", "mdns.interface": the files that set it, in their order.
  std::map<std::string, std::vector<std::string>> origins;
};

// `paths` are files and folders, as of -config-file and -config-dir. Blocks on disks, and on
// look-ups of names that stand for an address to bind to.
ConfigReport CheckConfigFiles(std::span<const std::string> paths);

// "/etc/serf/a.json:4:3: no key \"x\"" and LF, controls escaped.
std::string FindingText(const ConfigFinding& finding);

// What is in force: a line for each key with its value and where it comes from, secrets masked.
std::string ConfigText(const ConfigReport& report);
// The same as an object of objects.
std::string ConfigJson(const ConfigReport& report);

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_CONFIG_CHECK_H_
