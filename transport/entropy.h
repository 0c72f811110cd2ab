#ifndef SERF_TRANSPORT_ENTROPY_H_
#define SERF_TRANSPORT_ENTROPY_H_

// Entropy of the operating system, which the machine must not draw by itself: the seed of its
// generator, and nonces.

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

// Fills `out` from the kernel's generator. Blocks only while a booting system has gathered no
// entropy yet. There is no way to go on without: if the kernel has no such call, the process ends.
// Any thread.
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

// For Config::swim.seed.
inline std::uint64_t RandomSeed() {
  std::array<std::uint8_t, sizeof(std::uint64_t)> bytes;
  FillRandom(bytes);
  std::uint64_t seed = 0;
  for (const std::uint8_t byte : bytes) seed = seed << 8 | byte;
  return seed;
}

// Random nonces of 96 bits, the length for which NIST SP 800-38D, 8.3, allows 2^32 messages under
// one key. They come from the kernel, kBatch at a time: one system call per nonce would cost as
// much as the encryption of a packet. What waits in the buffer needs no protection, since nonces
// are public once they are used. One thread; not to be used on both sides of a fork().
class RandomNonces final : public wire::NonceSource {
 public:
  // 21 * 12 bytes: getrandom() serves up to 256 bytes without interruption.
  static constexpr std::size_t kBatch = 21;

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
