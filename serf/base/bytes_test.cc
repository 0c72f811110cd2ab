#include "serf/base/bytes.h"

#include "gtest/gtest.h"

namespace serf {
namespace {

TEST(BytesTest, TextAndBytesAreTheSameMemory) {
  const absl::string_view text("a\0\xff", 3);
  const ByteView bytes = AsBytes(text);
  ASSERT_EQ(bytes.size(), 3u);
  EXPECT_EQ(bytes[1], 0);
  EXPECT_EQ(bytes[2], 0xff);
  EXPECT_EQ(AsText(bytes), text);
  EXPECT_EQ(AsText(bytes).data(), text.data());
}

TEST(BytesTest, EmptyTextIsNotAbsentBytes) {
  EXPECT_EQ(ByteView().data(), nullptr);
  EXPECT_NE(AsBytes("").data(), nullptr);
  EXPECT_TRUE(AsBytes("").empty());
}

TEST(BytesTest, Appends) {
  ByteVector out = {1};
  Append(out, ByteVector{2, 3});
  Append(out, ByteView());
  EXPECT_EQ(out, (ByteVector{1, 2, 3}));
}

}  // namespace
}  // namespace serf
