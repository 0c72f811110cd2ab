#include "serf/wire/crc32.h"

#include <cstddef>
#include <cstdint>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/rng.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Hex;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::Unhex;

std::uint32_t BitByBit(ByteView bytes) {
  std::uint32_t crc = 0xffffffffu;
  for (const std::uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
  }
  return ~crc;
}

TEST(Crc32Test, KnownValues) {
  EXPECT_EQ(Crc32(ByteView()), 0u);
  EXPECT_EQ(Crc32(AsBytes("123456789")), 0xcbf43926u);
}

TEST(Crc32Test, AgreesWithTheSlowOne) {
  Rng rng(3);
  ByteVector bytes;
  for (int size = 0; size < 200; ++size) {
    EXPECT_EQ(Crc32(bytes), BitByBit(bytes)) << size;
    bytes.push_back(static_cast<std::uint8_t>(rng.Next()));
  }
}

TEST(Crc32Test, WrapperVectors) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "crc") continue;
    const std::string name = vector["name"];
    SCOPED_TRACE(name);
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    EXPECT_EQ(HasCrc(bytes), name != "crc-short");
    ++checked;
    if (!HasCrc(bytes)) continue;
    ByteView inner;
    EXPECT_EQ(OpenCrc(bytes, inner), name != "crc-bad");
    if (vector["decoded"]["outcome"] != "accept") continue;
    EXPECT_EQ(Hex(inner), vector["decoded"]["inner_hex"]);
    ByteVector again(kCrcHeaderSize);
    WriteCrcHeader(inner, again.data());
    Append(again, inner);
    EXPECT_EQ(Hex(again), Hex(bytes));
  }
  EXPECT_EQ(checked, 5);
}

}  // namespace
}  // namespace serf::wire
