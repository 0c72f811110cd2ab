// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_AEAD_H_
#define SERF_WIRE_AEAD_H_

// The encryption of packets and stream frames: the interface to AES-GCM, the source of nonces, the
// ring of keys, and the sealed form that packets and frames share.
//
//   absl::StatusOr<Keyring> ring = Keyring::Create({}, key);
//   config.swim.keyring = std::make_shared<Keyring>(*std::move(ring));
//
// An application makes the Keyring. It implements Aead or NonceSource only to replace OpenSSL or
// the kernel's entropy: OpensslAead and transport::RandomNonces are the usual ones. The functions
// below them are for the layers that build packets.
//
//   sealed     = version nonce ciphertext tag
//   version    = byte: 0 padded, 1 plain
//   nonce      = 12 bytes
//   ciphertext = as long as the plaintext, with its padding
//   tag        = 16 bytes
//   padding    = n bytes of value n, n in 1..16, so that plaintext and padding fill 16-byte blocks;
//                version 0 only
//
// Source: docs/protocol/membership.md 1.3, 7.6.

#include <algorithm>
#include <array>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "serf/base/bytes.h"
#include "serf/base/portion.h"

namespace serf::wire {

inline constexpr std::size_t kNonceSize = 12;
inline constexpr std::size_t kTagSize = 16;
inline constexpr std::size_t kPadBlock = 16;

using Nonce = std::array<std::uint8_t, kNonceSize>;

// One text that is sealed or opened piece by piece. Call Update() for each piece, then Seal() or
// Open() once.
class AeadStream {
 public:
  virtual ~AeadStream() = default;

  // The next piece, of any size. Writes as many bytes to `out`, which may be text.data(). False if
  // the library fails.
  virtual bool Update(ByteView text, std::uint8_t* out) = 0;
  // To seal: after the last piece, writes kTagSize bytes. False if the library fails.
  virtual bool Seal(std::uint8_t* tag) = 0;
  // To open: after the last piece. False if the text is not authentic; none of it may be used then.
  virtual bool Open(ByteView tag) = 0;
};

// AES-GCM. The length of the key (16, 24 or 32 bytes) selects the cipher. An implementation may
// keep state per key, and need not be thread-safe: give each thread its own.
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

  // The same in pieces; null if the key has no valid length or the library fails.
  virtual std::unique_ptr<AeadStream> BeginSeal(ByteView key, ByteView nonce, ByteView aad) = 0;
  virtual std::unique_ptr<AeadStream> BeginOpen(ByteView key, ByteView nonce, ByteView aad) = 0;

  // The ring has dropped the key: wipe it, and everything made from it, from memory.
  virtual void Forget(ByteView key) { static_cast<void>(key); }
};

// Provides nonces. They must never repeat under one key, or the encryption is broken: take them
// from a random source that is fit for keys. Tests and simulations use seeded ones.
class NonceSource {
 public:
  virtual ~NonceSource() = default;
  virtual void Fill(Nonce& nonce) = 0;
};

// The keys of a cluster. Encryption is on while the ring is not empty: the first (primary) key
// encrypts, and all of them decrypt. A change takes effect with the next packet.
// Host::AsyncManageKeys() changes the rings of all members; change a ring directly only before the
// node starts. Not thread-safe. To encrypt from the start:
//
//   config.swim.keyring = std::make_shared<Keyring>(*Keyring::Create({old_key}, new_key));
class Keyring {
 public:
  // 16, 24 or 32 bytes.
  using Key = std::vector<std::uint8_t>;

  // The most keys: many more than a rotation needs. Each key costs an attempt per foreign packet,
  // up to TrialsMax().
  static constexpr std::size_t kKeysMax = 256;

  // A ring without keys: encryption is off.
  Keyring() = default;

  // A ring with `primary` first, then the other keys in order. Both empty: a ring without keys.
  // InvalidArgument, if a key has another length than 16, 24 or 32 bytes, or if there are keys and
  // `primary` is empty. ResourceExhausted, if there are more than kKeysMax keys.
  static absl::StatusOr<Keyring> Create(std::span<const Key> keys, ByteView primary);

  // Appends a key. The first key of an empty ring becomes the primary one. A known key changes
  // nothing and is not an error. An error leaves the ring as it was.
  absl::Status Add(ByteView key);
  // Makes a known key the primary one; the others keep their order. An unknown key is an error, and
  // changes nothing.
  absl::Status Use(ByteView key);
  // Drops a key. FailedPrecondition for the primary key. An unknown key changes nothing and is not
  // an error.
  absl::Status Remove(ByteView key);

  bool empty() const { return keys_.empty(); }
  // The keys, the primary one first. Valid until the next change.
  std::span<const Key> keys() const { return keys_; }
  // The primary key. The ring must not be empty. Valid until the next change.
  ByteView primary() const { return keys_.front(); }

  // Whether a key has 16, 24 or 32 bytes.
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

// How a sealed form is laid out. The sender's protocol version decides; it is not authenticated.
enum class EncryptionVersion : std::uint8_t {
  kPadded = 0,  // senders of protocol version 1
  kPlain = 1,
};

inline constexpr EncryptionVersion EncryptionVersionFor(std::uint8_t protocol_version) {
  return protocol_version <= 1 ? EncryptionVersion::kPadded : EncryptionVersion::kPlain;
}

// The most bytes that sealing adds; byte budgets subtract them.
inline constexpr std::size_t EncryptionOverhead(EncryptionVersion version) {
  return version == EncryptionVersion::kPadded ? 45 : 29;
}

// The bytes of the sealed form of a plaintext.
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

// Go Serf's text of the error, for log lines and answers on streams. `sealed` is what failed.
std::string OpenErrorText(OpenError error, ByteView sealed);

// The bytes before the ciphertext.
inline constexpr std::size_t kSealHeaderSize = 1 + kNonceSize;

// Seals the end of the arena in place. At `from` the caller has left kSealHeaderSize bytes free,
// and has put the plaintext after them. `aad` must not point into the arena. False if the Aead
// failed; the arena from `from` on is then unspecified.
bool SealTail(ByteVector& arena, std::size_t from, ByteView aad, ByteView key,
              EncryptionVersion version, Aead& aead, NonceSource& nonces);

// How many keys are tried on a sealed form of this size, in the ring's order: all of them for the
// sizes that members send in packets, fewer for large ones, so that a foreign packet costs a
// millisecond at most. A rotation has two or three keys.
inline constexpr std::size_t kTrialBytesMax = 1 << 20;
inline constexpr std::size_t kTrialsMin = 8;
inline constexpr std::size_t TrialsMax(std::size_t size) {
  return size == 0 ? Keyring::kKeysMax
                   : std::clamp(kTrialBytesMax / size, kTrialsMin, Keyring::kKeysMax);
}

// Opens a sealed form by trying the keys in order. On kOk `plain` is the plaintext, within
// `buffer`.
OpenError OpenSealed(ByteView sealed, ByteView aad, const Keyring& keyring, Aead& aead,
                     ByteVector& buffer, ByteView& plain);

// OpenSealed in portions, for the large forms of streams. Call it with equal arguments until there
// is a result. It does not try a key that the ring drops meanwhile.
class SealedOpener {
 public:
  std::optional<OpenError> Continue(ByteView sealed, ByteView aad, const Keyring& keyring,
                                    Aead& aead, Portion& portion, ByteVector& buffer,
                                    ByteView& plain);

 private:
  // The bytes that are decrypted at a time; how many of them cost as much as decoding one byte of
  // messages; what the schedule of a key costs.
  static constexpr std::size_t kPiece = 64 << 10;
  static constexpr std::size_t kBytesPerCost = 4;
  static constexpr std::size_t kTrialCost = 256;

  std::size_t trial_ = 0;
  std::unique_ptr<AeadStream> stream_;
};

// --- bodies ---

inline absl::StatusOr<Keyring> Keyring::Create(std::span<const Key> keys, ByteView primary) {
  Keyring ring;
  if (keys.empty() && primary.empty()) return ring;
  if (primary.empty()) return absl::InvalidArgumentError("Empty primary key not allowed");
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
  if (found == keys_.end()) return absl::NotFoundError("Requested key is not in the keyring");
  std::rotate(keys_.begin(), found, found + 1);
  return absl::OkStatus();
}

inline absl::Status Keyring::Remove(ByteView key) {
  const auto found = Find(key);
  if (found == keys_.end()) return absl::OkStatus();
  if (found == keys_.begin()) {
    return absl::FailedPreconditionError("Removing the primary key is not allowed");
  }
  keys_.erase(found);
  return absl::OkStatus();
}

inline std::string OpenErrorText(OpenError error, ByteView sealed) {
  switch (error) {
    case OpenError::kOk:
      return "";
    case OpenError::kEmpty:
      return "Cannot decrypt empty payload";
    case OpenError::kUnknownVersion:
      return absl::StrCat("Unsupported encryption version ", sealed.empty() ? 0 : sealed[0]);
    case OpenError::kTooSmall:
      return absl::StrCat("Payload is too small to decrypt: ", sealed.size());
    case OpenError::kNoKeyFits:
      return "No installed keys could decrypt the message";
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

namespace internal {

// A sealed form taken apart.
struct SealedParts {
  EncryptionVersion version = EncryptionVersion::kPlain;
  ByteView nonce;
  ByteView text;  // ciphertext and tag
};

inline OpenError SplitSealed(ByteView sealed, SealedParts& parts) {
  if (sealed.empty()) return OpenError::kEmpty;
  if (sealed[0] > static_cast<std::uint8_t>(EncryptionVersion::kPlain)) {
    return OpenError::kUnknownVersion;
  }
  parts.version = static_cast<EncryptionVersion>(sealed[0]);
  if (sealed.size() < EncryptionOverhead(parts.version)) return OpenError::kTooSmall;
  parts.nonce = sealed.subspan(1, kNonceSize);
  parts.text = sealed.subspan(kSealHeaderSize);
  return OpenError::kOk;
}

// The sealed plaintext, without the padding of version 0.
inline OpenError Unpad(EncryptionVersion version, ByteView decrypted, ByteView& plain) {
  std::size_t size = decrypted.size();
  if (version == EncryptionVersion::kPadded) {
    const std::size_t pad = size == 0 ? 0 : decrypted[size - 1];
    if (pad == 0 || pad > kPadBlock || pad > size) return OpenError::kBadPadding;
    for (std::size_t i = size - pad; i < size; ++i) {
      if (decrypted[i] != pad) return OpenError::kBadPadding;
    }
    size -= pad;
  }
  plain = decrypted.first(size);
  return OpenError::kOk;
}

}  // namespace internal

inline OpenError OpenSealed(ByteView sealed, ByteView aad, const Keyring& keyring, Aead& aead,
                            ByteVector& buffer, ByteView& plain) {
  internal::SealedParts parts;
  const OpenError error = internal::SplitSealed(sealed, parts);
  if (error != OpenError::kOk) return error;
  buffer.resize(parts.text.size() - kTagSize);
  std::size_t trials = TrialsMax(sealed.size());
  for (const Keyring::Key& key : keyring.keys()) {
    if (trials-- == 0) break;
    if (aead.Open(key, parts.nonce, aad, parts.text, buffer.data())) {
      return internal::Unpad(parts.version, buffer, plain);
    }
  }
  return OpenError::kNoKeyFits;
}

inline std::optional<OpenError> SealedOpener::Continue(ByteView sealed, ByteView aad,
                                                       const Keyring& keyring, Aead& aead,
                                                       Portion& portion, ByteVector& buffer,
                                                       ByteView& plain) {
  internal::SealedParts parts;
  const OpenError error = internal::SplitSealed(sealed, parts);
  if (error != OpenError::kOk) return error;
  const std::size_t trials = std::min(TrialsMax(sealed.size()), keyring.keys().size());
  const ByteView text = parts.text.first(parts.text.size() - kTagSize);
  while (trial_ < trials) {
    if (portion.empty()) return std::nullopt;
    if (stream_ == nullptr) {
      stream_ = aead.BeginOpen(keyring.keys()[trial_], parts.nonce, aad);
      buffer.clear();
      buffer.reserve(text.size());
      portion.Spend(kTrialCost);
    }
    const std::size_t at = buffer.size();
    const ByteView piece = text.subspan(at, std::min(text.size() - at, kPiece));
    buffer.resize(at + piece.size());
    portion.Spend(piece.size() / kBytesPerCost);
    const bool fine = stream_ != nullptr && stream_->Update(piece, buffer.data() + at);
    if (fine && buffer.size() < text.size()) continue;
    const bool open = fine && stream_->Open(parts.text.last(kTagSize));
    stream_ = nullptr;
    ++trial_;
    if (open) return internal::Unpad(parts.version, buffer, plain);
  }
  return OpenError::kNoKeyFits;
}

}  // namespace serf::wire

#endif  // SERF_WIRE_AEAD_H_
