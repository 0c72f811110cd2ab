#include "serf/cmd/daemon/config_check.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"
#include "serf/base/duration_text.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/agent_node.h"
#include "serf/cmd/daemon/agent_options.h"
#include "serf/cmd/daemon/agent_tuning.h"
#include "serf/cmd/daemon/config_file.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/files/json_document.h"
#include "serf/cmd/files/json_places.h"
#include "serf/cmd/http/settings.h"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/near_miss.h"
#include "serf/cmd/text/quote.h"
#include "serf/cmd/text/table.h"
#include "serf/config.h"
#include "serf/tags.h"

namespace serf::cmd {
namespace {

// For a file that a key names, such as a FIFO into which nobody writes.
constexpr Duration kFileWaitMax = std::chrono::seconds(10);

// A key that decodes, and where it stands.
struct Given {
  std::string key;   // in lower case
  std::string text;  // an object with this entry alone
  std::string file;
  LineColumn at;
};

// What a start says of a configuration.
struct Verdict {
  std::string mistake;  // empty: none
  std::vector<std::string> warnings;
};

class Checker {
 public:
  ConfigReport Run(std::span<const std::string> paths);

 private:
  void CheckFile(const std::string& path);
  void CheckText(const std::string& path, const std::string& text);
  // Starts with the keys, one more each time.
  void CheckTogether();
  Verdict Judge(const AgentConfig& config);
  // True, and the key counts, if a start accepts it together with those that count already.
  bool Add(const Given& given, Verdict& verdict);
  void Find(const std::string& file, LineColumn at, std::string message, bool warning = false) {
    report_.findings.push_back({file, at.line, at.column, warning, std::move(message)});
  }

  ConfigReport report_;
  std::vector<Given> given_;
  // What has been looked up already, as for a reload.
  Running accepted_{AgentConfig(), {IpAddress::V4(127, 0, 0, 1), kDefaultBindPort}};
  std::vector<std::string> warned_;
};

// "no key "gosip_interval"; is it "gossip_interval"?"
std::string UnknownKey(const std::string& path) {
  std::string text = absl::StrCat("no key ", Quote(path));
  std::string meant;
  for (const AgentOption& option : kAgentOptions) {
    if (!option.flag.empty() && option.flag == path) meant = std::string(option.key);
  }
  if (meant.empty()) meant = NearMiss(path, ConfigKeys());
  if (!meant.empty()) absl::StrAppend(&text, "; is it ", Quote(meant), "?");
  return text;
}

ConfigReport Checker::Run(std::span<const std::string> paths) {
  for (const std::string& path : paths) {
    const absl::StatusOr<std::vector<std::string>> files = ConfigFilesOf(path);
    if (!files.ok()) {
      Find(path, {0, 0}, std::string(files.status().message()));
      report_.files.push_back({path});
      continue;
    }
    if (files->empty()) {
      Find(path, {0, 0}, "no file whose name ends with .json", /*warning=*/true);
      report_.files.push_back({path});
    }
    for (const std::string& file : *files) CheckFile(file);
  }
  CheckTogether();
  const auto place = [this](const ConfigFinding& finding) {
    const auto file = absl::c_find_if(
        report_.files, [&finding](const ConfigReport::File& f) { return f.path == finding.file; });
    return std::tuple(file - report_.files.begin(), finding.line, finding.column, finding.message);
  };
  std::sort(
      report_.findings.begin(), report_.findings.end(),
      [&place](const ConfigFinding& a, const ConfigFinding& b) { return place(a) < place(b); });
  for (const ConfigFinding& finding : report_.findings) {
    ++(finding.warning ? report_.warnings : report_.mistakes);
    for (ConfigReport::File& file : report_.files) {
      if (file.path == finding.file && !finding.warning) ++file.mistakes;
    }
  }
  return std::move(report_);
}

void Checker::CheckFile(const std::string& path) {
  report_.files.push_back({path});
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) return Find(path, {0, 0}, std::string(text.status().message()));
  JsonScanner scanner(*text);
  if (const auto end = scanner.Scan(); !end.ok()) {
    return Find(path, At(*text, scanner.at()), std::string(end.status().message()));
  }
  const std::size_t end = scanner.at();
  if (scanner.SkipBlanks()) {
    Find(path, At(*text, scanner.at()), "what follows the object is ignored", /*warning=*/true);
  }
  CheckText(path, text->substr(0, end));
}

void Checker::CheckText(const std::string& path, const std::string& text) {
  const JsonPlaces places(text);
  report_.files.back().keys = places.entries().size();
  AgentConfig scratch;
  for (const ConfigMistake& mistake : DecodeMistakes(text, scratch)) {
    const JsonPlaces::Place* const place = places.Find(mistake.path);
    const std::size_t at = place == nullptr ? 0 : mistake.unknown ? place->key : place->value;
    Find(path, At(text, at), mistake.unknown ? UnknownKey(mistake.path) : mistake.text);
  }
  std::map<std::string, LineColumn> first;  // by key in lower case
  for (const auto& [name, place] : places.entries()) {
    const std::string key = absl::AsciiStrToLower(name);
    const LineColumn at = At(text, place.key);
    if (const auto [other, added] = first.emplace(key, at); !added) {
      Find(path, at,
           absl::StrCat("the key ", Quote(name), " stands on line ", other->second.line,
                        ", too: only one of them counts"),
           /*warning=*/true);
      continue;
    }
    const std::string alone = absl::StrCat("{", text.substr(place.key, place.end - place.key), "}");
    // Those with mistakes are reported already.
    if (!DecodeMistakes(alone, scratch).empty()) continue;
    given_.push_back({key, alone, path, At(text, place.value)});
    if (key != "mdns") {
      report_.origins[key].push_back(path);
      continue;
    }
    for (const std::string& known : ConfigKeys()) {
      if (absl::StartsWith(known, "mdns.") && places.Find(known) != nullptr) {
        report_.origins[known].push_back(path);
      }
    }
  }
}

// What a start does before it looks at addresses and keys.
absl::Status Complete(AgentConfig& config, std::vector<std::string>& warnings) {
  absl::Status status = CompleteConfig(config, warnings);
  if (!status.ok()) return status;
  return ReadHttpSettings(HttpOptionsOf(config), kFileWaitMax, warnings).status();
}

Verdict Checker::Judge(const AgentConfig& config) {
  Verdict verdict;
  AgentConfig complete = config;
  absl::Status status = Complete(complete, verdict.warnings);
  if (status.ok()) status = CheckConfig(complete, accepted_);
  if (!status.ok()) verdict.mistake = std::string(status.message());
  return verdict;
}

bool Checker::Add(const Given& given, Verdict& verdict) {
  AgentConfig more = report_.config;
  if (!DecodeMistakes(given.text, more).empty()) return false;
  verdict = Judge(more);
  if (!verdict.mistake.empty()) return false;
  report_.config = std::move(more);
  std::vector<std::string> ignored;
  AgentConfig complete = report_.config;
  CompleteConfig(complete, ignored).IgnoreError();
  accepted_.config = std::move(complete);
  return true;
}

void Checker::CheckTogether() {
  if (const Verdict bare = Judge(report_.config); !bare.mistake.empty() && !given_.empty()) {
    // The host itself is the reason, such as one that has no name.
    return Find(given_.front().file, given_.front().at, bare.mistake);
  }
  Verdict verdict;
  std::map<std::string, const Given*> sources;  // of warnings: the key that brings each
  const auto accept = [&](const Given& given) {
    if (!Add(given, verdict)) return false;
    for (const std::string& warning : verdict.warnings) sources.emplace(warning, &given);
    return true;
  };
  // A key that needs another one, further down, gets its turn when the others are there.
  std::vector<Given> later;
  for (const Given& given : given_) {
    if (!accept(given)) later.push_back(given);
  }
  for (const Given& given : later) {
    if (!accept(given)) Find(given.file, given.at, verdict.mistake);
  }
  // Those that hold with all keys together.
  for (const std::string& warning : Judge(report_.config).warnings) {
    const auto source = sources.find(warning);
    if (source == sources.end()) continue;
    absl::string_view text = warning;
    absl::ConsumePrefix(&text, "Warning: ");
    Find(source->second->file, source->second->at, std::string(text), /*warning=*/true);
  }
}

// --- print ---

using nlohmann::ordered_json;

constexpr char kMask[] = "***";

struct ToJson {
  const AgentConfig& config;

  ordered_json operator()(std::string AgentConfig::*field) const { return config.*field; }
  ordered_json operator()(bool AgentConfig::*field) const { return config.*field; }
  ordered_json operator()(std::int64_t AgentConfig::*field) const { return config.*field; }
  ordered_json operator()(Duration AgentConfig::*field) const {
    return FormatDuration(config.*field);
  }
  ordered_json operator()(std::vector<std::string> AgentConfig::*field) const {
    return config.*field;
  }
  ordered_json operator()(Tags AgentConfig::*field) const {
    ordered_json tags = ordered_json::object();
    for (const auto& [key, value] : config.*field) tags[key] = value;
    return tags;
  }
  ordered_json operator()(std::optional<bool> AgentConfig::*field) const {
    return config.*field ? ordered_json(*(config.*field)) : ordered_json();
  }
  ordered_json operator()(std::optional<std::vector<std::string>> AgentConfig::*field) const {
    return config.*field ? ordered_json(*(config.*field)) : ordered_json();
  }
  ordered_json operator()(std::vector<HttpTokenOption> AgentConfig::*field) const {
    ordered_json tokens = ordered_json::array();
    for (const HttpTokenOption& option : config.*field) {
      ordered_json& token = tokens.emplace_back(ordered_json{{"name", option.name}});
      if (!option.token.empty()) token["token"] = kMask;
      if (!option.token_file.empty()) token["token_file"] = option.token_file;
      token["scopes"] = option.scopes;
    }
    return tokens;
  }
  ordered_json operator()(std::monostate) const { return nullptr; }  // no key of a file
};

ordered_json TuningJson(const TuningValue& value) {
  return std::visit(
      [](const auto& v) -> ordered_json {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, Duration>) {
          return FormatDuration(v);
        } else {
          return v;
        }
      },
      value);
}

std::string ValueText(const ordered_json& value) {
  if (value.is_string()) return JsonQuote(value.get<std::string>());
  return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

struct Row {
  std::string key;
  ordered_json value;
  std::vector<std::string> origins;  // empty: the default
};

std::vector<Row> Rows(const ConfigReport& report) {
  AgentConfig config = report.config;
  std::vector<std::string> warnings;
  CompleteConfig(config, warnings).IgnoreError();
  // What a start puts in for values that are not given.
  AgentNode node;
  const bool configured = ConfigureNode(config, nullptr, node).ok();
  const Config& serf = node.options.config;
  config.enable_compression = config.enable_compression.value_or(true);
  config.event_handlers_parallel = config.event_handlers_parallel.value_or(false);
  config.reconnect_interval = serf.reconnect_interval;
  config.reconnect_timeout = serf.reconnect_timeout;
  config.tombstone_timeout = serf.tombstone_timeout;
  std::map<std::string, ordered_json> values;
  for (const AgentOption& option : kAgentOptions) {
    if (option.key.empty()) continue;
    ordered_json value = std::visit(ToJson{config}, option.field);
    if (option.secret && value != "") value = kMask;
    values[std::string(option.key)] = std::move(value);
  }
  if (configured) {
    for (const auto& [key, value] : TuningValues(serf)) values[key] = TuningJson(value);
  }
  std::vector<Row> rows;
  for (auto& [key, value] : values) {
    const auto origins = report.origins.find(key);
    rows.push_back(
        {key, std::move(value),
         origins == report.origins.end() ? std::vector<std::string>() : origins->second});
  }
  return rows;
}

}  // namespace

ConfigReport CheckConfigFiles(std::span<const std::string> paths) { return Checker().Run(paths); }

std::string FindingText(const ConfigFinding& finding) {
  std::string text = EscapeControls(finding.file);
  if (finding.line != 0) absl::StrAppend(&text, ":", finding.line, ":", finding.column);
  absl::StrAppend(&text, finding.warning ? ": warning: " : ": ", EscapeControls(finding.message),
                  "\n");
  return text;
}

std::string ConfigText(const ConfigReport& report) {
  Table table;
  for (const Row& row : Rows(report)) {
    // The mask stands without quotes, as no value does.
    const std::string value = row.value == kMask ? std::string(kMask) : ValueText(row.value);
    table.AddRow(
        {row.key, value, row.origins.empty() ? "default" : absl::StrJoin(row.origins, ", ")});
  }
  return table.ToString();
}

std::string ConfigJson(const ConfigReport& report) {
  ordered_json json = ordered_json::object();
  for (const Row& row : Rows(report)) {
    json[row.key] = {
        {"value", row.value},
        {"origins", row.origins.empty() ? ordered_json::array() : ordered_json(row.origins)}};
  }
  return ToJsonText(json);
}

}  // namespace serf::cmd
