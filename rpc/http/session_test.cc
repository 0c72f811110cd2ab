// Tests a session as a client and an application see it: what it answers, when it closes, how long
// it waits.

#include "serf/rpc/http/session.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/time.h"
#include "serf/rpc/http/message.h"

namespace serf::http {
namespace {

using std::chrono::seconds;

// Answers "METHOD TARGET BODY", refuses what has the field "x-refuse", and keeps requests for
// "/later" for the test.
class EchoApplication : public Application {
 public:
  std::optional<Response> Refuse(const Request& head) override {
    ++judged;
    if (!head.Find("x-refuse")) return std::nullopt;
    return Response{.status = 403, .type = "text/plain", .body = "refused"};
  }
  void Serve(Request request) override {
    served.push_back(request.target);
    if (absl::StartsWith(request.target, "/later")) return;
    session->Respond(
        *now, session->number(),
        {.type = "text/plain",
         .body = absl::StrCat(MethodName(request.method), " ", request.target, " ", request.body)});
  }
  Response Describe(const Problem& problem) override {
    return {.status = problem.status, .type = "text/plain", .body = problem.message};
  }

  Session* session = nullptr;
  const Instant* now = nullptr;
  int judged = 0;
  std::vector<std::string> served;
};

class SessionTest : public ::testing::Test {
 protected:
  SessionTest() { Restart(); }

  void Restart() {
    session_ =
        std::make_unique<Session>(now_, application_, [] { return std::int64_t{784111777}; });
    application_.session = session_.get();
    application_.now = &now_;
  }
  // Gives the bytes, takes all output, and returns it.
  std::string Say(absl::string_view text) {
    session_->OnBytes(now_, AsBytes(text));
    return Take();
  }
  std::string Take() {
    std::string all;
    for (ByteView out = session_->Output(); !out.empty(); out = session_->Output()) {
      // As a socket that is nearly full.
      const std::size_t size = std::min<std::size_t>(out.size(), 100);
      absl::StrAppend(&all, AsText(out.first(size)));
      session_->OnWritten(now_, size);
    }
    return all;
  }
  void Wait(Duration duration) {
    now_ += duration;
    if (session_->NextDeadline() <= now_) session_->OnTimer(now_);
  }
  static std::string StatusLine(const std::string& answer) {
    return answer.substr(0, answer.find("\r\n"));
  }
  static std::string BodyOf(const std::string& answer) {
    return answer.substr(std::min(answer.find("\r\n\r\n") + 4, answer.size()));
  }
  static bool Has(const std::string& answer, absl::string_view line) {
    return absl::StrContains(answer.substr(0, answer.find("\r\n\r\n") + 2),
                             absl::StrCat("\r\n", line, "\r\n"));
  }

  Instant now_ = Instant(seconds(100));
  EchoApplication application_;
  std::unique_ptr<Session> session_;
};

constexpr absl::string_view kGet = "GET /a HTTP/1.1\r\nHost: x\r\n\r\n";

TEST_F(SessionTest, AnswersAndStaysOpen) {
  EXPECT_TRUE(session_->idle());
  for (int i = 0; i < 3; ++i) {
    const std::string answer = Say(kGet);
    EXPECT_EQ(StatusLine(answer), "HTTP/1.1 200 OK");
    EXPECT_EQ(BodyOf(answer), "GET /a ");
    EXPECT_TRUE(Has(answer, "Content-Length: 7"));
    EXPECT_TRUE(Has(answer, "Date: Sun, 06 Nov 1994 08:49:37 GMT"));
    EXPECT_FALSE(Has(answer, "Connection: close"));
    EXPECT_TRUE(session_->idle());
  }
}

TEST_F(SessionTest, HeadHasTheHeadOfGet) {
  const std::string get = Say(kGet);
  const std::string head = Say("HEAD /a HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(Has(head, "Content-Length: 8"));  // the method is one letter longer here
  EXPECT_EQ(BodyOf(head), "");
  EXPECT_EQ(StatusLine(head), StatusLine(get));
  // The next answer has its body again.
  EXPECT_EQ(BodyOf(Say(kGet)), "GET /a ");
}

TEST_F(SessionTest, OldVersionsCloseUnlessAsked) {
  std::string answer = Say("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(Has(answer, "Connection: keep-alive"));
  EXPECT_FALSE(session_->finished());
  answer = Say("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(Has(answer, "Connection: close"));
  EXPECT_TRUE(session_->finished());
}

TEST_F(SessionTest, PipelinedRequestsWait) {
  session_->OnBytes(now_,
                    AsBytes(absl::StrCat("GET /later HTTP/1.1\r\nHost: x\r\n\r\n", kGet, kGet)));
  EXPECT_EQ(application_.served, (std::vector<std::string>{"/later"}));
  EXPECT_FALSE(session_->wants_input());
  EXPECT_FALSE(session_->idle());
  EXPECT_TRUE(session_->Output().empty());
  session_->Respond(now_, session_->number(), {.body = "first"});
  const std::string all = Take();
  EXPECT_EQ(application_.served, (std::vector<std::string>{"/later", "/a", "/a"}));
  EXPECT_TRUE(absl::StrContains(all, "first"));
  EXPECT_EQ((std::vector<std::string>(absl::StrSplit(all, "HTTP/1.1 200 OK"))).size(), 4U);
  EXPECT_TRUE(session_->idle());
}

TEST_F(SessionTest, AnswersALateOneOnlyOnce) {
  Say("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::uint64_t first = session_->number();
  session_->Respond(now_, first, {.body = "one"});
  session_->Respond(now_, first, {.body = "two"});
  EXPECT_FALSE(absl::StrContains(Take(), "two"));
  Say("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  session_->Respond(now_, first, {.body = "three"});
  EXPECT_EQ(Take(), "");
}

TEST_F(SessionTest, RefusesBeforeTheBody) {
  // Without a body to come, the connection stays open.
  std::string answer = Say("GET /a HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\n\r\n");
  EXPECT_EQ(StatusLine(answer), "HTTP/1.1 403 Forbidden");
  EXPECT_TRUE(session_->idle());
  answer = Say("POST /a HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nContent-Length: 9\r\n\r\n");
  EXPECT_EQ(StatusLine(answer), "HTTP/1.1 403 Forbidden");
  EXPECT_TRUE(Has(answer, "Connection: close"));
  EXPECT_TRUE(session_->finished());
  EXPECT_TRUE(session_->lingers());
  EXPECT_EQ(application_.judged, 2);
  EXPECT_TRUE(application_.served.empty());
  // What still comes is nobody's.
  EXPECT_EQ(Say("123456789GET /a HTTP/1.1\r\n"), "");
}

TEST_F(SessionTest, ExpectContinue) {
  const absl::string_view head =
      "POST /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
  EXPECT_EQ(Say(head), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_EQ(BodyOf(Say("abc")), "POST /a abc");
  EXPECT_EQ(application_.judged, 1);
  // A body that has come already needs none.
  EXPECT_EQ(StatusLine(Say(absl::StrCat(head, "abc"))), "HTTP/1.1 200 OK");
  // A refused request gets its answer instead.
  EXPECT_EQ(StatusLine(Say("POST /a HTTP/1.1\r\nHost: x\r\nX-Refuse: 1\r\nExpect: 100-continue\r\n"
                           "Content-Length: 3\r\n\r\n")),
            "HTTP/1.1 403 Forbidden");
}

TEST_F(SessionTest, ChunkedInAndOut) {
  EXPECT_EQ(BodyOf(Say("POST /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                       "2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")),
            "POST /a abc");
  Say("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::uint64_t number = session_->number();
  session_->Begin(now_, number, {.type = "text/plain"});
  session_->Send(now_, number, "one");
  session_->Send(now_, number, "");
  std::string answer = Take();
  EXPECT_TRUE(Has(answer, "Transfer-Encoding: chunked"));
  EXPECT_EQ(BodyOf(answer), "3\r\none\r\n");
  EXPECT_TRUE(session_->serving());
  session_->Send(now_, number, "two");
  session_->End(now_, number);
  EXPECT_EQ(Take(), "3\r\ntwo\r\n0\r\n\r\n");
  EXPECT_TRUE(session_->idle());
}

TEST_F(SessionTest, PiecesForAnOldVersionGoOnUntilTheEnd) {
  Say("GET /later HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  session_->Begin(now_, session_->number(), {.type = "text/plain"});
  session_->Send(now_, session_->number(), "one");
  const std::string answer = Take();
  EXPECT_TRUE(Has(answer, "Connection: close"));
  EXPECT_EQ(BodyOf(answer), "one");
  session_->End(now_, session_->number());
  EXPECT_EQ(Take(), "");
  EXPECT_TRUE(session_->finished());
}

TEST_F(SessionTest, HeadOfAnAnswerInPieces) {
  Say("HEAD /later HTTP/1.1\r\nHost: x\r\n\r\n");
  const std::uint64_t number = session_->number();
  session_->Begin(now_, number, {.type = "text/plain"});
  session_->Send(now_, number, "one");
  session_->End(now_, number);
  EXPECT_EQ(BodyOf(Take()), "");
  EXPECT_TRUE(session_->idle());
}

TEST_F(SessionTest, MalformedRequestsEndTheConnection) {
  const std::string answer = Say(absl::StrCat("GET /a\r\n\r\n", kGet));
  EXPECT_EQ(StatusLine(answer), "HTTP/1.1 400 Bad Request");
  EXPECT_TRUE(Has(answer, "Connection: close"));
  EXPECT_TRUE(session_->finished());
  EXPECT_TRUE(application_.served.empty());
}

TEST_F(SessionTest, TheClientsEnd) {
  // After the last request: it is answered all the same.
  session_->OnBytes(now_, AsBytes(absl::StrCat(kGet, kGet)));
  session_->OnEnd(now_);
  const std::string all = Take();
  EXPECT_EQ(application_.served.size(), 2U);
  EXPECT_TRUE(Has(all.substr(all.rfind("HTTP/1.1")), "Connection: close"));
  EXPECT_TRUE(session_->finished());
  // Within a request, and between two.
  for (const absl::string_view text : {"GET /a HT", ""}) {
    Restart();
    Say(text);
    session_->OnEnd(now_);
    EXPECT_EQ(Take(), "");
    EXPECT_TRUE(session_->finished());
  }
  // While an answer is awaited.
  Restart();
  Say("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  session_->OnEnd(now_);
  EXPECT_FALSE(session_->finished());
  session_->Respond(now_, session_->number(), {.body = "late"});
  EXPECT_EQ(BodyOf(Take()), "late");
  EXPECT_TRUE(session_->finished());
}

// --- time ---

TEST_F(SessionTest, SlowHeaders) {
  const absl::string_view text = "GET /a HTTP/1.1\r\nHost: x\r\nX-Slow: 1234567890123456789";
  std::string answer;
  std::size_t sent = 0;
  for (; sent < text.size() && !session_->finished(); ++sent) {
    answer += Say(text.substr(sent, 1));
    Wait(seconds(1));
    answer += Take();
  }
  EXPECT_EQ(sent, 10U);  // whatever the client trickles, ten seconds from the first byte
  EXPECT_EQ(StatusLine(answer), "HTTP/1.1 408 Request Timeout");
  EXPECT_TRUE(session_->finished());
}

TEST_F(SessionTest, SlowBody) {
  Say("POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n");
  EXPECT_EQ(session_->NextDeadline(), now_ + kBodyTime);
  for (int i = 0; i < 9; ++i) {
    Wait(seconds(1));
    EXPECT_EQ(Say("a"), "");
  }
  Wait(seconds(1));
  EXPECT_EQ(BodyOf(Take()), "the body took more than 10 s");
  EXPECT_TRUE(session_->finished());
}

TEST_F(SessionTest, IdleConnectionsEnd) {
  EXPECT_EQ(session_->NextDeadline(), now_ + kIdleTime);
  Wait(seconds(30));
  Say(kGet);
  EXPECT_EQ(session_->NextDeadline(), now_ + kIdleTime);
  Wait(kIdleTime);
  EXPECT_EQ(Take(), "");  // without a word
  EXPECT_TRUE(session_->finished());
}

TEST_F(SessionTest, AClientThatTakesNothing) {
  session_->OnBytes(now_, AsBytes(kGet));
  EXPECT_EQ(session_->NextDeadline(), now_ + kWriteTime);
  Wait(kWriteTime - seconds(1));
  session_->OnWritten(now_, 1);  // slow, but steady
  Wait(kWriteTime - seconds(1));
  EXPECT_FALSE(session_->finished());
  Wait(seconds(1));
  EXPECT_TRUE(session_->finished());
  EXPECT_FALSE(session_->lingers());
}

TEST_F(SessionTest, NoLimitForTheApplication) {
  Say("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(session_->NextDeadline(), kNever);
}

}  // namespace
}  // namespace serf::http
