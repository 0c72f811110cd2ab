#include "serf/cmd/commands/query_answers.h"

#include <string>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

TEST(QueryAnswersTest, OneLineForEachAck) {
  QueryAnswers answers(/*acks=*/true);
  EXPECT_EQ(answers.OnAck("alpha"), "Ack from 'alpha'\n");
  EXPECT_EQ(answers.OnAck("x'\nAck from 'y"), "Ack from 'x'\\nAck from 'y'\n");
  EXPECT_EQ(answers.Totals(), "Total Acks: 2\nTotal Responses: 0\n");
}

TEST(QueryAnswersTest, ResponsesAsTheyAreButForOneLineFeed) {
  const struct {
    const char* payload;
    const char* line;
  } kCases[] = {
      {"1.02", "Response from 'alpha': 1.02\n"},
      {"1.02\n", "Response from 'alpha': 1.02\n"},
      {"1.02\n\n", "Response from 'alpha': 1.02\n\n"},
      {"a\nb\x1b[1m\n", "Response from 'alpha': a\nb\x1b[1m\n"},
      {"\n", "Response from 'alpha': \n"},
      {"", "Response from 'alpha': \n"},
  };
  QueryAnswers answers(/*acks=*/false);
  for (const auto& c : kCases) EXPECT_EQ(answers.OnResponse("alpha", c.payload), c.line);
  EXPECT_EQ(answers.Totals(), "Total Responses: 6\n");
}

TEST(QueryAnswersTest, Json) {
  QueryAnswers answers(/*acks=*/true);
  EXPECT_EQ(answers.ToJson(), "{\n  \"Acks\": null,\n  \"Responses\": {}\n}\n");
  answers.OnAck("beta");
  answers.OnAck("alpha");
  answers.OnResponse("beta", "0.50");
  answers.OnResponse("alpha", "<\xff>\n");
  // Acks stand in the order of their arrival, responses by name. Line feeds stay, and bytes that
  // are not UTF-8 are replaced.
  EXPECT_EQ(answers.ToJson(),
            "{\n  \"Acks\": [\n    \"beta\",\n    \"alpha\"\n  ],\n  \"Responses\": {\n"
            "    \"alpha\": \"\\u003c\\ufffd\\u003e\\n\",\n    \"beta\": \"0.50\"\n  }\n}\n");
}

}  // namespace
}  // namespace serf::cmd
