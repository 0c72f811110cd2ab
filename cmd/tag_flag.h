#ifndef SERF_CMD_TAG_FLAG_H_
#define SERF_CMD_TAG_FLAG_H_

// The repeatable flag -tag key=value. Source: docs/protocol/agent.md 2.5 and 4.10.

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/tags.h"

namespace serf::cmd {

// The last value of a key wins. Error, without "=" or with an empty key: "Invalid tag: 'X'".
inline absl::StatusOr<Tags> ParseTags(const std::vector<std::string>& words) {
  Tags tags;
  for (const std::string& word : words) {
    const std::size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat("Invalid tag: '", word, "'"));
    }
    tags[word.substr(0, equals)] = word.substr(equals + 1);
  }
  return tags;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TAG_FLAG_H_
