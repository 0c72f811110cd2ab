#include "serf/rpc/client_session.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "msgpack/sbuffer.hpp"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/encode.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::rpc {
namespace {

using nlohmann::json;

constexpr Instant kLater = Instant(std::chrono::seconds(100));

// A client whose agent is a recording, or the test.
class ClientSessionTest : public ::testing::Test {
 protected:
  // Calls `request` after the handshake. It must send what the recorded client sent. It then gets
  // the recorded answer, `piece` bytes at a time.
  void Play(const std::string& name, std::function<void()> request, std::size_t piece = 1 << 20) {
    json recorded;
    for (const json& session : testkit::LoadVectors("rpc.json")) {
      if (session["name"] == name) recorded = session;
    }
    ASSERT_FALSE(recorded.is_null()) << name;
    session_.emplace();
    session_->Handshake(kLater, [this](absl::Status status) { handshake_ = std::move(status); });
    request();
    const ByteView out = session_->Output();
    EXPECT_EQ(testkit::Hex(out), recorded["client_hex"].get<std::string>());
    session_->OnWritten(out.size());
    const ByteVector server = testkit::Unhex(recorded["server_hex"].get<std::string>());
    for (ByteView rest = server; !rest.empty(); rest = rest.subspan(std::min(piece, rest.size()))) {
      session_->OnBytes(rest.first(std::min(piece, rest.size())));
    }
    EXPECT_TRUE(handshake_.ok());
  }

  ClientSession::StatusHandler Store() {
    return [this](absl::Status status) {
      EXPECT_FALSE(status_.has_value());
      status_ = std::move(status);
    };
  }
  // "ack alpha", "response alpha: 1.02", "done"; an error's text.
  ClientSession::AnswerHandler StoreAnswers() {
    return [this](absl::StatusOr<AnswerRecord> answer) {
      if (!answer.ok()) {
        answers_.emplace_back(answer.status().message());
        return;
      }
      std::string text(AnswerTypeName(answer->kind));
      if (!answer->from.empty()) text += " " + answer->from;
      if (!answer->payload.empty()) text += ": " + answer->payload;
      answers_.push_back(std::move(text));
    };
  }
  ClientSession::Handler<absl::StatusOr<ClientSession::Seq>> StoreSeq() {
    return [this](absl::StatusOr<ClientSession::Seq> seq) {
      EXPECT_TRUE(answers_.empty()) << "the reply comes before the records";
      seq_ = std::move(seq);
    };
  }
  ClientSession::Handler<absl::StatusOr<std::vector<Member>>> StoreMembers() {
    return [this](absl::StatusOr<std::vector<Member>> members) {
      EXPECT_FALSE(members_.has_value());
      members_ = std::move(members);
    };
  }

  void Start() {
    session_.emplace();
    session_->Handshake(kLater, [](absl::Status) {});
    Reply(1, "");
  }
  void Reply(std::uint64_t seq, absl::string_view error) {
    Receive({{"Error", std::string(error)}, {"Seq", seq}});
  }
  void Receive(const json& object) { session_->OnBytes(json::to_msgpack(object)); }

  // The record's value, encoded as an agent would do it.
  static json Encoded(const EventRecord& event) {
    msgpack::sbuffer buffer;
    Writer writer(buffer);
    if (const auto* query = std::get_if<QueryRecord>(&event)) {
      const json::binary_t payload(ByteVector(query->payload.begin(), query->payload.end()));
      return {{"Event", "query"},
              {"ID", query->id},
              {"LTime", query->time.value()},
              {"Name", query->name},
              {"Payload", query->payload.empty() ? json() : json(payload)}};
    }
    if (const auto* user = std::get_if<UserEvent>(&event)) Encode(writer, *user);
    if (const auto* members = std::get_if<MemberEvent>(&event)) Encode(writer, *members);
    return json::from_msgpack(buffer.data(), buffer.data() + buffer.size());
  }

  std::optional<ClientSession> session_;
  absl::Status handshake_ = absl::UnknownError("no reply");
  std::optional<absl::Status> status_;
  std::optional<absl::StatusOr<std::vector<Member>>> members_;
  std::optional<absl::StatusOr<ClientSession::Seq>> seq_;
  std::vector<std::string> answers_;
};

// --- recorded answers ---

TEST_F(ClientSessionTest, Members) {
  for (const std::size_t piece : {std::size_t{1}, std::size_t{7}, std::size_t{1} << 20}) {
    members_.reset();
    Play(
        "members-single", [&] { session_->Members(kLater, StoreMembers()); }, piece);
    ASSERT_TRUE(members_ && members_->ok());
    ASSERT_EQ((*members_)->size(), 1u);
    const Member& alpha = (*members_)->front();
    EXPECT_EQ(alpha.name, "alpha");
    EXPECT_EQ(alpha.endpoint.ToString(), "127.0.0.1:23121");
    EXPECT_EQ(alpha.tags, (Tags{{"role", "web"}}));
    EXPECT_EQ(alpha.status, MemberStatus::kAlive);
    EXPECT_EQ(alpha.versions, (wire::VersionVector{1, 5, 2, 2, 5, 5}));
  }
}

TEST_F(ClientSessionTest, MembersFiltered) {
  Play("cli-members-single", [&] { session_->MembersFiltered(kLater, {}, StoreMembers()); });
  ASSERT_TRUE(members_ && members_->ok());
  EXPECT_EQ((*members_)->size(), 1u);
}

TEST_F(ClientSessionTest, Join) {
  std::optional<JoinResult> result;
  const auto store = [&](JoinResult r) { result = std::move(r); };
  Play("join-ok", [&] { session_->Join(kLater, {{"127.0.0.1:23122"}, false}, store); });
  ASSERT_TRUE(result);
  EXPECT_TRUE(result->status.ok());
  EXPECT_EQ(result->contacted, 1);
  Play("join-partial", [&] {
    session_->Join(kLater, {{"127.0.0.1:23122", "127.0.0.1:23999"}, false}, store);
  });
  EXPECT_TRUE(result->status.ok());
  EXPECT_EQ(result->contacted, 1);
  Play("join-fail", [&] { session_->Join(kLater, {{"127.0.0.1:23999"}, false}, store); });
  EXPECT_EQ(std::string(result->status.message()),
            "1 error occurred:\n\t* Failed to join 127.0.0.1: dial tcp 127.0.0.1:23999: connect: "
            "connection refused\n\n");
  EXPECT_EQ(result->contacted, 0);
}

TEST_F(ClientSessionTest, ManageKeys) {
  std::optional<KeyOutcome> result;
  const auto store = [&](KeyOutcome r) { result = std::move(r); };
  Play("list-keys-no-encryption",
       [&] { session_->ManageKeys(kLater, KeyOperation::kList, "", store); });
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status.message(), "2/2 nodes reported failure");
  EXPECT_EQ(result->messages.at("beta"), "Keyring is empty (encryption not enabled)");
  EXPECT_EQ(result->nodes, 2u);
  EXPECT_EQ(result->errors, 2u);
  EXPECT_EQ(result->responses, 2u);
  EXPECT_TRUE(result->keys.empty());
}

TEST_F(ClientSessionTest, StatusOnlyCommands) {
  Play("force-leave-prune",
       [&] { session_->ForceLeave(kLater, "beta", {.prune = true}, Store()); });
  EXPECT_EQ(status_, absl::OkStatus());
  status_.reset();
  Play("cli-leave", [&] { session_->Leave(kLater, Store()); });
  EXPECT_EQ(status_, absl::OkStatus());
  status_.reset();
  Play("tags-both", [&] {
    session_->UpdateTags(kLater, {{"tag1", "new"}}, {"tag1", "nosuch"}, Store());
  });
  EXPECT_EQ(status_, absl::OkStatus());
  status_.reset();
  Play("auth-wrong", [&] { session_->Auth(kLater, "wrong", Store()); });
  ASSERT_TRUE(status_);
  EXPECT_EQ(status_->message(), kInvalidAuthToken);
}

TEST_F(ClientSessionTest, Stats) {
  std::optional<absl::StatusOr<StatsSections>> stats;
  Play("stats", [&] {
    session_->Stats(kLater, [&](absl::StatusOr<StatsSections> s) { stats = std::move(s); });
  });
  ASSERT_TRUE(stats && stats->ok());
  EXPECT_EQ((**stats)["runtime"]["os"], "linux");
  EXPECT_EQ((**stats)["tags"]["role"], "web");
}

TEST_F(ClientSessionTest, Query) {
  QueryParams params;
  params.request_ack = true;
  params.timeout = std::chrono::milliseconds(700);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{1} << 20}) {
    answers_.clear();
    Play(
        "query-ack-response",
        [&] { session_->SendQuery(kLater, "load", "15m", params, StoreAnswers(), StoreSeq()); },
        piece);
    ASSERT_TRUE(seq_ && seq_->ok());
    EXPECT_EQ(**seq_, 2u);
    EXPECT_EQ(answers_, (std::vector<std::string>{"ack alpha", "response alpha: 1.02", "ack beta",
                                                  "response beta: 0.50", "done"}));
    // The query has ended, so the end of the connection does not reach its handler.
    session_->OnEnd();
    EXPECT_EQ(answers_.size(), 5u);
  }
}

TEST_F(ClientSessionTest, QueryWithFilters) {
  QueryParams params;
  params.filter_nodes = {"alpha"};
  params.filter_tags = {{"role", "web"}};
  params.relay_factor = 2;
  params.timeout = std::chrono::milliseconds(600);
  Play("cli-query-json",
       [&] { session_->SendQuery(kLater, "load", "", params, StoreAnswers(), StoreSeq()); });
  EXPECT_EQ(answers_, (std::vector<std::string>{"response alpha: 1.02", "done"}));
}

TEST_F(ClientSessionTest, QueryIsRefused) {
  QueryParams params;
  params.timeout = std::chrono::milliseconds(300);
  Play("query-internal-prefix", [&] {
    session_->SendQuery(kLater, "_serf_conflict", "x", params, StoreAnswers(), StoreSeq());
  });
  ASSERT_TRUE(seq_);
  EXPECT_EQ(seq_->status().message(), "Queries cannot contain the '_serf_' prefix");
  session_->OnEnd();
  EXPECT_TRUE(answers_.empty());
}

TEST_F(ClientSessionTest, QueryIsCutOff) {
  Start();
  session_->SendQuery(kLater, "load", "", {}, StoreAnswers(), StoreSeq());
  Reply(2, "");
  Reply(2, "");
  Receive({{"From", "alpha"}, {"Payload", nullptr}, {"Type", "ack"}});
  session_->OnEnd();
  session_->OnEnd();
  EXPECT_EQ(answers_, (std::vector<std::string>{"ack alpha", "client closed"}));
}

// Go Serf's agent sends this record when a query has ended; no request awaits it.
TEST_F(ClientSessionTest, AnswersOfNobodyAreIgnored) {
  Start();
  session_->SendQuery(kLater, "load", "", {}, StoreAnswers(), StoreSeq());
  Reply(2, "");
  for (const char* const type : {"ack", "response", "done", "ack", "done"}) {
    Reply(2, "");
    Receive({{"From", ""}, {"Payload", nullptr}, {"Type", type}});
  }
  session_->Leave(kLater, Store());
  Reply(3, "");
  EXPECT_EQ(answers_, (std::vector<std::string>{"done"}));
  EXPECT_EQ(status_, absl::OkStatus());
}

TEST_F(ClientSessionTest, Respond) {
  Play("respond-unknown", [&] { session_->Respond(kLater, 1023, "late", Store()); });
  ASSERT_TRUE(status_);
  EXPECT_EQ(status_->message(), "No pending queries matching ID");
}

TEST_F(ClientSessionTest, GetCoordinate) {
  std::optional<absl::StatusOr<std::optional<Coordinate>>> found;
  const auto store = [&](absl::StatusOr<std::optional<Coordinate>> f) { found = std::move(f); };
  Play("get-coordinate-ok", [&] { session_->GetCoordinate(kLater, "beta", store); });
  ASSERT_TRUE(found && found->ok() && (*found)->has_value());
  const Coordinate& beta = ***found;
  EXPECT_EQ(beta.dimensions, 8u);
  EXPECT_EQ(beta.error, 0.2702510621239444);
  EXPECT_EQ(beta.vec[7], 4.638125550932174e-05);
  Play("get-coordinate-unknown", [&] { session_->GetCoordinate(kLater, "nosuch", store); });
  ASSERT_TRUE(found->ok());
  EXPECT_FALSE((*found)->has_value());
  // A coordinate with more dimensions than Serf has.
  Start();
  session_->GetCoordinate(kLater, "beta", store);
  Reply(2, "");
  Receive({{"Coord", {{"Vec", std::vector<double>(9)}}}, {"Ok", true}});
  EXPECT_EQ(found->status().code(), absl::StatusCode::kDataLoss);
}

// Go Serf answers twice. Its reply also lacks the body that a success would have.
TEST_F(ClientSessionTest, AuthenticationRequired) {
  std::optional<JoinResult> result;
  Play("auth-missing-with-body", [&] {
    session_->Join(kLater, {{"127.0.0.1:23122"}, false}, [&](JoinResult r) { result = r; });
  });
  ASSERT_TRUE(result);
  EXPECT_EQ(result->status.message(), kAuthRequired);
  Play("auth-missing", [&] { session_->Members(kLater, StoreMembers()); });
  ASSERT_TRUE(members_);
  EXPECT_EQ(members_->status().message(), kAuthRequired);
}

// A session with streams: `client_hex` has requests that the recorded client sent later.
TEST_F(ClientSessionTest, Streams) {
  const struct {
    const char* name;
    const char* filter;
  } cases[] = {
      {"stream-user", "user:deploy"},
      {"stream-member-update", "member-join,member-leave,member-failed,member-update,member-reap"},
      {"stream-query-respond", "query:load"},
      {"stream-member-leave-forced", "member-leave"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    json recorded;
    for (const json& session : testkit::LoadVectors("rpc.json")) {
      if (session["name"] == c.name) recorded = session;
    }
    ASSERT_FALSE(recorded.is_null());
    session_.emplace();
    session_->Handshake(kLater, [](absl::Status) {});
    std::vector<json> events;
    ClientSession::Seq seq = 0;
    session_->Stream(
        kLater, c.filter,
        [&](absl::StatusOr<EventRecord> event) {
          if (event.ok()) events.push_back(Encoded(*event));
        },
        [&](absl::StatusOr<ClientSession::Seq> opened) { seq = opened.value(); });
    std::vector<json> expected;
    for (const json& frame : recorded["decoded"]["frames"]) {
      if (frame["dir"] != "S") continue;
      const ByteVector bytes = testkit::Unhex(frame["hex"].get<std::string>());
      session_->OnBytes(bytes);
      const json value = json::from_msgpack(bytes);
      if (value.contains("Event")) expected.push_back(value);
    }
    EXPECT_EQ(seq, 2u);
    EXPECT_FALSE(events.empty());
    EXPECT_EQ(events, expected);
  }
}

TEST_F(ClientSessionTest, Monitor) {
  std::vector<std::string> lines;
  session_.emplace();
  session_->Handshake(kLater, [](absl::Status) {});
  session_->Monitor(
      kLater, "INFO",
      [&](absl::StatusOr<LogRecord> line) { lines.push_back(line.ok() ? line->log : "end"); },
      [](absl::StatusOr<ClientSession::Seq> seq) { EXPECT_TRUE(seq.ok()); });
  Reply(1, "");
  Reply(2, "");
  Reply(2, "");
  Receive({{"Log", "a"}});
  // The reply to another request comes between two records.
  session_->Members(kLater, StoreMembers());
  Reply(3, "");
  Receive({{"Members", nullptr}});
  Reply(2, "");
  Receive({{"Log", "b"}, {"Later", 1}});
  session_->OnEnd();
  session_->OnEnd();
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "b", "end"}));
  ASSERT_TRUE(members_ && members_->ok());
}

// --- order and trouble ---

TEST_F(ClientSessionTest, RepliesAreMatchedBySeq) {
  Start();
  session_->Members(kLater, StoreMembers());       // 2
  session_->ForceLeave(kLater, "a", {}, Store());  // 3
  Reply(99, "");                                   // no request has this number
  Receive({{"Num", 1}});                           // the body of that reply
  Reply(3, "no");
  EXPECT_EQ(status_->message(), "no");
  Reply(2, "");
  Receive({{"Members", json::array()}});
  ASSERT_TRUE(members_ && members_->ok());
}

TEST_F(ClientSessionTest, BodyAfterAnErrorIsSkipped) {
  Start();
  session_->MembersFiltered(kLater, {{}, "", "["}, StoreMembers());
  session_->Leave(kLater, Store());
  Reply(2, "Failed to compile regex: x");
  Receive({{"Members", json::array()}});
  Reply(3, "");
  ASSERT_TRUE(members_);
  EXPECT_EQ(members_->status().message(), "Failed to compile regex: x");
  EXPECT_EQ(status_, absl::OkStatus());
}

TEST_F(ClientSessionTest, MissingBody) {
  Start();
  session_->Members(kLater, StoreMembers());
  session_->Leave(kLater, Store());
  Reply(2, "");
  Reply(3, "");
  ASSERT_TRUE(members_);
  EXPECT_EQ(members_->status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(status_, absl::OkStatus());
}

TEST_F(ClientSessionTest, BadBody) {
  Start();
  session_->Members(kLater, StoreMembers());
  Reply(2, "");
  Receive({{"Members", 5}});
  ASSERT_TRUE(members_);
  EXPECT_EQ(members_->status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(ClientSessionTest, AgentsWordsWinOverTheEnd) {
  Start();
  std::optional<JoinResult> join;
  session_->Join(kLater, {{"a"}, false}, [&](JoinResult r) { join = std::move(r); });
  session_->Leave(kLater, Store());
  Reply(2, "Leave already in progress");
  EXPECT_FALSE(join);  // its body may still come
  session_->OnEnd();
  EXPECT_EQ(join->status.message(), "Leave already in progress");
  EXPECT_EQ(status_->message(), kClientClosed);
  EXPECT_TRUE(session_->ended());
  session_->Members(kLater, StoreMembers());
  EXPECT_EQ(members_->status().message(), kClientClosed);
  EXPECT_TRUE(session_->Output().empty() || !members_->ok());
}

TEST_F(ClientSessionTest, DeadlinesPass) {
  Start();
  const Instant soon = Instant(std::chrono::seconds(10));
  session_->Members(kLater, StoreMembers());
  session_->Leave(soon, Store());
  EXPECT_EQ(session_->NextDeadline(), soon);
  session_->OnTimer(soon - std::chrono::nanoseconds(1));
  EXPECT_FALSE(status_);
  session_->OnTimer(soon);
  EXPECT_EQ(status_->code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(session_->NextDeadline(), kLater);
  Reply(3, "");  // the reply comes too late
  Reply(2, "");
  Receive({{"Members", json::array()}});
  ASSERT_TRUE(members_ && members_->ok());
  EXPECT_EQ(session_->NextDeadline(), kNever);
}

TEST_F(ClientSessionTest, HandlerMayStopItsStream) {
  Start();
  int events = 0;
  session_->Stream(
      kLater, "*",
      [&](absl::StatusOr<EventRecord>) {
        ++events;
        session_->Stop(kLater, 2, Store());
        session_->Stop(kLater, 2, [](absl::Status) {});
      },
      [](absl::StatusOr<ClientSession::Seq>) {});
  Reply(2, "");
  for (int i = 0; i < 2; ++i) {
    Reply(2, "");
    Receive({{"Event", "member-join"}, {"Members", nullptr}});
  }
  Reply(3, "");
  session_->OnEnd();
  EXPECT_EQ(events, 1);
  EXPECT_EQ(status_, absl::OkStatus());
}

TEST_F(ClientSessionTest, GarbageEndsTheSession) {
  Rng rng(1);
  const ByteVector garbage[] = {{0xc1},
                                testkit::Announcing(rng, {}, testkit::kMap32),
                                testkit::Announcing(rng, {}, testkit::kText32)};
  for (const ByteVector& bytes : garbage) {
    SCOPED_TRACE(testkit::Hex(bytes));
    Start();
    status_.reset();
    session_->Leave(kLater, Store());
    session_->OnBytes(bytes);
    EXPECT_TRUE(session_->broken());
    EXPECT_EQ(status_->code(), absl::StatusCode::kDataLoss);
  }
}

}  // namespace
}  // namespace serf::rpc
