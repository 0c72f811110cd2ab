#include "serf/cmd/files/keyring_file.h"

#include <sys/stat.h>

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
#include "serf/base/bytes.h"
#include "serf/cmd/base64.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/files/json_document.h"
#include "serf/cmd/json_text.h"
#include "serf/wire/aead.h"

namespace serf::cmd {
namespace {

absl::Status Wrap(absl::string_view what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(what, ": ", absl::string_view(status.message())));
}

absl::Status WrongKind(const nlohmann::json& value, absl::string_view wanted) {
  return absl::InvalidArgumentError(
      absl::StrCat("Failed to decode keyring file: json: cannot unmarshal ", JsonKind(value),
                   " into Go value of type ", wanted));
}

}  // namespace

absl::StatusOr<KeyringFile> DecodeKeyringFile(absl::string_view text) {
  const absl::StatusOr<nlohmann::json> root = ParseJson(text, JsonRest::kBlanks);
  if (!root.ok()) return Wrap("Failed to decode keyring file", root.status());
  if (!root->is_array() && !root->is_null()) return WrongKind(*root, "[]string");
  for (const nlohmann::json& value : *root) {
    if (!value.is_string() && !value.is_null()) return WrongKind(value, "string");
  }
  std::vector<wire::Keyring::Key> keys;
  for (const nlohmann::json& value : *root) {
    const absl::StatusOr<ByteVector> key =
        DecodeBase64(value.is_null() ? std::string() : value.get<std::string>());
    if (!key.ok()) return Wrap("Failed to decode key from keyring", key.status());
    keys.emplace_back(key->begin(), key->end());
  }
  if (keys.empty()) return absl::InvalidArgumentError("Keyring file contains no keys");
  absl::StatusOr<wire::Keyring> keyring = wire::Keyring::Create(keys, keys.front());
  if (!keyring.ok()) return Wrap("Failed to restore keyring", keyring.status());
  return KeyringFile{*std::move(keyring), keys.size()};
}

std::string EncodeKeyringFile(std::span<const wire::Keyring::Key> keys) {
  nlohmann::ordered_json root = nlohmann::ordered_json::array();
  for (const wire::Keyring::Key& key : keys) {
    root.push_back(absl::Base64Escape(AsText(key)));
  }
  std::string text = ToJsonText(root);
  text.pop_back();  // the original ends without LF
  return text;
}

absl::StatusOr<KeyringFile> ReadKeyringFile(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return FileError("stat", path);
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) return Wrap("Failed to read keyring file", text.status());
  return DecodeKeyringFile(*text);
}

absl::Status WriteKeyringFile(const std::string& path, std::span<const wire::Keyring::Key> keys) {
  const absl::Status status = WriteTextFile(path, EncodeKeyringFile(keys));
  return status.ok() ? status : Wrap("Failed to write keyring file", status);
}

}  // namespace serf::cmd
