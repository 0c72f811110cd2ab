#include "serf/rpc/event_filter.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace serf::rpc {
namespace {

struct Case {
  const char* filter;
  EventType type;
  const char* name;
  bool matches;
};

TEST(EventFilterTest, Matches) {
  const Case cases[] = {
      {"", EventType::kMemberJoin, "", true},
      {"*", EventType::kQuery, "load", true},
      {"member-join", EventType::kMemberJoin, "", true},
      {"member-join", EventType::kMemberLeave, "", false},
      {"member-leave,member-reap", EventType::kMemberReap, "", true},
      {"member-leave,member-reap", EventType::kMemberFailed, "", false},
      {"user", EventType::kUser, "deploy", true},
      {"user", EventType::kQuery, "deploy", false},
      {"user:", EventType::kUser, "deploy", true},
      {"user:deploy", EventType::kUser, "deploy", true},
      {"user:deploy", EventType::kUser, "deploy2", false},
      {"user:deploy", EventType::kUser, "", false},
      {"user:a:b", EventType::kUser, "a:b", true},
      {"query:load", EventType::kQuery, "load", true},
      {"query:load", EventType::kUser, "load", false},
      {"user:a,user:b", EventType::kUser, "b", true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.filter);
    const std::optional<EventFilter> filter = EventFilter::Parse(c.filter);
    ASSERT_TRUE(filter);
    EXPECT_EQ(filter->Matches(c.type, c.name), c.matches);
  }
}

TEST(EventFilterTest, RefusesWhatIsNotOfTheGrammar) {
  for (const char* const text : {"member", "member-join:x", "user,", ",user", "user, query", " *",
                                 "*:", "users", "User", "member-join,,member-leave"}) {
    EXPECT_FALSE(EventFilter::Parse(text)) << text;
  }
}

TEST(EventFilterTest, BoundsTheElements) {
  std::string text = "*";
  for (std::size_t i = 1; i < kFilterElementsMax; ++i) text += ",*";
  EXPECT_TRUE(EventFilter::Parse(text));
  EXPECT_FALSE(EventFilter::Parse(text + ",*"));
}

}  // namespace
}  // namespace serf::rpc
