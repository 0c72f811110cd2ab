#ifndef SERF_CMD_FILES_KEYRING_FILE_H_
#define SERF_CMD_FILES_KEYRING_FILE_H_

// The file in which an agent keeps its keys: a JSON list of base64 texts, the primary key first.
// Source: docs/protocol/agent.md 2.10.

#include <cstddef>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "serf/wire/aead.h"

namespace serf::cmd {

struct KeyringFile {
  wire::Keyring keyring;
  std::size_t keys = 0;  // in the file, which may hold a key twice
};

// Errors have the texts of docs/protocol/agent.md 2.5: "stat PATH: ...", "Keyring file contains no
// keys".
absl::StatusOr<KeyringFile> ReadKeyringFile(const std::string& path);

// Writes the primary key first. Error: "Failed to write keyring file: ..."
absl::Status WriteKeyringFile(const std::string& path, std::span<const wire::Keyring::Key> keys);

// Decodes the text of a file.
absl::StatusOr<KeyringFile> DecodeKeyringFile(absl::string_view text);
std::string EncodeKeyringFile(std::span<const wire::Keyring::Key> keys);

}  // namespace serf::cmd

#endif  // SERF_CMD_FILES_KEYRING_FILE_H_
