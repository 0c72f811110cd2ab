#include "serf/rpc/object_scanner.h"

#include <chrono>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/rpc/protocol.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::rpc {
namespace {

using Result = ObjectScanner::Result;

constexpr std::size_t kMax = 1000;

Result ScanHex(absl::string_view hex) {
  ObjectScanner scanner;
  return scanner.Scan(testkit::Unhex(hex), kMax);
}

TEST(ObjectScannerTest, FindsTheEndOfEveryForm) {
  const char* const objects[] = {
      "00",
      "7f",
      "e0",
      "ff",
      "c0",
      "c2",
      "c3",
      "80",
      "90",
      "a0",
      "a3616263",
      "8100c0",
      "920102",
      "9190",
      "9181a09100",
      "c400",
      "c4021122",
      "c5000111",
      "c60000000111",
      "c7010511",
      "c800010511",
      "c9000000010511",
      "ca00000000",
      "cb0000000000000000",
      "cc80",
      "cd8000",
      "ce80000000",
      "cf8000000000000000",
      "d080",
      "d18000",
      "d280000000",
      "d38000000000000000",
      "d40511",
      "d5051122",
      "d60511223344",
      "d7051122334455667788",
      "d80511223344556677881122334455667788",
      "d90161",
      "da000161",
      "db0000000161",
      "dc000101",
      "dd0000000101",
      "de00010102",
      "df000000010102",
      "82a154c0a156920182a0a0c0c0",
  };
  for (const char* const hex : objects) {
    SCOPED_TRACE(hex);
    const ByteVector object = testkit::Unhex(hex);
    ByteVector bytes = object;
    bytes.push_back(0x91);  // the next object
    ObjectScanner scanner;
    for (std::size_t n = 0; n < object.size(); ++n) {
      ASSERT_EQ(scanner.Scan(ByteView(bytes).first(n), kMax), Result::kNeedMore) << n;
    }
    ASSERT_EQ(scanner.Scan(bytes, kMax), Result::kComplete);
    EXPECT_EQ(scanner.size(), object.size());
    scanner.Reset();
    EXPECT_EQ(scanner.Scan(object, kMax), Result::kComplete);
  }
}

TEST(ObjectScannerTest, RefusesTheReservedByte) {
  EXPECT_EQ(ScanHex("c1"), Result::kInvalid);
  EXPECT_EQ(ScanHex("9101"), Result::kComplete);
  EXPECT_EQ(ScanHex("91c1"), Result::kInvalid);
}

// The scanner refuses at the announcement, before the bytes come.
TEST(ObjectScannerTest, RefusesWhatCannotFit) {
  for (const char* const hex :
       {"dd0100000a", "c90100000a", "da03e6", "dc03ea", "de0200", "92dc0200dc0200"}) {
    EXPECT_EQ(ScanHex(hex), Result::kInvalid) << hex;
  }
  Rng rng(1);
  for (const ByteVector& start : {ByteVector(), testkit::UnknownKey()}) {
    for (const std::uint8_t head : testkit::kHeads32) {
      const std::string hex = testkit::Hex(testkit::Announcing(rng, start, head));
      EXPECT_EQ(ScanHex(hex), Result::kInvalid) << hex;
    }
  }
  EXPECT_EQ(ScanHex("da03e5"), Result::kNeedMore);  // 3 + 997 bytes
  EXPECT_EQ(ScanHex("dc03e5"), Result::kNeedMore);
  EXPECT_EQ(ScanHex("de01f2"), Result::kNeedMore);  // 3 + 2 * 498 bytes
}

TEST(ObjectScannerTest, BoundsTheNesting) {
  ByteVector deep(kNestingMax, 0x91);
  deep.push_back(0xc0);
  ObjectScanner scanner;
  EXPECT_EQ(scanner.Scan(deep, kRequestSizeMax), Result::kComplete);
  deep.insert(deep.begin(), 0x91);
  scanner.Reset();
  EXPECT_EQ(scanner.Scan(deep, kRequestSizeMax), Result::kInvalid);
  // An empty container holds nothing, so it does not nest.
  deep.assign(kNestingMax, 0x91);
  deep.push_back(0x90);
  scanner.Reset();
  EXPECT_EQ(scanner.Scan(deep, kRequestSizeMax), Result::kComplete);
}

// The scanner looks at a megabyte that comes in single bytes once, not half a million times.
TEST(ObjectScannerTest, PiecesCostNoMoreThanTheWhole) {
  ByteVector list = testkit::Unhex("dd000ffff0");
  list.resize(list.size() + 0x0ffff0, 0xc0);
  ObjectScanner scanner;
  const auto start = std::chrono::steady_clock::now();
  for (std::size_t n = 1; n < list.size(); ++n) {
    ASSERT_EQ(scanner.Scan(ByteView(list).first(n), list.size()), Result::kNeedMore);
  }
  EXPECT_EQ(scanner.Scan(list, list.size()), Result::kComplete);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
}

}  // namespace
}  // namespace serf::rpc
