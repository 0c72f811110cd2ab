#include "serf/rpc/login.h"

#include <chrono>

#include "gtest/gtest.h"
#include "serf/base/time.h"
#include "serf/rpc/protocol.h"

namespace serf::rpc {
namespace {

constexpr Instant kStart = Instant() + std::chrono::seconds(1000);

TEST(LoginTest, WithoutAKeyTheHandshakeIsEnough) {
  Login login(kStart, "");
  EXPECT_FALSE(login.trusted());
  EXPECT_EQ(login.NextDeadline(), kStart + kHandshakeTimeout);
  EXPECT_EQ(login.OnHandshake(kIpcVersion), "");
  EXPECT_TRUE(login.trusted());
  EXPECT_EQ(login.NextDeadline(), kNever);
}

TEST(LoginTest, AHandshakeIsOfTheRightVersionAndOnce) {
  Login login(kStart, "");
  EXPECT_EQ(login.OnHandshake(kIpcVersion + 1), kUnsupportedVersion);
  EXPECT_FALSE(login.shaken_hands());
  EXPECT_EQ(login.OnHandshake(kIpcVersion), "");
  EXPECT_EQ(login.OnHandshake(kIpcVersion), kDuplicateHandshake);
  EXPECT_TRUE(login.trusted());
}

TEST(LoginTest, WithAKeyTheClientHasUntilKAuthTimeoutToShowIt) {
  Login login(kStart, "secret");
  EXPECT_EQ(login.OnHandshake(kIpcVersion), "");
  EXPECT_FALSE(login.trusted());
  EXPECT_EQ(login.NextDeadline(), kStart + kAuthTimeout);
  EXPECT_FALSE(login.is_late(kStart + kAuthTimeout - Duration(1)));
  EXPECT_TRUE(login.is_late(kStart + kAuthTimeout));
  EXPECT_TRUE(login.OnKey(kStart, "secret"));
  EXPECT_TRUE(login.trusted());
  EXPECT_FALSE(login.is_late(kStart + kAuthTimeout));
}

TEST(LoginTest, AWrongKeyIsRefusedAfterADelay) {
  Login login(kStart, "secret");
  ASSERT_EQ(login.OnHandshake(kIpcVersion), "");
  EXPECT_FALSE(login.OnKey(kStart, "secre"));
  EXPECT_FALSE(login.TakeRefusal(kStart));
  EXPECT_EQ(login.NextDeadline(), kStart + kAuthDelay);
  EXPECT_TRUE(login.TakeRefusal(kStart + kAuthDelay));
  EXPECT_FALSE(login.TakeRefusal(kStart + kAuthDelay));
  EXPECT_FALSE(login.trusted());
}

TEST(LoginTest, TheAttemptsAreCounted) {
  Login login(kStart, "secret");
  ASSERT_EQ(login.OnHandshake(kIpcVersion), "");
  for (int i = 0; i < kAuthAttemptsMax; ++i) {
    EXPECT_FALSE(login.exhausted());
    EXPECT_FALSE(login.OnKey(kStart, ""));
  }
  EXPECT_TRUE(login.exhausted());
}

}  // namespace
}  // namespace serf::rpc
