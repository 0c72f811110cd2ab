#ifndef SERF_TESTING_INTEGRATION_TRANSCRIPT_H_
#define SERF_TESTING_INTEGRATION_TRANSCRIPT_H_

// Transcript: a recorded run of Go Serf's `serf` (testing/vectors/cli/), repeated with our program.
// Source of the format: docs/protocol/agent.md 0.
//
//   const Transcript transcript("members-json");
//   EXPECT_EQ(transcript.Run(), transcript.expected());
//
// The recordings use 127.0.0.1. Another loopback address replaces it, so that parallel tests do not
// meet; its length is the same, because tables align by it. Parts that may differ are removed on
// both sides: help texts after their first line, the version, time stamps, the wording of tips.

#include <unistd.h>

#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/testing/agents/process.h"
#include "serf/testing/agents/programs.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::testkit {

// An address from 127.1.0.1 to 127.9.9.9, by process.
inline std::string TranscriptAddress() {
  const int id = ::getpid();
  return absl::StrCat("127.", 1 + id % 9, ".", id / 9 % 10, ".", 1 + id / 90 % 9);
}

// The text with the address of this process.
inline std::string Localize(absl::string_view text) {
  return absl::StrReplaceAll(text, {{"127.0.0.1", TranscriptAddress()}});
}

struct Outcome {
  std::string out;
  std::string err;
  int exit_code = -1;

  friend bool operator==(const Outcome&, const Outcome&) = default;
  friend std::ostream& operator<<(std::ostream& os, const Outcome& o) {
    return os << "exit code " << o.exit_code << "\n--- out:\n" << o.out << "--- err:\n" << o.err;
  }
};

// The text without the parts that may differ between two programs.
std::string Normalize(absl::string_view text);

// An agent's output, also without time stamps, and without entries that depend on timing.
std::string NormalizeAgentOutput(absl::string_view text);

// The same for the agent's datagrams to the system's log, "<29>Nov 23 04:01:47 serf[123]: TEXT", as
// one string.
std::string NormalizeSyslog(const std::vector<std::string>& datagrams);

class Transcript {
 public:
  explicit Transcript(absl::string_view name)
      : json_(LoadVectors(absl::StrCat("cli/", name, ".json"))) {}

  // The recorded words, with our program in front.
  std::vector<std::string> argv() const {
    std::vector<std::string> words = facts("argv");
    words[0] = OurSerf();
    return words;
  }

  Process::Environment environment() const {
    Process::Environment variables;
    for (const auto& [name, value] : json_["env"].items()) {
      variables[name] = Localize(value.get<std::string>());
    }
    return variables;
  }

  // Further facts of the recording: "members_after_reload", ...
  std::string fact(const char* key) const { return Localize(json_[key].get<std::string>()); }
  std::vector<std::string> facts(const char* key) const {
    std::vector<std::string> list = json_[key].get<std::vector<std::string>>();
    for (std::string& fact : list) fact = Localize(fact);
    return list;
  }

  // The outcome with Go Serf.
  Outcome expected() const {
    return {Normalize(Localize(json_["stdout"].get<std::string>())),
            Normalize(Localize(json_["stderr"].get<std::string>())), json_["exit_code"].get<int>()};
  }

  // The outcome with our program.
  Outcome Run() const {
    Process process(argv(), environment());
    const int exit_code = process.Wait().value_or(-1);
    return {Normalize(process.out()), Normalize(process.err()), exit_code};
  }

 private:
  nlohmann::json json_;
};

namespace transcript_internal {

// True for "2013/10/21 18:57:15 [INFO] ...".
inline bool HasTimeStamp(absl::string_view line) {
  return line.size() > 20 && line[4] == '/' && line[7] == '/' && line[13] == ':' && line[16] == ':';
}

// True if it is a matter of chance whether and where a log entry appears, as for "agent: Serf agent
// started".
inline bool DependsOnTiming(absl::string_view entry) {
  for (const absl::string_view start :
       {"agent: Received event: ", "agent.ipc: Accepted client: ", "agent: Serf agent started",
        "agent: Serf shutdown detected", "memberlist: Refuting ",
        // A handler for the agent's own leave may end before the agent, or not.
        "agent: Event 'member-leave' script output: ",
        // A node may receive its own query, or not.
        "serf: messageQueryType: "}) {
    if (absl::StartsWith(entry, start)) return true;
  }
  return false;
}

// True for a line of the general help about a command that Go Serf does not have.
inline bool IsAddition(absl::string_view line) {
  for (const absl::string_view start : {"    config  ", "    sd  "}) {
    if (absl::StartsWith(line, start)) return true;
  }
  return false;
}

}  // namespace transcript_internal

inline std::string Normalize(absl::string_view text) {
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "Usage: serf ") || absl::StartsWith(line, "==> Usage: serf ")) {
      lines.emplace_back(line);
      if (absl::StrContains(line, "<command>")) continue;  // the list of commands is compared
      lines.emplace_back("(help)");
      break;  // the help always comes last
    }
    if (!transcript_internal::IsAddition(line)) lines.emplace_back(line);
  }
  // The line before it is the version.
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (absl::StartsWith(lines[i], "Agent Protocol: ")) lines[i - 1] = "(version)";
  }
  for (std::string& line : lines) {
    if (absl::StartsWith(line, "* ")) line = "* (tip)";
    // Only some releases of Go Serf name the port (docs/protocol/agent.md 7).
    constexpr absl::string_view kStart = " Failed to join ";
    const std::size_t start = absl::string_view(line).find(kStart);
    const std::size_t dial = line.find(": dial tcp ");
    if (start == std::string::npos || dial == std::string::npos) continue;
    line.replace(start + kStart.size(), dial - start - kStart.size(), "(address)");
  }
  return absl::StrJoin(lines, "\n");
}

inline std::string NormalizeAgentOutput(absl::string_view text) {
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    const bool entry =
        absl::StartsWith(line, "    ") && transcript_internal::HasTimeStamp(line.substr(4));
    if (!entry) {
      lines.emplace_back(line);
      continue;
    }
    const absl::string_view what = line.substr(24);
    const std::size_t level_end = what.find("] ");
    const bool optional = level_end != absl::string_view::npos &&
                          transcript_internal::DependsOnTiming(what.substr(level_end + 2));
    if (!optional) lines.push_back(absl::StrCat("    ", what));
  }
  return Normalize(absl::StrJoin(lines, "\n"));
}

inline std::string NormalizeSyslog(const std::vector<std::string>& datagrams) {
  std::string result;
  for (const absl::string_view datagram : datagrams) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(datagram, absl::MaxSplits("]: ", 1));
    if (transcript_internal::DependsOnTiming(parts.second)) continue;
    absl::StrAppend(&result, parts.first.substr(0, parts.first.find('>') + 1), parts.second);
  }
  return Normalize(result);
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_INTEGRATION_TRANSCRIPT_H_
