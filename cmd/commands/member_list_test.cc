#include "serf/cmd/commands/member_list.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

Member MakeMember(std::string name, const char* endpoint, Tags tags, MemberStatus status) {
  Member member;
  member.name = std::move(name);
  member.endpoint = *Endpoint::Parse(endpoint);
  member.tags = std::move(tags);
  member.status = status;
  member.versions = {1, 5, 2, 2, 5, 4};
  return member;
}

TEST(MemberListTest, Table) {
  const std::vector<Member> members = {
      MakeMember("alpha", "127.0.0.1:7946", {{"role", "web"}, {"v", "2"}}, MemberStatus::kAlive),
      MakeMember("six", "[::1]:7947", {}, MemberStatus::kFailed),
  };
  EXPECT_EQ(MemberTable(members, /*detailed=*/false),
            "alpha  127.0.0.1:7946  alive   role=web,v=2\n"
            "six    [::1]:7947      failed\n");
  EXPECT_EQ(MemberTable(members, /*detailed=*/true),
            "alpha  127.0.0.1:7946  alive   role=web,v=2  Protocol Version: 4  "
            "Available Protocol Range: [2, 5]\n"
            "six    [::1]:7947      failed                Protocol Version: 4  "
            "Available Protocol Range: [2, 5]\n");
  EXPECT_EQ(MemberTable({}, false), "\n");
}

TEST(MemberListTest, Json) {
  const std::vector<Member> members = {
      MakeMember(" al|pha ", "127.0.0.1:23121", {{"a", " x|y "}, {"b", "<&>"}},
                 MemberStatus::kAlive),
      MakeMember("b\xff", "127.0.0.1:1", {}, MemberStatus::kLeft),
  };
  EXPECT_EQ(MemberJson(members), R"({
  "members": [
    {
      "name": " al|pha ",
      "addr": "127.0.0.1:23121",
      "port": 23121,
      "tags": {
        "a": " x|y ",
        "b": "\u003c\u0026\u003e"
      },
      "status": "alive",
      "protocol": {
        "max": 5,
        "min": 2,
        "version": 4
      }
    },
    {
      "name": "b\ufffd",
      "addr": "127.0.0.1:1",
      "port": 1,
      "tags": {},
      "status": "left",
      "protocol": {
        "max": 5,
        "min": 2,
        "version": 4
      }
    }
  ]
}
)");
  EXPECT_EQ(MemberJson({}), "{\n  \"members\": null\n}\n");
}

}  // namespace
}  // namespace serf::cmd
