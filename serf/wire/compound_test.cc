#include "serf/wire/compound.h"

#include <cstddef>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/testing/vectors/vectors.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Hex;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::Unhex;

TEST(CompoundTest, VectorsInBothDirections) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "compound") continue;
    SCOPED_TRACE(vector["name"].get<std::string>());
    const auto& decoded = vector["decoded"];
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    CompoundReader reader(ByteView(bytes).subspan(1));
    EXPECT_EQ(reader.valid(), decoded["outcome"] == "accept");
    std::vector<ByteView> parts;
    std::vector<std::string> texts;
    for (ByteView part; reader.Next(part);) {
      parts.push_back(part);
      texts.push_back(Hex(part));
    }
    ++checked;
    if (!reader.valid()) continue;
    EXPECT_EQ(reader.truncated(), decoded["truncated"]);
    if (!decoded["parts_hex"].is_null()) {
      EXPECT_EQ(nlohmann::json(texts), decoded["parts_hex"]);
    }
    if (parts.empty() || reader.truncated() > 0) continue;
    ByteVector again;
    AppendCompound(parts, again);
    EXPECT_EQ(again.size(), CompoundSize(parts));
    EXPECT_EQ(Hex(again), Hex(ByteView(bytes).first(again.size())));
  }
  EXPECT_EQ(checked, 10);
}

TEST(CompoundTest, MessagesTravelBareOrTogether) {
  const ByteVector message = {8, 1};
  std::vector<ByteView> messages;
  ByteVector out;
  EXPECT_EQ(AppendMessages(messages, out), 0u);
  EXPECT_TRUE(out.empty());
  messages.assign(1, message);
  EXPECT_EQ(AppendMessages(messages, out), 1u);
  EXPECT_EQ(out, message);
  out.clear();
  messages.assign(300, message);
  EXPECT_EQ(AppendMessages(messages, out), kCompoundPartsMax);
  EXPECT_EQ(out[1], 255);
  EXPECT_EQ(out.size(), CompoundSize(std::span(messages).first(kCompoundPartsMax)));
  out.clear();
  EXPECT_EQ(AppendMessages(std::span(messages).subspan(kCompoundPartsMax), out), 45u);
  EXPECT_EQ(out[1], 45);
}

}  // namespace
}  // namespace serf::wire
