#include "serf/swim/standstill.h"

#include <chrono>

#include "gtest/gtest.h"
#include "serf/base/time.h"

namespace serf::swim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant kStart{seconds(100)};

TEST(Standstill, LateTimersTellIt) {
  // Two turns: when the second comes, when its timer was due, and what follows from that.
  constexpr struct {
    const char* what;
    Duration turn;
    Duration due;
    Duration deaf;
  } kRows[] = {
      {"in time", milliseconds(100), milliseconds(100), {}},
      {"early, for a datagram", milliseconds(30), milliseconds(100), {}},
      {"late by chance", milliseconds(300), milliseconds(100), {}},
      {"late", milliseconds(301), milliseconds(100), milliseconds(301)},
      {"nothing was due in a long silence", seconds(60), seconds(60), {}},
      {"it was over already", milliseconds(200), seconds(-5), {}},
      {"it was over already, and nobody came", milliseconds(201), seconds(-5), milliseconds(201)},
      {"stopped for a minute", seconds(60), seconds(1), seconds(60)},
      {"no timer at all", seconds(60), Duration::max() - kStart.time_since_epoch(), {}},
  };
  for (const auto& row : kRows) {
    Standstill standstill;
    EXPECT_EQ(standstill.OnTurn(kStart, kStart), Duration::zero());
    EXPECT_EQ(standstill.OnTurn(kStart + row.turn, kStart + row.due), row.deaf) << row.what;
  }
}

TEST(Standstill, TheSilenceCountsOnce) {
  Standstill standstill;
  standstill.OnTurn(kStart, kStart);
  const Instant later = kStart + seconds(5);
  EXPECT_EQ(standstill.OnTurn(later, kStart + seconds(1)), seconds(5));
  EXPECT_EQ(standstill.OnTurn(later, kStart + seconds(1)), Duration::zero());
}

}  // namespace
}  // namespace serf::swim
