// Tests queries that a client asks, and queries of others that it answers.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/time.h"
#include "serf/query.h"
#include "serf/rpc/protocol.h"
#include "serf/tags.h"
#include "serf/testing/rpc/server_session_fixture.h"
#include "serf/wire/ids.h"

namespace serf::rpc {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

TEST_F(ServerSessionTest, QueryParameters) {
  Handshake();
  Request("query", 2,
          {{"Name", "load"},
           {"Payload", json::binary({'1', '5'})},
           {"FilterNodes", {"a", "b"}},
           {"FilterTags", {{"role", "web"}}},
           {"RelayFactor", 3},
           {"RequestAck", true},
           {"Timeout", 1500000000}});
  EXPECT_EQ(Take(), Objects({Header(2)}));
  EXPECT_EQ(service_.query, "load 15");
  EXPECT_EQ(service_.query_params.filter_nodes, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(service_.query_params.filter_tags, (Tags{{"role", "web"}}));
  EXPECT_EQ(service_.query_params.relay_factor, 3);
  EXPECT_TRUE(service_.query_params.request_ack);
  EXPECT_EQ(service_.query_params.timeout, milliseconds(1500));
  // Clients of Go Serf wait for the whole timeout.
  EXPECT_FALSE(service_.query_params.finish_early);
  Request("query", 3, {{"Name", "load"}, {"FinishEarly", true}});
  EXPECT_TRUE(service_.query_params.finish_early);
  EXPECT_EQ(service_.query_params.timeout, Duration::zero());
}

TEST_F(ServerSessionTest, AnswersFollowTheReplyAndEndWithDone) {
  Handshake();
  service_.hold = true;
  Request("query", 2, {{"Name", "load"}});
  Request("stop", 3, {{"Stop", 2}});  // waits its turn, and does not end the query
  EXPECT_EQ(Take(), Objects({}));
  service_.Release();
  EXPECT_EQ(wakes_, 1);
  // An answer that comes before the session has replied.
  service_.TellAnswer(QueryUpdate::Kind::kAck, "alpha");
  EXPECT_EQ(wakes_, 2);
  session_->OnTimer(now_);
  EXPECT_EQ(Take(), Objects({Header(2), Header(3), Header(2), Answer("ack", "alpha")}));
  EXPECT_FALSE(session_->subscriptions().empty());
  service_.TellAnswer(QueryUpdate::Kind::kResponse, "alpha", "up");
  service_.TellAnswer(QueryUpdate::Kind::kResponse, "beta");
  service_.TellAnswer(QueryUpdate::Kind::kDone);
  EXPECT_EQ(Take(), Objects({Header(2), Answer("response", "alpha", "up"), Header(2),
                             Answer("response", "beta"), Header(2), Answer("done", "")}));
  EXPECT_TRUE(session_->subscriptions().empty());
}

TEST_F(ServerSessionTest, RefusedQueries) {
  Handshake();
  const struct {
    json body;
    absl::string_view error;
  } cases[] = {
      {{{"Name", "_serf_conflict"}}, kReservedQueryName},
      {{{"Name", "_serf_"}}, kReservedQueryName},
      {{{"Name", "_serf_ping"}, {"Payload", json::binary({'x'})}}, kReservedQueryName},
      {{{"Name", "_serf_pinger"}}, kReservedQueryName},
      {{{"Name", "_serf_ping"}}, ""},
      {{{"Name", "_serf_ping"}, {"Payload", json::binary({})}}, ""},
      {{{"Name", "x_serf_"}}, ""},
      {json::object(), ""},
  };
  std::uint64_t seq = 1;
  for (const auto& c : cases) {
    SCOPED_TRACE(c.body.dump());
    Request("query", ++seq, c.body);
    EXPECT_EQ(Take(), Objects({Header(seq, c.error)}));
  }
  service_.status = absl::InvalidArgumentError("query exceeds limit of 1024 bytes");
  Request("query", ++seq, {{"Name", "load"}});
  EXPECT_EQ(Take(), Objects({Header(seq, "query exceeds limit of 1024 bytes")}));
}

TEST_F(ServerSessionTest, QueriesAreBounded) {
  Handshake();
  for (std::uint64_t seq = 2; seq < 2 + kQueriesMax; ++seq) {
    Request("query", seq, {{"Name", "load"}});
    EXPECT_EQ(Take(), Objects({Header(seq)}));
  }
  Request("query", 1000, {{"Name", "load"}});
  EXPECT_EQ(Take(), Objects({Header(1000, kTooManyQueries)}));
  service_.TellAnswer(QueryUpdate::Kind::kDone);
  Take();
  Request("query", 1001, {{"Name", "load"}});
  EXPECT_EQ(Take(), Objects({Header(1001)}));
}

TEST_F(ServerSessionTest, WhatTheEndOfTheConnectionCutsOff) {
  Handshake();
  EXPECT_EQ(session_->subscriptions().kind(), "");
  Request("query", 2, {{"Name", "load"}});
  EXPECT_EQ(session_->subscriptions().kind(), "query end");
  Request("monitor", 3, {{"LogLevel", "ERR"}});
  EXPECT_EQ(session_->subscriptions().kind(), "log");
  Request("stream", 4, {{"Type", "*"}});
  EXPECT_EQ(session_->subscriptions().kind(), "event");
}

// As in Go Serf, a client that sends no more gets replies, but no records.
TEST_F(ServerSessionTest, EndOfStreamDuringAQuery) {
  Handshake();
  Request("query", 2, {{"Name", "load"}});
  session_->OnEnd(now_);
  service_.TellAnswer(QueryUpdate::Kind::kAck, "alpha");
  EXPECT_EQ(Take(), Objects({Header(2)}));
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, EndOfTheConnectionCancelsItsQueries) {
  Handshake();
  Request("query", 2, {{"Name", "ended"}});
  service_.TellAnswer(QueryUpdate::Kind::kDone);
  Take();
  Request("query", 3, {{"Name", "running"}});
  Request("query", 4, {{"Name", "running"}});
  service_.hold = true;
  Request("query", 5, {{"Name", "asked"}});
  EXPECT_EQ(service_.running.size(), 2u);
  session_->OnClosed();
  EXPECT_TRUE(service_.running.empty());
  EXPECT_EQ(service_.cancelled.size(), 2u);
  // The completion may come while the session exists, or after it.
  service_.Release();
  EXPECT_TRUE(service_.running.empty());
  EXPECT_EQ(service_.cancelled.size(), 3u);
  Connect();
  service_.hold = false;
  Handshake();
  service_.hold = true;
  Request("query", 2, {{"Name", "asked"}});
  session_->OnClosed();
  session_.reset();
  service_.Release();
  EXPECT_TRUE(service_.running.empty());
  EXPECT_EQ(service_.cancelled.size(), 4u);
}

TEST_F(ServerSessionTest, QueriesOfOthersGoOn) {
  Handshake();
  Request("query", 2, {{"Name", "mine"}});
  ServerSession other(now_, service_, {});
  for (const auto& object : {json{{"Command", "handshake"}, {"Seq", 1}}, json{{"Version", 1}},
                             json{{"Command", "query"}, {"Seq", 2}}, json{{"Name", "others"}}}) {
    other.OnBytes(now_, json::to_msgpack(object));
  }
  EXPECT_EQ(service_.running.size(), 2u);
  other.OnClosed();
  EXPECT_EQ(service_.running.size(), 1u);
  service_.TellAnswer(QueryUpdate::Kind::kAck, "alpha");
  EXPECT_EQ(Take(), Objects({Header(2), Header(2), Answer("ack", "alpha")}));
}

TEST_F(ServerSessionTest, AnswersAfterTheSessionsEnd) {
  Handshake();
  Request("query", 2, {{"Name", "load"}});
  session_.reset();
  service_.TellAnswer(QueryUpdate::Kind::kAck, "alpha");
  service_.TellAnswer(QueryUpdate::Kind::kDone);
  EXPECT_EQ(wakes_, 0);
}

// The server cuts the client off, because a part of the answers would look complete.
TEST_F(ServerSessionTest, ReaderThatStalledWhileAnswersCome) {
  Handshake();
  Request("query", 2, {{"Name", "load"}});
  Take();
  service_.TellAnswer(QueryUpdate::Kind::kAck, "alpha");
  ASSERT_GT(session_->Output().size(), 1u);
  session_->OnWritten(now_, 1);
  const std::string payload(std::size_t{1} << 20, 'x');
  std::size_t sent = 0;
  while (logger_.lines.empty()) {
    ASSERT_LE(sent += payload.size(), kAnswersWaitingMax + payload.size());
    service_.TellAnswer(QueryUpdate::Kind::kResponse, "alpha", payload);
  }
  EXPECT_EQ(logger_.lines[0],
            "[ERR] agent.ipc: Failed to stream response to ipc.client: 127.0.0.1:45676: too much "
            "waits to be read");
  EXPECT_FALSE(session_->wants_input());
  EXPECT_EQ(session_->NextDeadline(), kNever);
  session_->OnWritten(now_, session_->Output().size());
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, QueriesOnStreamsAreNumberedPerConnection) {
  Handshake();
  Request("stream", 2, {{"Type", "query:load"}});
  Request("stream", 3, {{"Type", "user,query"}});
  Take();
  session_->OnEvent(now_, QueryEventOf(7, "other"));
  session_->OnEvent(now_, QueryEventOf(8, "load"));
  const json record = {{"Event", "query"}, {"LTime", 8}, {"Name", "load"}, {"Payload", nullptr}};
  const auto with_id = [](json value, std::uint64_t id, std::uint64_t time,
                          const std::string& name) {
    value["ID"] = id;
    value["LTime"] = time;
    value["Name"] = name;
    return value;
  };
  EXPECT_EQ(Take(),
            Objects({Header(2), with_id(record, 2, 8, "load"), Header(3),
                     with_id(record, 1, 7, "other"), Header(3), with_id(record, 3, 8, "load")}));

  // The end of a stream does not affect the queries that it delivered.
  Request("stop", 4, {{"Stop", 3}});
  Request("respond", 5, {{"ID", 3}, {"Payload", json::binary({'u', 'p'})}});
  EXPECT_EQ(Take(), Objects({Header(4), Header(5)}));
  EXPECT_EQ(service_.responded, (QueryId{wire::LamportTime(8), 80}));
  EXPECT_EQ(service_.response, "up");
  // The node reports whether the query was answered already.
  service_.status = absl::AlreadyExistsError("response already sent");
  Request("respond", 6, {{"ID", 1}});
  EXPECT_EQ(service_.responded, (QueryId{wire::LamportTime(7), 70}));
  EXPECT_EQ(Take(), Objects({Header(6, "response already sent")}));
}

TEST_F(ServerSessionTest, RespondWithoutAPendingQuery) {
  Handshake();
  Request("stream", 2, {{"Type", "query"}});
  Take();
  session_->OnEvent(now_, QueryEventOf(7, "load"));
  Take();
  for (const std::uint64_t id : {0, 2}) {
    Request("respond", 3, {{"ID", id}});
    EXPECT_EQ(Take(), Objects({Header(3, kNoPendingQuery)}));
  }
  now_ += kQueryTime;
  Request("respond", 4, {{"ID", 1}});
  EXPECT_EQ(Take(), Objects({Header(4, kNoPendingQuery)}));
  EXPECT_FALSE(session_->finished());
  // Another connection has its own numbers.
  Connect();
  Handshake();
  Request("respond", 5, {{"ID", 1}});
  EXPECT_EQ(Take(), Objects({Header(5, kNoPendingQuery)}));
}

}  // namespace
}  // namespace serf::rpc
