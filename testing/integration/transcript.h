#ifndef SERF_TESTING_INTEGRATION_TRANSCRIPT_H_
#define SERF_TESTING_INTEGRATION_TRANSCRIPT_H_

// Transcript: a recorded run of the original's `serf` (testing/vectors/cli/), made again with our
// program. Source of the format: spec/agent.md 0.
//
//   const Transcript transcript("members-json");
//   EXPECT_EQ(transcript.Run(), transcript.expected());
//
// The recordings use 127.0.0.1. So that tests beside each other do not meet, it is replaced by
// another loopback address, of the same length because tables are aligned by it. What may differ is
// taken out of both sides: help texts after their first line, the version, time stamps, the wording
// of tips.

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
#include "serf/testing/process.h"
#include "serf/testing/programs.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::testing {

// 127.1.0.1 to 127.9.9.9, by process.
inline std::string TranscriptAddress() {
  const int id = ::getpid();
  return absl::StrCat("127.", 1 + id % 9, ".", id / 9 % 10, ".", 1 + id / 90 % 9);
}

// The text, with the address of this process.
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

// Without what may differ between two programs.
std::string Normalize(absl::string_view text);

// An agent's output: also without time stamps, and without entries that depend on timing.
std::string NormalizeAgentOutput(absl::string_view text);

class Transcript {
 public:
  explicit Transcript(absl::string_view name)
      : json_(LoadVectors(absl::StrCat("cli/", name, ".json"))) {}

  // With our program in front.
  std::vector<std::string> argv() const {
    std::vector<std::string> words = json_["argv"].get<std::vector<std::string>>();
    for (std::string& word : words) word = Localize(word);
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

  // What the original said.
  Outcome expected() const {
    return {Normalize(Localize(json_["stdout"].get<std::string>())),
            Normalize(Localize(json_["stderr"].get<std::string>())), json_["exit_code"].get<int>()};
  }

  // What our program says.
  Outcome Run() const {
    Process process(argv(), environment());
    const int exit_code = process.Wait().value_or(-1);
    return {Normalize(process.out()), Normalize(process.err()), exit_code};
  }

 private:
  nlohmann::json json_;
};

namespace transcript_internal {

// "2013/10/21 18:57:15 [INFO] ..." without its first twenty characters.
inline bool HasTimeStamp(absl::string_view line) {
  return line.size() > 20 && line[4] == '/' && line[7] == '/' && line[13] == ':' && line[16] == ':';
}

}  // namespace transcript_internal

inline std::string Normalize(absl::string_view text) {
  std::vector<std::string> lines;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(line, "Usage: serf ") || absl::StartsWith(line, "==> Usage: serf ")) {
      lines.emplace_back(line);
      if (absl::StrContains(line, "<command>")) continue;  // the list of commands is compared
      lines.emplace_back("(help)");
      break;  // help is always the last thing that is said
    }
    lines.emplace_back(line);
  }
  // The line before this one is the version.
  for (std::size_t i = 1; i < lines.size(); ++i) {
    if (absl::StartsWith(lines[i], "Agent Protocol: ")) lines[i - 1] = "(version)";
  }
  for (std::string& line : lines) {
    if (absl::StartsWith(line, "* ")) line = "* (tip)";
    // Releases of the original differ in whether the port is named (spec/agent.md 7).
    constexpr absl::string_view kStart = "\t* Failed to join ";
    const std::size_t dial = line.find(": dial tcp ");
    if (!absl::StartsWith(line, kStart) || dial == std::string::npos) continue;
    line.replace(kStart.size(), dial - kStart.size(), "(address)");
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
    bool optional = false;
    for (const absl::string_view start :
         {"[INFO] agent: Received event: ", "[INFO] agent.ipc: Accepted client: ",
          "[INFO] agent: Serf agent started", "[WARN] agent: Serf shutdown detected",
          "[WARN] memberlist: Refuting "}) {
      optional = optional || absl::StartsWith(what, start);
    }
    if (!optional) lines.push_back(absl::StrCat("    ", what));
  }
  return Normalize(absl::StrJoin(lines, "\n"));
}

}  // namespace serf::testing

#endif  // SERF_TESTING_INTEGRATION_TRANSCRIPT_H_
