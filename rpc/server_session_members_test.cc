// Tests requests for members that another thread works on.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/member.h"
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

// The records of streams come before a reply that another thread writes meanwhile, or behind it.
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

// A reply that the connections share has its own number for each of them.
TEST_F(ServerSessionTest, OneListingServesAllConnectionsUntilTheMembersChange) {
  service_.members = {TestMember("alpha"), TestMember("beta")};
  service_.members_version = 7;
  const auto members = [this](std::uint64_t seq, const std::string& filter) {
    const json body = {{"Name", ""}, {"Status", filter}, {"Tags", json::object()}};
    filter == "all" ? Request("members", seq) : Request("members-filtered", seq, body);
    const json replies = Take();
    EXPECT_EQ(replies.size(), 2u);
    EXPECT_EQ(replies[0], Header(seq));
    return replies[1]["Members"].size();
  };
  for (const std::uint64_t seq : {2, 3}) {
    Connect();
    Handshake();
    EXPECT_EQ(members(seq, "all"), 2u);
    // `serf members` without flags.
    EXPECT_EQ(members(seq + 10, ""), 2u);
    EXPECT_EQ(service_.listings, 1);
  }
  EXPECT_EQ(members(4, "failed"), 0u);
  EXPECT_EQ(members(5, "failed"), 0u);
  EXPECT_EQ(members(6, "alive"), 2u);
  EXPECT_EQ(service_.listings, 3);
  service_.members[1].status = MemberStatus::kFailed;
  service_.members_version = 8;
  EXPECT_EQ(members(7, "failed"), 1u);
  EXPECT_EQ(members(8, "alive"), 1u);
  EXPECT_EQ(members(9, "all"), 2u);
  EXPECT_EQ(service_.listings, 6);
}

TEST_F(ServerSessionTest, AServiceWithoutVersionsIsAskedEachTime) {
  Handshake();
  for (const std::size_t count : {0u, 1u, 2u}) {
    Request("members", 2);
    EXPECT_EQ(Take()[1]["Members"].size(), count);
    service_.members.push_back(TestMember(absl::StrCat("node", count)));
    service_.stats["agent"]["name"] = absl::StrCat(count);
    Request("stats", 3);
    EXPECT_EQ(Take()[1]["agent"]["name"], absl::StrCat(count));
  }
}

TEST_F(ServerSessionTest, StatsAreEncodedAnewWhenTheyChange) {
  Handshake();
  for (const std::uint64_t version : {1, 2}) {
    service_.stats_version = version;
    service_.stats["agent"]["name"] = absl::StrCat("alpha", version);
    const json shown = service_.stats;
    for (const std::uint64_t seq : {2, 3}) {
      Request("stats", seq);
      EXPECT_EQ(Take(), Objects({Header(seq), shown}));
      service_.stats["agent"]["name"] = "nobody asks";
    }
  }
}

// The session calls the `wake` of the other connection.
TEST_F(ServerSessionTest, ConnectionsWaitTogetherForALargeListing) {
  for (int i = 0; i < 1025; ++i) service_.members.push_back(TestMember(absl::StrCat("node", i)));
  service_.members_version = 1;
  Handshake();
  service_.hold = true;
  Request("members", 2);
  int others_wakes = 0;
  ServerSession::Options options;
  options.replies = replies_;
  options.wake = [&] { ++others_wakes; };
  ServerSession other(now_, service_, std::move(options));
  const auto send = [&](const json& object) { other.OnBytes(now_, json::to_msgpack(object)); };
  send({{"Command", "handshake"}, {"Seq", 1}});
  send({{"Version", 1}});
  other.OnWritten(now_, other.Output().size());
  send({{"Command", "members"}, {"Seq", 9}});
  EXPECT_TRUE(other.Output().empty());
  EXPECT_EQ(service_.works, 1);
  service_.hold = false;
  service_.Release();
  EXPECT_EQ(service_.works, 1);
  EXPECT_EQ(others_wakes, 1);
  // More bytes than a connection copies.
  ByteVector bytes;
  for (ByteView out = other.Output(); !out.empty(); out = other.Output()) {
    const std::size_t size = std::min<std::size_t>(out.size(), 10'007);
    Append(bytes, out.first(size));
    other.OnWritten(now_, size);
  }
  EXPECT_GT(bytes.size(), 100'000u);
  session_->OnTimer(now_);
  const json replies = Take();
  ASSERT_EQ(replies.size(), 2u);
  ByteVector expected = json::to_msgpack(Header(9));
  Append(expected, json::to_msgpack(replies[1]));
  EXPECT_EQ(bytes, expected);
  EXPECT_EQ(replies[0], Header(2));
}

TEST_F(ServerSessionTest, AllWhoWaitForAListingLearnThatTheServiceIsTooBusy) {
  for (int i = 0; i < 1025; ++i) service_.members.push_back(TestMember(absl::StrCat("node", i)));
  service_.members_version = 1;
  service_.takes_work = false;
  Handshake();
  Request("members", 2);
  EXPECT_EQ(Take()[0], Header(2, kTooBusy));
  service_.takes_work = true;
  Request("members", 3);
  const json replies = Take();
  EXPECT_EQ(replies[0], Header(3));
  EXPECT_EQ(replies[1]["Members"].size(), 1025u);
}

}  // namespace
}  // namespace serf::rpc
