// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_CRC32_H_
#define SERF_WIRE_CRC32_H_

// CRC-32 of IEEE 802.3, and the wrapper that carries it in packets. It detects accidents only; use
// a keyring against attackers. SealPacket() and OpenPacket() use it; other code has no need to.
//
//   wrapped = 0c crc inner
//   crc     = 4 bytes, big-endian, of exactly the inner bytes
//
// Pure functions; any thread may call them. Source: docs/protocol/membership.md 1.4.

#include <array>
#include <cstddef>
#include <cstdint>

#include "serf/base/bytes.h"
#include "serf/wire/message_type.h"

namespace serf::wire {

// The bytes before the inner message.
inline constexpr std::size_t kCrcHeaderSize = 5;

namespace internal {

// tables[0] is the byte-wise table; tables[k] advances a byte past k further zero bytes, so that
// eight input bytes are eight independent look-ups.
inline constexpr auto kCrcTables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> tables{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0u);
    tables[0][i] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t i = 0; i < 256; ++i) {
      const std::uint32_t crc = tables[k - 1][i];
      tables[k][i] = crc >> 8 ^ tables[0][crc & 0xff];
    }
  }
  return tables;
}();

}  // namespace internal

// The checksum of `bytes`; 0 for none.
inline std::uint32_t Crc32(ByteView bytes) {
  const auto& tables = internal::kCrcTables;
  std::uint32_t crc = 0xffffffffu;
  const std::uint8_t* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    const std::uint32_t low = crc ^ (p[0] | p[1] << 8 | p[2] << 16 | std::uint32_t{p[3]} << 24);
    crc = tables[7][low & 0xff] ^ tables[6][low >> 8 & 0xff] ^ tables[5][low >> 16 & 0xff] ^
          tables[4][low >> 24] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^
          tables[0][p[7]];
  }
  for (; left > 0; --left, ++p) crc = crc >> 8 ^ tables[0][(crc ^ *p) & 0xff];
  return ~crc;
}

// Writes the type byte and the checksum of `inner` to the kCrcHeaderSize bytes at `out`.
inline void WriteCrcHeader(ByteView inner, std::uint8_t* out) {
  const std::uint32_t crc = Crc32(inner);
  out[0] = static_cast<std::uint8_t>(MessageType::kHasCrc);
  for (std::size_t i = 0; i < 4; ++i) out[1 + i] = static_cast<std::uint8_t>(crc >> (24 - 8 * i));
}

// Whether the message is wrapped. A message of type 12 that is too short for the checksum is an
// ordinary message.
inline bool HasCrc(ByteView message) {
  return message.size() >= kCrcHeaderSize &&
         message[0] == static_cast<std::uint8_t>(MessageType::kHasCrc);
}

// Removes the wrapper of a message for which HasCrc() holds. False if the checksum is wrong.
// `inner` is a view of the message.
inline bool OpenCrc(ByteView message, ByteView& inner) {
  std::uint32_t expected = 0;
  for (std::size_t i = 1; i < kCrcHeaderSize; ++i) expected = expected << 8 | message[i];
  inner = message.subspan(kCrcHeaderSize);
  return Crc32(inner) == expected;
}

}  // namespace serf::wire

#endif  // SERF_WIRE_CRC32_H_
