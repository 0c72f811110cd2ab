#include "serf/transport/join_list.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/endpoint.h"

namespace serf::transport {
namespace {

std::vector<swim::JoinTarget> Targets(int count) {
  std::vector<swim::JoinTarget> targets;
  for (int i = 1; i <= count; ++i) {
    const Endpoint endpoint{IpAddress::V4(10, 0, 0, static_cast<std::uint8_t>(i)), 7946};
    targets.push_back({endpoint.ToString(), endpoint});
  }
  return targets;
}

// "look up db", "join db 10.0.0.1:7946", "" for nothing.
std::string Next(JoinList& list) {
  const std::optional<JoinList::Step> step = list.Next();
  if (!step) return "";
  if (!step->target) return absl::StrCat("look up ", list.text(step->entry));
  return absl::StrCat("join ", list.text(step->entry), " ", step->target->text);
}

TEST(JoinListTest, ErrorsComeInTheOrderOfTheEntries) {
  JoinList list({"dead", "two", "one"});
  for (const char* want : {"look up dead", "look up two", "look up one", ""}) {
    EXPECT_EQ(Next(list), want);
  }
  // A name without an answer does not delay the others.
  list.OnResolved(2, Targets(1));
  EXPECT_EQ(Next(list), "join one 10.0.0.1:7946");
  list.OnResolved(1, Targets(2));
  EXPECT_EQ(Next(list), "join two 10.0.0.1:7946");
  EXPECT_EQ(Next(list), "join two 10.0.0.2:7946");
  list.OnJoined(2, 0, "one refused");
  list.OnJoined(1, 1, "two.2 refused");
  list.OnJoined(1, 0, "");
  EXPECT_FALSE(list.ended());
  list.OnResolved(0, absl::NotFoundError("dead: no such host"));
  EXPECT_TRUE(list.ended());
  EXPECT_EQ(list.contacted(), 1);
  EXPECT_EQ(list.TakeErrors(),
            (std::vector<std::string>{"dead: no such host", "two.2 refused", "one refused"}));
}

TEST(JoinListTest, AFewAtATime) {
  constexpr std::size_t kEntries = 3 * JoinList::kAtOnceMax;
  std::vector<std::string> entries;
  for (std::size_t i = 0; i < kEntries; ++i) entries.push_back(absl::StrCat("e", i));
  JoinList list(entries);
  for (std::size_t i = 0; i < JoinList::kAtOnceMax; ++i) {
    EXPECT_EQ(Next(list), absl::StrCat("look up e", i));
  }
  EXPECT_EQ(Next(list), "");
  list.OnResolved(3, Targets(2));
  EXPECT_EQ(Next(list), "join e3 10.0.0.1:7946");
  EXPECT_EQ(Next(list), "");
  list.OnResolved(5, absl::NotFoundError("no such host"));
  EXPECT_EQ(Next(list), "join e3 10.0.0.2:7946");
  list.OnJoined(3, 0, "");
  EXPECT_EQ(Next(list), absl::StrCat("look up e", JoinList::kAtOnceMax));
  EXPECT_EQ(Next(list), "");
}

TEST(JoinListTest, StopsWhenItIsToldTo) {
  JoinList list({"a", "b", "c"});
  EXPECT_EQ(Next(list), "look up a");
  list.OnResolved(0, Targets(2));
  EXPECT_EQ(Next(list), "join a 10.0.0.1:7946");
  EXPECT_EQ(Next(list), "join a 10.0.0.2:7946");
  EXPECT_EQ(Next(list), "look up b");
  list.Stop();
  EXPECT_EQ(Next(list), "");
  // Contacts that have begun come to their end, but a lookup leads to none.
  list.OnResolved(1, Targets(1));
  EXPECT_EQ(Next(list), "");
  list.OnJoined(0, 0, "");
  EXPECT_EQ(Next(list), "");
  EXPECT_FALSE(list.ended());
  list.OnJoined(0, 1, "refused");
  EXPECT_TRUE(list.ended());
  EXPECT_EQ(list.contacted(), 1);
  EXPECT_EQ(list.TakeErrors(), std::vector<std::string>{"refused"});
}

TEST(JoinListTest, ContactsNobodyAfterAStop) {
  JoinList looks_up({"a"});
  EXPECT_EQ(Next(looks_up), "look up a");
  looks_up.Stop();
  EXPECT_FALSE(looks_up.ended());
  looks_up.OnResolved(0, Targets(2));
  EXPECT_EQ(Next(looks_up), "");
  EXPECT_TRUE(looks_up.ended());

  JoinList has_addresses({"a"});
  EXPECT_EQ(Next(has_addresses), "look up a");
  has_addresses.OnResolved(0, Targets(2));
  has_addresses.Stop();
  EXPECT_EQ(Next(has_addresses), "");
  EXPECT_TRUE(has_addresses.ended());
  EXPECT_TRUE(has_addresses.TakeErrors().empty());
}

TEST(JoinListTest, NothingToDo) {
  JoinList list({});
  EXPECT_EQ(Next(list), "");
  EXPECT_TRUE(list.ended());
}

}  // namespace
}  // namespace serf::transport
