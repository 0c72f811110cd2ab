#include "serf/events/event_pipeline.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/outbox.h"
#include "serf/wire/ids.h"

namespace serf {
namespace {

class EventPipelineTest : public ::testing::Test {
 protected:
  void Add(std::uint64_t time) {
    UserEvent event;
    event.time = wire::LamportTime(time);
    event.name = absl::StrCat("e", time);
    pipeline_.Add(std::move(event));
  }
  // The times of the events that were delivered since the last call.
  std::vector<std::uint64_t> Told() {
    std::vector<std::uint64_t> times;
    for (const Event& event : out_.events()) {
      times.push_back(std::get<UserEvent>(event).time.value());
    }
    out_.Clear();
    return times;
  }

  EventPipeline pipeline_{Config::Lan()};
  Outbox out_;
};

TEST_F(EventPipelineTest, TheEventsOfAnInputAreToldByTime) {
  for (const std::uint64_t time : {3, 1, 2}) Add(time);
  pipeline_.Settle(Instant{}, out_);
  EXPECT_EQ(Told(), (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_EQ(pipeline_.NextDeadline(), kNever);
}

// A packet may hold a thousand events, and an application takes microseconds for each.
TEST_F(EventPipelineTest, ManyAreToldInPortionsAndInOrder) {
  for (std::uint64_t time = 1000; time > 0; --time) Add(time);
  pipeline_.Settle(Instant{}, out_);
  std::vector<std::uint64_t> told = Told();
  EXPECT_EQ(told.size(), 128u);
  // The events of another input follow.
  Add(7);
  while (pipeline_.NextDeadline() <= Instant{}) {
    pipeline_.OnTimer(Instant{}, out_);
    pipeline_.Settle(Instant{}, out_);
    const std::vector<std::uint64_t> more = Told();
    EXPECT_LE(more.size(), 128u);
    ASSERT_FALSE(more.empty());
    told.insert(told.end(), more.begin(), more.end());
  }
  ASSERT_EQ(told.size(), 1001u);
  for (std::uint64_t i = 0; i < 1000; ++i) EXPECT_EQ(told[i], i + 1);
  EXPECT_EQ(told.back(), 7u);
}

// A long flood does not fill the memory.
TEST_F(EventPipelineTest, FewWait) {
  std::size_t told = 0, added = 0;
  for (int input = 0; input < 50; ++input) {
    for (int i = 0; i < 1000; ++i) Add(++added);
    pipeline_.Settle(Instant{}, out_);
    told += Told().size();
    EXPECT_LE(added - told, 4096u);
  }
  pipeline_.Flush(Instant{}, out_);
  told += Told().size();
  EXPECT_EQ(told, added);
}

}  // namespace
}  // namespace serf
