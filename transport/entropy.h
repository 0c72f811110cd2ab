// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_ENTROPY_H_
#define SERF_TRANSPORT_ENTROPY_H_

// Entropy of the operating system: the seed of a machine's generator, and nonces. The machine
// itself never draws any. Host::Create() uses both where the configuration does not set them.
//
//   config.swim.seed = transport::RandomSeed();
//   config.swim.nonces = std::make_shared<transport::RandomNonces>();

#include <sys/random.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "serf/base/bytes.h"
#include "serf/wire/aead.h"

namespace serf::transport {

// Fills `out` from the kernel's generator; fit for keys. Blocks only while a booting system has
// gathered no entropy yet. If the kernel has no such call the process aborts, because it cannot
// encrypt safely without. Any thread.
inline void FillRandom(MutableByteView out) {
  while (!out.empty()) {
    const ssize_t got = ::getrandom(out.data(), out.size(), 0);
    if (got < 0) {
      if (errno == EINTR) continue;
      std::abort();
    }
    out = out.subspan(static_cast<std::size_t>(got));
  }
}

// A seed for Config::swim.seed. Any thread.
inline std::uint64_t RandomSeed() {
  std::array<std::uint8_t, sizeof(std::uint64_t)> bytes;
  FillRandom(bytes);
  std::uint64_t seed = 0;
  for (const std::uint8_t byte : bytes) seed = seed << 8 | byte;
  return seed;
}

// Random nonces of 96 bits. NIST SP 800-38D, 8.3, allows 2^32 messages under one key with them:
// rotate a key before. They come from the kernel, kBatch at a time, because one system call per
// nonce would cost as much as the encryption of a packet. The buffer needs no protection, since
// nonces are public once they are used.
//
// One thread per object. Do not use an object on both sides of a fork(): both would draw the same
// nonces, which breaks the encryption.
class RandomNonces final : public wire::NonceSource {
 public:
  // 21 * 12 bytes: getrandom() serves up to 256 bytes without interruption.
  static constexpr std::size_t kBatch = 21;

  // Fills in a fresh nonce.
  void Fill(wire::Nonce& nonce) override {
    if (used_ == buffer_.size()) {
      FillRandom(buffer_);
      used_ = 0;
    }
    std::copy_n(buffer_.begin() + static_cast<std::ptrdiff_t>(used_), nonce.size(), nonce.begin());
    used_ += nonce.size();
  }

 private:
  std::array<std::uint8_t, kBatch* wire::kNonceSize> buffer_ = {};
  std::size_t used_ = kBatch * wire::kNonceSize;
};

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_ENTROPY_H_
