#include "serf/wire/lzw.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/portion.h"
#include "serf/base/rng.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Hex;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::Unhex;

constexpr std::size_t kPlenty = 1 << 26;

ByteVector Compressed(ByteView input) {
  LzwEncoder encoder;
  ByteVector out;
  EXPECT_TRUE(encoder.Encode(input, kPlenty, out));
  return out;
}

LzwResult Expand(ByteView input, ByteVector& out, std::size_t max = kPlenty) {
  LzwDecoder decoder;
  out.clear();
  return decoder.Decode(input, max, out);
}

// The plaintext of a compress vector: given, or by its rule.
ByteVector PlaintextOf(const nlohmann::json& vector) {
  const auto& decoded = vector["decoded"];
  if (decoded.contains("plaintext_hex")) return Unhex(decoded["plaintext_hex"].get<std::string>());
  if (vector["name"] == "compress-zeros-20000") return ByteVector(20000, 0);
  EXPECT_EQ(vector["name"], "compress-tablefull");
  ByteVector plain;
  std::uint32_t x = 2463534242u;
  for (int i = 0; i < 6000; ++i) {
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    plain.push_back(static_cast<std::uint8_t>(x));
  }
  return plain;
}

TEST(LzwTest, VectorsInBothDirections) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "compress") continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const ByteVector plain = PlaintextOf(vector);
    const ByteVector bytes = Unhex(vector["decoded"]["fields"]["Buf"]["hex"].get<std::string>());
    EXPECT_EQ(Hex(Compressed(plain)), Hex(bytes));
    ByteVector out;
    EXPECT_EQ(Expand(bytes, out), LzwResult::kOk);
    EXPECT_EQ(Hex(out), Hex(plain));
    ++checked;
  }
  EXPECT_EQ(checked, 7);
}

TEST(LzwTest, RoundTripsAllLengthsAndManyClears) {
  Rng rng(11);
  LzwEncoder encoder;
  LzwDecoder decoder;
  ByteVector plain;
  ByteVector compressed;
  ByteVector out;
  for (std::size_t size = 0; size < 1500; ++size) {
    // From one symbol (long matches) to all of them (none).
    const std::uint64_t symbols = std::uint64_t{1} << rng.Below(std::uint64_t{9});
    plain.clear();
    const std::size_t length = size < 1490 ? size : 20000 * (size - 1489);
    for (std::size_t i = 0; i < length; ++i) {
      plain.push_back(static_cast<std::uint8_t>(rng.Below(symbols)));
    }
    compressed.clear();
    ASSERT_TRUE(encoder.Encode(plain, kPlenty, compressed));
    out.clear();
    ASSERT_EQ(decoder.Decode(compressed, plain.size(), out), LzwResult::kOk);
    ASSERT_EQ(out, plain);
  }
}

TEST(LzwTest, AppendsToWhatIsThere) {
  ByteVector out = {7, 7};
  LzwEncoder encoder;
  const ByteVector plain = {1, 2, 1, 2, 1, 2, 1, 2};
  ASSERT_TRUE(encoder.Encode(plain, kPlenty, out));
  EXPECT_EQ(out[0], 7);
  ByteVector expanded = {9};
  LzwDecoder decoder;
  ASSERT_EQ(decoder.Decode(ByteView(out).subspan(2), kPlenty, expanded), LzwResult::kOk);
  ASSERT_EQ(expanded.size(), 1 + plain.size());
  EXPECT_TRUE(std::equal(plain.begin(), plain.end(), expanded.begin() + 1));
}

// A portion at a time, both ways: the same bytes, and the size is known before.
TEST(LzwTest, PortionsGiveTheSameBytes) {
  Rng rng(13);
  for (const std::size_t length : {0u, 1u, 300u, 200000u}) {
    ByteVector plain;
    while (plain.size() < length) {
      plain.insert(plain.end(), 1 + rng.Below(std::uint64_t{400}),
                   static_cast<std::uint8_t>(rng.Below(std::uint64_t{7})));
    }
    LzwEncoder encoder;
    ByteVector compressed;
    encoder.Start(compressed);
    for (ByteView rest = plain; !rest.empty();) {
      const std::size_t piece = std::min<std::size_t>(rest.size(), rng.Below(std::uint64_t{900}));
      encoder.Add(rest.first(piece), compressed);
      rest = rest.subspan(piece);
    }
    encoder.Finish(compressed);
    EXPECT_EQ(Hex(compressed), Hex(Compressed(plain)));
    LzwDecoder decoder;
    const auto small = [] {
      Portion portion;
      portion.Spend(Portion::kWhole - 1000);
      return portion;
    };
    int turns = 1;
    decoder.Start();
    LzwResult result;
    for (;; ++turns) {
      Portion portion = small();
      result = decoder.Measure(compressed, kPlenty, portion);
      if (result != LzwResult::kUnfinished) break;
    }
    EXPECT_EQ(result, LzwResult::kOk);
    EXPECT_EQ(decoder.size(), plain.size());
    EXPECT_EQ(turns, 1 + static_cast<int>(compressed.size() / 1000));
    ByteVector out = {7};
    decoder.Start();
    for (turns = 1;; ++turns) {
      Portion portion = small();
      const std::size_t before = out.size();
      result = decoder.Continue(compressed, kPlenty, portion, out);
      // The last expansion may go beyond, by less than the length of the table.
      ASSERT_LE(out.size() - before, 1000u + kLzwCodes);
      if (result != LzwResult::kUnfinished) break;
    }
    EXPECT_EQ(result, LzwResult::kOk);
    EXPECT_GE(turns, static_cast<int>(plain.size() / (1000 + kLzwCodes)));
    ASSERT_EQ(out.size(), 1 + plain.size());
    EXPECT_TRUE(std::equal(plain.begin(), plain.end(), out.begin() + 1));
  }
}

TEST(LzwTest, EncoderStopsAtItsLimit) {
  const ByteVector plain(1000, 5);
  const std::size_t size = Compressed(plain).size();
  LzwEncoder encoder;
  ByteVector out = {1};
  EXPECT_FALSE(encoder.Encode(plain, size - 1, out));
  EXPECT_EQ(out, ByteVector{1});
  EXPECT_TRUE(encoder.Encode(plain, size, out));
  EXPECT_EQ(out.size(), 1 + size);
}

TEST(LzwTest, DecoderStopsAtItsLimit) {
  const ByteVector bomb = Compressed(ByteVector(1 << 20, 0));
  ByteVector out;
  EXPECT_EQ(Expand(bomb, out, 1000), LzwResult::kTooLarge);
  EXPECT_LE(out.size(), 1000u);
  EXPECT_EQ(Expand(bomb, out, (1 << 20) - 1), LzwResult::kTooLarge);
  EXPECT_EQ(Expand(bomb, out, 1 << 20), LzwResult::kOk);
  EXPECT_EQ(Expand(Compressed(ByteVector{1}), out, 0), LzwResult::kTooLarge);
}

TEST(LzwTest, TheEndCodeIsRequired) {
  ByteVector bytes = Compressed(ByteVector(100, 3));
  ByteVector out;
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Expand(ByteView(bytes).first(size), out), LzwResult::kTruncated) << size;
  }
  bytes.insert(bytes.end(), {0xff, 0xff, 0xff});  // ignored
  EXPECT_EQ(Expand(bytes, out), LzwResult::kOk);
  EXPECT_EQ(out, ByteVector(100, 3));
}

TEST(LzwTest, AMissingFirstClearIsAccepted) {
  ByteVector out;
  EXPECT_EQ(Expand(Unhex("08c20404"), out), LzwResult::kOk);
  EXPECT_EQ(Hex(out), "0861");
}

TEST(LzwTest, CodesWithoutAnEntryAreRefused) {
  ByteVector out;
  EXPECT_EQ(Expand(Unhex("ffffff"), out), LzwResult::kBadCode);
  // clear, then entry 258 while there is none.
  EXPECT_EQ(Expand(Unhex("00050200"), out), LzwResult::kBadCode);
}

// Packs codes of 9 bits.
ByteVector Pack9(std::initializer_list<unsigned> codes) {
  ByteVector out;
  std::uint64_t bits = 0;
  unsigned count = 0;
  for (const unsigned code : codes) {
    bits |= static_cast<std::uint64_t>(code) << count;
    for (count += 9; count >= 8; count -= 8, bits >>= 8) {
      out.push_back(static_cast<std::uint8_t>(bits));
    }
  }
  out.push_back(static_cast<std::uint8_t>(bits));
  return out;
}

TEST(LzwTest, AnEntryMayUseItself) {
  ByteVector out;
  ASSERT_EQ(Expand(Pack9({256, 'a', 258, 259, 257}), out), LzwResult::kOk);
  EXPECT_EQ(AsText(out), "aaaaaa");
}

TEST(LzwTest, AClearForgetsTheTable) {
  ByteVector out;
  EXPECT_EQ(Expand(Pack9({256, 'a', 'b', 258, 256, 'c', 257}), out), LzwResult::kOk);
  EXPECT_EQ(AsText(out), "ababc");
  EXPECT_EQ(Expand(Pack9({256, 'a', 'b', 256, 258, 257}), out), LzwResult::kBadCode);
}

// A full table stays without new entries until a clear. The encoder never gets there, since it
// clears one entry earlier.
TEST(LzwTest, AFullTableStays) {
  ByteVector bytes;
  std::uint64_t bits = 0;
  unsigned count = 0;
  const auto emit = [&](unsigned code, unsigned width) {
    bits |= static_cast<std::uint64_t>(code) << count;
    for (count += width; count >= 8; count -= 8, bits >>= 8) {
      bytes.push_back(static_cast<std::uint8_t>(bits));
    }
  };
  unsigned hi = 257;
  unsigned width = 9;
  for (int i = 0; i < 5000; ++i) {
    emit('x', width);
    if (++hi == 1u << width) {
      if (width < 12)
        ++width;
      else
        --hi;
    }
  }
  emit(4095, 12);  // the last entry: two bytes
  emit(257, 12);
  bytes.push_back(static_cast<std::uint8_t>(bits));
  ByteVector out;
  ASSERT_EQ(Expand(bytes, out), LzwResult::kOk);
  EXPECT_EQ(out, ByteVector(5002, 'x'));
}

TEST(LzwTest, NoiseIsHandled) {
  Rng rng(12);
  LzwDecoder decoder;
  ByteVector out;
  for (int i = 0; i < 20000; ++i) {
    ByteVector noise(rng.Below(std::uint64_t{64}));
    for (std::uint8_t& byte : noise) byte = static_cast<std::uint8_t>(rng.Next());
    out.clear();
    decoder.Decode(noise, 256, out);
    ASSERT_LE(out.size(), 256u);
  }
}

}  // namespace
}  // namespace serf::wire
