#ifndef SERF_TESTING_RPC_SERVER_SESSION_FIXTURE_H_
#define SERF_TESTING_RPC_SERVER_SESSION_FIXTURE_H_

// ServerSessionTest: a fixture with a ServerSession, the client's side of it, and a FakeService.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/query.h"
#include "serf/rpc/object_scanner.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/reply_cache.h"
#include "serf/rpc/server_session.h"
#include "serf/rpc/stream_event.h"
#include "serf/testing/rpc/fake_service.h"
#include "serf/testing/vectors/vectors.h"
#include "serf/wire/ids.h"

namespace serf::rpc {

class ServerSessionTest : public ::testing::Test {
 protected:
  ServerSessionTest() { Connect(); }

  void Connect(std::string auth_key = "") {
    ServerSession::Options options;
    options.auth_key = std::move(auth_key);
    options.peer = "127.0.0.1:45676";
    options.logger = &logger_;
    options.wake = [this] { ++wakes_; };
    options.on_command = [this] { ++commands_; };
    options.replies = replies_;
    session_.emplace(now_, service_, std::move(options));
    logger_.lines.clear();
  }

  void Send(const nlohmann::json& object) {
    const ByteVector bytes = nlohmann::json::to_msgpack(object);
    session_->OnBytes(now_, bytes);
  }
  void SendHex(absl::string_view hex) { session_->OnBytes(now_, testkit::Unhex(hex)); }

  void Request(const std::string& command, std::uint64_t seq) {
    Send({{"Command", command}, {"Seq", seq}});
  }
  void Request(const std::string& command, std::uint64_t seq, const nlohmann::json& body) {
    Request(command, seq);
    Send(body);
  }
  void Handshake() {
    Request("handshake", 1, {{"Version", 1}});
    EXPECT_EQ(Take(), Objects({Header(1)}));
  }

  static nlohmann::json Header(std::uint64_t seq, absl::string_view error = "") {
    return {{"Error", std::string(error)}, {"Seq", seq}};
  }
  static nlohmann::json Objects(std::vector<nlohmann::json> objects) {
    return nlohmann::json(std::move(objects));
  }

  // Reads everything that the session wants to send.
  nlohmann::json Take() {
    ByteVector bytes;
    for (ByteView out = session_->Output(); !out.empty(); out = session_->Output()) {
      Append(bytes, out);
      session_->OnWritten(now_, out.size());
    }
    nlohmann::json objects = nlohmann::json::array();
    ByteView rest = bytes;
    while (!rest.empty()) {
      ObjectScanner scanner;
      EXPECT_EQ(scanner.Scan(rest, kReplySizeMax), ObjectScanner::Result::kComplete);
      const ByteView object = rest.first(scanner.size());
      objects.push_back(nlohmann::json::from_msgpack(object.begin(), object.end()));
      rest = rest.subspan(scanner.size());
    }
    return objects;
  }

  // Advances the time to the next deadline.
  void Wait() {
    now_ = session_->NextDeadline();
    session_->OnTimer(now_);
  }

  static StreamEventPtr JoinEvent(const std::string& name) {
    return std::make_shared<const StreamEvent>(
        Event(MemberEvent{MemberEventKind::kJoin, {TestMember(name)}}));
  }

  static nlohmann::json Answer(const std::string& type, const std::string& from,
                               const std::string& payload = "") {
    const nlohmann::json::binary_t bytes(ByteVector(payload.begin(), payload.end()));
    return {{"From", from},
            {"Payload", payload.empty() ? nlohmann::json() : nlohmann::json(bytes)},
            {"Type", type}};
  }
  StreamEventPtr QueryEventOf(std::uint32_t time, const std::string& name) const {
    const QueryId id{wire::LamportTime(time), time * 10};
    return std::make_shared<const StreamEvent>(
        Event(QueryEvent{id, name, "", "alpha", now_ + kQueryTime}));
  }

  static constexpr Duration kQueryTime = std::chrono::seconds(3);

  Instant now_ = Instant(std::chrono::seconds(1000));
  FakeService service_;
  FakeLogger logger_;
  // Connect() makes a session that shares it with the one before.
  const std::shared_ptr<ReplyCache> replies_ = std::make_shared<ReplyCache>();
  int wakes_ = 0;
  int commands_ = 0;
  std::optional<ServerSession> session_;
};

}  // namespace serf::rpc

#endif  // SERF_TESTING_RPC_SERVER_SESSION_FIXTURE_H_
