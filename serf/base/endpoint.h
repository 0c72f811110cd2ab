// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_BASE_ENDPOINT_H_
#define SERF_BASE_ENDPOINT_H_

// IpAddress and Endpoint: values that are valid once they exist. They need no system headers, and
// never look names up; transport/net/ does that.
//
//   std::optional<Endpoint> endpoint = Endpoint::Parse("10.0.0.1:7946");
//   if (!endpoint) return;                          // not an IP address and a port
//   Log(logger, LogLevel::kInfo, "at ", endpoint->ToString());
//
// An IPv4 address may have 4 bytes or, mapped, 16 bytes. The form is part of the value: peers
// compare raw bytes, so a node stores and sends an address in the form in which it came
// (docs/protocol/membership.md 2.1). SameHost() compares without the form; == does not.
//
// Values are small and are copied. Any thread may use its own copy.

#include <algorithm>
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"

namespace serf {

// An IPv4 or IPv6 address.
class IpAddress {
 public:
  // Bytes of the two forms.
  static constexpr std::size_t kV4Size = 4;
  static constexpr std::size_t kV6Size = 16;

  // The unspecified IPv4 address, 0.0.0.0.
  constexpr IpAddress() = default;

  // V4(10, 0, 0, 1) is 10.0.0.1, in 4 bytes.
  static constexpr IpAddress V4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d) {
    IpAddress ip;
    ip.bytes_[0] = a;
    ip.bytes_[1] = b;
    ip.bytes_[2] = c;
    ip.bytes_[3] = d;
    return ip;
  }

  // An address of 4 or 16 bytes in network order. Nothing for any other length.
  static constexpr std::optional<IpAddress> FromBytes(ByteView bytes) {
    if (bytes.size() != kV4Size && bytes.size() != kV6Size) return std::nullopt;
    IpAddress ip;
    std::copy(bytes.begin(), bytes.end(), ip.bytes_.begin());
    ip.size_ = static_cast<std::uint8_t>(bytes.size());
    return ip;
  }

  // Parses "10.0.0.1" or "fe80::1" (RFC 4291 text). Nothing for other texts: a name, a zone
  // ("fe80::1%eth0"), brackets, a number with a leading zero ("010.0.0.1").
  static std::optional<IpAddress> Parse(absl::string_view text);

  // The 4 or 16 bytes in network order. Valid as long as the address.
  ByteView bytes() const { return {bytes_.data(), size_}; }

  // True for the 4-byte form only; is_v4_mapped() for IPv4 in the 16-byte form only.
  constexpr bool is_v4() const { return size_ == kV4Size; }

  constexpr bool is_v4_mapped() const {
    if (is_v4()) return false;
    for (std::size_t i = 0; i < 10; ++i) {
      if (bytes_[i] != 0) return false;
    }
    return bytes_[10] == 0xff && bytes_[11] == 0xff;
  }

  // The 4-byte form of a mapped address; any other address as it is.
  constexpr IpAddress Unmapped() const {
    return is_v4_mapped() ? V4(bytes_[12], bytes_[13], bytes_[14], bytes_[15]) : *this;
  }

  // The 16-byte form of an IPv4 address; any other address as it is.
  constexpr IpAddress Mapped() const {
    if (!is_v4()) return *this;
    IpAddress ip;
    ip.size_ = kV6Size;
    ip.bytes_[10] = ip.bytes_[11] = 0xff;
    for (std::size_t i = 0; i < kV4Size; ++i) ip.bytes_[12 + i] = bytes_[i];
    return ip;
  }

  // True for 0.0.0.0 and "::", in any form.
  constexpr bool is_unspecified() const {
    const IpAddress plain = Unmapped();
    return std::all_of(plain.bytes_.begin(), plain.bytes_.begin() + plain.size_,
                       [](std::uint8_t b) { return b == 0; });
  }

  // True for 127.0.0.0/8 and "::1", in any form.
  constexpr bool is_loopback() const {
    const IpAddress plain = Unmapped();
    if (plain.is_v4()) return plain.bytes_[0] == 127;
    for (std::size_t i = 0; i < 15; ++i) {
      if (plain.bytes_[i] != 0) return false;
    }
    return plain.bytes_[15] == 1;
  }

  // True if both are the same address, whatever their form.
  friend constexpr bool SameHost(const IpAddress& a, const IpAddress& b) {
    return a.Unmapped() == b.Unmapped();
  }

  // The text, for example "10.0.0.1" or "fe80::1" (RFC 5952). A mapped address prints as IPv4, so
  // Parse() does not restore its form.
  std::string ToString() const;

  // Compares byte by byte, including the form.
  friend constexpr auto operator<=>(const IpAddress&, const IpAddress&) = default;

  template <typename H>
  friend H AbslHashValue(H state, const IpAddress& ip) {
    return H::combine(H::combine_contiguous(std::move(state), ip.bytes_.data(), ip.bytes_.size()),
                      ip.size_);
  }

 private:
  std::array<std::uint8_t, kV6Size> bytes_ = {};
  std::uint8_t size_ = kV4Size;
};

// Where a node listens: an address and a port. UDP and TCP use the same number.
struct Endpoint {
  IpAddress address;
  std::uint16_t port = 0;

  // The text, for example "10.0.0.1:7946" or "[fe80::1]:7946".
  std::string ToString() const {
    const std::string host = address.ToString();
    return host.find(':') == std::string::npos ? absl::StrCat(host, ":", port)
                                               : absl::StrCat("[", host, "]:", port);
  }

  // Parses what ToString() writes. Nothing for a name, a missing port, or a port above 65535.
  static std::optional<Endpoint> Parse(absl::string_view text);

  // True if the ports are equal and both addresses are the same, whatever their form.
  friend constexpr bool SameHostAndPort(const Endpoint& a, const Endpoint& b) {
    return a.port == b.port && SameHost(a.address, b.address);
  }

  friend constexpr auto operator<=>(const Endpoint&, const Endpoint&) = default;

  template <typename H>
  friend H AbslHashValue(H state, const Endpoint& e) {
    return H::combine(std::move(state), e.address, e.port);
  }
};

inline std::optional<Endpoint> Endpoint::Parse(absl::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return std::nullopt;
  absl::string_view host = text.substr(0, colon);
  if (!host.empty() && host.front() == '[') {
    if (host.size() < 2 || host.back() != ']') return std::nullopt;
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != absl::string_view::npos) {
    return std::nullopt;  // a bare IPv6 address
  }
  const std::optional<IpAddress> address = IpAddress::Parse(host);
  // SimpleAtoi also accepts spaces and a sign, which a port does not have.
  const absl::string_view digits = text.substr(colon + 1);
  std::uint32_t port = 0;
  if (!address || digits.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(digits, &port) || port > 65535) {
    return std::nullopt;
  }
  return Endpoint{*address, static_cast<std::uint16_t>(port)};
}

inline std::optional<IpAddress> IpAddress::Parse(absl::string_view text) {
  // Dotted quad: exactly four decimal numbers of at most three digits.
  const auto parse_v4 = [](absl::string_view t) -> std::optional<IpAddress> {
    IpAddress ip;
    std::size_t part = 0;
    std::size_t digits = 0;
    unsigned value = 0;
    for (std::size_t i = 0; i <= t.size(); ++i) {
      if (i == t.size() || t[i] == '.') {
        if (digits == 0 || value > 255 || part >= kV4Size) return std::nullopt;
        ip.bytes_[part++] = static_cast<std::uint8_t>(value);
        value = 0;
        digits = 0;
      } else if (t[i] >= '0' && t[i] <= '9' && digits < 3) {
        if (digits > 0 && value == 0) return std::nullopt;  // "01" is not a decimal number
        value = value * 10 + static_cast<unsigned>(t[i] - '0');
        ++digits;
      } else {
        return std::nullopt;
      }
    }
    if (part != kV4Size) return std::nullopt;
    return ip;
  };
  if (text.find(':') == absl::string_view::npos) return parse_v4(text);

  // Groups before and after "::"; the last two may be a dotted quad.
  std::array<std::uint16_t, 8> head{};
  std::array<std::uint16_t, 8> tail{};
  std::size_t heads = 0;
  std::size_t tails = 0;
  bool gap = false;
  if (text.substr(0, 2) == "::") {
    gap = true;
    text.remove_prefix(2);
  } else if (!text.empty() && text.front() == ':') {
    return std::nullopt;
  }
  while (!text.empty()) {
    const std::size_t end = text.find(':');
    const absl::string_view group = text.substr(0, end);
    const auto push = [&](std::uint16_t value) {
      if (heads + tails >= 8) return false;
      (gap ? tail[tails++] : head[heads++]) = value;
      return true;
    };
    if (end == absl::string_view::npos && group.find('.') != absl::string_view::npos) {
      const std::optional<IpAddress> quad = parse_v4(group);
      if (!quad) return std::nullopt;
      const auto& b = quad->bytes_;
      if (!push(static_cast<std::uint16_t>(b[0] << 8 | b[1])) ||
          !push(static_cast<std::uint16_t>(b[2] << 8 | b[3]))) {
        return std::nullopt;
      }
      break;
    }
    if (group.empty() || group.size() > 4) return std::nullopt;
    unsigned value = 0;
    for (const char c : group) {
      const unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                             : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a' + 10)
                             : c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A' + 10)
                                                    : 16u;
      if (digit == 16) return std::nullopt;
      value = value << 4 | digit;
    }
    if (!push(static_cast<std::uint16_t>(value))) return std::nullopt;
    if (end == absl::string_view::npos) break;
    text.remove_prefix(end + 1);
    if (text.empty()) return std::nullopt;  // a single ':' at the end
    if (text.front() == ':') {
      if (gap) return std::nullopt;
      gap = true;
      text.remove_prefix(1);
    }
  }
  if (gap ? heads + tails > 7 : heads != 8) return std::nullopt;
  IpAddress ip;
  ip.size_ = kV6Size;
  const auto put = [&ip](std::size_t at, std::uint16_t value) {
    ip.bytes_[2 * at] = static_cast<std::uint8_t>(value >> 8);
    ip.bytes_[2 * at + 1] = static_cast<std::uint8_t>(value & 0xff);
  };
  for (std::size_t i = 0; i < heads; ++i) put(i, head[i]);
  for (std::size_t i = 0; i < tails; ++i) put(8 - tails + i, tail[i]);
  return ip;
}

inline std::string IpAddress::ToString() const {
  const IpAddress plain = Unmapped();
  const auto& b = plain.bytes_;
  if (plain.is_v4()) return absl::StrCat(b[0], ".", b[1], ".", b[2], ".", b[3]);
  std::array<unsigned, 8> groups{};
  for (std::size_t i = 0; i < 8; ++i)
    groups[i] = static_cast<unsigned>(b[2 * i] << 8 | b[2 * i + 1]);
  // RFC 5952: the longest run of two or more zero groups becomes "::". Of equal runs it is the
  // first.
  std::size_t run_at = 8;
  std::size_t run = 1;
  for (std::size_t i = 0; i < 8; ++i) {
    std::size_t n = 0;
    while (i + n < 8 && groups[i + n] == 0) ++n;
    if (n > run) {
      run = n;
      run_at = i;
    }
  }
  std::string text;
  for (std::size_t i = 0; i < 8; ++i) {
    if (i == run_at) {
      text += "::";
      i += run - 1;
      continue;
    }
    if (!text.empty() && text.back() != ':') text += ':';
    absl::StrAppend(&text, absl::Hex(groups[i]));
  }
  return text;
}

}  // namespace serf

#endif  // SERF_BASE_ENDPOINT_H_
