#include "serf/machine/local_state_writer.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/portion.h"
#include "serf/lamport/event_buffer.h"
#include "serf/lamport/lamport_clock.h"
#include "serf/testing/node/serf_part.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/serf_messages.h"

namespace serf {
namespace {

using wire::LamportTime;

// A node and the members that it knows.
class LocalStateWriterTest : public testkit::SerfPart, public ::testing::Test {
 protected:
  void Gone(absl::string_view name, bool left) {
    if (left) return PeerLeaves(name);
    KillPeer(name);
  }
  void Joined(absl::string_view name, std::uint64_t time) {
    members_.OnJoinMessage(now_, name, LamportTime(time));
  }

  struct State {
    std::uint64_t member_time = 0;
    std::vector<std::pair<std::string, std::uint64_t>> times;
    std::vector<std::string> left;
  };
  static State Decode(ByteView bytes) {
    wire::PushPullState message;
    wire::DecodeScratch scratch;
    EXPECT_EQ(wire::Decode(bytes.subspan(1), message, scratch), wire::DecodeResult::kOk);
    State state{message.ltime.value(), {}, {}};
    message.status_ltimes.ForEach([&](const wire::StatusLTime& status) {
      state.times.emplace_back(status.node, status.ltime.value());
    });
    message.left_members.ForEach([&](absl::string_view name) { state.left.emplace_back(name); });
    return state;
  }

  LamportClock event_clock_, query_clock_;
  EventBuffer events_;
};

TEST_F(LocalStateWriterTest, ASmallOneIsThereAtOnceByName) {
  for (const char* name : {"d", "a", "c", "b"}) AddPeer(name);
  Joined("a", 7);
  Gone("c", /*left=*/true);
  Gone("b", /*left=*/false);
  LocalStateWriter writer(members_, event_clock_, events_, query_clock_);
  Portion portion;
  ByteVector bytes;
  ASSERT_TRUE(writer.Continue(portion, bytes));
  const State state = Decode(bytes);
  EXPECT_EQ(state.member_time, 8u);
  EXPECT_EQ(state.times, (std::vector<std::pair<std::string, std::uint64_t>>{
                             {"a", 7}, {"b", 0}, {"c", 0}, {"d", 0}, {"self", 0}}));
  EXPECT_EQ(state.left, std::vector<std::string>{"c"});
}

TEST_F(LocalStateWriterTest, ALargeOneIsPutTogetherInPortions) {
  constexpr std::size_t kMembers = 20'000;
  for (std::size_t i = 0; i < kMembers; ++i) AddPeer(absl::StrCat("m", i * 7919 % kMembers));
  for (std::size_t i = 0; i < kMembers / 4; ++i) Gone(absl::StrCat("m", i), i % 2 == 0);
  LocalStateWriter writer(members_, event_clock_, events_, query_clock_);
  ByteVector bytes;
  std::size_t turns = 1;
  for (;; ++turns) {
    ASSERT_LT(turns, 100u);
    Portion portion;
    if (writer.Continue(portion, bytes)) break;
    EXPECT_TRUE(portion.empty());
    EXPECT_TRUE(bytes.empty());
  }
  // A portion sorts some 4,000 rows, or writes twice as many.
  EXPECT_GE(turns, kMembers / 4096 + kMembers / 8192);
  const State state = Decode(bytes);
  EXPECT_EQ(state.times.size(), kMembers + 1);
  EXPECT_TRUE(std::is_sorted(state.times.begin(), state.times.end()));
  EXPECT_EQ(state.left.size(), kMembers / 8);
  EXPECT_TRUE(std::is_sorted(state.left.begin(), state.left.end()));
}

// What happens between the turns: the state has each member once, with its last status, and no time
// later than the clock's.
TEST_F(LocalStateWriterTest, ChangesMeanwhile) {
  constexpr std::size_t kMembers = 20'000;
  for (std::size_t i = 0; i < kMembers; ++i) AddPeer(absl::StrCat("m", i));
  LocalStateWriter writer(members_, event_clock_, events_, query_clock_);
  ByteVector bytes;
  std::uint64_t time = 10;
  for (std::size_t turn = 0;; ++turn) {
    Portion portion;
    if (writer.Continue(portion, bytes)) break;
    if (turn == 0) {
      Gone("m0", /*left=*/true);       // was visited
      Gone("m19999", /*left=*/false);  // was not
      AddPeer("new");
    }
    Joined("m1", ++time);
    Joined("m18000", ++time);
  }
  const State state = Decode(bytes);
  EXPECT_EQ(state.times.size(), kMembers + 2);
  EXPECT_EQ(std::adjacent_find(state.times.begin(), state.times.end(),
                               [](const auto& a, const auto& b) { return a.first == b.first; }),
            state.times.end());
  EXPECT_EQ(state.left, std::vector<std::string>{"m0"});
  for (const auto& [name, told] : state.times) EXPECT_LT(told, state.member_time) << name;
}

}  // namespace
}  // namespace serf
