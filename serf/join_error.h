// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_JOIN_ERROR_H_
#define SERF_JOIN_ERROR_H_

// JoinError: the error of a join that no address answered, in the form that operators and scripts
// of Go Serf know. An application receives it, and has no need to make one: for the single reasons
// it reads JoinOutcome::errors or Completion::errors instead of taking this text apart.
//
// Source: docs/protocol/membership.md 7.5, docs/protocol/agent.md 1.5.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace serf {

// An Unavailable error. `errors` has one text for each target that failed, and at least one:
//
//   "1 error occurred:\n\t* failed to join 10.0.0.1:7946: ...\n\n"
inline absl::Status JoinError(const std::vector<std::string>& errors) {
  std::string text = errors.size() == 1 ? "1 error occurred:\n"
                                        : absl::StrCat(errors.size(), " errors occurred:\n");
  for (const std::string& error : errors) absl::StrAppend(&text, "\t* ", error, "\n");
  text += "\n";
  return absl::UnavailableError(text);
}

}  // namespace serf

#endif  // SERF_JOIN_ERROR_H_
