// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_HOST_NAME_H_
#define SERF_BASE_HOST_NAME_H_

// IsHostName: which texts can be the name of a host. Ask it before the system's resolver, because
// that accepts numbers in many forms as addresses: "010.0.0.1" becomes 8.0.0.1, and "1.2.3"
// 1.2.0.3.
//
//   if (!IsHostName("web-1.example")) return absl::NotFoundError("no such host");
//
// It does not check node names of Serf: those may hold any bytes (see ValidateNodeName()).

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/string_view.h"

namespace serf {

// True for a text of this form. Pure; any thread may call it.
//
//   name  = label { "." label } [ "." ]                at most 253 bytes without the last dot
//   label = 1 to 63 letters, digits, "-" and "_"; no "-" at either end
//
// False also if all labels are numbers: digits, or "0x" and hexadecimal digits. An IP address is
// therefore not a host name. Source: RFC 1035, 2.3.1, with the underscore that services and
// containers use. Go Serf has the same rule, except for hexadecimal numbers.
inline bool IsHostName(absl::string_view text) {
  constexpr std::size_t kNameMax = 253;
  constexpr std::size_t kLabelMax = 63;
  if (!text.empty() && text.back() == '.') text.remove_suffix(1);
  if (text.empty() || text.size() > kNameMax) return false;
  const auto is_number = [](absl::string_view label) {
    const bool hex = label.size() > 2 && label[0] == '0' && (label[1] | 0x20) == 'x';
    if (hex) label.remove_prefix(2);
    return std::all_of(label.begin(), label.end(), [hex](unsigned char c) {
      return hex ? absl::ascii_isxdigit(c) : absl::ascii_isdigit(c);
    });
  };
  bool numbers_only = true;
  for (;;) {
    const std::size_t dot = text.find('.');
    const absl::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > kLabelMax || label.front() == '-' || label.back() == '-') {
      return false;
    }
    for (const unsigned char c : label) {
      if (!absl::ascii_isalnum(c) && c != '-' && c != '_') return false;
    }
    numbers_only = numbers_only && is_number(label);
    if (dot == absl::string_view::npos) return !numbers_only;
    text.remove_prefix(dot + 1);
  }
}

}  // namespace serf

#endif  // SERF_BASE_HOST_NAME_H_
