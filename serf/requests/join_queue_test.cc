#include "serf/requests/join_queue.h"

#include <cstdint>
#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace serf {
namespace {

RequestId Request(std::uint64_t id) { return RequestId(id); }

TEST(JoinQueueTest, RunsAFewSideBySide) {
  JoinQueue queue;
  EXPECT_EQ(queue.StartNext(), nullptr);
  for (std::uint64_t i = 1; i <= JoinQueue::kAtOnceMax + 2; ++i) queue.Push(Request(i), {}, true);
  std::vector<RequestId> tokens;
  while (const JoinQueue::Join* join = queue.StartNext()) {
    EXPECT_EQ(join->request, Request(tokens.size() + 1));
    tokens.push_back(join->token);
  }
  EXPECT_EQ(tokens.size(), JoinQueue::kAtOnceMax);
  EXPECT_EQ(queue.Finish(tokens[5]), Request(6));
  EXPECT_EQ(queue.Finish(tokens[5]), std::nullopt);
  const JoinQueue::Join* const next = queue.StartNext();
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->request, Request(JoinQueue::kAtOnceMax + 1));
  EXPECT_EQ(queue.StartNext(), nullptr);
}

TEST(JoinQueueTest, OneThatWaitsCanBeDropped) {
  JoinQueue queue;
  queue.Push(Request(1), {}, true);
  const RequestId token = queue.StartNext()->token;
  queue.Push(Request(2), {}, true);
  queue.Push(Request(3), {}, true);
  EXPECT_FALSE(queue.Cancel(Request(1)));
  EXPECT_TRUE(queue.Cancel(Request(2)));
  EXPECT_FALSE(queue.Cancel(Request(2)));
  EXPECT_EQ(queue.StartNext()->request, Request(3));
  EXPECT_EQ(queue.Finish(token), Request(1));
  std::vector<RequestId> rest;
  queue.FinishAll([&rest](RequestId request) { rest.push_back(request); });
  EXPECT_EQ(rest, std::vector<RequestId>{Request(3)});
  EXPECT_EQ(queue.StartNext(), nullptr);
}

// Who wants the old events is told them, whoever joins beside it.
TEST(JoinQueueTest, OldEventsAreIgnoredIfAllWantIt) {
  JoinQueue queue;
  EXPECT_FALSE(queue.ignores_old());
  queue.Push(Request(1), {}, true);
  queue.Push(Request(2), {}, false);
  EXPECT_FALSE(queue.ignores_old());
  queue.StartNext();
  EXPECT_TRUE(queue.ignores_old());
  const RequestId replay = queue.StartNext()->token;
  EXPECT_FALSE(queue.ignores_old());
  queue.Finish(replay);
  EXPECT_TRUE(queue.ignores_old());
}

}  // namespace
}  // namespace serf
