#include "serf/cmd/files/tags_file.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/files/json_document.h"
#include "serf/cmd/text/json_text.h"
#include "serf/tags.h"

namespace serf::cmd {

absl::StatusOr<Tags> DecodeTagsFile(absl::string_view text) {
  const absl::StatusOr<nlohmann::json> root = ParseJson(text, JsonRest::kBlanks);
  if (!root.ok()) return root.status();
  Tags tags;
  if (root->is_null()) return tags;
  if (!root->is_object()) return WrongJsonKind(*root, "map[string]string");
  for (const auto& item : root->items()) {
    const nlohmann::json& value = item.value();
    if (!value.is_string() && !value.is_null()) return WrongJsonKind(value, "string");
    tags[item.key()] = value.is_null() ? std::string() : value.get<std::string>();
  }
  return tags;
}

std::string EncodeTagsFile(const Tags& tags) {
  nlohmann::ordered_json root = nlohmann::ordered_json::object();
  for (const auto& [key, value] : tags) root[key] = value;
  std::string text = ToJsonText(root);
  text.pop_back();  // Go Serf writes no LF at the end
  return text;
}

absl::StatusOr<Tags> ReadTagsFile(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadTextFile(path);
  if (!text.ok()) return Prefixed("Failed to read tags file", text.status());
  absl::StatusOr<Tags> tags = DecodeTagsFile(*text);
  if (!tags.ok()) return Prefixed("Failed to decode tags file", tags.status());
  return tags;
}

absl::Status WriteTagsFile(const std::string& path, const Tags& tags) {
  const absl::Status status = WriteTextFile(path, EncodeTagsFile(tags));
  return status.ok() ? status : Prefixed("Failed to write tags file", status);
}

}  // namespace serf::cmd
