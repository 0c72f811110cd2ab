#ifndef SERF_WIRE_AEAD_H_
#define SERF_WIRE_AEAD_H_

// The encryption of packets and stream frames: the interface to AES-GCM, the source of nonces, the
// ring of keys, and the sealed form that packets and frames share (spec/memberlist.md 1.3, 7.6).
//
// sealed     = version nonce ciphertext tag
// version    = byte: 0 padded, 1 plain
// nonce      = 12 bytes
// ciphertext = as long as the plaintext, with its padding
// tag        = 16 bytes
// padding    = n bytes of value n, n in 1..16, so that plaintext and padding fill 16-byte blocks;
//              version 0 only

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"

namespace serf::wire {

inline constexpr std::size_t kNonceSize = 12;
inline constexpr std::size_t kTagSize = 16;
inline constexpr std::size_t kPadBlock = 16;

using Nonce = std::array<std::uint8_t, kNonceSize>;

// AES-GCM; the key's length (16, 24, 32 bytes) selects the cipher. Implementations may keep
// per-key state and need not be thread-safe.
class Aead {
 public:
  virtual ~Aead() = default;

  // Writes ciphertext and tag, plaintext.size() + kTagSize bytes, to `out`, which may be
  // plaintext.data(). False if the key has no valid length or the library fails.
  virtual bool Seal(ByteView key, ByteView nonce, ByteView aad, ByteView plaintext,
                    std::uint8_t* out) = 0;

  // Takes ciphertext and tag; writes sealed.size() - kTagSize bytes to `out`, which may be
  // sealed.data(). False if they are not authentic; `out` is then unspecified.
  virtual bool Open(ByteView key, ByteView nonce, ByteView aad, ByteView sealed,
                    std::uint8_t* out) = 0;
};

// Gives nonces that never repeat under one key: random ones, from a source fit for keys. Tests and
// simulations give seeded ones.
class NonceSource {
 public:
  virtual ~NonceSource() = default;
  virtual void Fill(Nonce& nonce) = 0;
};

// The keys of a cluster. Encryption is on while there are any: the first (primary) one encrypts,
// all of them decrypt. Changes act on the next packet. Not thread-safe.
class Keyring {
 public:
  // 16, 24 or 32 bytes.
  using Key = std::vector<std::uint8_t>;

  // Many more than a rotation needs: every key costs an attempt per foreign packet.
  static constexpr std::size_t kKeysMax = 256;

  // No keys: encryption is off.
  Keyring() = default;

  // The primary key first, then the others in order. Both empty: no keys.
  static absl::StatusOr<Keyring> Create(std::span<const Key> keys, ByteView primary);

  // Appends; the first key of an empty ring becomes the primary one. No change if it is known.
  absl::Status Add(ByteView key);
  // Makes a known key the primary one; the others keep their order.
  absl::Status Use(ByteView key);
  // Not for the primary key. No change if it is unknown.
  absl::Status Remove(ByteView key);

  bool empty() const { return keys_.empty(); }
  // Primary first.
  std::span<const Key> keys() const { return keys_; }
  // There must be one.
  ByteView primary() const { return keys_.front(); }

  static bool IsValidSize(ByteView key) {
    return key.size() == 16 || key.size() == 24 || key.size() == 32;
  }

 private:
  std::vector<Key>::iterator Find(ByteView key) {
    return std::find_if(keys_.begin(), keys_.end(), [key](const Key& known) {
      return std::equal(known.begin(), known.end(), key.begin(), key.end());
    });
  }

  std::vector<Key> keys_;
};

// How a sealed form is laid out. Decided by the sender's protocol version, and not authenticated.
enum class EncryptionVersion : std::uint8_t {
  kPadded = 0,  // senders of protocol version 1
  kPlain = 1,
};

inline constexpr EncryptionVersion EncryptionVersionFor(std::uint8_t protocol_version) {
  return protocol_version <= 1 ? EncryptionVersion::kPadded : EncryptionVersion::kPlain;
}

// Bytes that sealing adds at most; what byte budgets subtract.
inline constexpr std::size_t EncryptionOverhead(EncryptionVersion version) {
  return version == EncryptionVersion::kPadded ? 45 : 29;
}

// Bytes of the sealed form of a plaintext.
inline constexpr std::size_t SealedSize(EncryptionVersion version, std::size_t plaintext) {
  const std::size_t pad =
      version == EncryptionVersion::kPadded ? kPadBlock - plaintext % kPadBlock : 0;
  return 1 + kNonceSize + plaintext + pad + kTagSize;
}

enum class OpenError : std::uint8_t {
  kOk,
  kEmpty,
  kUnknownVersion,
  kTooSmall,
  kNoKeyFits,
  kBadPadding,  // authentic, but not what a sender makes of a version 0 plaintext
};

// The original's text of the error, for log lines and answers on streams. `sealed` is what failed.
std::string OpenErrorText(OpenError error, ByteView sealed);

// Bytes that stand before the ciphertext.
inline constexpr std::size_t kSealHeaderSize = 1 + kNonceSize;

// Seals the end of the arena in place: at `from` the caller left kSealHeaderSize bytes free and
// put the plaintext after them. `aad` must not point into the arena. False if the Aead failed; the
// arena from `from` on is then unspecified.
bool SealTail(ByteVector& arena, std::size_t from, ByteView aad, ByteView key,
              EncryptionVersion version, Aead& aead, NonceSource& nonces);

// Opens a sealed form, trying the keys in order. On kOk `plain` is the plaintext, within `buffer`.
OpenError OpenSealed(ByteView sealed, ByteView aad, const Keyring& keyring, Aead& aead,
                     ByteVector& buffer, ByteView& plain);

// --- bodies ---

inline absl::StatusOr<Keyring> Keyring::Create(std::span<const Key> keys, ByteView primary) {
  Keyring ring;
  if (keys.empty() && primary.empty()) return ring;
  if (primary.empty()) return absl::InvalidArgumentError("empty primary key not allowed");
  if (absl::Status status = ring.Add(primary); !status.ok()) return status;
  for (const Key& key : keys) {
    if (absl::Status status = ring.Add(key); !status.ok()) return status;
  }
  return ring;
}

inline absl::Status Keyring::Add(ByteView key) {
  if (!IsValidSize(key)) {
    return absl::InvalidArgumentError("key size must be 16, 24 or 32 bytes");
  }
  if (Find(key) != keys_.end()) return absl::OkStatus();
  if (keys_.size() >= kKeysMax) return absl::ResourceExhaustedError("too many keys in the keyring");
  keys_.emplace_back(key.begin(), key.end());
  return absl::OkStatus();
}

inline absl::Status Keyring::Use(ByteView key) {
  const auto found = Find(key);
  if (found == keys_.end()) return absl::NotFoundError("requested key is not in the keyring");
  std::rotate(keys_.begin(), found, found + 1);
  return absl::OkStatus();
}

inline absl::Status Keyring::Remove(ByteView key) {
  const auto found = Find(key);
  if (found == keys_.end()) return absl::OkStatus();
  if (found == keys_.begin()) {
    return absl::FailedPreconditionError("removing the primary key is not allowed");
  }
  keys_.erase(found);
  return absl::OkStatus();
}

inline std::string OpenErrorText(OpenError error, ByteView sealed) {
  switch (error) {
    case OpenError::kOk:
      return "";
    case OpenError::kEmpty:
      return "cannot decrypt empty payload";
    case OpenError::kUnknownVersion:
      return absl::StrCat("unsupported encryption version ", sealed.empty() ? 0 : sealed[0]);
    case OpenError::kTooSmall:
      return absl::StrCat("payload is too small to decrypt: ", sealed.size());
    case OpenError::kNoKeyFits:
      return "no installed keys could decrypt the message";
    case OpenError::kBadPadding:
      return "invalid padding of the decrypted message";
  }
  return "unknown";
}

inline bool SealTail(ByteVector& arena, std::size_t from, ByteView aad, ByteView key,
                     EncryptionVersion version, Aead& aead, NonceSource& nonces) {
  assert(arena.size() >= from + kSealHeaderSize);
  const std::size_t begin = from + kSealHeaderSize;
  if (version == EncryptionVersion::kPadded) {
    const std::size_t pad = kPadBlock - (arena.size() - begin) % kPadBlock;
    arena.resize(arena.size() + pad, static_cast<std::uint8_t>(pad));
  }
  const std::size_t size = arena.size() - begin;
  arena.resize(arena.size() + kTagSize);
  Nonce nonce;
  nonces.Fill(nonce);
  arena[from] = static_cast<std::uint8_t>(version);
  std::copy(nonce.begin(), nonce.end(), arena.begin() + static_cast<std::ptrdiff_t>(from) + 1);
  std::uint8_t* const text = arena.data() + begin;
  return aead.Seal(key, nonce, aad, ByteView(text, size), text);
}

inline OpenError OpenSealed(ByteView sealed, ByteView aad, const Keyring& keyring, Aead& aead,
                            ByteVector& buffer, ByteView& plain) {
  if (sealed.empty()) return OpenError::kEmpty;
  if (sealed[0] > static_cast<std::uint8_t>(EncryptionVersion::kPlain)) {
    return OpenError::kUnknownVersion;
  }
  const auto version = static_cast<EncryptionVersion>(sealed[0]);
  if (sealed.size() < EncryptionOverhead(version)) return OpenError::kTooSmall;
  const ByteView nonce = sealed.subspan(1, kNonceSize);
  const ByteView text = sealed.subspan(kSealHeaderSize);
  buffer.resize(text.size() - kTagSize);
  bool open = false;
  for (const Keyring::Key& key : keyring.keys()) {
    open = aead.Open(key, nonce, aad, text, buffer.data());
    if (open) break;
  }
  if (!open) return OpenError::kNoKeyFits;
  std::size_t size = buffer.size();
  if (version == EncryptionVersion::kPadded) {
    const std::size_t pad = size == 0 ? 0 : buffer[size - 1];
    if (pad == 0 || pad > kPadBlock || pad > size) return OpenError::kBadPadding;
    for (std::size_t i = size - pad; i < size; ++i) {
      if (buffer[i] != pad) return OpenError::kBadPadding;
    }
    size -= pad;
  }
  plain = ByteView(buffer.data(), size);
  return OpenError::kOk;
}

}  // namespace serf::wire

#endif  // SERF_WIRE_AEAD_H_
