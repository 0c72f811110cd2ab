// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_DURATION_TEXT_H_
#define SERF_BASE_DURATION_TEXT_H_

// FormatDuration: durations as text, in the form that Serf's log lines and errors have: "1h30m0s",
// "500ms". Every function here is pure; any thread may call it. Do not use it for machine-readable
// output: the unit varies with the value.
//
// Source: docs/protocol/agent.md B.2.

#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"
#include "serf/base/time.h"

namespace serf {

// The largest unit first, and no trailing zeros of a fraction: "1m0s", "1.5s", "500ms", "0s",
// "-1.5s". Every value has a text. Below a second the unit is the millisecond, the microsecond
// ("\u00b5s") or the nanosecond, so that the number is at least 1.
std::string FormatDuration(Duration duration);

namespace duration_text_internal {

inline constexpr std::uint64_t kSecond = 1'000'000'000;

// `value` / `unit` with the rest as a fraction: 1500 and 1000 give "1.5".
inline std::string Fraction(std::uint64_t value, std::uint64_t unit) {
  std::string text = absl::StrCat(value / unit);
  std::uint64_t rest = value % unit;
  if (rest == 0) return text;
  text += '.';
  while (rest != 0) {
    unit /= 10;
    text += static_cast<char>('0' + rest / unit);
    rest %= unit;
  }
  return text;
}

}  // namespace duration_text_internal

inline std::string FormatDuration(Duration duration) {
  namespace internal = duration_text_internal;
  if (duration == Duration::zero()) return "0s";
  const bool negative = duration < Duration::zero();
  // The magnitude of the most negative value fits only into the unsigned type.
  auto ns = static_cast<std::uint64_t>(duration.count());
  if (negative) ns = -ns;
  std::string text(negative ? "-" : "");
  if (ns < 1'000) {
    absl::StrAppend(&text, ns, "ns");
  } else if (ns < 1'000'000) {
    absl::StrAppend(&text, internal::Fraction(ns, 1'000), "\u00b5s");
  } else if (ns < internal::kSecond) {
    absl::StrAppend(&text, internal::Fraction(ns, 1'000'000), "ms");
  } else {
    const std::uint64_t minutes = ns / (60 * internal::kSecond);
    if (minutes >= 60) absl::StrAppend(&text, minutes / 60, "h");
    if (minutes > 0) absl::StrAppend(&text, minutes % 60, "m");
    absl::StrAppend(&text, internal::Fraction(ns % (60 * internal::kSecond), internal::kSecond),
                    "s");
  }
  return text;
}

}  // namespace serf

#endif  // SERF_BASE_DURATION_TEXT_H_
