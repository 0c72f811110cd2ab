#include "serf/cmd/daemon/agent_command.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/base/time.h"
#include "serf/cmd/command.h"
#include "serf/cmd/daemon/agent.h"
#include "serf/cmd/daemon/agent_config.h"
#include "serf/cmd/daemon/agent_options.h"
#include "serf/cmd/daemon/config_file.h"
#include "serf/cmd/daemon/terminal.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/http/settings.h"
#include "serf/cmd/tag_flag.h"
#include "serf/cmd/text/duration.h"
#include "serf/tags.h"

namespace serf::cmd {
namespace {

// --- flags ---

using ConfigChange = std::function<void(AgentConfig&)>;

// The flags of kAgentOptions, registered with gflags as DEFINE_string() and its siblings do.
class AgentFlags {
 public:
  static AgentFlags& Instance() {
    static auto& flags = *new AgentFlags;
    return flags;
  }

  // For ParseFlags().
  std::vector<Flag> List();
  // The flags as changes of a configuration. As in Go Serf, a flag with an empty or zero value, or
  // a false, changes nothing.
  absl::StatusOr<std::vector<ConfigChange>> Changes() const;
  // The paths of -config-file and -config-dir, in their common order.
  const std::vector<std::string>& files() const { return files_; }

 private:
  template <typename T>
  struct Scalar {
    T value{};
    T by_default{};
  };
  using Lines = std::vector<std::string>;  // for a repeatable flag, which gflags does not support
  using Value = std::variant<Lines, Scalar<bool>, Scalar<gflags::int64>, Scalar<std::string>>;
  struct FlagOf {
    const AgentOption* option = nullptr;
    std::string gflag;  // "agent_log_level"; empty: Lines
    Value value;
  };
  struct ToValue;
  struct ToChange;

  AgentFlags();

  std::vector<FlagOf> flags_;  // gflags has pointers into it
  Lines files_;
};

// Chooses the form in which a flag's value is kept, by the field that the flag sets.
struct AgentFlags::ToValue {
  Value operator()(bool AgentConfig::*) const { return Scalar<bool>(); }
  Value operator()(std::optional<bool> AgentConfig::*) const { return Scalar<bool>(); }
  Value operator()(std::int64_t AgentConfig::*) const { return Scalar<gflags::int64>(); }
  Value operator()(std::string AgentConfig::*) const { return Scalar<std::string>(); }
  Value operator()(Duration AgentConfig::*) const { return Scalar<std::string>(); }
  Value operator()(Lines AgentConfig::*) const { return Lines(); }
  Value operator()(Tags AgentConfig::*) const { return Lines(); }
  Value operator()(std::monostate) const { return Lines(); }
  // These are for files only.
  Value operator()(std::optional<Lines> AgentConfig::*) const { return Lines(); }
  Value operator()(std::vector<HttpTokenOption> AgentConfig::*) const { return Lines(); }
};

// Makes the change of the configuration, in the same way.
struct AgentFlags::ToChange {
  absl::Status operator()(std::monostate) const { return absl::OkStatus(); }
  absl::Status operator()(std::optional<Lines> AgentConfig::*) const { return absl::OkStatus(); }
  absl::Status operator()(std::vector<HttpTokenOption> AgentConfig::*) const {
    return absl::OkStatus();
  }
  absl::Status operator()(bool AgentConfig::*field) const { return Take(Get<bool>(), field); }
  absl::Status operator()(std::string AgentConfig::*field) const {
    return Take(Get<std::string>(), field);
  }
  absl::Status operator()(std::int64_t AgentConfig::*field) const {
    const std::int64_t number = Get<gflags::int64>();
    return Take(flag.option->positive ? std::max<std::int64_t>(number, 0) : number, field);
  }
  absl::Status operator()(Duration AgentConfig::*field) const {
    const std::string& text = Get<std::string>();
    if (text.empty()) return absl::OkStatus();
    const absl::StatusOr<Duration> duration = ParseDuration(text);
    return duration.ok() ? Take(*duration, field) : duration.status();
  }
  absl::Status operator()(Lines AgentConfig::*field) const {
    return Change([lines = std::get<Lines>(flag.value), field](AgentConfig& config) {
      (config.*field).insert((config.*field).end(), lines.begin(), lines.end());
    });
  }
  absl::Status operator()(Tags AgentConfig::*field) const {
    absl::StatusOr<Tags> tags = ParseTags(std::get<Lines>(flag.value));
    if (!tags.ok()) return tags.status();
    return Change([tags = *std::move(tags), field](AgentConfig& config) {
      for (const auto& [key, value] : tags) (config.*field)[key] = value;
    });
  }
  // For -disable-compression, which means the opposite of its key. With either value, it overrides
  // the files.
  absl::Status operator()(std::optional<bool> AgentConfig::*field) const {
    if (gflags::GetCommandLineFlagInfoOrDie(flag.gflag.c_str()).is_default) return absl::OkStatus();
    return Change([enable = !Get<bool>(), field](AgentConfig& config) { config.*field = enable; });
  }

  template <typename T>
  const T& Get() const {
    return std::get<Scalar<T>>(flag.value).value;
  }
  template <typename T>
  absl::Status Take(const T& value, T AgentConfig::*field) const {
    if (value == T()) return absl::OkStatus();
    return Change([value, field](AgentConfig& config) { config.*field = value; });
  }
  absl::Status Change(ConfigChange change) const {
    changes.push_back(std::move(change));
    return absl::OkStatus();
  }

  const FlagOf& flag;
  std::vector<ConfigChange>& changes;
};

AgentFlags::AgentFlags() {
  flags_.reserve(kAgentOptions.size());
  for (const AgentOption& option : kAgentOptions) {
    if (option.flag.empty()) continue;
    FlagOf& flag = flags_.emplace_back(FlagOf{&option, "", std::visit(ToValue(), option.field)});
    const auto enroll = [&flag](auto& value) {
      if constexpr (!std::is_same_v<decltype(value), Lines&>) {
        flag.gflag = absl::StrCat("agent_", absl::StrReplaceAll(flag.option->flag, {{"-", "_"}}));
        gflags::FlagRegisterer(flag.gflag.c_str(), flag.option->help.data(), __FILE__, &value.value,
                               &value.by_default);
      }
    };
    std::visit(enroll, flag.value);
  }
}

std::vector<Flag> AgentFlags::List() {
  std::vector<Flag> list;
  for (FlagOf& flag : flags_) {
    Flag& entry = list.emplace_back(Flag{.name = flag.option->flag});
    const bool is_files = std::holds_alternative<std::monostate>(flag.option->field);
    entry.list = is_files ? &files_ : std::get_if<Lines>(&flag.value);
    if (entry.list == nullptr) entry.gflag = flag.gflag.c_str();
  }
  return list;
}

absl::StatusOr<std::vector<ConfigChange>> AgentFlags::Changes() const {
  std::vector<ConfigChange> changes;
  for (const FlagOf& flag : flags_) {
    const absl::Status status = std::visit(ToChange{flag, changes}, flag.option->field);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("Error: ", absl::string_view(status.message())));
    }
  }
  return changes;
}

// Registered before main(), as gflags expects.
[[maybe_unused]] const AgentFlags& kFlags = AgentFlags::Instance();

// --- the command ---

// Loads the defaults, then the files, then the flags.
absl::StatusOr<AgentConfig> LoadConfig(const std::vector<std::string>& files,
                                       const std::vector<ConfigChange>& flags, Duration wait_max) {
  AgentConfig config;
  for (const std::string& path : files) {
    absl::Status read = ReadConfigPath(path, config, wait_max);
    if (!read.ok()) return read;
  }
  for (const ConfigChange& change : flags) change(config);
  return config;
}

int Run(std::span<const std::string> args) {
  AgentFlags& flags = AgentFlags::Instance();
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags.List(), args);
  if (!words.ok()) return FlagError(kAgentCommand, words.status(), "==> ");
  Terminal terminal;
  absl::StatusOr<std::vector<ConfigChange>> changes = flags.Changes();
  if (!changes.ok()) {
    terminal.Output(absl::string_view(changes.status().message()));
    return kExitFailure;
  }
  return RunAgent([files = flags.files(), flags = *std::move(changes)](
                      Duration wait_max) { return LoadConfig(files, flags, wait_max); },
                  terminal);
}

// --- help ---

constexpr absl::string_view kBeforeOptions =
    R"(Usage: serf agent [options]

  Runs an agent, which makes this host a node of a cluster, until it is
  interrupted. Each node needs an agent of its own.)";

constexpr absl::string_view kAfterOptions =
    R"(Signals:

  SIGINT                   Leave the cluster, then end.
  SIGTERM                  End at once; the others see the node fail.
  SIGHUP                   Read the configuration files again: log level, event
                           handlers, tags, and what the signals do.
  SIGUSR1                  Write metrics to standard error.)";

constexpr std::pair<AgentOption::Section, absl::string_view> kSections[] = {
    {AgentOption::Section::kNetwork, "Network"}, {AgentOption::Section::kNode, "Node"},
    {AgentOption::Section::kJoining, "Joining"}, {AgentOption::Section::kEvents, "Events"},
    {AgentOption::Section::kOther, "Other"},
};

// The compiler builds the help text twice: first for its size, then for its bytes.
struct Measure {
  constexpr void Add(absl::string_view text) { size += text.size(); }
  std::size_t size = 0;
};
template <std::size_t kSize>
struct Text {
  constexpr void Add(absl::string_view text) {
    for (const char c : text) bytes[size++] = c;
  }
  std::array<char, kSize> bytes{};
  std::size_t size = 0;
};

// Adds an option to the help: the flag, and from a fixed column on its description.
constexpr void AddOption(const AgentOption& option, auto& text) {
  constexpr absl::string_view kIndent = "                           ";
  const std::size_t width = 3 + option.flag.size() + option.argument.size();
  text.Add("  -");
  text.Add(option.flag);
  text.Add(option.argument);
  if (width < kIndent.size()) {
    text.Add(kIndent.substr(width));
  } else {
    text.Add("\n");
    text.Add(kIndent);
  }
  for (const char& c : option.help) {
    text.Add(absl::string_view(&c, 1));
    if (c == '\n') text.Add(kIndent);
  }
  text.Add("\n");
}

template <typename Into>
constexpr Into Help() {
  Into text;
  text.Add(kBeforeOptions);
  text.Add("\n");
  for (const auto& [section, title] : kSections) {
    text.Add("\n");
    text.Add(title);
    text.Add(":\n\n");
    for (const AgentOption& option : kAgentOptions) {
      if (option.section == section) AddOption(option, text);
    }
  }
  text.Add("\n");
  text.Add(kAfterOptions);
  return text;
}

constexpr auto kHelp = Help<Text<Help<Measure>().size>>();

}  // namespace

constinit const Command kAgentCommand = {
    .name = "agent",
    .synopsis = "Runs a Serf agent",
    .help = absl::string_view(kHelp.bytes.data(), kHelp.size),
    .run = Run,
};

}  // namespace serf::cmd
