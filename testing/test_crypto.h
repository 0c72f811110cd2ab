#ifndef SERF_TESTING_TEST_CRYPTO_H_
#define SERF_TESTING_TEST_CRYPTO_H_

// Encryption for simulated clusters: real AES-GCM, with counted nonces.

#include <cstdint>
#include <memory>

#include "serf/base/bytes.h"
#include "serf/swim/config.h"
#include "serf/wire/aead.h"
#include "serf/wire/openssl_aead.h"

namespace serf::testkit {

// Nonces 1, 2, 3, ... Only for runs that must be repeatable: a real node draws them at random.
class CountingNonces : public wire::NonceSource {
 public:
  void Fill(wire::Nonce& nonce) override {
    ++count_;
    for (std::size_t i = 0; i < nonce.size(); ++i) {
      nonce[i] = i < 8 ? static_cast<std::uint8_t>(count_ >> (8 * i)) : std::uint8_t{0};
    }
  }

 private:
  std::uint64_t count_ = 0;
};

// Installs a keyring with `key`, of 16, 24 or 32 bytes.
inline void Encrypt(swim::Config& config, ByteView key) {
  config.keyring = std::make_shared<wire::Keyring>();
  (void)config.keyring->Add(key);
  config.aead = std::make_shared<wire::OpensslAead>();
  config.nonces = std::make_shared<CountingNonces>();
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_TEST_CRYPTO_H_
