#include "serf/wire/aead.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/portion.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/openssl_aead.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Hex;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::Unhex;

Keyring::Key KeyOf(std::uint8_t byte, std::size_t size = 16) { return Keyring::Key(size, byte); }

std::vector<int> FirstBytes(const Keyring& ring) {
  std::vector<int> bytes;
  for (const Keyring::Key& key : ring.keys()) bytes.push_back(key[0]);
  return bytes;
}

TEST(KeyringTest, CreatesWithThePrimaryFirst) {
  const std::vector<Keyring::Key> keys = {KeyOf(1), KeyOf(2, 24), KeyOf(3, 32)};
  const auto ring = Keyring::Create(keys, keys[1]);
  ASSERT_TRUE(ring.ok());
  EXPECT_EQ(FirstBytes(*ring), (std::vector<int>{2, 1, 3}));
  EXPECT_EQ(ring->primary()[0], 2);
  EXPECT_FALSE(ring->empty());
}

TEST(KeyringTest, EmptyMeansNoEncryption) {
  const auto ring = Keyring::Create({}, {});
  ASSERT_TRUE(ring.ok());
  EXPECT_TRUE(ring->empty());
}

TEST(KeyringTest, RefusesBadArguments) {
  const std::vector<Keyring::Key> keys = {KeyOf(1)};
  EXPECT_EQ(Keyring::Create(keys, {}).status().message(), "Empty primary key not allowed");
  for (const std::size_t size :
       {std::size_t{0}, std::size_t{15}, std::size_t{17}, std::size_t{64}}) {
    Keyring ring;
    EXPECT_EQ(ring.Add(KeyOf(1, size)).message(), "key size must be 16, 24 or 32 bytes") << size;
    EXPECT_TRUE(ring.empty());
  }
  EXPECT_EQ(Keyring::Create({}, KeyOf(1, 5)).status().message(),
            "key size must be 16, 24 or 32 bytes");
}

TEST(KeyringTest, AddsUsesRemoves) {
  Keyring ring;
  ASSERT_TRUE(ring.Add(KeyOf(1)).ok());  // becomes the primary one
  ASSERT_TRUE(ring.Add(KeyOf(2)).ok());
  ASSERT_TRUE(ring.Add(KeyOf(3)).ok());
  ASSERT_TRUE(ring.Add(KeyOf(2)).ok());  // known: no change
  EXPECT_EQ(FirstBytes(ring), (std::vector<int>{1, 2, 3}));
  ASSERT_TRUE(ring.Use(KeyOf(3)).ok());
  EXPECT_EQ(FirstBytes(ring), (std::vector<int>{3, 1, 2}));
  EXPECT_EQ(ring.Use(KeyOf(9)).message(), "Requested key is not in the keyring");
  EXPECT_EQ(ring.Remove(KeyOf(3)).message(), "Removing the primary key is not allowed");
  ASSERT_TRUE(ring.Remove(KeyOf(1)).ok());
  ASSERT_TRUE(ring.Remove(KeyOf(9)).ok());  // unknown: no error
  EXPECT_EQ(FirstBytes(ring), (std::vector<int>{3, 2}));
}

TEST(KeyringTest, IsBounded) {
  Keyring ring;
  for (std::size_t i = 0; i < Keyring::kKeysMax; ++i) {
    Keyring::Key key = KeyOf(static_cast<std::uint8_t>(i));
    key[1] = static_cast<std::uint8_t>(i >> 8);
    ASSERT_TRUE(ring.Add(key).ok());
  }
  EXPECT_EQ(ring.Add(KeyOf(0, 32)).code(), absl::StatusCode::kResourceExhausted);
}

TEST(SealedSizeTest, FollowsTheVersion) {
  EXPECT_EQ(SealedSize(EncryptionVersion::kPlain, 0), 29u);
  EXPECT_EQ(SealedSize(EncryptionVersion::kPlain, 100), 129u);
  EXPECT_EQ(SealedSize(EncryptionVersion::kPadded, 15), 45u);
  EXPECT_EQ(SealedSize(EncryptionVersion::kPadded, 16), 61u);
  EXPECT_EQ(SealedSize(EncryptionVersion::kPadded, 17), 61u);
  EXPECT_EQ(EncryptionOverhead(EncryptionVersion::kPadded), 45u);
  EXPECT_EQ(EncryptionOverhead(EncryptionVersion::kPlain), 29u);
  EXPECT_EQ(EncryptionVersionFor(1), EncryptionVersion::kPadded);
  EXPECT_EQ(EncryptionVersionFor(2), EncryptionVersion::kPlain);
  EXPECT_EQ(EncryptionVersionFor(5), EncryptionVersion::kPlain);
}

class FixedNonce : public NonceSource {
 public:
  explicit FixedNonce(ByteView nonce) { std::copy(nonce.begin(), nonce.end(), nonce_.begin()); }
  void Fill(Nonce& nonce) override { nonce = nonce_; }

 private:
  Nonce nonce_ = {};
};

Keyring RingOf(const nlohmann::json& decoded) {
  Keyring ring;
  if (decoded.contains("keyring_hex")) {
    for (const auto& key : decoded["keyring_hex"]) {
      EXPECT_TRUE(ring.Add(Unhex(key.get<std::string>())).ok());
    }
  } else {
    EXPECT_TRUE(ring.Add(Unhex(decoded["key_hex"].get<std::string>())).ok());
  }
  return ring;
}

// Each kind of AES that this processor and this libcrypto have.
std::vector<internal::AesCode> AesCodes() {
  std::vector<internal::AesCode> codes;
  for (const auto kind : {internal::AesKind::kInstructions, internal::AesKind::kVectors,
                          internal::AesKind::kTables}) {
    if (const auto code = internal::AesCodeOf(kind)) codes.push_back(*code);
  }
  return codes;
}

class SealVectorsTest : public ::testing::TestWithParam<internal::AesCode> {};
INSTANTIATE_TEST_SUITE_P(EachAes, SealVectorsTest, ::testing::ValuesIn(AesCodes()));

TEST_P(SealVectorsTest, InBothDirections) {
  OpensslAead aead(GetParam());
  int opened = 0;
  int sealed = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "encrypt") continue;
    const std::string name = vector["name"];
    SCOPED_TRACE(name);
    const auto& decoded = vector["decoded"];
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    const ByteVector aad = Unhex(decoded["aad_hex"].get<std::string>());
    const Keyring ring = RingOf(decoded);
    ByteVector buffer;
    ByteView plain;
    const OpenError error = OpenSealed(bytes, aad, ring, aead, buffer, plain);
    ++opened;
    if (name == "encrypt-wrong-key" || name == "encrypt-bad-tag") {
      EXPECT_EQ(error, OpenError::kNoKeyFits);
      EXPECT_EQ(OpenErrorText(error, bytes), "No installed keys could decrypt the message");
    } else if (name == "encrypt-version-2") {
      EXPECT_EQ(error, OpenError::kUnknownVersion);
      EXPECT_EQ(OpenErrorText(error, bytes), "Unsupported encryption version 2");
    } else if (name == "encrypt-too-short") {
      EXPECT_EQ(error, OpenError::kTooSmall);
      EXPECT_EQ(OpenErrorText(error, bytes), "Payload is too small to decrypt: 28");
    } else {
      ASSERT_EQ(error, OpenError::kOk);
      EXPECT_EQ(Hex(plain), decoded["plaintext_hex"]);
    }
    if (!decoded.contains("nonce_hex") || decoded["outcome"] != "accept") continue;
    FixedNonce nonces(Unhex(decoded["nonce_hex"].get<std::string>()));
    ByteVector arena(kSealHeaderSize);
    Append(arena, plain);
    ASSERT_TRUE(SealTail(arena, 0, aad, Unhex(decoded["key_hex"].get<std::string>()),
                         static_cast<EncryptionVersion>(bytes[0]), aead, nonces));
    EXPECT_EQ(Hex(arena), Hex(bytes));
    EXPECT_EQ(arena.size(), SealedSize(static_cast<EncryptionVersion>(bytes[0]), plain.size()));
    ++sealed;
  }
  EXPECT_EQ(opened, 14);
  EXPECT_EQ(sealed, 10);
}

TEST(SealTest, EveryPaddingIsChecked) {
  OpensslAead aead;
  const Keyring::Key key = KeyOf(7);
  Keyring ring;
  ASSERT_TRUE(ring.Add(key).ok());
  const Nonce nonce = {};
  // Each last byte of a block of zeros, sealed as version 0.
  for (int last = 0; last < 256; ++last) {
    for (const bool uniform : {false, true}) {
      ByteVector block(32, uniform ? static_cast<std::uint8_t>(last) : std::uint8_t{0});
      block.back() = static_cast<std::uint8_t>(last);
      ByteVector sealed(1 + kNonceSize, 0);
      sealed.resize(sealed.size() + block.size() + kTagSize);
      ASSERT_TRUE(aead.Seal(key, nonce, {}, block, sealed.data() + kSealHeaderSize));
      ByteVector buffer;
      ByteView plain;
      const OpenError error = OpenSealed(sealed, {}, ring, aead, buffer, plain);
      const bool good = last >= 1 && last <= 16 && (uniform || last == 1);
      EXPECT_EQ(error, good ? OpenError::kOk : OpenError::kBadPadding) << last;
      if (good) {
        EXPECT_EQ(plain.size(), 32u - static_cast<unsigned>(last));
      }
    }
  }
}

TEST(SealTest, NothingIsTooSmallToRefuse) {
  OpensslAead aead;
  Keyring ring;
  ASSERT_TRUE(ring.Add(KeyOf(7)).ok());
  ByteVector buffer;
  ByteView plain;
  EXPECT_EQ(OpenSealed({}, {}, ring, aead, buffer, plain), OpenError::kEmpty);
  for (std::uint8_t version = 0; version < 2; ++version) {
    for (std::size_t size = 1; size < 60; ++size) {
      const ByteVector bytes(size, version);
      EXPECT_EQ(OpenSealed(bytes, {}, ring, aead, buffer, plain),
                size < (version == 0 ? 45u : 29u) ? OpenError::kTooSmall : OpenError::kNoKeyFits);
    }
  }
}

// Test cases 4, 10 and 16 of McGrew and Viega's paper on GCM: keys of 16, 24 and 32 bytes,
// additional data, and a text that ends within a block.
TEST_P(SealVectorsTest, OfGcmsAuthors) {
  const ByteVector secret =
      Unhex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
  const ByteVector nonce = Unhex("cafebabefacedbaddecaf888");
  const ByteVector aad = Unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
  const ByteVector text = Unhex(
      "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
      "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39");
  const std::array<std::pair<std::size_t, const char*>, 3> cases = {{
      {16,
       "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e"
       "21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091"
       "5bc94fbc3221a5db94fae95ae7121a47"},
      {24,
       "3980ca0b3c00e841eb06fac4872a2757859e1ceaa6efd984628593b40ca1e19c"
       "7d773d00c144c525ac619d18c84a3f4718e2448b2fe324d9ccda2710"
       "2519498e80f1478f37ba55bd6d27618c"},
      {32,
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
       "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
       "76fc6ece0f4e1768cddf8853bb2d551b"},
  }};
  OpensslAead aead(GetParam());
  for (const auto& [size, sealed] : cases) {
    SCOPED_TRACE(size);
    const ByteView key = ByteView(secret).first(size);
    ByteVector out(text.size() + kTagSize);
    ASSERT_TRUE(aead.Seal(key, nonce, aad, text, out.data()));
    EXPECT_EQ(Hex(out), sealed);
    ByteVector plain(text.size());
    ASSERT_TRUE(aead.Open(key, nonce, aad, out, plain.data()));
    EXPECT_EQ(plain, text);
    // A changed bit anywhere, in the tag too, makes it foreign.
    for (ByteView::size_type i = 0; i < out.size(); ++i) {
      out[i] ^= 0x80;
      EXPECT_FALSE(aead.Open(key, nonce, aad, out, plain.data())) << i;
      out[i] ^= 0x80;
    }
    EXPECT_FALSE(aead.Open(key, nonce, text, out, plain.data()));
  }
}

// The kinds are written apart from each other, so each checks the others; so do texts in pieces.
TEST(OpensslAeadTest, EachAesMakesTheSame) {
  ByteVector text(2100);
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<std::uint8_t>(i * 31);
  const ByteVector nonce(kNonceSize, 9);
  OpensslAead usual;
  for (const internal::AesCode& code : AesCodes()) {
    OpensslAead aead(code);
    for (const std::size_t key_size : {16u, 24u, 32u}) {
      const Keyring::Key key = KeyOf(5, key_size);
      for (std::size_t size = 0; size < text.size(); size += size < 300 ? 1 : 97) {
        const ByteView part = ByteView(text).first(size);
        ByteVector expected(size + kTagSize);
        ByteVector made(size + kTagSize);
        ASSERT_TRUE(usual.Seal(key, nonce, part, part, expected.data()));
        ASSERT_TRUE(aead.Seal(key, nonce, part, part, made.data()));
        ASSERT_EQ(made, expected) << key_size << " " << size;
        ByteVector in_pieces(size);
        const auto stream = aead.BeginOpen(key, nonce, part);
        const std::size_t first = size / 3;
        ASSERT_TRUE(stream->Update(ByteView(made).first(first), in_pieces.data()));
        ASSERT_TRUE(
            stream->Update(ByteView(made).subspan(first, size - first), in_pieces.data() + first));
        ASSERT_TRUE(stream->Open(ByteView(made).last(kTagSize)));
        ASSERT_TRUE(std::equal(part.begin(), part.end(), in_pieces.begin(), in_pieces.end()));
      }
    }
  }
}

// A processor with AES must use it: the tables are many times slower.
TEST(OpensslAeadTest, TakesTheBestAes) {
  const auto usual = internal::BestAesCode();
#if defined(__x86_64__)
  if (__builtin_cpu_supports("aes")) {
    EXPECT_EQ(usual.encrypt, &aesni_encrypt);
  } else if (__builtin_cpu_supports("ssse3")) {
    EXPECT_EQ(usual.encrypt, &vpaes_encrypt);
  }
#endif
  EXPECT_NE(usual.encrypt, nullptr);
}

TEST(OpensslAeadTest, RefusesBadKeysNoncesAndBytes) {
  OpensslAead aead;
  ByteVector out(64);
  const ByteVector nonce(kNonceSize);
  const ByteVector text(16, 1);
  EXPECT_FALSE(aead.Seal(KeyOf(1, 15), nonce, {}, text, out.data()));
  EXPECT_FALSE(aead.Seal(KeyOf(1), ByteView(nonce).first(11), {}, text, out.data()));
  EXPECT_FALSE(aead.Open(KeyOf(1), nonce, {}, ByteView(text).first(15), out.data()));
  EXPECT_FALSE(aead.Open(KeyOf(1, 0), nonce, {}, text, out.data()));
  EXPECT_FALSE(aead.Open(KeyOf(1), nonce, {}, text, out.data()));
}

TEST(OpensslAeadTest, ManyKeysComeAndGo) {
  OpensslAead aead;
  const ByteVector nonce(kNonceSize, 3);
  const ByteVector text = {1, 2, 3};
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 700; ++i) {
      Keyring::Key key = KeyOf(static_cast<std::uint8_t>(i), 32);
      key[1] = static_cast<std::uint8_t>(i >> 8);
      ByteVector sealed(text.size() + kTagSize);
      ByteVector plain(text.size());
      ASSERT_TRUE(aead.Seal(key, nonce, text, text, sealed.data()));
      ASSERT_TRUE(aead.Open(key, nonce, text, sealed, plain.data()));
      ASSERT_EQ(plain, text);
      // A failure leaves the context usable.
      ASSERT_FALSE(aead.Open(key, nonce, {}, sealed, plain.data()));
    }
  }
}

// Opens nothing, and counts the bytes that it tries.
class TryingAead final : public Aead {
 public:
  bool Seal(ByteView, ByteView, ByteView, ByteView, std::uint8_t*) override { return false; }
  bool Open(ByteView, ByteView, ByteView, ByteView sealed, std::uint8_t*) override {
    ++trials;
    bytes += sealed.size();
    return false;
  }
  std::unique_ptr<AeadStream> BeginSeal(ByteView, ByteView, ByteView) override { return nullptr; }
  std::unique_ptr<AeadStream> BeginOpen(ByteView, ByteView, ByteView) override {
    ++trials;
    return nullptr;
  }

  std::size_t trials = 0;
  std::size_t bytes = 0;
};

// The cost of a foreign packet is bounded, however many keys there are.
TEST(SealTest, FewKeysAreTriedOnWhatIsLarge) {
  Keyring ring;
  for (int i = 0; i < 256; ++i) ASSERT_TRUE(ring.Add(KeyOf(static_cast<std::uint8_t>(i))).ok());
  ByteVector buffer;
  ByteView plain;
  for (const std::size_t size : {29u, 1400u, 4096u, 20000u, 65507u}) {
    const ByteVector foreign(size, 1);
    TryingAead aead;
    EXPECT_EQ(OpenSealed(foreign, {}, ring, aead, buffer, plain), OpenError::kNoKeyFits);
    EXPECT_EQ(aead.trials, size <= 4096 ? 256u : kTrialBytesMax / size) << size;
    EXPECT_LE(aead.bytes, kTrialBytesMax);
  }
  TryingAead aead;
  SealedOpener opener;
  Portion all = Portion::Unlimited();
  EXPECT_EQ(opener.Continue(ByteVector(4 << 20, 1), {}, ring, aead, all, buffer, plain),
            OpenError::kNoKeyFits);
  EXPECT_EQ(aead.trials, kTrialsMin);
}

TEST(OpensslAeadTest, AForgottenKeyMayComeBack) {
  OpensslAead aead;
  const ByteVector nonce(kNonceSize, 3);
  const ByteVector text = {1, 2, 3};
  ByteVector sealed(text.size() + kTagSize);
  ByteVector plain(text.size());
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(aead.Seal(KeyOf(1), nonce, text, text, sealed.data()));
    ASSERT_TRUE(aead.Open(KeyOf(1), nonce, text, sealed, plain.data()));
    EXPECT_EQ(plain, text);
    aead.Forget(KeyOf(1));
    aead.Forget(KeyOf(2));
  }
}

TEST(OpensslAeadTest, WorksInPlace) {
  OpensslAead aead;
  const ByteVector nonce(kNonceSize, 3);
  ByteVector text(1400, 5);
  text.resize(1400 + kTagSize);
  ASSERT_TRUE(aead.Seal(KeyOf(1), nonce, {}, ByteView(text).first(1400), text.data()));
  ASSERT_TRUE(aead.Open(KeyOf(1), nonce, {}, text, text.data()));
  text.resize(1400);
  EXPECT_EQ(text, ByteVector(1400, 5));
}

}  // namespace
}  // namespace serf::wire
