#include "serf/cmd/files/keyring_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/base/base64.h"
#include "serf/base/bytes.h"
#include "serf/base/system_error.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/files/json_document.h"
#include "serf/cmd/text/json_text.h"
#include "serf/wire/aead.h"

namespace serf::cmd {
namespace {

constexpr absl::string_view kDecode = "Failed to decode keyring file";

}  // namespace

absl::StatusOr<KeyringFile> DecodeKeyringFile(absl::string_view text) {
  const absl::StatusOr<nlohmann::json> root = ParseJson(text, JsonRest::kBlanks);
  if (!root.ok()) return Prefixed(kDecode, root.status());
  if (!root->is_array() && !root->is_null()) {
    return Prefixed(kDecode, WrongJsonKind(*root, "[]string"));
  }
  for (const nlohmann::json& value : *root) {
    if (!value.is_string() && !value.is_null()) {
      return Prefixed(kDecode, WrongJsonKind(value, "string"));
    }
  }
  std::vector<wire::Keyring::Key> keys;
  for (const nlohmann::json& value : *root) {
    const absl::StatusOr<ByteVector> key =
        DecodeBase64(value.is_null() ? std::string() : value.get<std::string>());
    if (!key.ok()) return Prefixed("Failed to decode key from keyring", key.status());
    keys.emplace_back(key->begin(), key->end());
  }
  if (keys.empty()) return absl::InvalidArgumentError("Keyring file contains no keys");
  absl::StatusOr<wire::Keyring> keyring = wire::Keyring::Create(keys, keys.front());
  if (!keyring.ok()) return Prefixed("Failed to restore keyring", keyring.status());
  return KeyringFile{*std::move(keyring), keys.size()};
}

std::string EncodeKeyringFile(std::span<const wire::Keyring::Key> keys) {
  nlohmann::ordered_json root = nlohmann::ordered_json::array();
  for (const wire::Keyring::Key& key : keys) {
    root.push_back(absl::Base64Escape(AsText(key)));
  }
  std::string text = ToJsonText(root);
  text.pop_back();  // Go Serf writes no LF at the end
  return text;
}

absl::StatusOr<KeyringFile> ReadKeyringFile(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return SystemError(errno, "stat", path);
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) return Prefixed("Failed to read keyring file", text.status());
  return DecodeKeyringFile(*text);
}

absl::Status WriteKeyringFile(const std::string& path, std::span<const wire::Keyring::Key> keys) {
  const absl::Status status = WriteTextFile(path, EncodeKeyringFile(keys));
  return status.ok() ? status : Prefixed("Failed to write keyring file", status);
}

}  // namespace serf::cmd
