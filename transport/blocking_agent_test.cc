#include "serf/transport/blocking_agent.h"

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/event.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/tags.h"
#include "serf/testing/run_until.h"
#include "serf/transport/agent.h"
#include "serf/transport/agent_options.h"

namespace serf {
namespace {

namespace asio = boost::asio;

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

AgentOptions Options(const std::string& name) {
  AgentOptions options = {.name = name, .bind = "127.0.0.1:0"};
  options.config = Config::Local();
  return options;
}

std::unique_ptr<BlockingAgent> Started(AgentOptions options,
                                       const std::function<void(Agent&)>& set_up = nullptr) {
  auto agent = BlockingAgent::Start(std::move(options), set_up);
  EXPECT_TRUE(agent.ok()) << agent.status();
  return *std::move(agent);
}

// Accepts connections and never sends a byte, so that a join of it waits.
class Mute {
 public:
  std::string address() const {
    return absl::StrCat("127.0.0.1:", acceptor_.local_endpoint().port());
  }
  // Waits until a peer is there.
  void Accept() { acceptor_.accept(peer_); }

 private:
  asio::io_context io_;
  asio::ip::tcp::acceptor acceptor_{io_, {asio::ip::address_v4::loopback(), 0}};
  asio::ip::tcp::socket peer_{io_};
};

// The calls that a handler has received, for a test that waits for them.
class Seen {
 public:
  void Add(std::string text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    texts_.push_back(std::move(text));
    changed_.notify_all();
  }
  [[nodiscard]] bool WaitFor(const std::string& text) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, testkit::kPatience, [&] {
      return std::find(texts_.begin(), texts_.end(), text) != texts_.end();
    });
  }
  [[nodiscard]] bool Has(const std::string& text) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return std::find(texts_.begin(), texts_.end(), text) != texts_.end();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> texts_;
};

TEST(BlockingAgentTest, CreateJoinMembers) {
  const auto a = Started(Options("a"));
  const auto b = Started(Options("b"));
  const auto joined = b->Join({a->local().ToString()});
  EXPECT_EQ(joined->contacted, 1);
  const auto members = b->Members();
  ASSERT_TRUE(members.ok());
  ASSERT_THAT(*members, SizeIs(2));
  EXPECT_EQ(members->front().name, "a");
  EXPECT_TRUE(b->SetTags({{"role", "db"}}).ok());
  EXPECT_TRUE(b->UpdateTags([](Tags& tags) { tags["dc"] = "east"; }).ok());
  EXPECT_EQ(b->Members()->back().tags, (Tags{{"dc", "east"}, {"role", "db"}}));
  EXPECT_EQ((*b->Stats())["members"], "2");
  EXPECT_TRUE(b->GetCoordinate("b")->has_value());
  EXPECT_TRUE(b->ForceLeave("nobody").ok());
  EXPECT_TRUE(b->SendUserEvent("deploy").ok());
  EXPECT_EQ(b->Respond(QueryId(), "").code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_FALSE(b->ManageKeys(KeyOperation::kList, "?").ok());
  EXPECT_TRUE(b->Leave().ok());
}

TEST(BlockingAgentTest, TheStartJoinsAndFailsIfNobodyAnswers) {
  const auto a = Started(Options("a"));
  AgentOptions options = Options("b");
  options.join = {a->local().ToString()};
  std::string reported;
  {
    const auto b = Started(options, [&](Agent& agent) {
      agent.OnJoin([&](const auto& result) { reported = absl::StrCat(result->contacted); });
    });
    EXPECT_THAT(*b->Members(), SizeIs(2));
    EXPECT_EQ(reported, "1");
  }
  options.join = {Mute().address()};  // nobody is there any more
  const auto alone = BlockingAgent::Start(options);
  EXPECT_EQ(alone.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(alone.status().message()), HasSubstr(options.join[0]));
  options.bind = "x:y:z";
  EXPECT_THAT(std::string(BlockingAgent::Start(options).status().message()),
              HasSubstr("bind: \"x:y:z\": "));
}

TEST(BlockingAgentTest, TheStartEndsThoughAHandlerReplacesThatOfTheJoin) {
  const auto a = Started(Options("a"));
  AgentOptions options = Options("b");
  options.join = {a->local().ToString()};
  Seen seen;
  const auto b = Started(options, [&](Agent& agent) {
    agent.OnJoin([&](const auto&) { seen.Add("first"); });
    agent.OnMember([&](MemberEventKind, const Member&) {
      agent.OnMember(nullptr);
      agent.OnJoin([&](const auto& result) { seen.Add(absl::StrCat(result->contacted)); });
    });
  });
  EXPECT_TRUE(seen.WaitFor("1"));
  EXPECT_FALSE(seen.Has("first"));
}

TEST(BlockingAgentTest, HandlersMissNothingAndRunOnTheThreadOfTheAgent) {
  Seen seen;
  std::mutex mutex;
  std::vector<std::thread::id> threads;
  absl::Status from_within;
  BlockingAgent* self = nullptr;
  const auto a = Started(Options("a"), [&](Agent& agent) {
    agent.OnMember([&](MemberEventKind kind, const Member& member) {
      const std::lock_guard<std::mutex> lock(mutex);
      threads.push_back(std::this_thread::get_id());
      seen.Add(absl::StrCat(MemberEventName(kind), " ", member.name));
    });
    agent.OnUserEvent([&](const UserEvent& event) {
      const std::lock_guard<std::mutex> lock(mutex);
      threads.push_back(std::this_thread::get_id());
      from_within = self->SendUserEvent("again");
      seen.Add(event.name);
      if (event.name == "first") {
        agent.SendUserEvent("second", "", {}, [](const absl::Status&) {});
      }
    });
  });
  EXPECT_TRUE(seen.WaitFor("member-join a"));
  {
    const std::lock_guard<std::mutex> lock(mutex);
    self = a.get();
  }
  EXPECT_TRUE(a->SendUserEvent("first").ok());
  EXPECT_TRUE(seen.WaitFor("second"));
  const std::lock_guard<std::mutex> lock(mutex);
  EXPECT_EQ(from_within.code(), absl::StatusCode::kFailedPrecondition);
  ASSERT_THAT(threads, SizeIs(3));
  EXPECT_THAT(threads, ElementsAre(threads[0], threads[0], threads[0]));
  EXPECT_NE(threads[0], std::this_thread::get_id());
}

TEST(BlockingAgentTest, QueriesAreAnswered) {
  const auto a = Started(Options("a"), [](Agent& agent) {
    agent.OnQuery([](const QueryEvent& query) { return query.payload + "!"; });
  });
  QueryParams params;
  params.finish_early = true;
  params.timeout = testkit::kPatience;
  auto query = a->SendQuery("echo", "hello", params);
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->Next()->payload, "hello!");
  EXPECT_EQ(query->Next(), std::nullopt);
  EXPECT_EQ(query->Next(), std::nullopt);
}

TEST(BlockingAgentTest, ItsEndEndsTheVerbsOfOtherThreads) {
  Mute mute;
  auto a = Started(Options("a"));
  QueryParams params;
  params.timeout = std::chrono::hours(1);
  auto query = a->SendQuery("x", "", params);
  auto idle = a->SendQuery("y", "", params);
  auto joins =
      std::async(std::launch::async, [&agent = *a, &mute] { return agent.Join({mute.address()}); });
  auto waits = std::async(std::launch::async, [&query] { return query->Next(); });
  mute.Accept();  // the join waits for an answer now
  a = nullptr;
  EXPECT_EQ(joins.get().status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(waits.get(), std::nullopt);
  EXPECT_EQ(idle->Next(), std::nullopt);  // its query outlives it
}

TEST(BlockingAgentTest, ManyThreadsAsk) {
  auto a = Started(Options("a"));
  std::atomic<bool> stop = false;
  std::vector<std::future<void>> askers;
  std::atomic<int> asked = 0;
  for (int i = 0; i < 4; ++i) {
    askers.push_back(std::async(std::launch::async, [&] {
      while (!stop) {
        EXPECT_THAT(*a->Members(), SizeIs(1));
        EXPECT_TRUE(a->SendQuery("x").ok());  // and ends it at once
        if (++asked > 200) stop = true;
      }
    }));
  }
  for (std::future<void>& asker : askers) asker.get();
}

}  // namespace
}  // namespace serf
