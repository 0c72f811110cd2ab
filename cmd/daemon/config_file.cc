#include "serf/cmd/daemon/config_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/base/system_error.h"
#include "serf/base/time.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/agent_options.h"
#include "serf/cmd/daemon/agent_tuning.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/files/json_document.h"
#include "serf/cmd/http/settings.h"
#include "serf/cmd/text/duration.h"
#include "serf/tags.h"

namespace serf::cmd {
namespace {

using nlohmann::json;

// --- Go Serf's words for values in its errors ---

absl::string_view GoType(const json& value) {
  if (value.is_string()) return "string";
  if (value.is_boolean()) return "bool";
  if (value.is_number()) return "float64";
  return value.is_array() ? "[]interface {}" : "map[string]interface {}";
}

absl::string_view GoKind(const json& value) {
  if (value.is_array()) return "slice";
  return value.is_object() ? "map" : GoType(value);
}

// All numbers are float64 in Go's errors: without a fraction below 1e21, with an exponent above.
std::string GoNumber(double number) {
  std::array<char, 64> text;
  const double magnitude = std::fabs(number);
  const bool fixed = magnitude == 0 || (magnitude >= 1e-4 && magnitude < 1e21);
  const auto [end, error] =
      std::to_chars(text.data(), text.data() + text.size(), number,
                    fixed ? std::chars_format::fixed : std::chars_format::scientific);
  return error == std::errc() ? std::string(text.data(), end) : std::string();
}

// Shows values at the top level only: deeper values would make errors very long.
std::string GoValue(const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number()) return GoNumber(value.get<double>());
  if (value.is_boolean()) return value.get<bool>() ? "true" : "false";
  return value.is_array() ? "[...]" : "map[...]";
}

// A float64 as a whole number, with its fraction cut off. Nothing if it does not fit.
std::optional<std::int64_t> WholeNumber(const json& value) {
  const double number = std::trunc(value.get<double>());
  // The largest below 2^63 that a float64 can hold is far from it, so the comparison is exact.
  if (!(number >= -0x1p63 && number < 0x1p63)) return std::nullopt;
  return static_cast<std::int64_t>(number);
}

// Decodes one object into a configuration, and collects the errors.
class Decoder {
 public:
  explicit Decoder(AgentConfig& config) : config_(config) {}

  absl::Status Decode(const json& root);
  // After Decode(), each mistake on its own.
  std::vector<ConfigMistake> Mistakes() const;

 private:
  // The entries of an object that nobody has taken yet.
  class Entries {
   public:
    explicit Entries(const json& object) : object_(object) {
      for (const auto& item : object.items()) left_.insert(item.key());
    }
    // Null if there is no such entry.
    const json* Take(absl::string_view name);
    const std::set<std::string>& left() const { return left_; }

   private:
    const json& object_;
    std::set<std::string> left_;
  };

  // The options whose keys stand in the object that `prefix` names: "", "mdns.".
  void SetOptions(absl::string_view prefix, Entries& entries);
  void SetOption(const AgentOption& option, const json& value);
  // Errors call the value `path`.
  void Set(const std::string& path, const json& value, std::string& into);
  void Set(const std::string& path, const json& value, bool& into);
  void Set(const std::string& path, const json& value, std::optional<bool>& into);
  void Set(const std::string& path, const json& value, std::int64_t& into, bool positive);
  void Set(const std::string& path, const json& value, Duration& into);
  void Set(const std::string& path, const json& value, std::vector<std::string>& into);
  void Set(const std::string& path, const json& value,
           std::optional<std::vector<std::string>>& into);
  void Set(const std::string& path, const json& value, std::vector<HttpTokenOption>& into);
  void Set(const std::string& path, const json& value, Tags& into);
  void SetMdns(const json& value);
  void SetTuning(const std::string& name, const json& value);

  // These return the value, or nothing after they recorded an error.
  std::optional<bool> Bool(const std::string& path, const json& value);
  std::optional<std::string> Text(const std::string& path, const json& value);
  std::optional<std::int64_t> Number(const std::string& path, const json& value,
                                     bool positive = false);
  std::optional<std::vector<std::string>> List(const std::string& path, const json& value);

  void ReportUnknown(const std::string& path, const Entries& entries);
  void ReportType(const std::string& path, absl::string_view expected, const json& value) {
    errors_.push_back(absl::StrCat("'", path, "' expected type '", expected,
                                   "', got unconvertible type '", GoType(value), "', value: '",
                                   GoValue(value), "'"));
  }

  AgentConfig& config_;
  std::vector<std::string> errors_;       // each begins with a path in single quotes
  absl::Status duration_error_;           // the first one; reported only if there is no other error
  std::vector<ConfigMistake> durations_;  // all of them
  std::vector<std::string> unknown_errors_;  // those of errors_ that list unknown keys
  std::vector<ConfigMistake> unknown_;       // these keys
};

std::vector<ConfigMistake> Decoder::Mistakes() const {
  std::vector<ConfigMistake> mistakes = unknown_;
  mistakes.insert(mistakes.end(), durations_.begin(), durations_.end());
  for (const std::string& error : errors_) {
    if (absl::c_linear_search(unknown_errors_, error)) continue;
    const std::size_t end = error.find('\'', 1);
    mistakes.push_back({error.substr(1, end - 1), error});
  }
  return mistakes;
}

const json* Decoder::Entries::Take(absl::string_view name) {
  auto found = left_.find(std::string(name));
  if (found == left_.end()) {
    found = std::find_if(left_.begin(), left_.end(), [name](const std::string& key) {
      return absl::EqualsIgnoreCase(key, name);
    });
  }
  if (found == left_.end()) return nullptr;
  const json& value = object_.at(*found);
  left_.erase(found);
  return &value;
}

absl::Status Decoder::Decode(const json& root) {
  if (root.is_null()) return absl::OkStatus();
  if (!root.is_object()) {
    return absl::InvalidArgumentError(absl::StrCat("'' expected a map, got '", GoKind(root), "'"));
  }
  Entries entries(root);
  SetOptions("", entries);
  if (const json* const value = entries.Take("mdns"); value != nullptr) SetMdns(*value);
  const std::set<std::string> rest = entries.left();
  for (const std::string& key : rest) {
    const std::string name = absl::AsciiStrToLower(key);
    // Go Serf knows the second key, and ignores it.
    if (name == "msgpackusenewtimeformat") entries.Take(key);
    if (!TuningKindOf(name)) continue;
    SetTuning(name, *entries.Take(key));
  }
  ReportUnknown("", entries);
  if (errors_.empty()) return duration_error_;
  std::sort(errors_.begin(), errors_.end());
  return absl::InvalidArgumentError(
      absl::StrCat(errors_.size(), " error(s) decoding:\n\n* ", absl::StrJoin(errors_, "\n* ")));
}

void Decoder::SetOptions(absl::string_view prefix, Entries& entries) {
  for (const AgentOption& option : kAgentOptions) {
    absl::string_view name = option.key;
    if (name.empty() || !absl::ConsumePrefix(&name, prefix) || absl::StrContains(name, '.'))
      continue;
    const json* const value = entries.Take(name);
    if (value != nullptr && !value->is_null()) SetOption(option, *value);
  }
}

void Decoder::SetOption(const AgentOption& option, const json& value) {
  const std::string path(option.key);
  const auto set = [&](auto field) {
    if constexpr (std::is_same_v<decltype(field), std::int64_t AgentConfig::*>) {
      Set(path, value, config_.*field, option.positive);
    } else if constexpr (!std::is_same_v<decltype(field), std::monostate>) {
      Set(path, value, config_.*field);
    }
  };
  std::visit(set, option.field);
}

void Decoder::ReportUnknown(const std::string& path, const Entries& entries) {
  if (entries.left().empty()) return;
  errors_.push_back(
      absl::StrCat("'", path, "' has invalid keys: ", absl::StrJoin(entries.left(), ", ")));
  unknown_errors_.push_back(errors_.back());
  for (const std::string& key : entries.left()) {
    unknown_.push_back({path.empty() ? key : absl::StrCat(path, ".", key), "", true});
  }
}

std::optional<bool> Decoder::Bool(const std::string& path, const json& value) {
  if (value.is_boolean()) return value.get<bool>();
  ReportType(path, "bool", value);
  return std::nullopt;
}

std::optional<std::string> Decoder::Text(const std::string& path, const json& value) {
  if (value.is_null()) return std::string();
  if (value.is_string()) return value.get<std::string>();
  ReportType(path, "string", value);
  return std::nullopt;
}

std::optional<std::int64_t> Decoder::Number(const std::string& path, const json& value,
                                            bool positive) {
  if (!value.is_number()) {
    ReportType(path, "int", value);
    return std::nullopt;
  }
  const std::optional<std::int64_t> number = WholeNumber(value);
  // Such a value means the default, as a negative one does.
  if (!number && positive) return 0;
  if (!number) errors_.push_back(absl::StrCat("'", path, "' is out of range: ", GoValue(value)));
  return number;
}

std::optional<std::vector<std::string>> Decoder::List(const std::string& path, const json& value) {
  if (!value.is_array()) {
    errors_.push_back(
        absl::StrCat("'", path, "': source data must be an array or slice, got ", GoKind(value)));
    return std::nullopt;
  }
  std::vector<std::string> list;
  for (std::size_t i = 0; i < value.size(); ++i) {
    list.push_back(Text(absl::StrCat(path, "[", i, "]"), value[i]).value_or(""));
  }
  return list;
}

void Decoder::Set(const std::string& path, const json& value, std::string& into) {
  std::optional<std::string> text = Text(path, value);
  if (text && !text->empty()) into = *std::move(text);
}

void Decoder::Set(const std::string& path, const json& value, bool& into) {
  into = Bool(path, value).value_or(false) || into;
}

void Decoder::Set(const std::string& path, const json& value, std::optional<bool>& into) {
  if (const std::optional<bool> given = Bool(path, value)) into = given;
}

void Decoder::Set(const std::string& path, const json& value, std::int64_t& into, bool positive) {
  const std::int64_t number = Number(path, value, positive).value_or(0);
  const bool counts = positive ? number > 0 : number != 0;
  if (counts) into = number;
}

void Decoder::Set(const std::string& path, const json& value, Duration& into) {
  const std::optional<std::string> text = Text(path, value);
  if (!text || text->empty()) return;
  const absl::StatusOr<Duration> duration = ParseDuration(*text);
  if (!duration.ok()) {
    durations_.push_back({path, std::string(duration.status().message())});
    return duration_error_.Update(duration.status());
  }
  if (*duration != Duration::zero()) into = *duration;
}

void Decoder::Set(const std::string& path, const json& value, std::vector<std::string>& into) {
  std::optional<std::vector<std::string>> list = List(path, value);
  if (list) into.insert(into.end(), list->begin(), list->end());
}

void Decoder::Set(const std::string& path, const json& value,
                  std::optional<std::vector<std::string>>& into) {
  if (std::optional<std::vector<std::string>> list = List(path, value)) into = *std::move(list);
}

void Decoder::Set(const std::string& path, const json& value, std::vector<HttpTokenOption>& into) {
  if (!value.is_array()) {
    errors_.push_back(
        absl::StrCat("'", path, "': source data must be an array or slice, got ", GoKind(value)));
    return;
  }
  into.clear();
  for (std::size_t i = 0; i < value.size(); ++i) {
    const std::string at = absl::StrCat(path, "[", i, "]");
    if (!value[i].is_object()) {
      errors_.push_back(absl::StrCat("'", at, "' expected a map, got '", GoKind(value[i]), "'"));
      continue;
    }
    Entries entries(value[i]);
    HttpTokenOption& token = into.emplace_back();
    const auto text = [&](absl::string_view name, std::string& member) {
      const json* const entry = entries.Take(name);
      if (entry != nullptr) member = Text(absl::StrCat(at, ".", name), *entry).value_or("");
    };
    text("name", token.name);
    text("token", token.token);
    text("token_file", token.token_file);
    if (const json* const scopes = entries.Take("scopes"); scopes != nullptr) {
      token.scopes = List(absl::StrCat(at, ".scopes"), *scopes).value_or(token.scopes);
    }
    ReportUnknown(at, entries);
  }
}

void Decoder::Set(const std::string& path, const json& value, Tags& into) {
  if (!value.is_object()) {
    errors_.push_back(absl::StrCat("'", path, "' expected a map, got '", GoKind(value), "'"));
    return;
  }
  for (const auto& item : value.items()) {
    std::optional<std::string> text = Text(absl::StrCat(path, "[", item.key(), "]"), item.value());
    if (text) into[item.key()] = *std::move(text);
  }
}

void Decoder::SetMdns(const json& value) {
  if (value.is_null()) return;
  if (!value.is_object()) {
    errors_.push_back(absl::StrCat("'mdns' expected a map, got '", GoKind(value), "'"));
    return;
  }
  Entries entries(value);
  SetOptions("mdns.", entries);
  ReportUnknown("mdns", entries);
}

void Decoder::SetTuning(const std::string& name, const json& value) {
  if (value.is_null()) return;
  const auto keep = [&](auto given) {
    if (given) config_.tuning[name] = *std::move(given);
  };
  switch (*TuningKindOf(name)) {
    case TuningKind::kBool:
      return keep(Bool(name, value));
    case TuningKind::kNumber:
      return keep(Number(name, value));
    case TuningKind::kText:
      return keep(Text(name, value));
    case TuningKind::kList:
      return keep(List(name, value));
    case TuningKind::kDuration:
      break;
  }
  const std::optional<std::string> text = Text(name, value);
  if (!text) return;
  const absl::StatusOr<Duration> duration = ParseDuration(*text);
  if (!duration.ok()) {
    errors_.push_back(
        absl::StrCat("'", name, "': ", absl::string_view(duration.status().message())));
    return;
  }
  config_.tuning[name] = *duration;
}

absl::Status ReadConfigFile(const std::string& path, AgentConfig& config, Duration wait_max) {
  const absl::StatusOr<std::string> text = ReadTextFile(path, wait_max);
  if (!text.ok()) {
    // Go Serf decodes while it reads, so it decodes whatever opens, even a linked folder.
    const absl::string_view error(text.status().message());
    const char* const what = absl::StartsWith(error, "read ") ? "decoding" : "reading";
    return absl::Status(text.status().code(),
                        absl::StrCat("Error ", what, " '", path, "': ", error));
  }
  const absl::Status decoded = DecodeConfig(*text, config);
  if (decoded.ok()) return decoded;
  return absl::Status(decoded.code(), absl::StrCat("Error decoding '", path,
                                                   "': ", absl::string_view(decoded.message())));
}

}  // namespace

std::vector<std::string> ConfigKeys() {
  std::vector<std::string> names = TuningKeys();
  for (const AgentOption& option : kAgentOptions) {
    if (!option.key.empty()) names.emplace_back(option.key);
  }
  return names;
}

absl::Status DecodeConfig(absl::string_view text, AgentConfig& config) {
  const absl::StatusOr<json> root = ParseJson(text, JsonRest::kAnything);
  if (!root.ok()) return root.status();
  return Decoder(config).Decode(*root);
}

std::vector<ConfigMistake> DecodeMistakes(absl::string_view text, AgentConfig& config) {
  const absl::StatusOr<json> root = ParseJson(text, JsonRest::kAnything);
  if (!root.ok()) return {{"", std::string(root.status().message())}};
  Decoder decoder(config);
  const absl::Status status = decoder.Decode(*root);
  std::vector<ConfigMistake> mistakes = decoder.Mistakes();
  if (!status.ok() && mistakes.empty()) mistakes.push_back({"", std::string(status.message())});
  return mistakes;
}

absl::StatusOr<std::vector<std::string>> ConfigFilesOf(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_directory(path, error)) return std::vector<std::string>{path};
  std::vector<std::string> names;
  std::filesystem::directory_iterator entry(path, error);
  for (const std::filesystem::directory_iterator end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    std::error_code unknown;
    const bool folder =
        entry->symlink_status(unknown).type() == std::filesystem::file_type::directory;
    if (!folder && absl::EndsWith(name, ".json")) names.push_back(name);
  }
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("Error reading '", path, "': open ", path, ": ", ErrorText(error)));
  }
  std::sort(names.begin(), names.end());
  for (std::string& name : names) {
    name = (std::filesystem::path(path) / name).lexically_normal().string();
  }
  return names;
}

absl::Status ReadConfigPath(const std::string& path, AgentConfig& config, Duration wait_max) {
  const absl::StatusOr<std::vector<std::string>> files = ConfigFilesOf(path);
  if (!files.ok()) return files.status();
  for (const std::string& file : *files) {
    absl::Status read = ReadConfigFile(file, config, wait_max);
    if (!read.ok()) return read;
  }
  return absl::OkStatus();
}

}  // namespace serf::cmd
