#ifndef SERF_CMD_FILES_JSON_PLACES_H_
#define SERF_CMD_FILES_JSON_PLACES_H_

// JsonPlaces: where the keys and values of a JSON text stand, so that a mistake can be reported
// with its line. Do not use it to read values: json_document.h does that.
//
//   const JsonPlaces places(text);  // a text that JsonScanner accepts
//   if (const JsonPlaces::Place* place = places.Find("mdns.interface")) At(text, place->value);

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/files/json_document.h"
#include "serf/cmd/text/utf8.h"

namespace serf::cmd {

struct LineColumn {
  std::size_t line = 1;
  std::size_t column = 1;  // in code points

  bool operator==(const LineColumn&) const = default;
};

// The line and the column of a byte of `text`, or of its end.
inline LineColumn At(absl::string_view text, std::size_t offset) {
  absl::string_view before = text.substr(0, offset);
  LineColumn at;
  for (const char c : before) at.line += c == '\n' ? 1 : 0;
  const std::size_t end = before.rfind('\n');
  if (end != absl::string_view::npos) before.remove_prefix(end + 1);
  for (; !before.empty(); ++at.column) TakeUtf8(before);
  return at;
}

class JsonPlaces {
 public:
  // Bytes from the beginning of the text.
  struct Place {
    std::size_t key = 0;  // the key's quote; of an element of a list: its value
    std::size_t value = 0;
    std::size_t end = 0;  // behind the value
  };
  struct Entry {
    std::string key;
    Place place;
  };

  explicit JsonPlaces(absl::string_view text) : text_(text) { Value("", 0); }

  // "node_name", "mdns.interface", "tags[role]", "retry_join[2]". An object's entry can be written
  // in both ways; letter case does not matter. Null: there is no such value.
  const Place* Find(absl::string_view path) const {
    const auto found = places_.find(absl::AsciiStrToLower(path));
    return found == places_.end() ? nullptr : &found->second;
  }
  // The entries of the outermost object in their order, also those with equal keys.
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  // Configurations nest as deep: services[0].meta[1]. Deeper values have no place of their own.
  static constexpr std::size_t kDepthMax = 4;

  void SkipBlanks() {
    while (at_ < text_.size() && absl::ascii_isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }
  char Peek() {
    SkipBlanks();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  void SkipString() {
    for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    at_ = std::min(at_ + 1, text_.size());
  }
  // Without calls within calls, because a text may nest deep.
  void SkipValue();
  void Value(const std::string& path, std::size_t depth);
  void Items(const std::string& path, std::size_t depth, bool object);
  void Keep(const std::string& path, const Place& place) {
    places_.emplace(absl::AsciiStrToLower(path), place);
  }

  const absl::string_view text_;
  std::size_t at_ = 0;
  std::map<std::string, Place, std::less<>> places_;
  std::vector<Entry> entries_;
};

inline void JsonPlaces::SkipValue() {
  std::size_t open = 0;
  do {
    const char c = Peek();
    if (c == '\0' && at_ >= text_.size()) return;
    if (c == '"') {
      SkipString();
      continue;
    }
    if (c == '{' || c == '[') ++open;
    if (c == '}' || c == ']') --open;
    ++at_;
    if (absl::StrContains("{}[],:", absl::string_view(&c, 1))) continue;
    while (at_ < text_.size() && !absl::StrContains(" \t\r\n{}[],:", text_.substr(at_, 1))) ++at_;
  } while (open > 0);
}

inline void JsonPlaces::Value(const std::string& path, std::size_t depth) {
  const char c = Peek();
  if ((c == '{' || c == '[') && depth < kDepthMax) return Items(path, depth, c == '{');
  SkipValue();
}

inline void JsonPlaces::Items(const std::string& path, std::size_t depth, bool object) {
  const char close = object ? '}' : ']';
  ++at_;
  for (std::size_t index = 0; Peek() != close && at_ < text_.size(); ++index) {
    Place place;
    place.key = at_;
    std::string key = absl::StrCat(index);
    if (object) {
      SkipString();
      const auto name = ParseJson(text_.substr(place.key, at_ - place.key), JsonRest::kAnything);
      key = name.ok() && name->is_string() ? name->get<std::string>() : std::string();
      if (Peek() == ':') ++at_;
    }
    Peek();
    place.value = at_;
    const std::string dotted = path.empty() ? key : absl::StrCat(path, ".", key);
    const std::string bracketed = absl::StrCat(path, "[", key, "]");
    Value(object ? dotted : bracketed, depth + 1);
    place.end = at_;
    Keep(bracketed, place);
    if (object) Keep(dotted, place);
    if (object && depth == 0) entries_.push_back({std::move(key), place});
    if (Peek() == ',') ++at_;
  }
  at_ = std::min(at_ + 1, text_.size());
}

}  // namespace serf::cmd

#endif  // SERF_CMD_FILES_JSON_PLACES_H_
