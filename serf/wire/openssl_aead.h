// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_OPENSSL_AEAD_H_
#define SERF_WIRE_OPENSSL_AEAD_H_

// OpensslAead: AES-GCM by OpenSSL, the usual Aead. No other header includes OpenSSL.
//
//   config.swim.aead = std::make_shared<wire::OpensslAead>();
//
// Host::Create() makes one where the configuration has a keyring and no `aead`. The object makes a
// key's schedule once and keeps it, so a packet costs no allocation. Not thread-safe: use one per
// thread. Its destructor wipes the keys.
//
// It calls OpenSSL's AES and GCM, and not its EVP interface: EVP leads to all of OpenSSL's
// algorithms, which would be most of a program and of its start. docs/decisions/0014 has the
// figures, and what that means for a libcrypto that is linked dynamically.

#include <openssl/aes.h>
#include <openssl/crypto.h>
#include <openssl/modes.h>

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "serf/base/bytes.h"
#include "serf/wire/aead.h"

// The AES that EVP, too, takes where the processor has instructions for it, or for vectors only.
// OpenSSL declares these functions in no header. They are null where libcrypto does not show them.
extern "C" {
#if defined(__x86_64__)
[[gnu::weak]] int aesni_set_encrypt_key(const unsigned char* key, int bits, AES_KEY* schedule);
[[gnu::weak]] void aesni_encrypt(const unsigned char* in, unsigned char* out, const void* schedule);
[[gnu::weak]] void aesni_ctr32_encrypt_blocks(const unsigned char* in, unsigned char* out,
                                              std::size_t blocks, const void* schedule,
                                              const unsigned char* counter);
#elif defined(__aarch64__)
[[gnu::weak]] int aes_v8_set_encrypt_key(const unsigned char* key, int bits, AES_KEY* schedule);
[[gnu::weak]] void aes_v8_encrypt(const unsigned char* in, unsigned char* out,
                                  const void* schedule);
[[gnu::weak]] void aes_v8_ctr32_encrypt_blocks(const unsigned char* in, unsigned char* out,
                                               std::size_t blocks, const void* schedule,
                                               const unsigned char* counter);
#endif
[[gnu::weak]] int vpaes_set_encrypt_key(const unsigned char* key, int bits, AES_KEY* schedule);
[[gnu::weak]] void vpaes_encrypt(const unsigned char* in, unsigned char* out, const void* schedule);
}

namespace serf::wire {

namespace internal {

// The kinds of OpenSSL's AES, the best first.
enum class AesKind : std::uint8_t {
  kInstructions,  // the processor's own
  kVectors,       // without tables, so that its time tells nothing about the key
  kTables,        // runs everywhere; many times slower
};

struct AesCode {
  int (*set_key)(const unsigned char* key, int bits, AES_KEY* schedule);
  block128_f encrypt;
  ctr128_f encrypt_blocks;  // null: GCM encrypts block by block
};

// The code of this kind, if this processor and this libcrypto have it.
inline std::optional<AesCode> AesCodeOf(AesKind kind) {
#if defined(__x86_64__)
  // (The compiler's own question would ask the processor at every start, and a virtual machine's
  // takes 10 µs to answer each.)
  unsigned a = 0, b = 0, c = 0, d = 0;
  __get_cpuid(1, &a, &b, &c, &d);
  const bool has_instructions = (c & bit_AES) != 0 && &aesni_set_encrypt_key != nullptr;
  const AesCode instructions = {&aesni_set_encrypt_key, &aesni_encrypt,
                                &aesni_ctr32_encrypt_blocks};
  const bool has_vectors = (c & bit_SSSE3) != 0 && &vpaes_set_encrypt_key != nullptr;
#elif defined(__aarch64__)
  const bool has_instructions =
      (getauxval(AT_HWCAP) & HWCAP_AES) != 0 && &aes_v8_set_encrypt_key != nullptr;
  const AesCode instructions = {&aes_v8_set_encrypt_key, &aes_v8_encrypt,
                                &aes_v8_ctr32_encrypt_blocks};
  const bool has_vectors = &vpaes_set_encrypt_key != nullptr;
#else
  const bool has_instructions = false;
  const AesCode instructions = {};
  const bool has_vectors = false;
#endif
  switch (kind) {
    case AesKind::kInstructions:
      if (has_instructions) return instructions;
      return std::nullopt;
    case AesKind::kVectors:
      if (has_vectors) return AesCode{&vpaes_set_encrypt_key, &vpaes_encrypt, nullptr};
      return std::nullopt;
    case AesKind::kTables:
      break;
  }
// OpenSSL 3 points to EVP instead.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  return AesCode{&AES_set_encrypt_key,
                 [](const unsigned char* in, unsigned char* out, const void* schedule) {
                   AES_encrypt(in, out, static_cast<const AES_KEY*>(schedule));
                 },
                 nullptr};
#pragma GCC diagnostic pop
}

inline AesCode BestAesCode() {
  for (const AesKind kind : {AesKind::kInstructions, AesKind::kVectors}) {
    if (const auto code = AesCodeOf(kind)) return *code;
  }
  return *AesCodeOf(AesKind::kTables);
}

// A key, and the state of one text that is sealed or opened with it. Its address is part of the
// state.
class Gcm {
 public:
  // Null if the key has no valid length or there is no memory.
  static std::unique_ptr<Gcm> Create(ByteView key, const AesCode& code) {
    std::unique_ptr<Gcm> gcm(new Gcm(code));
    if (!Keyring::IsValidSize(key) ||
        code.set_key(key.data(), static_cast<int>(8 * key.size()), &gcm->schedule_) != 0) {
      return nullptr;
    }
    gcm->state_ = CRYPTO_gcm128_new(&gcm->schedule_, code.encrypt);
    if (gcm->state_ == nullptr) return nullptr;
    gcm->key_.assign(key.begin(), key.end());
    return gcm;
  }

  ~Gcm() {
    if (state_ != nullptr) CRYPTO_gcm128_release(state_);  // which wipes it
    OPENSSL_cleanse(&schedule_, sizeof(schedule_));
    OPENSSL_cleanse(key_.data(), key_.size());
  }
  Gcm(const Gcm&) = delete;
  Gcm& operator=(const Gcm&) = delete;

  ByteView key() const { return key_; }

  // Begins a text. False if the nonce or `aad` has no valid length.
  bool Begin(ByteView nonce, ByteView aad) {
    if (nonce.size() != kNonceSize) return false;
    CRYPTO_gcm128_setiv(state_, nonce.data(), nonce.size());
    return aad.empty() || CRYPTO_gcm128_aad(state_, aad.data(), aad.size()) == 0;
  }

  // The next piece. False if the text is longer than GCM allows.
  bool Encrypt(ByteView text, std::uint8_t* out) {
    if (text.empty()) return true;
    return (code_.encrypt_blocks != nullptr
                ? CRYPTO_gcm128_encrypt_ctr32(state_, text.data(), out, text.size(),
                                              code_.encrypt_blocks)
                : CRYPTO_gcm128_encrypt(state_, text.data(), out, text.size())) == 0;
  }
  bool Decrypt(ByteView text, std::uint8_t* out) {
    if (text.empty()) return true;
    return (code_.encrypt_blocks != nullptr
                ? CRYPTO_gcm128_decrypt_ctr32(state_, text.data(), out, text.size(),
                                              code_.encrypt_blocks)
                : CRYPTO_gcm128_decrypt(state_, text.data(), out, text.size())) == 0;
  }

  // Ends the text.
  void WriteTag(std::uint8_t* tag) { CRYPTO_gcm128_tag(state_, tag, kTagSize); }
  // The same; whether this is its tag. The time does not depend on where two tags differ.
  bool HasTag(ByteView tag) {
    return tag.size() == kTagSize && CRYPTO_gcm128_finish(state_, tag.data(), kTagSize) == 0;
  }

 private:
  explicit Gcm(const AesCode& code) : code_(code) {}

  AesCode code_;
  alignas(16) AES_KEY schedule_ = {};
  GCM128_CONTEXT* state_ = nullptr;
  Keyring::Key key_;
};

}  // namespace internal

// The methods are those of Aead; a failure of OpenSSL makes them return false or null.
class OpensslAead : public Aead {
 public:
  OpensslAead() : OpensslAead(internal::BestAesCode()) {}
  // With one kind of AES.
  explicit OpensslAead(const internal::AesCode& code) : code_(code) {}

  bool Seal(ByteView key, ByteView nonce, ByteView aad, ByteView plaintext,
            std::uint8_t* out) override {
    internal::Gcm* const gcm = Find(key);
    if (gcm == nullptr || !gcm->Begin(nonce, aad) || !gcm->Encrypt(plaintext, out)) return false;
    gcm->WriteTag(out + plaintext.size());
    return true;
  }

  bool Open(ByteView key, ByteView nonce, ByteView aad, ByteView sealed,
            std::uint8_t* out) override {
    if (sealed.size() < kTagSize) return false;
    internal::Gcm* const gcm = Find(key);
    return gcm != nullptr && gcm->Begin(nonce, aad) &&
           gcm->Decrypt(sealed.first(sealed.size() - kTagSize), out) &&
           gcm->HasTag(sealed.last(kTagSize));
  }

  std::unique_ptr<AeadStream> BeginSeal(ByteView key, ByteView nonce, ByteView aad) override {
    return BeginStream(key, nonce, aad, &internal::Gcm::Encrypt);
  }
  std::unique_ptr<AeadStream> BeginOpen(ByteView key, ByteView nonce, ByteView aad) override {
    return BeginStream(key, nonce, aad, &internal::Gcm::Decrypt);
  }

  void Forget(ByteView key) override {
    std::erase_if(keys_,
                  [key](const auto& known) { return std::ranges::equal(known->key(), key); });
  }

 private:
  using Step = bool (internal::Gcm::*)(ByteView text, std::uint8_t* out);

  class Stream final : public AeadStream {
   public:
    Stream(std::unique_ptr<internal::Gcm> gcm, Step step) : gcm_(std::move(gcm)), step_(step) {}

    bool Update(ByteView text, std::uint8_t* out) override { return (*gcm_.*step_)(text, out); }
    bool Seal(std::uint8_t* tag) override {
      gcm_->WriteTag(tag);
      return true;
    }
    bool Open(ByteView tag) override { return gcm_->HasTag(tag); }

   private:
    std::unique_ptr<internal::Gcm> gcm_;
    Step step_;
  };

  // The most keys: a full keyring. Beyond it, those of the past are forgotten.
  static constexpr std::size_t kKnownKeysMax = Keyring::kKeysMax;

  // A stream has a state of its own, so that packets may come in between.
  std::unique_ptr<AeadStream> BeginStream(ByteView key, ByteView nonce, ByteView aad, Step step) {
    auto gcm = internal::Gcm::Create(key, code_);
    if (gcm == nullptr || !gcm->Begin(nonce, aad)) return nullptr;
    return std::make_unique<Stream>(std::move(gcm), step);
  }

  internal::Gcm* Find(ByteView key) {
    for (const auto& known : keys_) {
      if (std::ranges::equal(known->key(), key)) return known.get();
    }
    auto made = internal::Gcm::Create(key, code_);
    if (made == nullptr) return nullptr;
    if (keys_.size() >= kKnownKeysMax) keys_.erase(keys_.begin());
    keys_.push_back(std::move(made));
    return keys_.back().get();
  }

  internal::AesCode code_;
  std::vector<std::unique_ptr<internal::Gcm>> keys_;
};

}  // namespace serf::wire

#endif  // SERF_WIRE_OPENSSL_AEAD_H_
