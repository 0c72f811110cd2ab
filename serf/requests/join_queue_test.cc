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
  for (std::uint64_t i = 1; i <= JoinQueue::kAtOnceMax + 2; ++i) queue.Push(Request(i), {}, {});
  std::uint64_t started = 0;
  while (JoinQueue::Join* join = queue.StartNext()) {
    EXPECT_EQ(join->request, Request(++started));
    join->id = swim::JoinId(started);
  }
  EXPECT_EQ(started, JoinQueue::kAtOnceMax);
  EXPECT_EQ(queue.Finish(swim::JoinId(6)), Request(6));
  EXPECT_EQ(queue.Finish(swim::JoinId(6)), std::nullopt);
  const JoinQueue::Join* const next = queue.StartNext();
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->request, Request(JoinQueue::kAtOnceMax + 1));
  EXPECT_EQ(queue.StartNext(), nullptr);
}

TEST(JoinQueueTest, OneThatWaitsCanBeDropped) {
  JoinQueue queue;
  queue.Push(Request(1), {}, {});
  queue.StartNext()->id = swim::JoinId(7);
  queue.Push(Request(2), {}, {});
  queue.Push(Request(3), {}, {});
  EXPECT_FALSE(queue.Cancel(Request(1)));
  EXPECT_TRUE(queue.Cancel(Request(2)));
  EXPECT_FALSE(queue.Cancel(Request(2)));
  EXPECT_EQ(queue.StartNext()->request, Request(3));
  EXPECT_EQ(queue.Finish(swim::JoinId(7)), Request(1));
  std::vector<RequestId> rest;
  queue.FinishAll([&rest](RequestId request) { rest.push_back(request); });
  EXPECT_EQ(rest, std::vector<RequestId>{Request(3)});
  EXPECT_EQ(queue.StartNext(), nullptr);
}

// A join that wants the old events gets them, whatever the joins beside it want.
TEST(JoinQueueTest, OldEventsAreDeliveredIfOneWantsThem) {
  JoinQueue queue;
  EXPECT_TRUE(queue.replays());
  queue.Push(Request(1), {}, {});
  queue.Push(Request(2), {}, {.replay = true});
  EXPECT_TRUE(queue.replays());
  queue.StartNext()->id = swim::JoinId(1);
  EXPECT_FALSE(queue.replays());
  queue.StartNext()->id = swim::JoinId(2);
  EXPECT_TRUE(queue.replays());
  queue.Finish(swim::JoinId(2));
  EXPECT_FALSE(queue.replays());
}

}  // namespace
}  // namespace serf
