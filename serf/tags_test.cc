#include "serf/tags.h"

#include <array>
#include <cstdint>
#include <string>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace serf {
namespace {

using wire::DecodeResult;

std::string Hex(ByteView bytes) { return absl::BytesToHexString(AsText(bytes)); }

std::string Encoded(const Tags& tags, std::uint8_t version) {
  const absl::StatusOr<ByteVector> meta = EncodeTags(tags, version);
  return meta.ok() ? Hex(*meta) : std::string(meta.status().message());
}

DecodeResult DecodeHex(const char* hex, Tags& tags) {
  const std::string bytes = absl::HexStringToBytes(hex);
  return DecodeTags(AsBytes(bytes), tags);
}

Tags Decoded(const char* hex) {
  Tags tags;
  EXPECT_EQ(DecodeHex(hex, tags), DecodeResult::kOk) << hex;
  return tags;
}

TEST(TagsTest, EncodesAMapSinceVersionThree) {
  for (const std::uint8_t version : std::to_array<std::uint8_t>({3, 4, 5})) {
    EXPECT_EQ(Encoded({}, version), "ff80");
    EXPECT_EQ(Encoded({{"role", "web"}}, version), "ff81a4726f6c65a3776562");
    EXPECT_EQ(Encoded({{"role", "web"}, {"dc", "east"}}, version),
              "ff82a26463a465617374a4726f6c65a3776562");
  }
}

TEST(TagsTest, EncodesTheBareRoleBefore) {
  EXPECT_EQ(Encoded({{"role", "web"}, {"dc", "east"}}, 2), "776562");
  EXPECT_EQ(Encoded({{"dc", "east"}}, 2), "");
}

TEST(TagsTest, LimitsTheEncodedLength) {
  EXPECT_EQ(Encoded({{"k", std::string(505, 'x')}}, 5).size(), 2 * wire::kMetaMax);
  EXPECT_EQ(Encoded({{"k", std::string(506, 'x')}}, 5),
            "Encoded length of tags exceeds limit of 512 bytes");
  EXPECT_EQ(Encoded({{"role", std::string(513, 'x')}}, 2),
            "Encoded length of tags exceeds limit of 512 bytes");
}

// Go Serf sends tags in any order. No node should send one name twice.
TEST(TagsTest, ViewsAreSortedAndTheLastOfOneNameCounts) {
  for (const char* hex :
       {"ff80", "ffc0", "", "776562", "ff81a4726f6c65a3776562",
        "ff82a26463a465617374a4726f6c65a3776562", "ff82a4726f6c65a3776562a26463a465617374",
        "ff84a162a131a161a132a162a133a162a134", "ff82a162a131a162"}) {
    Tags tags;
    TagViews views = {{"old", "tag"}};
    const std::string meta = absl::HexStringToBytes(hex);
    EXPECT_EQ(DecodeTags(AsBytes(meta), views), DecodeTags(AsBytes(meta), tags)) << hex;
    EXPECT_EQ(views, TagViews(tags.begin(), tags.end())) << hex;
    for (const auto& [name, value] : tags) EXPECT_EQ(FindTag(views, name), value) << hex;
    EXPECT_EQ(FindTag(views, "none"), "");
  }
}

TEST(TagsTest, DecodesBothForms) {
  EXPECT_EQ(Decoded("ff80"), Tags{});
  EXPECT_EQ(Decoded("ffc0"), Tags{});
  EXPECT_EQ(Decoded("ff81a4726f6c65a3776562"), (Tags{{"role", "web"}}));
  EXPECT_EQ(Decoded("ff81a4726f6c65a377656201"), (Tags{{"role", "web"}}));
  EXPECT_EQ(Decoded("ff81a4726f6c65d903776562"), (Tags{{"role", "web"}}));
  EXPECT_EQ(Decoded("6c62"), (Tags{{"role", "lb"}}));
  EXPECT_EQ(Decoded(""), (Tags{{"role", ""}}));
}

TEST(TagsTest, KeepsWhatIsBeforeAFault) {
  Tags tags;
  EXPECT_NE(DecodeHex("ff82a161a162a163", tags), DecodeResult::kOk);
  EXPECT_EQ(tags, (Tags{{"a", "b"}}));
  for (const char* bad : {"ff", "ff01", "ff91a161", "ffdf00000002", "ff81a16101"}) {
    tags.clear();
    EXPECT_NE(DecodeHex(bad, tags), DecodeResult::kOk) << bad;
    EXPECT_TRUE(tags.empty()) << bad;
  }
}

}  // namespace
}  // namespace serf
