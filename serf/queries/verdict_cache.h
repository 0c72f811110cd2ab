// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_QUERIES_VERDICT_CACHE_H_
#define SERF_QUERIES_VERDICT_CACHE_H_

// VerdictCache: whether the latest expressions matched the latest texts. Scripts ask the same again
// and again; the cache answers them without RE2, and verdicts are smaller than compiled
// expressions.
//
//   if (const auto matches = cache.Find("^web", "web-1")) ...
//   cache.Add("^web", "web-1", true);

#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace serf {

class VerdictCache {
 public:
  // About the memory of all entries: thousands of ordinary ones.
  static constexpr std::size_t kBytesMax = std::size_t{256} << 10;

  std::optional<bool> Find(absl::string_view expression, absl::string_view text) {
    const std::string key = Key(expression, text);
    if (const auto found = young_.find(key); found != young_.end()) return found->second;
    const auto found = old_.find(key);
    if (found == old_.end()) return std::nullopt;
    const bool matches = found->second;
    Insert(key, matches);
    return matches;
  }

  void Add(absl::string_view expression, absl::string_view text, bool matches) {
    Insert(Key(expression, text), matches);
  }

  std::size_t size() const { return young_.size() + old_.size(); }

 private:
  // What an entry takes besides its key.
  static constexpr std::size_t kEntryBytes = 64;

  // Unambiguous for any bytes of the two.
  static std::string Key(absl::string_view expression, absl::string_view text) {
    return absl::StrCat(expression.size(), ":", expression, text);
  }

  // Two generations: a used entry moves to the young one; when that is full, the old one is
  // dropped.
  void Insert(const std::string& key, bool matches) {
    const std::size_t size = key.size() + kEntryBytes;
    if (size > kBytesMax / 2) return;
    if (young_bytes_ + size > kBytesMax / 2) {
      old_ = std::exchange(young_, {});
      young_bytes_ = 0;
    }
    if (young_.insert_or_assign(key, matches).second) young_bytes_ += size;
  }

  absl::flat_hash_map<std::string, bool> young_;
  absl::flat_hash_map<std::string, bool> old_;
  std::size_t young_bytes_ = 0;
};

}  // namespace serf

#endif  // SERF_QUERIES_VERDICT_CACHE_H_
