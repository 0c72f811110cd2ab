#include "serf/cmd/files/json_places.h"

#include <string>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

TEST(JsonPlacesTest, LinesAndColumns) {
  EXPECT_EQ(At("", 0), (LineColumn{1, 1}));
  EXPECT_EQ(At("ab\ncd", 0), (LineColumn{1, 1}));
  EXPECT_EQ(At("ab\ncd", 2), (LineColumn{1, 3}));
  EXPECT_EQ(At("ab\ncd", 3), (LineColumn{2, 1}));
  EXPECT_EQ(At("ab\n\xc3\xa9x", 5), (LineColumn{2, 2}));
  EXPECT_EQ(At("a", 9), (LineColumn{1, 2}));
}

TEST(JsonPlacesTest, FindsKeysAndValues) {
  const std::string text =
      "{\n  \"Node_Name\" : \"a}\\\"\",\n  \"tags\": {\"role\": \"x\", \"a.b\": \"y\"},\n"
      "  \"list\": [ 1, {\"scopes\": [true, null]}, -2.5e3 ],\n  \"empty\": {}, \"none\": [],\n"
      "  \"last\": false }  rest";
  const JsonPlaces places(text);
  const auto value = [&](absl::string_view path) -> std::string {
    const JsonPlaces::Place* const place = places.Find(path);
    return place == nullptr ? "none" : text.substr(place->value, place->end - place->value);
  };
  EXPECT_EQ(value("node_name"), "\"a}\\\"\"");
  EXPECT_EQ(value("tags[role]"), "\"x\"");
  EXPECT_EQ(value("tags.role"), "\"x\"");
  EXPECT_EQ(value("tags[a.b]"), "\"y\"");
  EXPECT_EQ(value("list[0]"), "1");
  EXPECT_EQ(value("list[1].scopes"), "[true, null]");
  EXPECT_EQ(value("list[1].scopes[1]"), "null");
  EXPECT_EQ(value("list[2]"), "-2.5e3");
  EXPECT_EQ(value("empty"), "{}");
  EXPECT_EQ(value("none"), "[]");
  EXPECT_EQ(value("last"), "false");
  EXPECT_EQ(value("nosuch"), "none");
  ASSERT_EQ(places.entries().size(), 6U);
  EXPECT_EQ(places.entries()[0].key, "Node_Name");
  EXPECT_EQ(At(text, places.Find("list[1].scopes")->key), (LineColumn{4, 17}));
}

TEST(JsonPlacesTest, EqualKeysAllHaveAnEntry) {
  EXPECT_EQ(JsonPlaces("{\"a\": 1, \"a\": 2}").entries().size(), 2U);
}

// Costs no call frames, however deep the text nests.
TEST(JsonPlacesTest, DeepTexts) {
  const std::string deep(9000, '[');
  const std::string text = "{\"a\": " + deep + std::string(9000, ']') + ", \"b\": 1}";
  const JsonPlaces places(text);
  ASSERT_NE(places.Find("b"), nullptr);
  EXPECT_EQ(text.substr(places.Find("b")->value, 1), "1");
}

// Whatever the text is, it ends, and stays within the text.
TEST(JsonPlacesTest, BrokenTexts) {
  for (const char* text :
       {"", "{", "[", "\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\": [", "x", "}", "]"}) {
    const JsonPlaces places(text);
    for (const auto& entry : places.entries()) {
      EXPECT_LE(entry.place.value, std::string(text).size());
    }
  }
}

}  // namespace
}  // namespace serf::cmd
