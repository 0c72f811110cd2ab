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
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/text/duration.h"
#include "serf/cmd/text/quote.h"

namespace serf::cmd {

// A flag as the user types it, and the destination of its value: `gflag` or `list`.
struct Flag {
  absl::string_view name;       // "log-level"
  const char* gflag = nullptr;  // the name in gflags, "agent_log_level"; the last value wins
  std::vector<std::string>* list = nullptr;  // for a repeatable flag, which gflags does not support
  bool duration = false;                     // the gflag is a string that must parse as a duration
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

// Checks `value` against the type of the gflag, and sets it.
inline absl::Status SetFlag(const Flag& flag, const std::string& value) {
  const auto refuse = [&](absl::string_view reason) {
    return absl::InvalidArgumentError(
        absl::StrCat("invalid value ", Quote(value), " for flag -", flag.name, ": ", reason));
  };
  if (flag.list != nullptr) {
    flag.list->push_back(value);
    return absl::OkStatus();
  }
  gflags::CommandLineFlagInfo info;
  if (!gflags::GetCommandLineFlagInfo(flag.gflag, &info)) {
    return absl::InternalError(absl::StrCat("no flag ", flag.gflag, " in this program"));
  }
  std::string text = value;
  if (info.type == "bool") {
    bool parsed = false;
    if (!ParseBool(value, &parsed)) {
      return absl::InvalidArgumentError(absl::StrCat("invalid boolean value ", Quote(value),
                                                     " for -", flag.name, ": parse error"));
    }
    text = parsed ? "true" : "false";
  } else if (info.type == "int64") {
    const absl::StatusOr<std::int64_t> parsed = ParseInteger(value);
    if (!parsed.ok()) return refuse(parsed.status().message());
    text = absl::StrCat(*parsed);
  } else if (flag.duration && !ParseDuration(value).ok()) {
    return refuse("parse error");
  }
  if (gflags::SetCommandLineOption(flag.gflag, text.c_str()).empty()) return refuse("parse error");
  return absl::OkStatus();
}

inline bool IsBoolean(const Flag& flag) {
  gflags::CommandLineFlagInfo info;
  return flag.gflag != nullptr && gflags::GetCommandLineFlagInfo(flag.gflag, &info) &&
         info.type == "bool";
}

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
