#include "serf/cmd/daemon/config_command.h"

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/command.h"
#include "serf/cmd/daemon/config_check.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/quote.h"

namespace serf::cmd {
namespace {

std::string Count(std::size_t number, absl::string_view noun) {
  return absl::StrCat(number, " ", noun, number == 1 ? "" : "s");
}

std::string ReportText(const ConfigReport& report) {
  std::string text;
  for (const ConfigReport::File& file : report.files) {
    bool clean = true;
    for (const ConfigFinding& finding : report.findings) {
      if (finding.file != file.path) continue;
      clean = false;
      text += FindingText(finding);
    }
    if (clean) {
      absl::StrAppend(&text, EscapeControls(file.path), ": ok, ", Count(file.keys, "key"), "\n");
    }
  }
  if (report.mistakes + report.warnings == 0) return text;
  absl::StrAppend(&text, Count(report.mistakes, "mistake"));
  if (report.warnings > 0) absl::StrAppend(&text, " and ", Count(report.warnings, "warning"));
  absl::StrAppend(&text, " in ", Count(report.files.size(), "file"), "\n");
  return text;
}

std::string ReportJson(const ConfigReport& report) {
  nlohmann::ordered_json json;
  json["files"] = nlohmann::ordered_json::array();
  for (const ConfigReport::File& file : report.files) {
    json["files"].push_back(
        {{"path", file.path}, {"keys", file.keys}, {"mistakes", file.mistakes}});
  }
  json["findings"] = nlohmann::ordered_json::array();
  for (const ConfigFinding& finding : report.findings) {
    json["findings"].push_back({{"file", finding.file},
                                {"line", finding.line},
                                {"column", finding.column},
                                {"kind", finding.warning ? "warning" : "mistake"},
                                {"message", finding.message}});
  }
  return ToJsonText(json);
}

int Run(std::span<const std::string> args) {
  const std::string what = args.empty() ? "" : args[0];
  if (what != "check" && what != "print") {
    return UsageError(kConfigCommand, "Say what to do with the files: check or print");
  }
  std::string format = "text";
  bool strict = false;
  std::vector<Flag> flags = {{.name = "format", .variable = &format}};
  if (what == "check") flags.push_back({.name = "strict", .variable = &strict});
  const absl::StatusOr<std::vector<std::string>> paths = ParseFlags(flags, args.subspan(1));
  if (!paths.ok()) return FlagError(kConfigCommand, paths.status());
  if (format != "text" && format != "json") {
    return UsageError(kConfigCommand,
                      absl::StrCat("Invalid output format ", Quote(format), ": text or json"));
  }
  if (paths->empty()) return UsageError(kConfigCommand, "Name a file or a folder");
  const ConfigReport report = CheckConfigFiles(*paths);
  const bool json = format == "json";
  if (what == "check") {
    json ? PrintRaw(ReportJson(report)) : Print(ReportText(report));
    return report.mistakes > 0 || (strict && report.warnings > 0) ? kExitFailure : kExitSuccess;
  }
  // With mistakes nothing is in force: an agent would not start.
  if (report.mistakes > 0) {
    PrintError(EscapeForTerminal(ReportText(report)));
    return kExitFailure;
  }
  json ? PrintRaw(ConfigJson(report)) : Print(ConfigText(report));
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf config check [options] PATH...
       serf config print [options] PATH...

  Checks configuration files of an agent without starting one: reports every
  mistake with its line, and exits with 1 if there is one. Or prints what is in
  force, the defaults too, and which files say so; keys are masked. A PATH is a
  file, or a folder whose "*.json" files are read in the order of their names.

Options:

  -format=text             "text" or "json".
  -strict                  With "check": also exit with 1 if there is a warning.)";

}  // namespace

constinit const Command kConfigCommand = {.name = "config",
                                          .synopsis = "Checks and shows configuration files",
                                          .help = kHelp,
                                          .run = Run};

}  // namespace serf::cmd
