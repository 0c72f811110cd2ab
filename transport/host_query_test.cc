// Events, queries, keys and name conflicts between Hosts on loopback.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/event.h"
#include "serf/keys.h"
#include "serf/query.h"
#include "serf/testing/host_fixture.h"
#include "serf/testing/run_until.h"
#include "serf/transport/host.h"
#include "serf/wire/aead.h"

namespace serf::transport {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

using testkit::kPatience;

class HostQueryTest : public testkit::HostFixture {
 protected:
  struct Node {
    std::unique_ptr<Host> host;
    std::vector<std::string> events;
    std::vector<QueryEvent> queries;
    std::vector<std::size_t> saves;  // the number of keys in each save
    bool shut_down = false;
  };

  Node& Add(const std::string& name, bool encrypted = false) {
    nodes_.push_back(std::make_unique<Node>());
    Node& node = *nodes_.back();
    HostOptions options = testkit::LocalOptions(name);
    if (encrypted) {
      options.config.swim.keyring = std::make_shared<wire::Keyring>();
      EXPECT_TRUE(options.config.swim.keyring->Add(ByteVector(16, 1)).ok());
      options.save_keyring = [&node](std::span<const wire::Keyring::Key> keys) {
        node.saves.push_back(keys.size());
        return absl::OkStatus();
      };
    }
    options.on_event = [&node](const Event& event) {
      if (const auto* user = std::get_if<UserEvent>(&event)) {
        node.events.push_back(absl::StrCat(user->name, " ", user->payload));
      } else if (const auto* query = std::get_if<QueryEvent>(&event)) {
        node.queries.push_back(*query);
      }
    };
    options.on_shutdown = [&node] { node.shut_down = true; };
    node.host = Start(std::move(options));
    return node;
  }
  // All agents join the first one.
  void JoinAll() {
    for (const auto& node : nodes_) {
      Join(*node->host, *nodes_.front()->host);
    }
    ASSERT_TRUE(RunUntil([&] {
      for (const auto& node : nodes_) {
        if (node->host->serf().Members().size() != nodes_.size()) return false;
      }
      return true;
    }));
  }

  std::vector<std::unique_ptr<Node>> nodes_;
};

TEST_F(HostQueryTest, EventsReachAll) {
  Node& a = Add("a");
  Node& b = Add("b");
  JoinAll();
  EXPECT_TRUE(Await([&](auto done) {
                a.host->AsyncSendUserEvent("deploy", "v1", {.coalesce = true}, std::move(done));
              }).ok());
  EXPECT_THAT(a.events, ElementsAre("deploy v1"));
  EXPECT_TRUE(RunUntil([&] { return b.events.size() == 1; }));
  EXPECT_THAT(b.events, ElementsAre("deploy v1"));
  EXPECT_EQ(Await([&](auto done) {
              a.host->AsyncSendUserEvent("n", std::string(600, 'x'), {.coalesce = true},
                                         std::move(done));
            }).message(),
            "user event exceeds configured limit of 512 bytes before encoding");
}

TEST_F(HostQueryTest, QueriesAreAnswered) {
  Node& a = Add("a");
  Node& b = Add("b");
  JoinAll();
  std::vector<std::string> updates;
  std::optional<QueryId> id;
  QueryParams params;
  params.request_ack = true;
  params.finish_early = true;
  params.timeout = kPatience;
  a.host->AsyncSendQuery(
      "uptime", "please", params,
      [&](const QueryUpdate& update) {
        EXPECT_EQ(update.query, id);
        updates.push_back(absl::StrCat(static_cast<int>(update.kind), update.from, update.payload));
      },
      [&](absl::StatusOr<QueryId> query) { id = query.value(); });
  for (Node* node : {&a, &b}) {
    ASSERT_TRUE(RunUntil([&] { return node->queries.size() == 1; }));
    EXPECT_EQ(node->queries[0].payload, "please");
    EXPECT_TRUE(Await([&](auto done) {
                  node->host->AsyncRespond(node->queries[0].id, "3 days", std::move(done));
                }).ok());
  }
  EXPECT_EQ(Await([&](auto done) {
              b.host->AsyncRespond(b.queries[0].id, "4 days", std::move(done));
            }).message(),
            "failed to respond to key query: response already sent");
  // All updates arrive long before the timeout.
  ASSERT_TRUE(RunUntil([&] { return updates.size() == 5; }));
  EXPECT_THAT(updates, UnorderedElementsAre("0a", "0b", "1a3 days", "1b3 days", "2"));
  EXPECT_EQ(updates.back(), "2");
}

// Another thread judges the filters. Meanwhile the other members answer, the query ends early, and
// a later query with the same filter is answered from memory.
TEST_F(HostQueryTest, FiltersThatCostMuchAreJudgedElsewhere) {
  Node& a = Add("a");
  Node& b = Add("b");
  JoinAll();
  ASSERT_TRUE(Await([&](auto done) { b.host->AsyncSetTags({{"role", "web"}}, done); }).ok());
  ASSERT_TRUE(RunUntil([&] { return a.host->serf().FindMember("b")->tags.contains("role"); }));
  QueryParams params;
  params.filter_tags = {{"role", "^[\\pL\\pN_.-]{1,64}$"}};
  params.timeout = std::chrono::hours(1);
  params.finish_early = true;
  for (std::size_t round = 1; round <= 3; ++round) {
    std::vector<QueryUpdate> updates;
    a.host->AsyncSendQuery(
        "load", "", params, [&](const QueryUpdate& update) { updates.push_back(update); },
        [](absl::StatusOr<QueryId> query) { EXPECT_TRUE(query.ok()); });
    ASSERT_TRUE(RunUntil([&] { return b.queries.size() == round; }));
    b.host->AsyncRespond(b.queries.back().id, "1.02", [](absl::Status) {});
    ASSERT_TRUE(RunUntil([&] { return updates.size() == 2; }));
    EXPECT_EQ(updates[0].from, "b");
    EXPECT_EQ(updates[1].kind, QueryUpdate::Kind::kDone);
  }
  EXPECT_THAT(a.queries, SizeIs(0));
  EXPECT_EQ(b.host->serf().counters().queries_unjudged, 0u);
}

TEST_F(HostQueryTest, WorkAsideIsDoneOrRefused) {
  Node& a = Add("a");
  const auto here = std::this_thread::get_id();
  std::optional<bool> ran;
  std::thread::id there = here;
  a.host->AsyncAside(
      [&](const std::function<bool()>& may_go_on) {
        EXPECT_TRUE(may_go_on());
        there = std::this_thread::get_id();
      },
      [&](bool done) { ran = done; });
  ASSERT_TRUE(RunUntil([&] { return ran.has_value(); }));
  EXPECT_TRUE(*ran);
  EXPECT_NE(there, here);
  // Work that runs at the end learns of it; work that waits does not begin.
  std::atomic<bool> started = false;
  std::vector<bool> results;
  a.host->AsyncAside(
      [&](const std::function<bool()>& may_go_on) {
        started = true;
        while (may_go_on()) std::this_thread::yield();
      },
      [&](bool done) { results.push_back(done); });
  a.host->AsyncAside([](const std::function<bool()>&) { ADD_FAILURE() << "too late"; },
                     [&](bool done) { results.push_back(done); });
  ASSERT_TRUE(RunUntil([&] { return started.load(); }));
  a.host->Shutdown();
  ASSERT_TRUE(RunUntil([&] { return results.size() == 2; }));
  a.host->AsyncAside([](const std::function<bool()>&) { ADD_FAILURE() << "too late"; },
                     [&](bool done) { results.push_back(done); });
  ASSERT_TRUE(RunUntil([&] { return results.size() == 3; }));
  EXPECT_THAT(results, ElementsAre(false, false, false));
}

TEST_F(HostQueryTest, CancelEndsAQueryBeforeItsTime) {
  Node& a = Add("a");
  std::vector<std::string> updates;
  std::optional<QueryId> ids[2];
  for (std::optional<QueryId>& id : ids) {
    a.host->AsyncSendQuery(
        "q", "", {.timeout = kPatience * 10},
        [&](const QueryUpdate& update) {
          updates.push_back(update.query == ids[0] ? "first" : "second");
          EXPECT_EQ(update.kind, QueryUpdate::Kind::kDone);
        },
        [&](absl::StatusOr<QueryId> query) { id = query.value(); });
  }
  ASSERT_TRUE(RunUntil([&] { return ids[1].has_value(); }));
  a.host->CancelQuery(*ids[1]);
  a.host->CancelQuery(*ids[1]);
  EXPECT_TRUE(RunUntil([&] { return !updates.empty(); }));
  a.host->Shutdown();
  EXPECT_TRUE(RunUntil([&] { return updates.size() == 2; }));
  a.host->CancelQuery(*ids[0]);
  io_.poll();
  EXPECT_THAT(updates, ElementsAre("second", "first"));
}

TEST_F(HostQueryTest, AQueryEndsWithTheHost) {
  Node& a = Add("a");
  int done = 0;
  bool started = false;
  a.host->AsyncSendQuery(
      "q", "", {.timeout = kPatience},
      [&](const QueryUpdate& update) { done += update.kind == QueryUpdate::Kind::kDone; },
      [&](absl::StatusOr<QueryId> query) { started = query.ok(); });
  ASSERT_TRUE(RunUntil([&] { return started; }));
  a.host->Shutdown();
  EXPECT_TRUE(RunUntil([&] { return done == 1; }));
  std::optional<absl::Status> refused;
  a.host->AsyncSendQuery(
      "q", "", {}, [&](const QueryUpdate&) { ADD_FAILURE(); },
      [&](absl::StatusOr<QueryId> query) { refused = query.status(); });
  EXPECT_TRUE(RunUntil([&] { return refused.has_value(); }));
  EXPECT_TRUE(absl::IsCancelled(*refused));
}

TEST_F(HostQueryTest, KeysRotate) {
  Node& a = Add("a", /*encrypted=*/true);
  Node& b = Add("b", /*encrypted=*/true);
  JoinAll();
  const ByteVector key(32, 2);
  const auto manage = [&](KeyOperation operation, const ByteVector& which) {
    KeyOutcome outcome;
    EXPECT_EQ(Await([&](auto done) {
                a.host->AsyncManageKeys(operation, which, 0, [&, done](KeyOutcome result) {
                  outcome = std::move(result);
                  done(outcome.status);
                });
              }),
              absl::OkStatus());
    EXPECT_EQ(outcome.nodes, 2u);
    EXPECT_EQ(outcome.responses, 2u);
    return outcome;
  };
  manage(KeyOperation::kInstall, key);
  manage(KeyOperation::kUse, key);
  manage(KeyOperation::kRemove, ByteVector(16, 1));
  const KeyOutcome listed = manage(KeyOperation::kList, {});
  ASSERT_THAT(listed.keys, SizeIs(1));
  EXPECT_EQ(listed.keys.begin()->second, 2u);
  EXPECT_THAT(a.saves, ElementsAre(2u, 2u, 1u));
  EXPECT_THAT(b.saves, ElementsAre(2u, 2u, 1u));
}

TEST_F(HostQueryTest, TheLaterOfTwoWithTheSameNameGoes) {
  Node& a = Add("a");
  Node& b = Add("b");
  Node& c = Add("c");
  JoinAll();
  Node& impostor = Add("c");
  impostor.host->AsyncJoin({a.host->local().ToString()}, {}, [](const JoinResult&) {});
  EXPECT_TRUE(RunUntil([&] { return impostor.shut_down; }));
  EXPECT_EQ(impostor.host->serf().state(), Serf::State::kShutdown);
  EXPECT_FALSE(a.shut_down || b.shut_down || c.shut_down);
  EXPECT_EQ(c.host->serf().state(), Serf::State::kAlive);
}

}  // namespace
}  // namespace serf::transport
