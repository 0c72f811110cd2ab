// Plays the recorded sessions of Go Serf against ServerSession. The same input gives the same
// output, except where docs/protocol/agent.md 1.4 and 8.1 ask for something better.

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/coordinate.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/decode.h"
#include "serf/rpc/log_history.h"
#include "serf/rpc/object_scanner.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/server_session.h"
#include "serf/rpc/stream_event.h"
#include "serf/testing/rpc/fake_service.h"
#include "serf/testing/vectors/vectors.h"

namespace serf::rpc {
namespace {

using nlohmann::json;

constexpr absl::string_view kAuthKey = "my-secret-auth-token";

// The sessions where the specification asks for other bytes than Go Serf's. Each has its own test
// below or in server_session_test.
const std::set<std::string> kWantedDifferent = {"members-filtered-bad-regex",
                                                "header-fields-are-sticky", "unread-body",
                                                "auth-missing-with-body", "cli-auth-missing"};

std::vector<json> Sessions() {
  std::vector<json> sessions;
  // The second file has clients in other languages, and goiardi.
  for (const char* const file : {"rpc.json", "rpc_clients.json"}) {
    const json all = testkit::LoadVectors(file);
    sessions.insert(sessions.end(), all.begin(), all.end());
  }
  return sessions;
}

json Session(const std::string& name) {
  for (const json& session : Sessions()) {
    if (session["name"] == name) return session;
  }
  ADD_FAILURE() << "no session " << name;
  return {};
}

std::string NameOf(const json& session) { return session["name"].get<std::string>(); }

std::string HexOf(const json& object) { return object["hex"].get<std::string>(); }

bool IsMap(const json& frame) { return frame.contains("value") && frame["value"].is_object(); }

bool IsRequestHeader(const json& frame) {
  return frame["dir"] == "C" && IsMap(frame) && frame["value"].contains("Command") &&
         frame["value"]["Command"].is_string();
}

bool IsResponseHeader(const json& frame) {
  return frame["dir"] == "S" && IsMap(frame) && frame["value"].size() == 2 &&
         frame["value"].contains("Error") && frame["value"].contains("Seq");
}

// The parts that must be equal. Bytes need not be: Go Serf has a random order of maps and of
// members.
json Canonical(const std::string& hex) {
  json value = json::from_msgpack(testkit::Unhex(hex));
  if (value.is_object() && value.contains("Members")) {
    std::sort(value["Members"].begin(), value["Members"].end(),
              [](const json& a, const json& b) { return a["Name"] < b["Name"]; });
  }
  return value;
}

template <typename Record>
Record DecodeHex(const std::string& hex) {
  const ByteVector bytes = testkit::Unhex(hex);
  Record record;
  Decoder decoder(bytes);
  EXPECT_TRUE(decoder.Read(record)) << hex << ": " << decoder.error();
  return record;
}

LogLinePtr LineOf(const std::string& text) {
  for (const LogLevel level :
       {LogLevel::kTrace, LogLevel::kDebug, LogLevel::kInfo, LogLevel::kWarn, LogLevel::kError}) {
    const std::string tag = absl::StrCat("[", LogLevelName(level), "]");
    if (text.find(tag) != std::string::npos) return std::make_shared<LogLine>(LogLine{level, text});
  }
  return std::make_shared<LogLine>(LogLine{std::nullopt, text});
}

// Plays the client's frames, and the cluster's part in the agent's answers.
class Replay {
 public:
  explicit Replay(const json& session) : frames_(session["decoded"]["frames"]) {
    const std::string name = NameOf(session);
    ServerSession::Options options;
    if ((name.rfind("auth-", 0) == 0 && name.rfind("auth-not-required", 0) != 0) ||
        name.rfind("cli-auth-", 0) == 0) {
      options.auth_key = std::string(kAuthKey);
    }
    options.peer = "127.0.0.1:45676";
    options.logger = &logger_;
    server_.emplace(now_, service_, std::move(options));
    // The recorded agent's answers to requests that Prepare() does not handle.
    service_.members = {TestMember("alpha", 23121)};
  }

  void Run() {
    for (std::size_t i = 0; i < frames_.size(); ++i) {
      const json& frame = frames_[i];
      if (frame["dir"] == "C") {
        Feed(i);
      } else if (IsResponseHeader(frame)) {
        Follow(i);
      }
    }
  }

  ServerSession& server() { return *server_; }
  FakeService& service() { return service_; }
  FakeLogger& logger() { return logger_; }
  Instant now() const { return now_; }

  // The objects that the session has sent, in hex.
  std::vector<std::string> Sent() const {
    std::vector<std::string> objects;
    ByteView rest = sent_;
    while (!rest.empty()) {
      ObjectScanner scanner;
      const ObjectScanner::Result result = scanner.Scan(rest, kReplySizeMax);
      EXPECT_EQ(result, ObjectScanner::Result::kComplete);
      if (result != ObjectScanner::Result::kComplete) break;
      objects.push_back(testkit::Hex(rest.first(scanner.size())));
      rest = rest.subspan(scanner.size());
    }
    return objects;
  }

  std::vector<std::string> Recorded() const {
    std::vector<std::string> objects;
    for (const json& frame : frames_) {
      if (frame["dir"] == "S") objects.push_back(HexOf(frame));
    }
    return objects;
  }

  void Take() {
    for (ByteView out = server_->Output(); !out.empty(); out = server_->Output()) {
      Append(sent_, out);
      server_->OnWritten(now_, out.size());
    }
  }

 private:
  void Feed(std::size_t i) {
    const json& frame = frames_[i];
    if (IsRequestHeader(frame)) Prepare(i);
    server_->OnBytes(now_, testkit::Unhex(HexOf(frame)));
    // The answer to a wrong key comes after a while.
    if (server_->NextDeadline() <= now_ + kAuthDelay) {
      now_ = server_->NextDeadline();
      server_->OnTimer(now_);
    }
    Take();
  }

  // Makes the service give the recorded answer to the request of frame `i`.
  void Prepare(std::size_t i) {
    const json& request = frames_[i]["value"];
    const std::uint64_t seq = request.value("Seq", std::uint64_t{0});
    const std::string command = request["Command"].get<std::string>();
    int earlier = requests_[seq]++;
    for (std::size_t at = 0; at < frames_.size(); ++at) {
      if (!IsResponseHeader(frames_[at]) || frames_[at]["value"]["Seq"] != seq) continue;
      if (earlier-- > 0) continue;
      const std::string error = frames_[at]["value"]["Error"].get<std::string>();
      service_.status = error.empty() ? absl::OkStatus() : absl::UnknownError(error);
      // The request's body names the node.
      if (command == "get-coordinate") node_ = frames_[i + 1]["value"]["Node"].get<std::string>();
      if (at + 1 < frames_.size()) PrepareBody(command, frames_[at + 1]);
      return;
    }
  }

  void PrepareBody(const std::string& command, const json& frame) {
    if (!IsMap(frame)) return;
    const json& body = frame["value"];
    if (command == "join" && body.contains("Num")) {
      service_.join_result = {service_.status, body["Num"].get<std::int32_t>()};
    } else if (body.contains("NumNodes")) {
      service_.key_outcome = {service_.status,
                              body["Messages"].get<std::map<std::string, std::string>>(),
                              body["NumNodes"].get<std::size_t>(),
                              body["NumResp"].get<std::size_t>(),
                              body["NumErr"].get<std::size_t>(),
                              {},
                              {}};
      if (body["Keys"].is_object()) {
        service_.key_outcome.keys = body["Keys"].get<std::map<std::string, std::size_t>>();
      }
    } else if (command == "get-coordinate") {
      const auto reply = DecodeHex<CoordinateReply>(HexOf(frame));
      service_.coordinates.clear();
      if (reply.ok) service_.coordinates[node_] = FromMessage(reply.coord).value();
    } else if (command == "stats") {
      service_.stats = DecodeHex<StatsSections>(HexOf(frame));
    } else if (body.contains("Members") && !body.contains("Event")) {
      service_.members = DecodeHex<MembersReply>(HexOf(frame)).members;
      if (command == "members-filtered") AddOthers();
      std::sort(service_.members.begin(), service_.members.end(),
                [](const Member& a, const Member& b) { return a.name < b.name; });
    }
  }

  // Adds members that a filter must leave out.
  void AddOthers() {
    for (const char* const name : {"alpha", "beta"}) {
      const bool known = std::any_of(service_.members.begin(), service_.members.end(),
                                     [&](const Member& m) { return m.name == name; });
      if (!known && !all_match_) service_.members.push_back(TestMember(name));
    }
  }

  // Follows the agent: a header beyond the replies belongs to a record, so an event happened.
  void Follow(std::size_t i) {
    const std::uint64_t seq = frames_[i]["value"]["Seq"].get<std::uint64_t>();
    if (replies_[seq] < requests_[seq]) {
      ++replies_[seq];
      return;
    }
    if (i + 1 == frames_.size()) return;
    const json& record = frames_[i + 1];
    if (record["value"].contains("Log")) {
      server_->OnLog(now_, LineOf(record["value"]["Log"].get<std::string>()));
    } else if (record["value"].contains("Event")) {
      std::visit([&](const auto& event) { Emit(event); }, DecodeHex<EventRecord>(HexOf(record)));
    } else if (record["value"].contains("Type")) {
      const auto answer = DecodeHex<AnswerRecord>(HexOf(record));
      service_.TellAnswer(answer.kind, answer.from, answer.payload);
    }
    Take();
  }

  void Emit(const Event& event) {
    server_->OnEvent(now_, std::make_shared<const StreamEvent>(event));
  }
  // The session assigns the number.
  void Emit(const QueryRecord& record) {
    Emit(QueryEvent{{record.time, 1}, record.name, record.payload, "alpha", now_ + Duration(1)});
  }

  const json frames_;
  FakeService service_;
  FakeLogger logger_;
  Instant now_ = Instant(std::chrono::seconds(1));
  std::optional<ServerSession> server_;
  ByteVector sent_;
  std::string node_;
  std::map<std::uint64_t, int> requests_;
  std::map<std::uint64_t, int> replies_;

 public:
  bool all_match_ = false;
};

TEST(RecordedSessionTest, SameBytesAsTheOriginal) {
  int replayed = 0;
  int same_bytes = 0;
  for (const json& session : Sessions()) {
    const std::string name = NameOf(session);
    if (kWantedDifferent.count(name) != 0) continue;
    SCOPED_TRACE(name);
    ++replayed;
    Replay replay(session);
    // A filter without expressions.
    replay.all_match_ = name.rfind("cli-", 0) == 0;
    replay.Run();
    const std::vector<std::string> sent = replay.Sent();
    const std::vector<std::string> recorded = replay.Recorded();
    ASSERT_EQ(sent.size(), recorded.size());
    for (std::size_t i = 0; i < sent.size(); ++i) {
      if (sent[i] == recorded[i]) {
        ++same_bytes;
      } else {
        EXPECT_EQ(sent[i].size(), recorded[i].size());
        EXPECT_EQ(Canonical(sent[i]), Canonical(recorded[i]));
        const json value = Canonical(sent[i]);
        EXPECT_TRUE(value.contains("Members") || value.contains("runtime"))
            << "other bytes without a random order: " << sent[i];
      }
    }
    // After a leave the agent ends, and so does the recording before that. In one recording another
    // connection's leave ends the agent.
    if (name == "while-leaving") continue;
    EXPECT_EQ(replay.server().finished(), session["closed_by"] == "agent" || name == "cli-leave");
  }
  EXPECT_EQ(replayed, 131 + 14 - static_cast<int>(kWantedDifferent.size()));
  EXPECT_GT(same_bytes, 200);
}

TEST(RecordedSessionTest, BadExpressionIsAnswered) {
  Replay replay(Session("members-filtered-bad-regex"));
  replay.Run();
  const std::vector<std::string> sent = replay.Sent();
  ASSERT_EQ(sent.size(), 3u);
  EXPECT_EQ(Canonical(sent[1])["Error"],
            "Failed to compile regex: error parsing regexp: missing closing ]: `[$`");
  EXPECT_EQ(Canonical(sent[2]), json::parse(R"({"Members": []})"));
  EXPECT_FALSE(replay.server().finished());
  EXPECT_EQ(replay.logger().lines.back(),
            "[ERR] agent.ipc: Failed to evaluate request: Failed to compile regex: error parsing "
            "regexp: missing closing ]: `[$`");
}

// A header without Seq or Command has the values of the header before, as in Go Serf 0.9.4. An
// empty map has neither and is skipped; Go Serf executes the request before once more.
TEST(RecordedSessionTest, HeaderFieldsAreSticky) {
  Replay replay(Session("header-fields-are-sticky"));
  replay.Run();
  const std::vector<std::string> sent = replay.Sent();
  const std::vector<std::string> recorded = replay.Recorded();
  ASSERT_EQ(sent.size(), 5u);
  ASSERT_EQ(recorded.size(), 7u);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    EXPECT_EQ(Canonical(sent[i]), Canonical(recorded[i])) << i;
  }
  EXPECT_FALSE(replay.server().finished());
}

TEST(RecordedSessionTest, UnexpectedBodyIsNoRepetition) {
  Replay replay(Session("unread-body"));
  replay.Run();
  const std::vector<std::string> sent = replay.Sent();
  const std::vector<std::string> recorded = replay.Recorded();
  ASSERT_EQ(sent.size(), 5u);
  ASSERT_EQ(recorded.size(), 7u);
  const std::vector<std::pair<std::size_t, std::size_t>> same = {
      {0, 0}, {1, 1}, {2, 2}, {3, 5}, {4, 6}};
  for (const auto& [ours, theirs] : same) {
    EXPECT_EQ(Canonical(sent[ours]), Canonical(recorded[theirs])) << ours;
  }
  EXPECT_FALSE(replay.server().finished());
}

TEST(RecordedSessionTest, AuthenticationRequiredComesOnce) {
  for (const char* const name : {"auth-missing-with-body", "cli-auth-missing"}) {
    SCOPED_TRACE(name);
    Replay replay(Session(name));
    replay.Run();
    const std::vector<std::string> sent = replay.Sent();
    const std::vector<std::string> recorded = replay.Recorded();
    ASSERT_EQ(recorded.size(), 3u);
    EXPECT_EQ(sent, std::vector<std::string>(recorded.begin(), recorded.begin() + 2));
    EXPECT_FALSE(replay.server().finished());
  }
}

TEST(RecordedSessionTest, HalfARequestEndsAtItsDeadline) {
  Replay replay(Session("bad-truncated"));
  replay.Run();
  EXPECT_FALSE(replay.server().finished());
  replay.server().OnTimer(replay.now() + kRequestTimeout);
  EXPECT_TRUE(replay.server().finished());
  EXPECT_EQ(replay.logger().lines.back(),
            "[ERR] agent.ipc: Failed to evaluate request: decode failed: i/o timeout");
}

TEST(RecordedSessionTest, HalfARequestEndsWithTheStream) {
  Replay replay(Session("truncated-half-close"));
  replay.Run();
  replay.server().OnEnd(replay.now());
  EXPECT_TRUE(replay.server().finished());
  EXPECT_EQ(replay.logger().lines.back(),
            "[ERR] agent.ipc: Failed to evaluate request: decode failed: unexpected EOF");
}

TEST(RecordedSessionTest, PipelinedRequestsAtOnceAndByteByByte) {
  for (const char* const name :
       {"pipelined", "array-encoded", "extra-keys-ignored", "members-two", "auth-ok"}) {
    SCOPED_TRACE(name);
    const json session = Session(name);
    Replay whole(session);
    Replay pieces(session);
    const ByteVector bytes = testkit::Unhex(session["client_hex"].get<std::string>());
    whole.server().OnBytes(whole.now(), bytes);
    whole.Take();
    for (const std::uint8_t byte : bytes) {
      pieces.server().OnBytes(pieces.now(), ByteView(&byte, 1));
      pieces.Take();
    }
    EXPECT_EQ(whole.Sent(), pieces.Sent());
    EXPECT_EQ(whole.Sent().size(), whole.Recorded().size());
  }
}

// The scanner splits every recorded byte stream into the recorded objects, at once and byte by
// byte.
TEST(RecordedSessionTest, ScannerFindsTheObjects) {
  int objects = 0;
  for (const json& session : Sessions()) {
    SCOPED_TRACE(NameOf(session));
    for (const json& frame : session["decoded"]["frames"]) {
      const ByteVector bytes = testkit::Unhex(HexOf(frame));
      ObjectScanner whole;
      ObjectScanner pieces;
      const ObjectScanner::Result result = whole.Scan(bytes, kReplySizeMax);
      ObjectScanner::Result last = ObjectScanner::Result::kNeedMore;
      for (std::size_t n = 1; n <= bytes.size() && last != ObjectScanner::Result::kInvalid; ++n) {
        last = pieces.Scan(ByteView(bytes).first(n), kReplySizeMax);
        if (n < bytes.size() && frame.contains("value")) {
          ASSERT_EQ(last, ObjectScanner::Result::kNeedMore);
        }
      }
      EXPECT_EQ(last, result);
      if (frame.contains("value")) {
        ASSERT_EQ(result, ObjectScanner::Result::kComplete);
        EXPECT_EQ(whole.size(), bytes.size());
        ++objects;
      } else {
        EXPECT_NE(result, ObjectScanner::Result::kComplete);
      }
    }
  }
  EXPECT_GT(objects, 700);
}

}  // namespace
}  // namespace serf::rpc
