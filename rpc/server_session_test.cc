#include "serf/rpc/server_session.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "msgpack/sbuffer.hpp"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/rng.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/object_scanner.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/stream_event.h"
#include "serf/tags.h"
#include "serf/testing/hostile_input.h"
#include "serf/testing/rpc/fake_service.h"
#include "serf/testing/rpc/server_session_fixture.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/ids.h"

namespace serf::rpc {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

// --- commands ---

TEST_F(ServerSessionTest, JoinAnswersWhenTheServiceDoes) {
  Handshake();
  service_.hold = true;
  Request("join", 2, {{"Existing", {"10.0.0.1", "10.0.0.2:7000"}}, {"Replay", true}});
  Request("stop", 3, {{"Stop", 9}});  // waits its turn
  EXPECT_EQ(Take(), Objects({}));
  EXPECT_EQ(service_.joined, (std::vector<std::string>{"10.0.0.1", "10.0.0.2:7000"}));
  EXPECT_TRUE(service_.replayed);
  EXPECT_EQ(session_->NextDeadline(), kNever);

  service_.join_result = {absl::OkStatus(), 2};
  service_.Release();
  EXPECT_EQ(wakes_, 1);
  EXPECT_EQ(session_->NextDeadline(), Instant::min());
  session_->OnTimer(now_);
  EXPECT_EQ(Take(), Objects({Header(2), {{"Num", 2}}, Header(3)}));
}

// The count is that of Go Serf: requests that pass the check for a handshake, refused later or not.
TEST_F(ServerSessionTest, CommandsAreTold) {
  Request("stats", 1);
  EXPECT_EQ(commands_, 0);
  Connect("secret");
  Handshake();
  EXPECT_EQ(commands_, 1);
  Request("event", 2, {{"Name", "deploy"}});  // refused, with its body
  EXPECT_EQ(commands_, 2);
  Request("auth", 3, {{"AuthKey", "secret"}});
  Request("stats", 4);
  Request("stop", 5);
  EXPECT_EQ(commands_, 5);  // the body may still come
  Send({{"Stop", 9}});
  Request("nonsense", 6);
  EXPECT_EQ(commands_, 6);
}

TEST_F(ServerSessionTest, UserEvent) {
  Handshake();
  Request("event", 2,
          {{"Name", "deploy"}, {"Payload", json::binary({'v', '1'})}, {"Coalesce", true}});
  EXPECT_EQ(Take(), Objects({Header(2)}));
  EXPECT_EQ(service_.user_event, "deploy v1 coalesce");
  service_.status = absl::InvalidArgumentError("too large");
  Request("event", 3, {{"Name", ""}, {"Payload", nullptr}, {"Coalesce", false}});
  EXPECT_EQ(Take(), Objects({Header(3, "too large")}));
  EXPECT_EQ(service_.user_event, " ");
}

TEST_F(ServerSessionTest, KeyOperationsHaveABodyInAnyCase) {
  Handshake();
  service_.key_outcome = {absl::OkStatus(), {{"b", "no"}}, 2, 2, 1, {{"a2V5", 2}}, {}};
  service_.status = absl::AbortedError("1/2 nodes reported failure");
  json body = {{"Keys", nullptr},
               {"Messages", {{"b", "no"}}},
               {"NumErr", 1},
               {"NumNodes", 2},
               {"NumResp", 2}};
  const struct {
    const char* command;
    KeyOperation operation;
  } kTable[] = {{"install-key", KeyOperation::kInstall},
                {"use-key", KeyOperation::kUse},
                {"remove-key", KeyOperation::kRemove}};
  for (const auto& row : kTable) {
    Request(row.command, 2, {{"Key", "a2V5"}});
    EXPECT_EQ(Take(), Objects({Header(2, "1/2 nodes reported failure"), body}));
    EXPECT_EQ(service_.key_operation, row.operation);
    EXPECT_EQ(service_.managed_key, "a2V5");
  }
  service_.status = absl::OkStatus();
  body["Keys"] = {{"a2V5", 2}};
  Request("list-keys", 3);
  EXPECT_EQ(Take(), Objects({Header(3), body}));
  EXPECT_EQ(service_.key_operation, KeyOperation::kList);
}

TEST_F(ServerSessionTest, JoinErrorHasABody) {
  Handshake();
  service_.join_result = {absl::UnavailableError("Serf can't Join after Leave or Shutdown"), 0};
  Request("join", 2, {{"Existing", {"a"}}, {"Replay", false}});
  EXPECT_EQ(Take(), Objects({Header(2, "Serf can't Join after Leave or Shutdown"), {{"Num", 0}}}));
}

// Without the text nobody learns that one seed of several has gone.
TEST_F(ServerSessionTest, JoinNamesItsFailuresIfItIsAskedTo) {
  Handshake();
  service_.join_result = {absl::OkStatus(), 1, {"Failed to resolve a: no such host"}};
  Request("join", 2, {{"Existing", {"a", "b"}}, {"Replay", false}});
  EXPECT_EQ(Take(), Objects({Header(2), {{"Num", 1}}}));
  Request("join", 3, {{"Existing", {"a", "b"}}, {"Failures", true}});
  EXPECT_EQ(Take(), Objects({Header(3),
                             {{"Failures", {"Failed to resolve a: no such host"}}, {"Num", 1}}}));
  service_.join_result = {absl::OkStatus(), 2, {}};
  Request("join", 4, {{"Existing", {"a", "b"}}, {"Failures", true}});
  EXPECT_EQ(Take(), Objects({Header(4), {{"Num", 2}}}));
}

TEST_F(ServerSessionTest, JoinOfAClientThatHungUpIsCutShort) {
  Handshake();
  Request("join", 2, {{"Existing", {"a"}}});
  EXPECT_TRUE(service_.cancelled_joins.empty());
  service_.hold = true;
  Request("join", 3, {{"Existing", {"b"}}});
  session_->OnEnd(now_);
  EXPECT_EQ(service_.cancelled_joins, std::vector<JoinId>{JoinId(2)});
  Connect();
  Handshake();
  Request("join", 2, {{"Existing", {"c"}}});
  session_->OnClosed();  // without an end of the stream before it
  EXPECT_EQ(service_.cancelled_joins, (std::vector<JoinId>{JoinId(2), JoinId(3)}));
}

TEST_F(ServerSessionTest, JoinOfTooManyIsRefused) {
  Handshake();
  Request("join", 2, {{"Existing", std::vector<std::string>(kJoinAddressesMax + 1, "a")}});
  EXPECT_TRUE(session_->finished());
  EXPECT_TRUE(service_.joined.empty());
}

// Two bytes of a map need a hundred bytes of memory.
TEST_F(ServerSessionTest, MapsAreBounded) {
  json tags = json::object();
  for (std::size_t i = 0; i < kMapEntriesMax; ++i) tags[absl::StrCat(i)] = "";
  Handshake();
  Request("tags", 2, {{"Tags", tags}, {"DeleteTags", json::array()}});
  EXPECT_EQ(Take(), Objects({Header(2)}));
  EXPECT_EQ(service_.set_tags.size(), kMapEntriesMax);
  tags["one more"] = "";
  Request("tags", 3, {{"Tags", tags}, {"DeleteTags", json::array()}});
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, ForceLeaveAndTags) {
  Handshake();
  Request("force-leave", 2, {{"Node", "beta"}, {"Prune", true}});
  EXPECT_EQ(service_.removed, "beta");
  EXPECT_TRUE(service_.pruned);
  service_.status = absl::DeadlineExceededError("timed out broadcasting node removal");
  Request("force-leave", 3, {{"Node", "gamma"}});
  EXPECT_FALSE(service_.pruned);
  EXPECT_EQ(Take(), Objects({Header(2), Header(3, "timed out broadcasting node removal")}));

  service_.status = absl::OkStatus();
  Request("tags", 4, {{"Tags", {{"a", "1"}}}, {"DeleteTags", {"b", "c"}}});
  EXPECT_EQ(service_.set_tags, (Tags{{"a", "1"}}));
  EXPECT_EQ(service_.removed_tags, (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(Take(), Objects({Header(4)}));
}

TEST_F(ServerSessionTest, LeaveIsSharedAndClosesAfterTheReply) {
  Handshake();
  service_.hold = true;
  Request("leave", 2);
  ServerSession other(now_, service_, {});
  other.OnBytes(now_, json::to_msgpack(json{{"Command", "handshake"}, {"Seq", 1}}));
  other.OnBytes(now_, json::to_msgpack(json{{"Version", 1}}));
  other.OnBytes(now_, json::to_msgpack(json{{"Command", "leave"}, {"Seq", 2}}));
  EXPECT_EQ(service_.leaves, 2);
  service_.Release();
  EXPECT_EQ(Take(), Objects({Header(2)}));
  EXPECT_TRUE(session_->finished());
  EXPECT_FALSE(other.finished());  // its reply is not yet written
  other.OnWritten(now_, other.Output().size());
  EXPECT_TRUE(other.finished());
  EXPECT_EQ(logger_.lines.front(), "[INFO] agent.ipc: Graceful leave triggered");
}

TEST_F(ServerSessionTest, StreamsGoOnAfterALeaveUntilTheAgentEnds) {
  Handshake();
  Request("stream", 2, {{"Type", "*"}});
  Request("leave", 3);
  Request("members", 4);
  session_->OnEnd(now_);
  EXPECT_EQ(Take(), Objects({Header(2), Header(3)}));
  EXPECT_FALSE(session_->finished());
  EXPECT_FALSE(session_->wants_input());
  session_->OnEvent(now_, JoinEvent("a"));
  EXPECT_EQ(Take().size(), 2u);
  EXPECT_FALSE(session_->finished());
}

TEST_F(ServerSessionTest, FailedLeaveKeepsTheConnection) {
  Handshake();
  service_.status = absl::DeadlineExceededError("timeout while waiting for graceful leave");
  Request("leave", 2);
  EXPECT_EQ(Take(), Objects({Header(2, "timeout while waiting for graceful leave")}));
  EXPECT_FALSE(session_->finished());
  EXPECT_EQ(logger_.lines.back(),
            "[ERR] agent.ipc: leave failed: timeout while waiting for graceful leave");
}

TEST_F(ServerSessionTest, Coordinates) {
  service_.coordinates["alpha"] = Coordinate::Start();
  Handshake();
  Request("get-coordinate", 2, {{"Node", "alpha"}});
  const json found = Take();
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[1]["Ok"], true);
  EXPECT_EQ(found[1]["Coord"]["Vec"].size(), 8u);
  EXPECT_EQ(found[1]["Coord"]["Error"], kCoordinateErrorMax);
  Request("get-coordinate", 3, {{"Node", "beta"}});
  const json zero = {{"Adjustment", 0.0}, {"Error", 0.0}, {"Height", 0.0}, {"Vec", nullptr}};
  EXPECT_EQ(Take(), Objects({Header(3), {{"Coord", zero}, {"Ok", false}}}));
}

TEST_F(ServerSessionTest, AnswersWhatWasAskedBeforeTheEndOfStream) {
  Handshake();
  service_.hold = true;
  Request("join", 2, {{"Existing", {"a"}}});
  Request("members", 3);
  session_->OnEnd(now_);
  EXPECT_FALSE(session_->finished());
  service_.Release();
  session_->OnTimer(now_);
  EXPECT_FALSE(session_->finished());
  EXPECT_EQ(Take(), Objects({Header(2), {{"Num", 0}}, Header(3), {{"Members", json::array()}}}));
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, CompletionAfterTheSessionsEnd) {
  Handshake();
  service_.hold = true;
  Request("join", 2, {{"Existing", {"a"}}});
  Request("leave", 3);
  session_.reset();
  service_.Release();
  EXPECT_EQ(wakes_, 0);
}

// --- streams ---

TEST_F(ServerSessionTest, StreamsDeliverWhatTheirFilterWants) {
  Handshake();
  Request("stream", 2, {{"Type", "member-leave"}});
  Request("stream", 3, {{"Type", "*"}});
  Request("stream", 4, {{"Type", "user:deploy"}});
  EXPECT_EQ(Take(), Objects({Header(2), Header(3), Header(4)}));
  session_->OnEvent(now_, JoinEvent("a"));
  session_->OnEvent(now_, std::make_shared<const StreamEvent>(
                              Event(UserEvent{wire::LamportTime(7), "deploy", "", true})));
  const json all = Take();
  ASSERT_EQ(all.size(), 6u);
  EXPECT_EQ(all[0], Header(3));
  EXPECT_EQ(all[1]["Event"], "member-join");
  EXPECT_EQ(all[1]["Members"][0]["Name"], "a");
  // The records of two streams alternate.
  EXPECT_EQ(all[2], Header(4));
  EXPECT_EQ(all[3], all[5]);
  EXPECT_EQ(all[3], (json{{"Event", "user"},
                          {"LTime", 7},
                          {"Name", "deploy"},
                          {"Payload", nullptr},
                          {"Coalesce", true}}));
  EXPECT_EQ(all[4], Header(3));
}

TEST_F(ServerSessionTest, StopEndsAStream) {
  Handshake();
  Request("stream", 2, {{"Type", ""}});
  Request("stop", 3, {{"Stop", 2}});
  Request("stop", 4, {{"Stop", 2}});
  session_->OnEvent(now_, JoinEvent("a"));
  EXPECT_EQ(Take(), Objects({Header(2), Header(3), Header(4)}));
}

TEST_F(ServerSessionTest, StreamsAreBounded) {
  Handshake();
  for (std::uint64_t seq = 2; seq < 2 + kStreamsMax; ++seq) Request("stream", seq, {{"Type", "*"}});
  Take();
  Request("stream", 100000, {{"Type", "*"}});
  EXPECT_EQ(Take(), Objects({Header(100000, kTooManyStreams)}));
}

TEST_F(ServerSessionTest, SlowReaderLosesRecordsAndIsWarnedOfOnce) {
  Handshake();
  Request("stream", 2, {{"Type", "*"}});
  Take();
  const ByteView first = session_->Output();
  EXPECT_TRUE(first.empty());
  session_->OnEvent(now_, JoinEvent("a"));
  // The socket took one byte, then no more.
  ASSERT_GT(session_->Output().size(), 1u);
  session_->OnWritten(now_, 1);
  const std::size_t pending = session_->Output().size();
  for (std::size_t i = 0; i < kQueueMax + 10; ++i) session_->OnEvent(now_, JoinEvent("b"));
  EXPECT_EQ(session_->Output().size(), pending);
  EXPECT_EQ(session_->subscriptions().dropped(), 10u);
  ASSERT_EQ(logger_.lines.size(), 1u);
  EXPECT_EQ(logger_.lines[0], "[WARN] agent.ipc: Dropping event to ipc.client: 127.0.0.1:45676");
  now_ += seconds(1);
  session_->OnEvent(now_, JoinEvent("b"));
  EXPECT_EQ(logger_.lines.size(), 2u);

  // The client reads again: the queued records come in order, and the stream continues.
  session_->OnWritten(now_, pending);
  EXPECT_EQ(Take().size(), 2 * kQueueMax);
  session_->OnEvent(now_, JoinEvent("c"));
  EXPECT_EQ(Take()[1]["Members"][0]["Name"], "c");
}

TEST_F(ServerSessionTest, StreamsAreBoundedInBytes) {
  Handshake();
  Request("stream", 2, {{"Type", "*"}});
  EXPECT_EQ(Take(), Objects({Header(2)}));
  MemberEvent all{MemberEventKind::kJoin, {}};
  for (int i = 0; i < 10'000; ++i) all.members.push_back(TestMember(absl::StrCat("node", i)));
  const auto event = std::make_shared<const StreamEvent>(Event(all));
  const std::size_t fit = kQueueBytesMax / event->size() + 1;
  ASSERT_LT(fit, kQueueMax / 2);
  for (std::size_t i = 0; i < 2 * fit; ++i) session_->OnEvent(now_, event);
  EXPECT_EQ(session_->subscriptions().dropped(), fit);
  std::size_t written = 0;
  for (ByteView out = session_->Output(); !out.empty(); out = session_->Output()) {
    written += out.size();
    session_->OnWritten(now_, out.size());
  }
  EXPECT_GT(written, fit * event->size());
  // The queue has room again.
  session_->OnEvent(now_, event);
  EXPECT_EQ(session_->subscriptions().dropped(), fit);
}

TEST_F(ServerSessionTest, MonitorBeginsWithTheHistory) {
  for (int i = 0; i < 3; ++i) {
    service_.history.Append(MakeLogLine(LogLevel::kDebug, absl::StrCat("[DEBUG] ", i)));
    service_.history.Append(MakeLogLine(LogLevel::kWarn, absl::StrCat("[WARN] ", i, "\n")));
  }
  service_.history.Append(MakeLogLine(std::nullopt, "no level"));
  Handshake();
  Request("monitor", 2, {{"LogLevel", "info"}});
  session_->OnLog(now_, MakeLogLine(LogLevel::kInfo, "[INFO] new"));
  session_->OnLog(now_, MakeLogLine(LogLevel::kTrace, "[TRACE] new"));
  EXPECT_EQ(Take(), Objects({Header(2),
                             Header(2),
                             {{"Log", "[WARN] 0"}},
                             Header(2),
                             {{"Log", "[WARN] 1"}},
                             Header(2),
                             {{"Log", "[WARN] 2"}},
                             Header(2),
                             {{"Log", "no level"}},
                             Header(2),
                             {{"Log", "[INFO] new"}}}));
  Request("stop", 3, {{"Stop", 2}});
  Request("monitor", 4, {{"LogLevel", "ERR"}});
  EXPECT_EQ(Take(), Objects({Header(3), Header(4), Header(4), {{"Log", "no level"}}}));
}

TEST_F(ServerSessionTest, HistoryHoldsTheLastLines) {
  for (std::size_t i = 0; i < kLogHistoryMax + 5; ++i) {
    service_.history.Append(MakeLogLine(LogLevel::kInfo, absl::StrCat(i)));
  }
  const std::vector<LogLinePtr> lines = service_.history.Lines();
  ASSERT_EQ(lines.size(), kLogHistoryMax);
  EXPECT_EQ(lines.front()->text, "5");
}

// The warning about a dropped line is a line itself. A client can make long lines, so a limit on
// their number does not limit memory.
TEST_F(ServerSessionTest, HistoryIsBoundedInBytes) {
  rpc::LogHistory history;
  const std::string text(std::size_t{1} << 20, 'x');
  for (int i = 0; i < 600; ++i) history.Append(MakeLogLine(LogLevel::kInfo, text));
  std::size_t bytes = 0;
  for (const LogLinePtr& line : history.Lines()) bytes += line->text.size();
  EXPECT_LE(bytes, kLogHistoryBytesMax);
  EXPECT_EQ(history.Lines().back()->text, text.substr(0, kLogLineMax) + "...");
}

TEST_F(ServerSessionTest, MonitorOfItsOwnDrops) {
  Handshake();
  Request("monitor", 2, {{"LogLevel", "DEBUG"}});
  Take();
  logger_.on_line = [this](LogLevel level, const std::string& text) {
    session_->OnLog(now_, MakeLogLine(level, text));
  };
  for (std::size_t i = 0; i < kQueueMax + 3; ++i) {
    session_->OnLog(now_, MakeLogLine(LogLevel::kInfo, "[INFO] x"));
  }
  EXPECT_EQ(session_->subscriptions().dropped(), 4u);
  ASSERT_EQ(logger_.lines.size(), 1u);
  EXPECT_EQ(logger_.lines[0], "[WARN] agent.ipc: Dropping logs to ipc.client: 127.0.0.1:45676");
}

// --- hostile clients: docs/protocol/agent.md 8.1 ---

TEST_F(ServerSessionTest, AnnouncedLengthsAreNotBelieved) {
  Rng rng(1);
  constexpr std::uint8_t kExtension32 = 0xc9;
  for (const std::uint8_t head :
       {testkit::kText32, testkit::kBytes32, testkit::kList32, testkit::kMap32, kExtension32}) {
    SCOPED_TRACE(head);
    Connect();
    SendHex(testkit::Hex(testkit::Announcing(rng, testkit::UnknownKey(), head)));
    EXPECT_TRUE(session_->finished());
    EXPECT_EQ(Take(), Objects({}));
    EXPECT_EQ(logger_.lines.back(),
              "[ERR] agent.ipc: failed to decode request header: object too large");
  }
  Connect();
  Handshake();
  Request("join", 2);
  SendHex(testkit::Hex(
      testkit::Announcing(rng, testkit::Unhex("81a84578697374696e67"), testkit::kList32)));
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(logger_.lines.back(),
            "[ERR] agent.ipc: Failed to evaluate request: decode failed: object too large");
}

TEST_F(ServerSessionTest, DeepNestingIsRefused) {
  session_->OnBytes(now_, ByteVector(5'000'000, 0x91));
  EXPECT_TRUE(session_->finished());
  Connect();
  Handshake();
  Request("stop", 2);
  SendHex("81a158");
  session_->OnBytes(now_, ByteVector(5'000'000, 0x91));
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, LargeRequestsNeedALogin) {
  const json large = {{"Command", "handshake"}, {"X", std::string(kLoginSizeMax, 'x')}};
  Send(large);
  EXPECT_TRUE(session_->finished());
  Connect();
  Handshake();
  Request("stop", 2, {{"Stop", 1}, {"X", std::string(kRequestSizeMax - 100, 'x')}});
  EXPECT_EQ(Take(), Objects({Header(2)}));
  Request("stop", 3, {{"Stop", 1}, {"X", std::string(kRequestSizeMax, 'x')}});
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, SilenceEndsAtTheHandshakeDeadline) {
  EXPECT_EQ(session_->NextDeadline(), now_ + kHandshakeTimeout);
  Wait();
  EXPECT_TRUE(session_->finished());
  EXPECT_EQ(session_->NextDeadline(), kNever);
}

TEST_F(ServerSessionTest, TrickleEndsAtTheRequestDeadline) {
  Handshake();
  now_ += seconds(3600);  // idle between requests is allowed
  session_->OnTimer(now_);
  EXPECT_EQ(session_->NextDeadline(), kNever);
  const Instant begun = now_;
  Request("stop", 2);
  for (int i = 0; i < 3; ++i) {
    now_ += seconds(3);
    SendHex(i == 0 ? "82" : i == 1 ? "a1" : "58");
    EXPECT_EQ(session_->NextDeadline(), begun + kRequestTimeout);
  }
  EXPECT_FALSE(session_->finished());
  Wait();
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, ClientThatNeverReadsIsNotServedFurther) {
  service_.members.assign(100, TestMember(std::string(200, 'm')));
  Handshake();
  Request("stream", 2, {{"Type", "*"}});
  std::size_t size = 0;
  for (std::uint64_t seq = 3; seq < 10000; ++seq) {
    if (!session_->wants_input()) continue;
    Send({{"Command", "members"}, {"Seq", seq}, {"X", std::string(4000, 'x')}});
    size = session_->Output().size();
  }
  EXPECT_LT(size, 200u << 10);
  EXPECT_FALSE(session_->wants_input());
  // The client reads after all, and gets everything that it asked for.
  Take();
  EXPECT_TRUE(session_->wants_input());
}

TEST_F(ServerSessionTest, SlowRequestsPauseTheInput) {
  Handshake();
  service_.hold = true;
  Request("join", 2, {{"Existing", {"a"}}});
  int sent = 0;
  while (session_->wants_input()) {
    Request("stop", 3, {{"Stop", 1}});
    ASSERT_LT(++sent, 10000);
  }
  service_.Release();
  session_->OnTimer(now_);
  EXPECT_TRUE(session_->wants_input());
  EXPECT_EQ(Take().size(), 2u + sent);
}

TEST_F(ServerSessionTest, WrongKeysAreSlowAndFew) {
  Connect("secret");
  Handshake();
  for (int i = 1; i <= kAuthAttemptsMax; ++i) {
    EXPECT_FALSE(session_->finished());
    Request("auth", 2, {{"AuthKey", "guess"}});
    EXPECT_EQ(Take(), Objects({}));
    EXPECT_EQ(session_->NextDeadline(), now_ + kAuthDelay);
    Wait();
    EXPECT_EQ(Take(), Objects({Header(2, kInvalidAuthToken)}));
  }
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, AuthenticationHasADeadline) {
  Connect("secret");
  const Instant start = now_;
  Handshake();
  Request("members", 2);
  EXPECT_EQ(Take(), Objects({Header(2, kAuthRequired)}));
  EXPECT_EQ(session_->NextDeadline(), start + kAuthTimeout);
  EXPECT_EQ(logger_.lines.back(), "[WARN] agent.ipc: Client sending commands before auth");
  const std::size_t lines = logger_.lines.size();
  Request("members", 3);
  EXPECT_EQ(logger_.lines.size(), lines);
  Request("auth", 4, {{"AuthKey", "secret"}});
  EXPECT_EQ(session_->NextDeadline(), kNever);

  Connect("secret");
  Handshake();
  Wait();
  EXPECT_TRUE(session_->finished());
}

// After a refused request the session consumes its body, but not the next header.
TEST_F(ServerSessionTest, BodiesOfRefusedRequests) {
  Connect("secret");
  Handshake();
  Request("members-filtered", 2, {{"Tags", json::object()}, {"Status", ""}, {"Name", ""}});
  Request("join", 3, json::array({json::array({"a"}), false}));
  Request("stop", 4, json());
  Request("frobnicate", 5, {{"X", 1}});
  Request("frobnicate", 6);
  Request("members", 7);
  Request("stream", 8);  // the body is missing
  Request("members", 9);
  json expected = json::array();
  for (std::uint64_t seq = 2; seq <= 9; ++seq) expected.push_back(Header(seq, kAuthRequired));
  EXPECT_EQ(Take(), expected);
}

// Recorded from Go Serf 0.9.4: a field that a header lacks has the value of the request before.
TEST_F(ServerSessionTest, AHeaderKeepsWhatItDoesNotSay) {
  Handshake();
  Request("stop", 7, {{"Stop", 1}});
  EXPECT_EQ(Take(), Objects({Header(7)}));
  Send({{"Command", "stop"}});
  Send({{"Stop", 1}});
  EXPECT_EQ(Take(), Objects({Header(7)}));
  Send({{"Seq", 8}});
  Send({{"Stop", 1}});
  EXPECT_EQ(Take(), Objects({Header(8)}));
  Send(json::array({"stop"}));
  Send({{"Stop", 1}});
  EXPECT_EQ(Take(), Objects({Header(8)}));
  Send({{"Command", "stop"}, {"Seq", nullptr}});
  Send({{"Stop", 1}});
  EXPECT_EQ(Take(), Objects({Header(0)}));
  Send({{"Command", nullptr}, {"Seq", 9}});
  EXPECT_EQ(Take(), Objects({Header(9, kUnsupportedCommand)}));
  EXPECT_TRUE(session_->finished());
  Connect();
  Handshake();
  Send(json());
  EXPECT_EQ(Take(), Objects({Header(0, kUnsupportedCommand)}));
}

TEST_F(ServerSessionTest, AHandshakeNeedsNoSeq) {
  Send({{"Command", "handshake"}});
  Send({{"Version", 1}});
  EXPECT_EQ(Take(), Objects({Header(0)}));
  Connect();
  Send(json::object());
  EXPECT_EQ(Take(), Objects({Header(0, kHandshakeRequired)}));
}

// A Java client sends one after `leave`. Go Serf leaves twice.
TEST_F(ServerSessionTest, ABodyThatNoCommandHasIsSkipped) {
  Handshake();
  service_.status = absl::InternalError("not now");  // else it would be the last request
  for (const json& body : {json::object(), json{{"Name", "x"}}, json::array()}) {
    Request("leave", 2);
    Send(body);
    Send(body);
    Request("get-coordinate", 3, {{"Node", "x"}});
    const json replies = Take();
    ASSERT_EQ(replies.size(), 3u) << body;
    EXPECT_EQ(replies[0], Header(2, "not now"));
    EXPECT_EQ(replies[1], Header(3));
  }
  EXPECT_EQ(service_.leaves, 3);
  // The skipped body leaves no deadline behind.
  EXPECT_EQ(session_->NextDeadline(), kNever);
  // A map whose key is not a text is still a mistake.
  SendHex("8101c0");
  EXPECT_TRUE(session_->finished());
}

TEST_F(ServerSessionTest, OtherProtocols) {
  for (const absl::string_view text : {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n",
                                       "\x16\x03\x01\x02", "\xc1\xc1\xc1", "\xff\xff\xff\xff"}) {
    Connect();
    session_->OnBytes(now_, AsBytes(text));
    EXPECT_TRUE(session_->finished());
    EXPECT_EQ(Take(), Objects({}));
    EXPECT_EQ(logger_.lines.size(), 1u);
  }
}

TEST_F(ServerSessionTest, LongCommandNamesAreCutInTheLog) {
  Handshake();
  Request(std::string(100'000, 'x'), 2);
  EXPECT_EQ(Take(), Objects({Header(2, kUnsupportedCommand)}));
  EXPECT_LT(logger_.lines.back().size(), 200u);
}

TEST_F(ServerSessionTest, MemoryOfALargeRecordIsKeptForASecond) {
  Handshake();
  Request("stream", 2, {{"Type", "*"}});
  EXPECT_EQ(Take(), Objects({Header(2)}));
  const auto tell = [this] {
    MemberEvent event{MemberEventKind::kJoin, {}};
    event.members.resize(5000);
    session_->OnEvent(now_, std::make_shared<const StreamEvent>(Event(std::move(event))));
  };
  tell();
  EXPECT_EQ(Take()[1]["Members"].size(), 5000u);
  const Instant released = now_ + seconds(1);
  EXPECT_EQ(session_->NextDeadline(), released);
  session_->OnTimer(released);
  EXPECT_EQ(session_->NextDeadline(), kNever);

  // The output that is being written then stays, and its memory is freed later.
  tell();
  EXPECT_EQ(Take()[1]["Members"].size(), 5000u);
  tell();
  EXPECT_FALSE(session_->Output().empty());
  session_->OnTimer(released + seconds(1));
  EXPECT_EQ(Take()[1]["Members"].size(), 5000u);
  EXPECT_EQ(session_->NextDeadline(), now_ + seconds(1));
}

TEST_F(ServerSessionTest, NothingIsReadAfterTheEnd) {
  SendHex("c1");
  EXPECT_TRUE(session_->finished());
  EXPECT_FALSE(session_->wants_input());
  Request("handshake", 1, {{"Version", 1}});
  session_->OnEvent(now_, JoinEvent("a"));
  session_->OnLog(now_, MakeLogLine(LogLevel::kError, "x"));
  session_->OnEnd(now_);
  session_->OnTimer(now_ + seconds(100));
  EXPECT_EQ(Take(), Objects({}));
  EXPECT_TRUE(session_->finished());
}

}  // namespace
}  // namespace serf::rpc
