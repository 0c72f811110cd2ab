#include "serf/rpc/reply_cache.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "msgpack/sbuffer.hpp"
#include "serf/base/time.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {
namespace {

constexpr ReplyCache::Request kMembers{Command::kMembers, {}};

class ReplyCacheTest : public testing::Test {
 protected:
  static std::shared_ptr<msgpack::sbuffer> Bytes(absl::string_view text) {
    auto bytes = std::make_shared<msgpack::sbuffer>();
    bytes->write(text.data(), text.size());
    return bytes;
  }
  static std::string Text(const SharedBody& body) {
    return body == nullptr ? "none" : std::string(body->data(), body->size());
  }
  void Keep(const ReplyCache::Request& request, ReplyCache::Version version,
            absl::string_view text) {
    replies_.Keep(now_, request, version, Bytes(text));
  }
  std::string Find(const ReplyCache::Request& request, ReplyCache::Version version) {
    return Text(replies_.Find(now_, request, version));
  }

  Instant now_ = Instant(std::chrono::seconds(100));
  int woken_ = 0;
  ReplyCache replies_{[this] { ++woken_; }};
};

TEST_F(ReplyCacheTest, FindsTheReplyToTheSameRequestAtTheSameVersion) {
  EXPECT_EQ(Find(kMembers, 1), "none");
  Keep(kMembers, 1, "all");
  Keep({Command::kMembersFiltered, "alive"}, 1, "alive ones");
  Keep({Command::kMembersFiltered, "failed"}, 1, "failed ones");
  EXPECT_EQ(Find(kMembers, 1), "all");
  EXPECT_EQ(Find({Command::kMembersFiltered, "alive"}, 1), "alive ones");
  EXPECT_EQ(Find({Command::kMembersFiltered, "failed"}, 1), "failed ones");
  EXPECT_EQ(Find({Command::kMembersFiltered, "left"}, 1), "none");
  EXPECT_EQ(Find({Command::kStats, {}}, 1), "none");
  EXPECT_EQ(Find(kMembers, 2), "none");
  Keep(kMembers, 2, "all now");
  EXPECT_EQ(Find(kMembers, 2), "all now");
  EXPECT_EQ(Find(kMembers, 1), "none");
}

TEST_F(ReplyCacheTest, FindsNothingForAServiceWithoutVersions) {
  Keep(kMembers, std::nullopt, "all");
  EXPECT_EQ(Find(kMembers, std::nullopt), "none");
  EXPECT_EQ(Find(kMembers, 0), "none");
}

TEST_F(ReplyCacheTest, LendsTheMemoryOfAnOldReplyThatNobodyReads) {
  Keep(kMembers, 1, std::string(100'000, 'x'));
  const char* const memory = replies_.Find(now_, kMembers, 1)->data();
  std::shared_ptr<msgpack::sbuffer> body = replies_.TakeBuffer(kMembers);
  EXPECT_EQ(body->data(), memory);
  EXPECT_EQ(body->size(), 0u);
  EXPECT_EQ(Find(kMembers, 1), "none");
  replies_.Keep(now_, kMembers, 2, body);
  body = nullptr;

  const SharedBody read = replies_.Find(now_, kMembers, 2);
  EXPECT_NE(replies_.TakeBuffer(kMembers)->data(), read->data());
  EXPECT_EQ(replies_.Find(now_, kMembers, 2), read);
}

TEST_F(ReplyCacheTest, GivesUpALargeReplyAfterASecondInWhichNobodyAsks) {
  Keep(kMembers, 1, std::string(ReplyCache::kSmall + 1, 'x'));
  Keep({Command::kStats, {}}, 1, "small");
  EXPECT_GE(woken_, 1);
  const Instant begin = now_;
  EXPECT_EQ(replies_.NextDeadline(), begin + ReplyCache::kKeepTime);
  now_ = begin + std::chrono::milliseconds(700);
  EXPECT_NE(Find(kMembers, 1), "none");
  now_ = begin + ReplyCache::kKeepTime;
  replies_.OnTimer(now_);
  EXPECT_NE(Find(kMembers, 1), "none");
  now_ += ReplyCache::kKeepTime;
  replies_.OnTimer(now_);
  EXPECT_EQ(Find(kMembers, 1), "none");
  EXPECT_EQ(Find({Command::kStats, {}}, 1), "small");
  EXPECT_EQ(replies_.NextDeadline(), kNever);
}

TEST_F(ReplyCacheTest, IsBoundedAndDropsWhatNobodyAskedForLongest) {
  for (std::size_t i = 0; i < ReplyCache::kRepliesMax; ++i) {
    now_ += std::chrono::milliseconds(1);
    Keep({Command::kMembersFiltered, absl::StrCat(i)}, 1, "some");
  }
  now_ += std::chrono::milliseconds(1);
  EXPECT_EQ(Find({Command::kMembersFiltered, "0"}, 1), "some");
  Keep(kMembers, 1, "all");
  EXPECT_EQ(Find({Command::kMembersFiltered, "0"}, 1), "some");
  EXPECT_EQ(Find({Command::kMembersFiltered, "1"}, 1), "none");
  EXPECT_EQ(Find({Command::kMembersFiltered, "2"}, 1), "some");

  const std::string half(ReplyCache::kBytesMax / 2, 'x');
  Keep({Command::kMembersFiltered, "a"}, 1, half);
  now_ += std::chrono::milliseconds(1);
  Keep({Command::kMembersFiltered, "b"}, 1, half);
  EXPECT_LE(replies_.bytes(), ReplyCache::kBytesMax);
  EXPECT_EQ(Find({Command::kMembersFiltered, "a"}, 1), "none");
  EXPECT_EQ(Find({Command::kMembersFiltered, "b"}, 1), half);

  Keep(kMembers, 1, std::string(ReplyCache::kBytesMax + 1, 'x'));
  EXPECT_EQ(Find(kMembers, 1), "none");
  EXPECT_LE(replies_.bytes(), ReplyCache::kBytesMax);
  EXPECT_EQ(Find({Command::kMembersFiltered, "b"}, 1), half) << "the others stay";
}

// As `members -status=failed` when a partition has ended.
TEST_F(ReplyCacheTest, ASmallReplyDoesNotKeepTheMemoryOfALargeOne) {
  Keep(kMembers, 1, std::string(1'000'000, 'x'));
  const std::shared_ptr<msgpack::sbuffer> body = replies_.TakeBuffer(kMembers);
  body->write("small", 5);
  replies_.Keep(now_, kMembers, 2, body);
  EXPECT_EQ(Find(kMembers, 2), "small");
  EXPECT_NE(replies_.Find(now_, kMembers, 2)->data(), body->data());
}

TEST_F(ReplyCacheTest, KeepsFewLargeReplies) {
  Keep({Command::kStats, {}}, 1, "small");
  const std::string large(ReplyCache::kSmall + 1, 'x');
  for (const char* filter : {"a", "b", "c"}) {
    now_ += std::chrono::milliseconds(1);
    Keep({Command::kMembersFiltered, filter}, 1, large);
  }
  EXPECT_EQ(Find({Command::kMembersFiltered, "a"}, 1), "none");
  EXPECT_EQ(Find({Command::kMembersFiltered, "b"}, 1), large);
  EXPECT_EQ(Find({Command::kMembersFiltered, "c"}, 1), large);
  EXPECT_EQ(Find({Command::kStats, {}}, 1), "small");
}

TEST_F(ReplyCacheTest, AllWhoWaitGetTheBodyThatAnotherThreadMakes) {
  std::vector<std::string> told;
  const auto tell = [&told](std::string who) {
    return [&told, who](const absl::Status& status, const SharedBody& body) {
      told.push_back(absl::StrCat(who, status.ok() ? Text(body) : status.ToString()));
    };
  };
  EXPECT_FALSE(replies_.Await(kMembers, 1, tell("nobody ")));
  const ReplyCache::Ticket first = replies_.Begin(kMembers, 1, tell("a "));
  EXPECT_TRUE(replies_.Await(kMembers, 1, tell("b ")));
  EXPECT_FALSE(replies_.Await({Command::kMembersFiltered, "x"}, 1, tell("nobody ")));
  // The members have changed meanwhile.
  EXPECT_FALSE(replies_.Await(kMembers, 2, tell("nobody ")));
  const ReplyCache::Ticket second = replies_.Begin(kMembers, 2, tell("c "));
  EXPECT_TRUE(replies_.Await(kMembers, 2, tell("d ")));
  replies_.End(now_, first, absl::OkStatus(), Bytes("old"));
  EXPECT_EQ(told, (std::vector<std::string>{"a old", "b old"}));
  EXPECT_EQ(Find(kMembers, 1), "old");
  replies_.End(now_, second, absl::OkStatus(), Bytes("new"));
  EXPECT_EQ(told, (std::vector<std::string>{"a old", "b old", "c new", "d new"}));
  EXPECT_EQ(Find(kMembers, 2), "new");
}

TEST_F(ReplyCacheTest, AnErrorReachesAllWhoWaitAndIsNotKept) {
  int errors = 0;
  const auto count = [&errors](const absl::Status& status, const SharedBody&) {
    if (!status.ok()) ++errors;
  };
  const ReplyCache::Ticket ticket = replies_.Begin(kMembers, 1, count);
  EXPECT_TRUE(replies_.Await(kMembers, 1, count));
  replies_.End(now_, ticket, absl::ResourceExhaustedError("too busy"), nullptr);
  EXPECT_EQ(errors, 2);
  EXPECT_EQ(Find(kMembers, 1), "none");
  EXPECT_FALSE(replies_.Await(kMembers, 1, count));
}

}  // namespace
}  // namespace serf::rpc
