#include "serf/cmd/commands/event_text.h"

#include "gtest/gtest.h"

namespace serf::cmd {
namespace {

TEST(EventTextTest, User) {
  UserEvent event;
  event.time = wire::LamportTime(5);
  event.name = "deploy";
  event.payload = "9c45b87";
  EXPECT_EQ(EventText(event),
            "Event Info:\n\tCoalesce: false\n\tEvent: \"user\"\n\tLTime: 5\n\tName: \"deploy\"\n"
            "\tPayload: []byte{0x39, 0x63, 0x34, 0x35, 0x62, 0x38, 0x37}\n");
  event = {wire::LamportTime(128), "a\n", "", true};
  EXPECT_EQ(EventText(event),
            "Event Info:\n\tCoalesce: true\n\tEvent: \"user\"\n\tLTime: 0x80\n\tName: \"a\\n\"\n"
            "\tPayload: <nil>\n");
}

TEST(EventTextTest, Query) {
  const rpc::QueryRecord query{1, wire::LamportTime(17), "hello", ""};
  EXPECT_EQ(EventText(query),
            "Event Info:\n\tEvent: \"query\"\n\tID: 1\n\tLTime: 17\n\tName: \"hello\"\n"
            "\tPayload: <nil>\n");
}

TEST(EventTextTest, Members) {
  Member member;
  member.name = "alpha";
  member.endpoint = *Endpoint::Parse("127.0.0.1:23121");
  member.status = MemberStatus::kAlive;
  member.tags = {{"role", "web"}, {"v", "2"}};
  member.versions = {1, 5, 2, 2, 5, 5};
  EXPECT_EQ(
      EventText(MemberEvent{MemberEventKind::kUpdate, {member}}),
      "Event Info:\n\tEvent: \"member-update\"\n"
      "\tMembers: []interface {}{map[interface {}]interface {}{\"Addr\":[]uint8{0x7f, 0x0, 0x0, "
      "0x1}, \"DelegateCur\":5, \"DelegateMax\":5, \"DelegateMin\":2, \"Name\":\"alpha\", "
      "\"Port\":0x5a51, \"ProtocolCur\":2, \"ProtocolMax\":5, \"ProtocolMin\":1, "
      "\"Status\":\"alive\", \"Tags\":map[interface {}]interface {}{\"role\":\"web\", "
      "\"v\":\"2\"}}}\n");
}

}  // namespace
}  // namespace serf::cmd
