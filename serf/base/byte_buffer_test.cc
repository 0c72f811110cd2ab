#include "serf/base/byte_buffer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "serf/base/bytes.h"
#include "serf/base/rng.h"

namespace serf {
namespace {

TEST(ByteBufferTest, KeepsWhatWasAppended) {
  Rng rng(1);
  ByteBuffer buffer;
  ByteVector expected;
  EXPECT_TRUE(buffer.view().empty());
  buffer.Append({});
  EXPECT_EQ(buffer.size(), 0u);
  while (expected.size() < std::size_t{1} << 20) {
    ByteVector piece(rng.Below(std::uint64_t{1} << rng.Below(std::uint64_t{16})));
    for (std::uint8_t& byte : piece)
      byte = static_cast<std::uint8_t>(rng.Below(std::uint64_t{256}));
    buffer.Append(piece);
    Append(expected, piece);
    ASSERT_EQ(buffer.size(), expected.size());
  }
  EXPECT_TRUE(std::ranges::equal(buffer.view(), expected));
  buffer.Clear();
  EXPECT_EQ(buffer.size(), 0u);
  EXPECT_TRUE(buffer.view().empty());
  buffer.Append(AsBytes("again"));
  EXPECT_EQ(AsText(buffer.view()), "again");
}

}  // namespace
}  // namespace serf
