#include "serf/rpc/record_queue.h"

#include <cstddef>
#include <string>
#include <utility>
#include <variant>

#include "gtest/gtest.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {
namespace {

StreamRecord Line(std::size_t size) { return {1, LogRecord{std::string(size, 'x')}}; }

TEST(RecordQueueTest, KeepsTheOrder) {
  RecordQueue queue;
  EXPECT_TRUE(queue.empty());
  EXPECT_TRUE(queue.Push({1, LogRecord{"a"}}));
  EXPECT_TRUE(queue.Push({2, AnswerRecord{QueryUpdate::Kind::kAck, "n", ""}}));
  const StreamRecord first = queue.Pop();
  EXPECT_EQ(first.stream, 1u);
  EXPECT_EQ(std::get<LogRecord>(first.value).log, "a");
  EXPECT_EQ(std::get<AnswerRecord>(queue.Pop().value).from, "n");
  EXPECT_TRUE(queue.empty());
}

TEST(RecordQueueTest, BoundedInNumber) {
  RecordQueue queue;
  for (std::size_t i = 0; i < kRecordsWaitingMax; ++i) ASSERT_TRUE(queue.Push(Line(1)));
  EXPECT_FALSE(queue.Push(Line(1)));
  queue.Pop();
  EXPECT_TRUE(queue.Push(Line(1)));
  EXPECT_FALSE(queue.Push(Line(1)));
}

TEST(RecordQueueTest, BoundedInMemory) {
  RecordQueue queue;
  const std::size_t text = (std::size_t{1} << 20) - RecordQueue::SizeOf(Line(0));
  for (std::size_t mib = 0; mib < kRecordBytesWaitingMax >> 20; ++mib) {
    ASSERT_TRUE(queue.Push(Line(text)));
  }
  EXPECT_FALSE(queue.Push(Line(0)));
  queue.Pop();
  EXPECT_FALSE(queue.Push(Line(text + 1)));
  EXPECT_TRUE(queue.Push(Line(text)));
}

// Next() can fetch any record that the protocol allows.
TEST(RecordQueueTest, OneOfAnySizeFits) {
  RecordQueue queue;
  EXPECT_TRUE(queue.Push(Line(kRecordBytesWaitingMax + 1)));
  EXPECT_FALSE(queue.Push(Line(0)));
  queue.Pop();
  EXPECT_TRUE(queue.Push(Line(0)));
}

TEST(RecordQueueTest, AllThatVariesCounts) {
  const std::string text(1000, 'x');
  Member member;
  member.name = text;
  member.tags = {{"key", text}};
  const StreamRecord records[] = {
      {1, LogRecord{text}},
      {1, AnswerRecord{QueryUpdate::Kind::kResponse, "n", text}},
      {1, AnswerRecord{QueryUpdate::Kind::kAck, text, ""}},
      {1, EventRecord(UserEvent{{}, "deploy", text, false})},
      {1, EventRecord(QueryRecord{1, {}, text, ""})},
      {1, EventRecord(MemberEvent{MemberEventKind::kJoin, {member}})},
  };
  const std::size_t empty = RecordQueue::SizeOf(Line(0));
  for (const StreamRecord& record : records) EXPECT_GE(RecordQueue::SizeOf(record), empty + 1000);
  EXPECT_GE(RecordQueue::SizeOf(records[5]), empty + 2000 + sizeof(Member));
}

}  // namespace
}  // namespace serf::rpc
