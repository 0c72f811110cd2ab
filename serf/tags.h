// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TAGS_H_
#define SERF_TAGS_H_

// Tags: what a member announces of itself, such as "role" -> "web". Every member sees the tags of
// every other one; queries select members by them. The map is sorted, so equal tags have equal
// bytes. Tags are small, 512 bytes encoded and together: put data elsewhere, and its address into a
// tag.
//
//   config.tags = {{"role", "web"}, {"dc", "east"}};
//
// The membership layer carries them as the metadata of a node:
//
//   meta = 0xff map of text to text     protocol version 3 and later
//        | value of the tag "role"      before; any bytes that do not begin with 0xff
//
// Source: docs/protocol/serf.md 7.1.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/swim_messages.h"

namespace serf {

// Names and values may hold any bytes. Those of other members are not checked.
using Tags = std::map<std::string, std::string, std::less<>>;

// The first byte of metadata that holds a map.
inline constexpr std::uint8_t kTagsMagic = 0xff;
// The only tag that members of protocol version 2 have.
inline constexpr absl::string_view kRoleTag = "role";
// The first Serf protocol version that has tags.
inline constexpr std::uint8_t kTagsProtocolVersion = 3;

// Tags without copies: sorted by name, each name once. The views point into the decoded bytes.
using TagViews = std::vector<std::pair<absl::string_view, absl::string_view>>;

// The metadata for `tags`. Before kTagsProtocolVersion only kRoleTag is in it. Error:
// InvalidArgument, if the result would exceed wire::kMetaMax (512) bytes.
absl::StatusOr<ByteVector> EncodeTags(const Tags& tags, std::uint8_t protocol_version);

// Adds the tags of `meta` to `tags`, over those of the same names. Metadata that does not begin
// with kTagsMagic becomes the value of kRoleTag. After an error `tags` holds those that come before
// the fault.
wire::DecodeResult DecodeTags(ByteView meta, Tags& tags);

// The same without copies: replaces the content of `tags`, and uses its memory again.
wire::DecodeResult DecodeTags(ByteView meta, TagViews& tags);

// The value of a tag; empty if the tag is missing.
absl::string_view FindTag(const TagViews& tags, absl::string_view name);

inline absl::StatusOr<ByteVector> EncodeTags(const Tags& tags, std::uint8_t protocol_version) {
  ByteVector meta;
  if (protocol_version >= kTagsProtocolVersion) {
    meta.push_back(kTagsMagic);
    wire::MsgpackWriter writer(meta);
    writer.Map(tags.size());
    for (const auto& [key, value] : tags) writer.Pair(key, absl::string_view(value));
  } else if (const auto role = tags.find(kRoleTag); role != tags.end()) {
    Append(meta, AsBytes(role->second));
  }
  if (meta.size() > wire::kMetaMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("Encoded length of tags exceeds limit of ", wire::kMetaMax, " bytes"));
  }
  return meta;
}

// Calls f(name, value) with each tag, in the order of the metadata.
template <typename F>
wire::DecodeResult VisitTags(ByteView meta, F&& f) {
  if (meta.empty() || meta.front() != kTagsMagic) {
    f(kRoleTag, AsText(meta));
    return wire::DecodeResult::kOk;
  }
  wire::DecodeScratch scratch;
  wire::MsgpackReader reader(meta.subspan(1), scratch);
  wire::MsgpackReader::Head head;
  if (!reader.ReadHead(head) || head.kind == wire::MsgpackReader::Kind::kNil) {
    return reader.result();
  }
  if (head.kind != wire::MsgpackReader::Kind::kMap) return wire::DecodeResult::kBadType;
  for (std::uint64_t i = 0; i < head.value; ++i) {
    absl::string_view key;
    absl::string_view value;
    if (!reader.ReadKey(key) || !reader.Read(value)) break;
    f(key, value);
  }
  return reader.result();
}

inline wire::DecodeResult DecodeTags(ByteView meta, Tags& tags) {
  return VisitTags(meta, [&](absl::string_view name, absl::string_view value) {
    tags.insert_or_assign(std::string(name), std::string(value));
  });
}

inline wire::DecodeResult DecodeTags(ByteView meta, TagViews& tags) {
  tags.clear();
  bool sorted = true;
  const wire::DecodeResult result =
      VisitTags(meta, [&](absl::string_view name, absl::string_view value) {
        sorted = sorted && (tags.empty() || tags.back().first < name);
        tags.emplace_back(name, value);
      });
  if (sorted) return result;
  // Go Serf writes them in any order. Of tags of one name the last one counts: reversed, the first.
  std::reverse(tags.begin(), tags.end());
  std::stable_sort(tags.begin(), tags.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  const auto same = [](const auto& a, const auto& b) { return a.first == b.first; };
  tags.erase(std::unique(tags.begin(), tags.end(), same), tags.end());
  return result;
}

inline absl::string_view FindTag(const TagViews& tags, absl::string_view name) {
  const auto found =
      std::lower_bound(tags.begin(), tags.end(), name,
                       [](const auto& tag, absl::string_view n) { return tag.first < n; });
  return found != tags.end() && found->first == name ? found->second : absl::string_view();
}

}  // namespace serf

#endif  // SERF_TAGS_H_
