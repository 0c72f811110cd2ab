// Tests requests for members that another thread works on.

#include <chrono>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/time.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/server_session.h"
#include "serf/testing/rpc/fake_service.h"
#include "serf/testing/rpc/server_session_fixture.h"

namespace serf::rpc {
namespace {

using nlohmann::json;

TEST_F(ServerSessionTest, FiltersThatAreNotCheapAreForAnotherThread) {
  service_.members = {TestMember("alpha"), TestMember("beta")};
  Handshake();
  Request("members-filtered", 2, {{"Name", "alp.*"}});
  json replies = Take();
  ASSERT_EQ(replies.size(), 2u);
  EXPECT_EQ(replies[1]["Members"].size(), 1u);
  EXPECT_EQ(service_.works, 0);
  service_.hold = true;
  Request("members-filtered", 3, {{"Name", "[\\pL\\pN_.-]{1,255}"}});
  Request("stop", 4, {{"Stop", 1}});
  EXPECT_EQ(Take(), Objects({}));
  EXPECT_EQ(service_.works, 1);
  service_.hold = false;
  service_.Release();
  session_->OnTimer(now_);
  // The replies come in the order of the requests.
  replies = Take();
  ASSERT_EQ(replies.size(), 3u);
  EXPECT_EQ(replies[0], Header(3));
  EXPECT_EQ(replies[1]["Members"].size(), 2u);
  EXPECT_EQ(replies[2], Header(4));
}

TEST_F(ServerSessionTest, WhatTakesTooLongIsAnError) {
  service_.members = {TestMember("alpha"), TestMember("beta")};
  Handshake();
  service_.may_go_on = false;
  Request("members-filtered", 2, {{"Name", "\\pL*"}});
  service_.takes_work = false;
  Request("members-filtered", 3, {{"Name", "\\pL*"}});
  service_.takes_work = true;
  Request("members-filtered", 4, {{"Name", "\\pL{1000}"}});
  const json replies = Take();
  ASSERT_EQ(replies.size(), 6u);
  EXPECT_EQ(replies[0], Header(2, kFilterTooSlow));
  EXPECT_EQ(replies[2], Header(3, kTooBusy));
  EXPECT_EQ(replies[4], Header(4,
                               "Failed to compile regex: error parsing regexp: expression too "
                               "large: `^\\pL{1000}$`"));
  for (const int body : {1, 3, 5}) EXPECT_EQ(replies[body]["Members"].size(), 0u);
}

TEST_F(ServerSessionTest, ManyMembersAreForAnotherThread) {
  for (int i = 0; i < 1025; ++i) service_.members.push_back(TestMember(absl::StrCat("node", i)));
  Handshake();
  Request("members", 2);
  Request("members-filtered", 3, {{"Name", "node1"}});
  const json replies = Take();
  EXPECT_EQ(service_.works, 2);
  ASSERT_EQ(replies.size(), 4u);
  EXPECT_EQ(replies[0], Header(2));
  EXPECT_EQ(replies[1]["Members"].size(), 1025u);
  EXPECT_EQ(replies[3]["Members"].size(), 1u);
}

// Another thread writes the reply into the connection's memory, which streams may need meanwhile.
TEST_F(ServerSessionTest, StreamsGoOnWhileAnotherThreadWritesAReply) {
  for (int i = 0; i < 1025; ++i) service_.members.push_back(TestMember(absl::StrCat("node", i)));
  Handshake();
  Request("stream", 2, {{"Type", "*"}});
  EXPECT_EQ(Take(), Objects({Header(2)}));
  for (const bool is_read : {true, false}) {
    service_.hold = true;
    Request("members", 3);
    session_->OnEvent(now_, JoinEvent("a"));
    if (is_read) {
      EXPECT_EQ(Take().size(), 2u);
    } else {
      EXPECT_FALSE(session_->Output().empty());  // the reply is on its way
    }
    service_.hold = false;
    service_.Release();
    session_->OnTimer(now_);
    const json replies = Take();
    ASSERT_EQ(replies.size(), is_read ? 2u : 4u);
    EXPECT_EQ(replies[replies.size() - 2], Header(3));
    EXPECT_EQ(replies.back()["Members"].size(), 1025u);
  }
}

TEST_F(ServerSessionTest, MemoryThatWasLentIsKeptForASecond) {
  service_.members.resize(5000);
  Handshake();
  Request("members", 2);
  EXPECT_EQ(Take()[1]["Members"].size(), 5000u);
  // The memory is the same, but holds little.
  now_ += std::chrono::milliseconds(500);
  Request("members-filtered", 3, {{"Name", "nobody"}});
  EXPECT_EQ(Take()[1]["Members"].size(), 0u);
  const Instant released = now_ + std::chrono::seconds(1);
  EXPECT_EQ(session_->NextDeadline(), released);
  session_->OnTimer(released);
  EXPECT_EQ(session_->NextDeadline(), kNever);
}

}  // namespace
}  // namespace serf::rpc
