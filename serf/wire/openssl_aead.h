// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_OPENSSL_AEAD_H_
#define SERF_WIRE_OPENSSL_AEAD_H_

// OpensslAead: AES-GCM by OpenSSL, the usual Aead. No other header includes OpenSSL.
//
//   config.swim.aead = std::make_shared<wire::OpensslAead>();
//
// Host::Create() makes one where the configuration has a keyring and no `aead`. The object makes a
// cipher context once per key and direction and keeps it, so a packet costs no allocation and no
// key schedule. Not thread-safe: use one per thread. Its destructor wipes the keys.

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/wire/aead.h"

namespace serf::wire {

// The methods are those of Aead; a failure of OpenSSL makes them return false or null.
class OpensslAead : public Aead {
 public:
  bool Seal(ByteView key, ByteView nonce, ByteView aad, ByteView plaintext,
            std::uint8_t* out) override {
    EVP_CIPHER_CTX* const context = Prepare(key, nonce, Direction::kSeal);
    if (context == nullptr || !FitsInt(aad) || !FitsInt(plaintext)) return false;
    int size = 0;
    if (!aad.empty() && EVP_EncryptUpdate(context, nullptr, &size, aad.data(), Int(aad)) != 1) {
      return false;
    }
    if (!plaintext.empty() &&
        EVP_EncryptUpdate(context, out, &size, plaintext.data(), Int(plaintext)) != 1) {
      return false;
    }
    std::uint8_t* const tag = out + plaintext.size();
    return EVP_EncryptFinal_ex(context, tag, &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kTagSize), tag) ==
               1;
  }

  std::unique_ptr<AeadStream> BeginSeal(ByteView key, ByteView nonce, ByteView aad) override {
    return Begin(key, nonce, aad, Direction::kSeal);
  }
  std::unique_ptr<AeadStream> BeginOpen(ByteView key, ByteView nonce, ByteView aad) override {
    return Begin(key, nonce, aad, Direction::kOpen);
  }

  void Forget(ByteView key) override {
    std::erase_if(contexts_,
                  [key](const Context& known) { return std::ranges::equal(*known.key, key); });
  }

  bool Open(ByteView key, ByteView nonce, ByteView aad, ByteView sealed,
            std::uint8_t* out) override {
    if (sealed.size() < kTagSize) return false;
    EVP_CIPHER_CTX* const context = Prepare(key, nonce, Direction::kOpen);
    if (context == nullptr || !FitsInt(aad) || !FitsInt(sealed)) return false;
    const ByteView text = sealed.first(sealed.size() - kTagSize);
    std::array<std::uint8_t, kTagSize> tag;
    std::copy_n(sealed.begin() + static_cast<std::ptrdiff_t>(text.size()), kTagSize, tag.begin());
    int size = 0;
    if (!aad.empty() && EVP_DecryptUpdate(context, nullptr, &size, aad.data(), Int(aad)) != 1) {
      return false;
    }
    if (!text.empty() && EVP_DecryptUpdate(context, out, &size, text.data(), Int(text)) != 1) {
      return false;
    }
    std::uint8_t rest[1];  // GCM has no last block; the call only compares the tag
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTagSize),
                               tag.data()) == 1 &&
           EVP_DecryptFinal_ex(context, rest, &size) == 1;
  }

 private:
  enum class Direction : std::uint8_t { kSeal, kOpen };

  struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
  };

  using EvpContext = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

  // OpenSSL wipes its key schedule; this wipes the key itself.
  struct WipeKey {
    void operator()(Keyring::Key* key) const {
      OPENSSL_cleanse(key->data(), key->size());
      delete key;
    }
  };
  using OwnKey = std::unique_ptr<Keyring::Key, WipeKey>;

  struct Context {
    OwnKey key;
    Direction direction;
    EvpContext evp;
  };

  class Stream final : public AeadStream {
   public:
    Stream(EvpContext evp) : evp_(std::move(evp)) {}

    bool Update(ByteView text, std::uint8_t* out) override {
      int size = 0;
      return text.empty() || (FitsInt(text) && EVP_CipherUpdate(evp_.get(), out, &size, text.data(),
                                                                Int(text)) == 1);
    }
    bool Seal(std::uint8_t* tag) override {
      int size = 0;
      std::uint8_t rest[1];
      return EVP_CipherFinal_ex(evp_.get(), rest, &size) == 1 &&
             EVP_CIPHER_CTX_ctrl(evp_.get(), EVP_CTRL_AEAD_GET_TAG, static_cast<int>(kTagSize),
                                 tag) == 1;
    }
    bool Open(ByteView tag) override {
      if (tag.size() != kTagSize) return false;
      std::array<std::uint8_t, kTagSize> expected;
      std::copy(tag.begin(), tag.end(), expected.begin());
      int size = 0;
      std::uint8_t rest[1];
      return EVP_CIPHER_CTX_ctrl(evp_.get(), EVP_CTRL_AEAD_SET_TAG, static_cast<int>(kTagSize),
                                 expected.data()) == 1 &&
             EVP_CipherFinal_ex(evp_.get(), rest, &size) == 1;
    }

   private:
    EvpContext evp_;
  };

  // The most contexts: both directions of a full keyring. Beyond it, keys of the past are
  // forgotten.
  static constexpr std::size_t kContextsMax = 2 * Keyring::kKeysMax;

  static bool FitsInt(ByteView bytes) {
    return bytes.size() <= static_cast<std::size_t>(std::numeric_limits<int>::max());
  }
  static int Int(ByteView bytes) { return static_cast<int>(bytes.size()); }

  static const EVP_CIPHER* CipherOf(ByteView key) {
    switch (key.size()) {
      case 16:
        return EVP_aes_128_gcm();
      case 24:
        return EVP_aes_192_gcm();
      case 32:
        return EVP_aes_256_gcm();
      default:
        return nullptr;
    }
  }

  // A stream has a context of its own, so that packets may come in between.
  static std::unique_ptr<AeadStream> Begin(ByteView key, ByteView nonce, ByteView aad,
                                           Direction direction) {
    const EVP_CIPHER* const cipher = CipherOf(key);
    if (cipher == nullptr || nonce.size() != kNonceSize || !FitsInt(aad)) return nullptr;
    EvpContext evp(EVP_CIPHER_CTX_new());
    const int encrypt = direction == Direction::kSeal ? 1 : 0;
    int size = 0;
    if (evp == nullptr ||
        EVP_CipherInit_ex(evp.get(), cipher, nullptr, key.data(), nonce.data(), encrypt) != 1) {
      return nullptr;
    }
    if (!aad.empty() && EVP_CipherUpdate(evp.get(), nullptr, &size, aad.data(), Int(aad)) != 1) {
      return nullptr;
    }
    return std::make_unique<Stream>(std::move(evp));
  }

  // The key's context, set to the nonce; null on failure.
  EVP_CIPHER_CTX* Prepare(ByteView key, ByteView nonce, Direction direction) {
    if (nonce.size() != kNonceSize) return nullptr;
    EVP_CIPHER_CTX* const context = Find(key, direction);
    if (context == nullptr) return nullptr;
    const int encrypt = direction == Direction::kSeal ? 1 : 0;
    return EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, nonce.data(), encrypt) == 1
               ? context
               : nullptr;
  }

  EVP_CIPHER_CTX* Find(ByteView key, Direction direction) {
    for (const Context& known : contexts_) {
      if (known.direction == direction && std::ranges::equal(*known.key, key)) {
        return known.evp.get();
      }
    }
    const EVP_CIPHER* const cipher = CipherOf(key);
    if (cipher == nullptr) return nullptr;
    Context made{OwnKey(new Keyring::Key(key.begin(), key.end())), direction,
                 EvpContext(EVP_CIPHER_CTX_new())};
    const int encrypt = direction == Direction::kSeal ? 1 : 0;
    if (made.evp == nullptr ||
        EVP_CipherInit_ex(made.evp.get(), cipher, nullptr, key.data(), nullptr, encrypt) != 1) {
      return nullptr;
    }
    if (contexts_.size() >= kContextsMax) contexts_.erase(contexts_.begin());
    contexts_.push_back(std::move(made));
    return contexts_.back().evp.get();
  }

  std::vector<Context> contexts_;
};

}  // namespace serf::wire

#endif  // SERF_WIRE_OPENSSL_AEAD_H_
