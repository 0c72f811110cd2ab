#include "serf/cmd/commands/member_changes.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/endpoint.h"
#include "serf/member.h"
#include "serf/tags.h"

namespace serf::cmd {
namespace {

Member MakeMember(std::string name, MemberStatus status, Tags tags = {},
                  std::uint16_t port = 7946) {
  Member member;
  member.name = std::move(name);
  member.endpoint = {IpAddress::V4(10, 0, 0, 1), port};
  member.status = status;
  member.tags = std::move(tags);
  return member;
}

TEST(MemberChangesTest, Table) {
  constexpr auto kAlive = MemberStatus::kAlive;
  constexpr auto kFailed = MemberStatus::kFailed;
  using Members = std::vector<Member>;
  const Member a = MakeMember("a", kAlive);
  const Member b = MakeMember("b", kAlive);
  const Member c = MakeMember("c", kAlive);
  const struct {
    Members before;
    Members after;
    std::string changes;
  } cases[] = {
      {{}, {}, ""},
      {{a, b}, {a, b}, ""},
      {{}, {a, b}, "alive a, alive b, "},
      {{a, b, c}, {b}, "gone a, gone c, "},
      {{a, c}, {b}, "gone a, alive b, gone c, "},
      {{b}, {a, b, c}, "alive a, alive c, "},
      {{a, b}, {a, MakeMember("b", kFailed)}, "failed b, "},
      {{MakeMember("a", kFailed)}, {a}, "alive a, "},
      {{a}, {MakeMember("a", kAlive, {{"x", "1"}})}, "update a, "},
      {{a}, {MakeMember("a", kAlive, {}, 7947)}, "update a, "},
      // A new status says more than new tags.
      {{a}, {MakeMember("a", MemberStatus::kLeft, {{"x", "1"}})}, "left a, "},
  };
  for (const auto& x : cases) {
    std::string changes;
    for (const MemberChange& change : MemberChanges(x.before, x.after)) {
      changes += std::string(change.what) + " " + change.member->name + ", ";
    }
    EXPECT_EQ(changes, x.changes);
  }
}

TEST(MemberChangesTest, OneLineWhateverTheNameHolds) {
  Member hostile =
      MakeMember("a\nb\x1b[31m", MemberStatus::kFailed, {{"role", "d\rb"}, {"z", "1"}});
  EXPECT_EQ(ChangeText({"failed", &hostile}, "T"),
            "T failed a\\nb\\x1b[31m 10.0.0.1:7946 role=d\\rb,z=1\n");
  hostile.tags.clear();
  EXPECT_EQ(ChangeText({"gone", &hostile}, "T"), "T gone a\\nb\\x1b[31m 10.0.0.1:7946\n");
  hostile.name += "\xff";
  const std::string line = ChangeJson({"gone", &hostile}, "T");
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const auto json = nlohmann::json::parse(line, nullptr, false);
  ASSERT_TRUE(json.is_object()) << line;
  EXPECT_EQ(json["change"], "gone");
  EXPECT_EQ(json["status"], "failed");
  EXPECT_EQ(json["port"], 7946);
}

}  // namespace
}  // namespace serf::cmd
