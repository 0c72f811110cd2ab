#ifndef SERF_JOIN_ERROR_H_
#define SERF_JOIN_ERROR_H_

// JoinError: what a Join says when nobody answered, in the form that operators and scripts know.
// Source: spec/memberlist.md 7.5, spec/agent.md 1.5.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace serf {

// One text for each target that failed; at least one. "1 error occurred:\n\t* failed to join
// 10.0.0.1:7946: ...\n\n".
inline absl::Status JoinError(const std::vector<std::string>& errors) {
  std::string text = errors.size() == 1 ? "1 error occurred:\n"
                                        : absl::StrCat(errors.size(), " errors occurred:\n");
  for (const std::string& error : errors) absl::StrAppend(&text, "\t* ", error, "\n");
  text += "\n";
  return absl::UnavailableError(text);
}

}  // namespace serf

#endif  // SERF_JOIN_ERROR_H_
