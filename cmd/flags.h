#ifndef SERF_CMD_FLAGS_H_
#define SERF_CMD_FLAGS_H_

// Serf's flag grammar over gflags. gflags holds definitions, defaults and values of each command.
// ParseFlags() reads the words, because their form and errors differ from those of gflags' own
// parser. Source: docs/protocol/agent.md 2.2.
//
//   DEFINE_string(members_format, "text", "text or json");
//   const std::vector<Flag> flags = {{.name = "format", .gflag = "members_format"}};
//   absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
//
// The grammar: a flag is "-name" or "--name", its value follows "=" or is the next word; a boolean
// takes a value only after "=". The first word without a dash (a lone "-" counts as one), or "--",
// ends the flags.

#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/text/duration.h"
#include "serf/cmd/text/quote.h"

namespace serf::cmd {

// A flag as the user types it, and the destination of its value: `gflag`, `list` or `variable`.
struct Flag {
  absl::string_view name;       // "log-level"
  const char* gflag = nullptr;  // the name in gflags, "agent_log_level"; the last value wins
  std::vector<std::string>* list = nullptr;  // for a repeatable flag, which gflags does not support
  bool duration = false;                     // the text must parse as a duration
  // For a flag of a command that few processes run: gflags registers a definition before main(), in
  // every process, an agent too.
  std::variant<std::monostate, bool*, std::int64_t*, std::string*> variable = {};
};

// Sets the flags that `args` names and returns the words after them. An error's message is the one
// line to print; flags before the bad one are already set.
absl::StatusOr<std::vector<std::string>> ParseFlags(std::span<const Flag> flags,
                                                    std::span<const std::string> args);

namespace flags_internal {

// The forms of true and false that Go Serf accepts, and no others.
inline bool ParseBool(absl::string_view text, bool* value) {
  for (const absl::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
    if (text == yes) return *value = true;
  }
  for (const absl::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
    if (text != no) continue;
    *value = false;
    return true;
  }
  return false;
}

// Parses [+-] and digits, decimal or after 0x, 0o, 0 or 0b. An underscore may stand between digits
// ("1_000"), and between a prefix and the digits.
inline absl::StatusOr<std::int64_t> ParseInteger(absl::string_view text) {
  const auto syntax = [] { return absl::InvalidArgumentError("parse error"); };
  const bool negative = !text.empty() && text.front() == '-';
  if (negative || (!text.empty() && text.front() == '+')) text.remove_prefix(1);
  unsigned base = 10;
  bool after_digit = false;  // an underscore may follow
  if (text.size() > 1 && text.front() == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
    text.remove_prefix(mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
    after_digit = true;
  }
  if (text.empty() || text.back() == '_') return syntax();
  const std::uint64_t limit = (std::uint64_t{1} << 63) - (negative ? 0 : 1);
  std::uint64_t value = 0;
  bool too_large = false;
  for (const char c : text) {
    if (c == '_' && after_digit) {
      after_digit = false;
      continue;
    }
    const char lower = static_cast<char>(c | 0x20);
    const unsigned digit = c >= '0' && c <= '9'           ? static_cast<unsigned>(c - '0')
                           : lower >= 'a' && lower <= 'f' ? static_cast<unsigned>(lower - 'a' + 10)
                                                          : base;
    if (digit >= base) return syntax();
    too_large = too_large || value > (limit - digit) / base;
    if (!too_large) value = value * base + digit;
    after_digit = true;
  }
  if (too_large) return absl::OutOfRangeError("value out of range");
  return static_cast<std::int64_t>(negative ? -value : value);
}

// The type of a flag that has one value: "bool", "int64" or "string". Empty: no such gflag.
inline std::string TypeOf(const Flag& flag) {
  constexpr const char* kTypes[] = {"", "bool", "int64", "string"};
  if (flag.variable.index() != 0) return kTypes[flag.variable.index()];
  gflags::CommandLineFlagInfo info;
  if (flag.gflag == nullptr || !gflags::GetCommandLineFlagInfo(flag.gflag, &info)) return "";
  return info.type;
}

// Checks `value` against the type of the flag, and sets it.
inline absl::Status SetFlag(const Flag& flag, const std::string& value) {
  const auto refuse = [&](absl::string_view reason) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid value ", Quote(value), " for flag -", flag.name, ": ", reason));
  };
  if (flag.list != nullptr) {
    flag.list->push_back(value);
    return absl::OkStatus();
  }
  const std::string type = TypeOf(flag);
  if (type.empty()) {
    return absl::InternalError(absl::StrCat("no flag ", flag.name, " in this program"));
  }
  std::string text = value;
  bool yes = false;
  std::int64_t number = 0;
  if (type == "bool") {
    if (!ParseBool(value, &yes)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid boolean value ", Quote(value),
                                                     " for -", flag.name, ": parse error"));
    }
    text = yes ? "true" : "false";
  } else if (type == "int64") {
    const absl::StatusOr<std::int64_t> parsed = ParseInteger(value);
    if (!parsed.ok()) return refuse(parsed.status().message());
    number = *parsed;
    text = absl::StrCat(number);
  } else if (flag.duration && !ParseDuration(value).ok()) {
    return refuse("parse error");
  }
  if (bool* const* to = std::get_if<bool*>(&flag.variable)) {
    **to = yes;
    return absl::OkStatus();
  }
  if (std::int64_t* const* to = std::get_if<std::int64_t*>(&flag.variable)) {
    **to = number;
    return absl::OkStatus();
  }
  if (std::string* const* to = std::get_if<std::string*>(&flag.variable)) {
    **to = text;
    return absl::OkStatus();
  }
  if (gflags::SetCommandLineOption(flag.gflag, text.c_str()).empty()) return refuse("parse error");
  return absl::OkStatus();
}

inline bool IsBoolean(const Flag& flag) { return TypeOf(flag) == "bool"; }

}  // namespace flags_internal

inline absl::StatusOr<std::vector<std::string>> ParseFlags(std::span<const Flag> flags,
                                                           std::span<const std::string> args) {
  std::size_t next = 0;
  while (next < args.size()) {
    const std::string& word = args[next];
    if (word.size() < 2 || word[0] != '-') break;
    ++next;
    if (word == "--") break;
    const std::size_t name_at = word[1] == '-' ? 2 : 1;
    if (word[name_at] == '-' || word[name_at] == '=') {
      return absl::InvalidArgumentError(absl::StrCat("bad flag syntax: ", word));
    }
    const std::size_t equals = word.find('=', name_at);
    const std::string name = word.substr(name_at, equals - name_at);
    const Flag* flag = nullptr;
    for (const Flag& candidate : flags) {
      if (candidate.name == name) flag = &candidate;
    }
    if (flag == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("flag provided but not defined: -", name));
    }
    std::string value = "true";
    if (equals != std::string::npos) {
      value = word.substr(equals + 1);
    } else if (!flags_internal::IsBoolean(*flag)) {
      if (next == args.size()) {
        return absl::InvalidArgumentError(absl::StrCat("flag needs an argument: -", name));
      }
      value = args[next++];
    }
    const absl::Status set = flags_internal::SetFlag(*flag, value);
    if (!set.ok()) return set;
  }
  return std::vector<std::string>(args.begin() + static_cast<std::ptrdiff_t>(next), args.end());
}

}  // namespace serf::cmd

#endif  // SERF_CMD_FLAGS_H_
