#ifndef SERF_CMD_FILES_TAGS_FILE_H_
#define SERF_CMD_FILES_TAGS_FILE_H_

// The file in which an agent keeps its tags from one run to the next: a JSON object of texts.
// Source: docs/protocol/agent.md 2.9.

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/tags.h"

namespace serf::cmd {

// NotFoundError if there is no file. "Failed to read tags file: ...", "Failed to decode ...".
absl::StatusOr<Tags> ReadTagsFile(const std::string& path);

// "Failed to write tags file: ..."
absl::Status WriteTagsFile(const std::string& path, const Tags& tags);

// Decodes the text of a file.
absl::StatusOr<Tags> DecodeTagsFile(absl::string_view text);
std::string EncodeTagsFile(const Tags& tags);

}  // namespace serf::cmd

#endif  // SERF_CMD_FILES_TAGS_FILE_H_
