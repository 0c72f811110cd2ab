#ifndef SERF_CMD_TEXT_DURATION_H_
#define SERF_CMD_TEXT_DURATION_H_

// ParseDuration: reads durations as Serf's flags and files write them: "1h30m0s", "500ms".
// FormatDuration writes them. Source: docs/protocol/agent.md B.1.
//
//   duration := [ "+" | "-" ] ( "0" | { number unit } )
//   number   := digits [ "." [ digits ] ] | "." digits
//   unit     := "ns" | "us" | "µs" | "μs" | "ms" | "s" | "m" | "h"

#include <cstdint>
#include <limits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/duration_text.h"  // for its users too
#include "serf/base/time.h"
#include "serf/cmd/text/quote.h"

namespace serf::cmd {

// Reads the grammar above, within +-2^63 ns. The errors have Go Serf's texts: `time: missing unit
// in duration "5"`.
absl::StatusOr<Duration> ParseDuration(absl::string_view text);

namespace duration_internal {

inline constexpr std::uint64_t kSecond = 1'000'000'000;

// The nanoseconds of a unit; zero for an unknown unit.
inline std::uint64_t UnitSize(absl::string_view unit) {
  if (unit == "ns") return 1;
  if (unit == "us" || unit == "\u00b5s" || unit == "\u03bcs") return 1'000;
  if (unit == "ms") return 1'000'000;
  if (unit == "s") return kSecond;
  if (unit == "m") return 60 * kSecond;
  if (unit == "h") return 3600 * kSecond;
  return 0;
}

inline bool IsDigit(char c) { return c >= '0' && c <= '9'; }

}  // namespace duration_internal

inline absl::StatusOr<Duration> ParseDuration(absl::string_view text) {
  namespace internal = duration_internal;
  const auto invalid = [&] {
    return absl::InvalidArgumentError(absl::StrCat("time: invalid duration ", QuoteBytes(text)));
  };
  absl::string_view rest = text;
  const bool negative = !rest.empty() && rest.front() == '-';
  if (negative || (!rest.empty() && rest.front() == '+')) rest.remove_prefix(1);
  if (rest == "0") return Duration::zero();
  if (rest.empty()) return invalid();

  // One more than the largest positive value is the magnitude of the most negative one.
  constexpr std::uint64_t kLimit = std::uint64_t{1} << 63;
  std::uint64_t total = 0;
  while (!rest.empty()) {
    std::uint64_t whole = 0;
    bool digits = false;
    for (; !rest.empty() && internal::IsDigit(rest.front()); rest.remove_prefix(1)) {
      digits = true;
      if (whole > kLimit / 10) return invalid();
      whole = whole * 10 + static_cast<std::uint64_t>(rest.front() - '0');
      if (whole > kLimit) return invalid();
    }
    double fraction = 0;
    if (!rest.empty() && rest.front() == '.') {
      rest.remove_prefix(1);
      double scale = 0.1;
      for (; !rest.empty() && internal::IsDigit(rest.front()); rest.remove_prefix(1)) {
        digits = true;
        fraction += scale * (rest.front() - '0');
        scale /= 10;
      }
    }
    if (!digits) return invalid();
    std::size_t unit_length = 0;
    while (unit_length < rest.size() && rest[unit_length] != '.' &&
           !internal::IsDigit(rest[unit_length])) {
      ++unit_length;
    }
    const absl::string_view unit = rest.substr(0, unit_length);
    rest.remove_prefix(unit_length);
    if (unit.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat("time: missing unit in duration ", QuoteBytes(text)));
    }
    const std::uint64_t size = internal::UnitSize(unit);
    if (size == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("time: unknown unit ", QuoteBytes(unit), " in duration ", QuoteBytes(text)));
    }
    if (whole > kLimit / size) return invalid();
    // Adds a small amount, so that binary fractions such as 0.1 + 0.02 do not lose a nanosecond.
    const auto part = static_cast<std::uint64_t>(fraction * static_cast<double>(size) + 1e-6);
    whole = whole * size + part;
    if (whole > kLimit - total) return invalid();
    total += whole;
  }
  if (total == kLimit) {
    if (!negative) return invalid();
    return Duration(std::numeric_limits<Duration::rep>::min());
  }
  const auto value = static_cast<Duration::rep>(total);
  return Duration(negative ? -value : value);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_TEXT_DURATION_H_
