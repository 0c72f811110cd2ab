// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_JOIN_H_
#define SERF_JOIN_H_

// What an application says and hears of a join: JoinOptions, JoinId and JoinResult. The machine,
// transport::Host and rpc::Client use the same ones.
//
//   host.AsyncJoin({"10.0.0.1", "db.example:7000"}, {.replay = true}, [](const JoinResult& result)
//   {
//     if (!result.status.ok()) std::cerr << result.status << '\n';   // nobody answered
//     for (const std::string& error : result.errors) std::cerr << error << '\n';
//   });
//
// Source: docs/protocol/membership.md 7.5, docs/protocol/serf.md 4.4, docs/protocol/agent.md 1.5.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "serf/base/newtype.h"

namespace serf {

struct JoinOptions {
  // Whether this node delivers the user events that were sent before the join, as far as the
  // contacted members still hold them. False drops them.
  bool replay = false;
};

// Names a join, so that it can be cancelled. A default one names none.
using JoinId = Newtype<struct JoinIdTag, std::uint64_t>;

// How a join ended. All parts count, also when the status is an error.
struct JoinResult {
  // OK if at least one address answered, or if there was no address to ask. Unavailable if none
  // answered: JoinError(errors). Other errors say why nobody was asked.
  absl::Status status;
  // How many addresses answered. The entry "db.example" may stand for several.
  int contacted = 0;
  // One text for each entry that did not resolve, and for each address that did not answer.
  std::vector<std::string> errors = {};
};

// The error of a join that no address answered, in the form that operators and scripts of Go Serf
// know. An application receives it, and has no need to make one: for the single reasons it reads
// JoinResult::errors instead of taking this text apart.
//
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

#endif  // SERF_JOIN_H_
