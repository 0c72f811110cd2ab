#include "serf/wire/label.h"

#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/testing/vectors/vectors.h"

namespace serf::wire {
namespace {

using ::serf::testkit::Hex;
using ::serf::testkit::LoadVectors;
using ::serf::testkit::Unhex;

TEST(LabelTest, VectorsInBothDirections) {
  int checked = 0;
  for (const auto& vector : LoadVectors("memberlist.json")) {
    if (vector["layer"] != "label") continue;
    const std::string name = vector["name"];
    SCOPED_TRACE(name);
    const ByteVector bytes = Unhex(vector["hex"].get<std::string>());
    absl::string_view label;
    ByteView rest;
    const LabelError error = SplitLabel(bytes, label, rest);
    ++checked;
    if (name == "label-hdr-1byte" || name == "label-hdr-short") {
      EXPECT_EQ(error, LabelError::kTruncated);
    } else if (name == "label-hdr-zero") {
      EXPECT_EQ(error, LabelError::kZeroLength);
    } else {
      ASSERT_EQ(error, LabelError::kOk);
      EXPECT_EQ(label, vector["decoded"]["label"].get<std::string>());
      if (vector["decoded"].contains("inner_hex")) {
        EXPECT_EQ(Hex(rest), vector["decoded"]["inner_hex"]);
      }
      ByteVector again;
      AppendLabelHeader(label, again);
      EXPECT_EQ(again.size(), LabelOverhead(label));
      Append(again, rest);
      EXPECT_EQ(Hex(again), Hex(bytes));
    }
  }
  EXPECT_EQ(checked, 10);
}

TEST(LabelTest, NoHeaderMeansNoLabel) {
  const ByteVector bytes = {8, 'x'};
  absl::string_view label = "old";
  ByteView rest;
  EXPECT_EQ(SplitLabel(bytes, label, rest), LabelError::kOk);
  EXPECT_TRUE(label.empty());
  EXPECT_EQ(rest.size(), 2u);
  EXPECT_EQ(SplitLabel(ByteView(), label, rest), LabelError::kOk);
  EXPECT_TRUE(rest.empty());
  ByteVector out;
  AppendLabelHeader("", out);
  EXPECT_TRUE(out.empty());
  EXPECT_EQ(LabelOverhead(""), 0u);
}

}  // namespace
}  // namespace serf::wire
