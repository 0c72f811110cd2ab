#ifndef SERF_CMD_TEXT_NEAR_MISS_H_
#define SERF_CMD_TEXT_NEAR_MISS_H_

// NearMiss: the word that was probably meant by one that does not exist.
//
//   NearMiss("gosip_interval", keys);  // "gossip_interval"

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace serf::cmd {

// The least number of letters that must be inserted, left out, exchanged for another, or swapped
// with their neighbor, to make `b` of `a`. Not case-sensitive.
inline std::size_t EditDistance(absl::string_view a, absl::string_view b) {
  const auto at = [](absl::string_view text, std::size_t i) {
    return absl::ascii_tolower(static_cast<unsigned char>(text[i]));
  };
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::swap(before, last);
    std::swap(last, row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const bool same = at(a, i - 1) == at(b, j - 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (same ? 0 : 1)});
      const bool swapped =
          i > 1 && j > 1 && at(a, i - 1) == at(b, j - 2) && at(a, i - 2) == at(b, j - 1);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
  }
  return row[b.size()];
}

// The candidate that is nearest to `word`, if a slip of the keys explains the difference: one edit
// in a word of up to five letters, two in a longer one. The first of equally near ones. Empty:
// none.
inline std::string NearMiss(absl::string_view word, std::span<const std::string> candidates) {
  constexpr std::size_t kWordMax = 100;  // far longer than any candidate; bounds the work
  if (word.size() > kWordMax) return "";
  std::size_t best = word.size() <= 5 ? 2 : 3;
  std::string nearest;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance >= best) continue;
    best = distance;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TEXT_NEAR_MISS_H_
