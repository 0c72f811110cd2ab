#include "serf/transport/agent.h"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/base/logger.h"
#include "serf/event.h"
#include "serf/join.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/tags.h"
#include "serf/testing/host_fixture.h"
#include "serf/testing/run_until.h"
#include "serf/transport/agent_options.h"
#include "serf/transport/agent_query.h"
#include "serf/transport/host.h"

namespace serf {
namespace {

namespace asio = boost::asio;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

using std::chrono::hours;
using std::chrono::milliseconds;

constexpr char kKey[] = "cg8StVXbQJ0gPvMd9o7yrg==";
constexpr char kOtherKey[] = "T9jncgl9mbLus+baTTa7q7nPSUrXwbDi2dhbtqir37s=";

struct Lines final : Logger {
  bool Enabled(LogLevel level) const override { return level >= LogLevel::kWarn; }
  void Write(LogLevel level, absl::string_view text) override {
    lines.push_back(absl::StrCat(LogLevelName(level), " ", text));
  }
  std::vector<std::string> lines;
};

AgentOptions Options(const std::string& name) {
  AgentOptions options = {.name = name, .bind = "127.0.0.1:0"};
  options.config = Config::Local();
  return options;
}

// Accepts connections and never sends a byte, so that a join of it waits.
class Mute {
 public:
  std::string address() const {
    return absl::StrCat("127.0.0.1:", acceptor_.local_endpoint().port());
  }

 private:
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
};

// A port of 127.0.0.1 where nobody listens.
std::string NobodyThere() { return Mute().address(); }

class AgentTest : public testkit::HostFixture {
 protected:
  std::unique_ptr<Agent> StartAgent(AgentOptions options) {
    auto agent = Agent::Start(io_, std::move(options));
    EXPECT_TRUE(agent.ok()) << agent.status();
    return *std::move(agent);
  }
  // Runs a coroutine to its end.
  void Await(std::function<asio::awaitable<void>()> coroutine) {
    bool done = false;
    asio::co_spawn(io_, std::move(coroutine), [&done](std::exception_ptr error) {
      EXPECT_EQ(error, nullptr);
      done = true;
    });
    ASSERT_TRUE(RunUntil([&done] { return done; }));
  }
  // Returns the result of verb(callback).
  template <typename Result, typename Verb>
  Result Get(Verb verb) {
    std::optional<Result> result;
    verb([&result](Result value) { result.emplace(std::move(value)); });
    EXPECT_TRUE(RunUntil([&result] { return result.has_value(); }));
    return result.has_value() ? *std::move(result) : Result(absl::UnknownError("no result"));
  }
  absl::StatusOr<JoinResult> JoinOf(Agent& agent, const Agent& other) {
    return Get<absl::StatusOr<JoinResult>>(
        [&](auto token) { agent.Join({other.local().ToString()}, {}, std::move(token)); });
  }
};

TEST_F(AgentTest, ErrorsOfTheStartNameTheField) {
  const auto used = StartAgent(Options("used"));
  const std::string port = absl::StrCat(used->local().port);
  const struct {
    std::function<void(AgentOptions&)> spoil;
    std::string error;
  } kCases[] = {
      {[](auto& o) { o.bind = "::1"; }, "bind: \"::1\": address ::1: too many colons in address"},
      {[](auto& o) { o.bind = "10.0.0.1:70000"; },
       "bind: \"10.0.0.1:70000\": address 70000: invalid port"},
      {[](auto& o) { o.bind = "[fe80::1%nosuch]:1"; },
       "bind: \"[fe80::1%nosuch]:1\": lookup fe80::1%nosuch: no such network interface"},
      {[&](auto& o) { o.bind = "127.0.0.1:" + port; },
       "Failed to start TCP listener on \"127.0.0.1\" port " + port},
      {[](auto& o) { o.advertise = "[::1"; },
       "advertise: \"[::1\": address [::1: missing ']' in address"},
      {[](auto& o) { o.advertise = ":7946"; },
       "advertise: \":7946\": no address that others can reach"},
      {[](auto& o) {
         o.join = {"127.0.0.1", "/b"};
       },
       "join[1]: \"/b\": empty node name provided"},
      {[](auto& o) {
         o.keyring = {kKey, "c2VjcmV0!"};
       },
       "keyring[1]: illegal base64 data at input byte 8"},
      {[](auto& o) { o.keyring = {"c2VjcmV0"}; },
       "keyring[0]: key size must be 16, 24 or 32 bytes"},
      {[](auto& o) { o.name = std::string(600, 'x'); }, "node name has 600 bytes, limit is 512"},
      {[](auto& o) {
         o.tags = {{"role", std::string(600, 'x')}};
       },
       "Encoded length of tags exceeds limit of 512 bytes"},
      {[](auto& o) { o.snapshot = "/nosuch/folder/snapshot"; }, "/nosuch/folder"},
  };
  for (const auto& test : kCases) {
    AgentOptions options = Options("a");
    test.spoil(options);
    const auto agent = Agent::Start(io_, std::move(options));
    ASSERT_FALSE(agent.ok()) << test.error;
    EXPECT_THAT(std::string(agent.status().message()), HasSubstr(test.error));
  }
}

TEST(AgentOptionsTest, BecomeThoseOfAHost) {
  Lines lines;
  const auto host = ToHostOptions({.name = "web-1",
                                   .tags = {{"role", "web"}},
                                   .bind = "[::1]",
                                   .advertise = "10.0.0.1",
                                   .keyring = {kKey, kOtherKey},
                                   .snapshot = "/tmp/x",
                                   .rejoin_after_leave = true,
                                   .logger = &lines});
  ASSERT_TRUE(host.ok()) << host.status();
  EXPECT_EQ(host->config.swim.name, "web-1");
  EXPECT_EQ(host->config.tags, (Tags{{"role", "web"}}));
  EXPECT_EQ(host->bind.ToString(), "[::1]:7946");
  EXPECT_EQ(host->advertise->ToString(), "10.0.0.1:7946");
  ASSERT_THAT(host->config.swim.keyring->keys(), SizeIs(2));
  EXPECT_THAT(host->config.swim.keyring->primary(), SizeIs(16));
  EXPECT_EQ(host->snapshot_path, "/tmp/x");
  EXPECT_TRUE(host->rejoin_after_leave);
  EXPECT_EQ(host->config.swim.logger, &lines);
}

TEST(AgentOptionsTest, LeaveToTheConfigWhatTheyDoNotSay) {
  AgentOptions options;
  options.config.swim.name = "of the config";
  options.config.tags = {{"a", "b"}};
  const auto host = ToHostOptions(options);
  ASSERT_TRUE(host.ok());
  EXPECT_EQ(host->bind.ToString(), "0.0.0.0:7946");
  EXPECT_EQ(host->config.swim.name, "of the config");
  EXPECT_EQ(host->config.tags, options.config.tags);
  EXPECT_EQ(host->advertise, std::nullopt);
  EXPECT_EQ(ToHostOptions({})->config.swim.name, *names::HostName());
}

TEST_F(AgentTest, HandlersMissNothing) {
  std::vector<std::string> seen;
  const auto a = StartAgent(Options("a"));
  a->OnMember([&](MemberEventKind kind, const Member& member) {
    seen.push_back(absl::StrCat(MemberEventName(kind), " ", member.name));
  });
  a->OnUserEvent([&](const UserEvent& event) {
    seen.push_back(absl::StrCat(event.name, " ", event.payload));
  });
  const auto b = StartAgent(Options("b"));
  EXPECT_EQ(JoinOf(*b, *a)->contacted, 1);
  Await([&]() -> asio::awaitable<void> {
    EXPECT_TRUE((co_await b->SendUserEvent("deploy", "v1")).ok());
    EXPECT_TRUE((co_await b->SetTags({})).ok());
    EXPECT_TRUE((co_await b->UpdateTags([](Tags& tags) { tags["role"] = "db"; })).ok());
  });
  ASSERT_TRUE(RunUntil([&] { return seen.size() >= 4; }));
  EXPECT_THAT(
      seen, UnorderedElementsAre("member-join a", "member-join b", "deploy v1", "member-update b"));
  EXPECT_EQ(seen.front(), "member-join a");
}

TEST_F(AgentTest, AHandlerMayReplaceItselfAndDestroyTheAgent) {
  int first = 0;
  int second = 0;
  auto a = StartAgent(Options("a"));
  a->OnUserEvent([&, text = std::string(100, 'x')](const UserEvent&) {
    a->OnUserEvent([&](const UserEvent&) {
      ++second;
      a = nullptr;
    });
    EXPECT_THAT(text, SizeIs(100));  // still there
    ++first;
  });
  for (int i = 0; i < 3; ++i) a->SendUserEvent("x", "", {}, [](const absl::Status&) {});
  ASSERT_TRUE(RunUntil([&] { return io_.stopped(); }));
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 1);
}

// A handler that is given by name is copied, as Asio does.
TEST_F(AgentTest, ATokenMayServeTwice) {
  auto a = StartAgent(Options("a"));
  int ended = 0;
  std::function<void(absl::Status)> handler = [&](const absl::Status&) { ++ended; };
  a->SendUserEvent("x", "", {}, handler);
  a->SendUserEvent("y", "", {}, handler);
  std::function<void(absl::StatusOr<std::vector<Member>>)> members = [&](const auto&) { ++ended; };
  a->Members(members);
  a->Members(members);
  EXPECT_TRUE(RunUntil([&] { return ended == 4; }));
}

TEST_F(AgentTest, AJoinSaysWhoDidNotAnswer) {
  const auto a = StartAgent(Options("a"));
  const auto b = StartAgent(Options("b"));
  Await([&]() -> asio::awaitable<void> {
    const std::string nobody = NobodyThere();
    const auto some = co_await b->Join({a->local().ToString(), nobody});
    EXPECT_TRUE(some.ok()) << some.status();
    EXPECT_EQ(some->contacted, 1);
    EXPECT_THAT(some->errors, ElementsAre(HasSubstr(nobody)));
    const auto none = co_await b->Join({nobody, "/x"});
    EXPECT_EQ(none.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(none.status().message()), HasSubstr(nobody));
    EXPECT_THAT(std::string(none.status().message()), HasSubstr("empty node name"));
    const std::vector<std::string> addresses(1, a->local().ToString());
    EXPECT_TRUE((co_await b->Join(addresses, {.replay = true})).ok());
  });
}

TEST_F(AgentTest, TheJoinOfTheOptionsIsReported) {
  const auto a = StartAgent(Options("a"));
  const std::string nobody = NobodyThere();
  for (const bool works : {true, false}) {
    Lines lines;
    AgentOptions options = Options("b");
    options.join = {nobody};
    if (works) options.join.push_back(a->local().ToString());
    options.logger = &lines;
    std::optional<absl::StatusOr<JoinResult>> joined;
    {
      const auto b = StartAgent(std::move(options));
      b->OnJoin([&](const absl::StatusOr<JoinResult>& result) { joined = result; });
      ASSERT_TRUE(RunUntil([&] { return joined.has_value(); }));
    }
    EXPECT_EQ(joined->ok(), works);
    if (works) {
      EXPECT_THAT((*joined)->errors, ElementsAre(HasSubstr(nobody)));
    }
    EXPECT_THAT(lines.lines, ::testing::Contains(HasSubstr(absl::StrCat(
                                 works ? "WARN" : "ERR", " agent: Failed to join: "))));
    while (io_.poll() > 0) {
    }
  }
}

TEST_F(AgentTest, AnswersComeOneAfterTheOther) {
  const auto a = StartAgent(Options("a"));
  const auto b = StartAgent(Options("b"));
  a->OnQuery([](const QueryEvent& query) { return "a on " + query.name; });
  std::optional<QueryId> asked;
  b->OnQuery([&](const QueryEvent& query) -> std::optional<std::string> {
    asked = query.id;
    return std::nullopt;
  });
  ASSERT_TRUE(JoinOf(*b, *a).ok());
  Await([&]() -> asio::awaitable<void> {
    QueryParams params;
    params.request_ack = true;
    params.timeout = testkit::kPatience;
    params.finish_early = true;
    auto query = co_await a->SendQuery("uptime", "", params);
    EXPECT_TRUE(query.ok()) << query.status();
    std::vector<std::string> answers;
    for (int i = 0; i < 3; ++i) {
      const auto answer = co_await query->Next();
      answers.push_back(absl::StrCat(answer->is_ack ? "ack " : "", answer->from, answer->payload));
    }
    EXPECT_THAT(answers, UnorderedElementsAre("ack a", "ack b", "aa on uptime"));
    EXPECT_EQ(asked, query->id());
    EXPECT_TRUE((co_await b->Respond(*asked, "late")).ok());
    const auto late = co_await query->Next();
    EXPECT_EQ(late->payload, "late");
    EXPECT_EQ(co_await query->Next(), std::nullopt);
    EXPECT_EQ(co_await query->Next(), std::nullopt);
    EXPECT_EQ(query->dropped(), 0u);
    const auto refused = co_await a->SendQuery("x", std::string(2000, 'x'));
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  });
}

TEST_F(AgentTest, AnAnswerThatCannotBeSentIsLogged) {
  Lines lines;
  AgentOptions options = Options("a");
  options.logger = &lines;
  {
    const auto a = StartAgent(std::move(options));
    a->OnQuery([](const QueryEvent&) { return std::string(2000, 'x'); });
    a->SendQuery("load", "", {}, [](const absl::StatusOr<Query>&) {});
    ASSERT_TRUE(RunUntil([&] { return !lines.lines.empty(); }));
  }
  EXPECT_THAT(lines.lines, ElementsAre(HasSubstr("WARN agent: Failed to answer query 'load': ")));
  while (io_.poll() > 0) {
  }
}

TEST_F(AgentTest, AQueueOfAnswersIsBounded) {
  const auto queue = std::make_shared<agent_internal::AnswerQueue>(io_);
  const auto feed = agent_internal::AnswerQueue::Feed(queue);
  Query query(queue, {}, QueryId());
  const auto answer = [&](std::string payload) {
    feed({QueryId(), QueryUpdate::Kind::kResponse, "a", std::move(payload)});
  };
  answer(std::string(kAnswerBytesQueuedMax - 1, 'x'));
  EXPECT_EQ(query.dropped(), 0u);
  answer("");
  EXPECT_EQ(query.dropped(), 1u);
  const auto next = [&] {
    std::optional<std::optional<Answer>> result;
    query.Next([&](std::optional<Answer> got) { result = std::move(got); });
    EXPECT_TRUE(RunUntil([&] { return result.has_value(); }));
    return *result;
  };
  EXPECT_THAT(next()->payload, SizeIs(kAnswerBytesQueuedMax - 1));
  for (std::size_t i = 0; i < kAnswersQueuedMax + 2; ++i) answer(absl::StrCat(i));
  EXPECT_EQ(query.dropped(), 3u);
  EXPECT_EQ(next()->payload, "0");
  feed({QueryId(), QueryUpdate::Kind::kDone, "", ""});
  for (std::size_t i = 1; i < kAnswersQueuedMax; ++i) EXPECT_EQ(next()->payload, absl::StrCat(i));
  EXPECT_EQ(next(), std::nullopt);
}

TEST_F(AgentTest, TheEndOfAQueryObjectEndsTheQuery) {
  const std::shared_ptr<transport::Host> host = Start(testkit::LocalOptions("a"));
  const auto queue = std::make_shared<agent_internal::AnswerQueue>(io_);
  QueryParams params;
  params.timeout = hours(1);
  std::optional<QueryId> id;
  host->AsyncSendQuery("x", "", params, agent_internal::AnswerQueue::Feed(queue),
                       [&](absl::StatusOr<QueryId> sent) { id = *sent; });
  ASSERT_TRUE(RunUntil([&] { return id.has_value(); }));
  EXPECT_GT(queue.use_count(), 1);
  {
    Query query(queue, host, *id);
    Query moved = std::move(query);
  }
  EXPECT_TRUE(RunUntil([&] { return queue.use_count() == 1; }));
}

TEST_F(AgentTest, TheEndOfTheAgentEndsItsQueries) {
  auto a = StartAgent(Options("a"));
  QueryParams params;
  params.timeout = hours(1);
  std::optional<Query> query = *Get<absl::StatusOr<Query>>(
      [&](auto token) { a->SendQuery("x", "", params, std::move(token)); });
  bool ended = false;
  query->Next([&](std::optional<Answer> answer) { ended = answer == std::nullopt; });
  a = nullptr;
  ASSERT_TRUE(RunUntil([&] { return ended; }));
  query->Next([&](std::optional<Answer> answer) { ended = answer != std::nullopt; });
  ASSERT_TRUE(RunUntil([&] { return !ended; }));
  query.reset();
  EXPECT_TRUE(RunUntil([&] { return io_.stopped(); }));
}

TEST_F(AgentTest, AWaitCanBeOneOfTwo) {
  using namespace asio::experimental::awaitable_operators;
  const Mute mute;
  const auto a = StartAgent(Options("a"));
  Await([&]() -> asio::awaitable<void> {
    asio::steady_timer timer(io_, milliseconds(1));
    // (g++ 12 wants a name for each operand.)
    const std::string address = mute.address();
    const auto join = co_await (a->Join({address}) || timer.async_wait(asio::use_awaitable));
    EXPECT_EQ(join.index(), 1u);

    QueryParams params;
    params.timeout = hours(1);
    auto query = co_await a->SendQuery("x", "", params);
    timer.expires_after(milliseconds(1));
    const auto next = co_await (query->Next() || timer.async_wait(asio::use_awaitable));
    EXPECT_EQ(next.index(), 1u);
    // The next answer goes to the caller that still waits.
    a->OnQuery([](const QueryEvent&) { return "here"; });
    QueryParams again = params;
    auto other = co_await a->SendQuery("y", "", again);
    timer.expires_after(testkit::kPatience);
    const auto first = co_await (other->Next() || timer.async_wait(asio::use_awaitable));
    EXPECT_EQ(first.index(), 0u);
  });
}

TEST_F(AgentTest, EveryCancelledVerbEndsOnce) {
  AgentOptions options = Options("a");
  options.keyring = {kKey};
  options.config.leave_propagate_delay = hours(1);
  const auto a = StartAgent(std::move(options));
  AgentOptions silent = Options("silent");
  silent.keyring = {kKey};
  auto b = StartAgent(std::move(silent));
  ASSERT_TRUE(JoinOf(*b, *a).ok());
  ASSERT_TRUE(RunUntil([&] { return a->host().serf().member_count() == 2; }));
  b = nullptr;  // unnoticed yet: a waits for its answers
  const Mute mute;
  QueryParams params;
  params.timeout = hours(1);
  auto query = *Get<absl::StatusOr<Query>>(
      [&](auto token) { a->SendQuery("x", "", params, std::move(token)); });
  std::optional<QueryId> asked;
  a->OnQuery([&](const QueryEvent& event) -> std::optional<std::string> {
    asked = event.id;
    return std::nullopt;
  });

  int called = 0;
  absl::Status status;
  // A handler that keeps the result of the verb.
  const auto counts = [&](auto result) {
    ++called;
    if constexpr (requires { result.status(); }) {
      status = result.status();
    } else if constexpr (requires { status = result; }) {
      status = result;
    }
  };
  asio::cancellation_signal signal;
  const auto token = [&] { return asio::bind_cancellation_slot(signal.slot(), counts); };
  const struct {
    const char* name;
    bool waits;  // long enough to be cancelled for sure
    std::function<void()> begin;
  } kVerbs[] = {
      {"Join", true, [&] { a->Join({mute.address()}, {}, token()); }},
      {"ManageKeys", true, [&] { a->ManageKeys(KeyOperation::kInstall, kOtherKey, token()); }},
      {"ManageKeys, refused", false, [&] { a->ManageKeys(KeyOperation::kUse, "?", token()); }},
      {"ForceLeave", false, [&] { a->ForceLeave("nobody", {}, token()); }},
      {"SetTags", false,
       [&] {
         a->SetTags({{"a", "b"}}, token());
       }},
      {"UpdateTags", false, [&] { a->UpdateTags([](Tags&) {}, token()); }},
      {"SendUserEvent", false, [&] { a->SendUserEvent("x", "", {}, token()); }},
      {"SendQuery", false, [&] { a->SendQuery("x", "", {}, token()); }},
      {"Respond", false, [&] { a->Respond(QueryId(), "", token()); }},
      {"Next", true, [&] { query.Next(token()); }},
      {"Members", false, [&] { a->Members(token()); }},
      {"GetCoordinate", false, [&] { a->GetCoordinate("a", token()); }},
      {"Stats", false, [&] { a->Stats(token()); }},
      {"Leave", true, [&] { a->Leave(token()); }},
  };
  for (const auto& verb : kVerbs) {
    called = 0;
    status = absl::OkStatus();
    verb.begin();
    if (verb.waits) {
      while (io_.poll() > 0) {
      }
      EXPECT_EQ(called, 0) << verb.name;
    }
    signal.emit(asio::cancellation_type::terminal);
    signal.emit(asio::cancellation_type::total);
    EXPECT_EQ(called, 0) << verb.name << ": never from within";
    ASSERT_TRUE(RunUntil([&] { return called > 0; })) << verb.name;
    while (io_.poll() > 0) {
    }
    signal.emit(asio::cancellation_type::terminal);  // late
    while (io_.poll() > 0) {
    }
    EXPECT_EQ(called, 1) << verb.name;
    if (verb.waits && absl::string_view(verb.name) != "Next") {
      EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << verb.name;
    }
  }
}

TEST_F(AgentTest, KeysAreTextsAndErrorsNameTheMembers) {
  AgentOptions options = Options("a");
  options.keyring = {kKey};
  const auto a = StartAgent(std::move(options));
  options = Options("b");
  options.keyring = {kKey, kOtherKey};
  const auto b = StartAgent(std::move(options));
  ASSERT_TRUE(JoinOf(*b, *a).ok());
  Await([&]() -> asio::awaitable<void> {
    const auto removed = co_await a->ManageKeys(KeyOperation::kRemove, kKey);
    EXPECT_EQ(removed.status().code(), absl::StatusCode::kAborted);
    const std::string why = "Removing the primary key is not allowed";
    EXPECT_EQ(std::string(removed.status().message()),
              absl::StrCat("2/2 nodes reported failure: a: ", why, "; b: ", why));
    const auto bad = co_await a->ManageKeys(KeyOperation::kUse, "c2VjcmV0!");
    EXPECT_EQ(bad.status(), absl::InvalidArgumentError("key: illegal base64 data at input byte 8"));
    const auto list = co_await b->ManageKeys(KeyOperation::kList);
    EXPECT_TRUE(list.ok()) << list.status();
    EXPECT_EQ(list->keys.at(kKey), 2u);
    EXPECT_EQ(list->keys.at(kOtherKey), 1u);
  });
}

TEST_F(AgentTest, ViewsAreCopies) {
  const auto a = StartAgent(Options("a"));
  Await([&]() -> asio::awaitable<void> {
    const auto members = co_await a->Members();
    EXPECT_THAT(*members, SizeIs(1));
    EXPECT_EQ((*co_await a->Stats()).at("members"), "1");
    EXPECT_TRUE((co_await a->GetCoordinate("a"))->has_value());
    EXPECT_FALSE((co_await a->GetCoordinate("nobody"))->has_value());
    EXPECT_TRUE((co_await a->ForceLeave("nobody", {.prune = true})).ok());
    EXPECT_TRUE((co_await a->Leave()).ok());
  });
}

TEST_F(AgentTest, HandlersRunWhereTheyBelong) {
  const auto a = StartAgent(Options("a"));
  asio::io_context other;
  std::optional<bool> ok;
  a->Members(asio::bind_executor(
      other.get_executor(),
      [&](const absl::StatusOr<std::vector<Member>>& members) { ok = members.ok(); }));
  const auto deadline = std::chrono::steady_clock::now() + testkit::kPatience;
  while (!ok && std::chrono::steady_clock::now() < deadline) {
    io_.run_one_for(milliseconds(1));
    EXPECT_FALSE(ok.has_value());
    EXPECT_FALSE(other.stopped());
    other.poll();
  }
  EXPECT_EQ(ok, true);
}

TEST_F(AgentTest, AnotherThreadMayAskAndCancel) {
  const auto a = StartAgent(Options("a"));
  const Mute mute;
  auto work = asio::make_work_guard(io_);
  std::thread runner([&] { io_.run(); });
  asio::io_context mine;
  int ended = 0;
  asio::co_spawn(
      mine,
      [&]() -> asio::awaitable<void> {
        using namespace asio::experimental::awaitable_operators;
        const std::string address = mute.address();
        for (int i = 0; i < 20; ++i) {
          asio::steady_timer timer(mine, std::chrono::microseconds(50 * i));
          const auto first = co_await (a->Join({address}) || timer.async_wait(asio::use_awaitable));
          EXPECT_EQ(first.index(), 1u);
          ++ended;
        }
      },
      asio::detached);
  mine.run();
  EXPECT_EQ(ended, 20);
  work.reset();
  io_.stop();
  runner.join();
  io_.restart();
}

TEST_F(AgentTest, AMemberThatLosesItsNameSaysSo) {
  std::vector<std::unique_ptr<Agent>> agents;
  for (const char* name : {"a", "b", "c"}) {
    agents.push_back(StartAgent(Options(name)));
    ASSERT_TRUE(JoinOf(*agents.back(), *agents.front()).ok());
  }
  ASSERT_TRUE(RunUntil([&] {
    for (const auto& agent : agents) {
      if (agent->host().serf().member_count() != agents.size()) return false;
    }
    return true;
  }));
  const auto impostor = StartAgent(Options("c"));
  bool lost = false;
  impostor->OnShutdown([&] { lost = true; });
  impostor->Join({agents.front()->local().ToString()}, {}, [](const auto&) {});
  EXPECT_TRUE(RunUntil([&] { return lost; }));
  EXPECT_EQ(Get<absl::Status>([&](auto token) { impostor->SetTags({}, std::move(token)); }).code(),
            absl::StatusCode::kCancelled);
}

// A waiting handler may own the Agent that it waits for. An io_context that ends destroys both.
TEST(AgentEndTest, TheEndOfTheContextEndsWhatWaits) {
  enum class Wait { kJoin, kLeave, kKeys, kNext, kTags };
  for (const Wait wait : {Wait::kJoin, Wait::kLeave, Wait::kKeys, Wait::kNext, Wait::kTags}) {
    const Mute mute;
    bool waits = false;
    bool ended = false;
    const auto frame = std::make_shared<int>(0);
    {
      asio::io_context io;
      asio::co_spawn(
          io,
          [&, held = frame]() -> asio::awaitable<void> {
            AgentOptions options = Options("a");
            options.config.leave_propagate_delay = hours(1);
            options.keyring.assign(1, kKey);
            auto agent = *Agent::Start(io, std::move(options));
            auto b = *Agent::Start(io, Options("b"));
            // Soon, not at once: what is begun below is under way then.
            const auto soon = [&](auto& timer) {
              timer.async_wait([&](boost::system::error_code error) { waits = !error; });
            };
            asio::steady_timer timer(io, milliseconds(5));
            soon(timer);
            QueryParams params;
            params.timeout = hours(1);
            switch (wait) {
              case Wait::kJoin: {
                const std::string address = mute.address();
                static_cast<void>(co_await agent->Join({address}));
                break;
              }
              case Wait::kLeave:
                static_cast<void>(co_await agent->Leave());
                break;
              case Wait::kKeys:
                // The loop ends only with the context, as the asked node does.
                static_cast<void>(co_await b->Leave());
                for (;;) static_cast<void>(co_await agent->ManageKeys(KeyOperation::kList));
              case Wait::kNext: {
                auto query = *co_await agent->SendQuery("x", "", params);
                static_cast<void>(co_await query.Next());
                break;
              }
              case Wait::kTags:
                for (;;) static_cast<void>(co_await agent->SetTags({}));
            }
            ended = true;
          },
          asio::detached);
      ASSERT_TRUE(testkit::RunUntil(io, [&] { return waits; }));
    }
    EXPECT_FALSE(ended) << static_cast<int>(wait);
    EXPECT_EQ(frame.use_count(), 1) << static_cast<int>(wait);
  }
}

TEST_F(AgentTest, FuturesServeOtherThreads) {
  const auto a = StartAgent(Options("a"));
  auto work = asio::make_work_guard(io_);
  std::thread runner([&] { io_.run(); });
  EXPECT_THAT(*a->Members(asio::use_future).get(), SizeIs(1));
  EXPECT_TRUE(a->SendUserEvent("x", "", {}, asio::use_future).get().ok());
  EXPECT_THAT(a->Join({}, {}, asio::use_future).get()->errors, IsEmpty());
  work.reset();
  io_.stop();
  runner.join();
  io_.restart();
}

}  // namespace
}  // namespace serf
