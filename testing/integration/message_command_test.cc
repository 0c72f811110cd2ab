// Tests the commands that reach all nodes, event and keys, against recordings of Go Serf.

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/testing/integration/recorded_agents.h"
#include "serf/testing/integration/transcript.h"
#include "serf/testing/integration/workshop.h"

namespace serf::testkit {
namespace {

constexpr char kKey[] = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

TEST(MessageCommandTest, WithoutAgent) {
  ExpectAsRecorded({"help-event", "help-keys", "refused-event", "refused-keys",
                    "usage-event-flag-after-name", "usage-event-no-name", "usage-event-too-many",
                    "usage-keys-none", "usage-keys-two", "usage-keys-two-b"});
}

TEST(MessageCommandTest, RefusedWithoutTheKeyOfTheAgent) {
  const Workshop workshop;
  workshop.Write("auth.json", R"({"rpc_auth": "my-secret-auth-token"})");
  const auto alpha = StartAlpha({"-config-file=auth.json"});
  ExpectAsRecorded({"auth-missing-event", "auth-missing-keys"});
}

TEST(MessageCommandTest, EventsReachTheOtherAgent) {
  const auto alpha = StartAlpha();
  const auto beta = StartBeta(*alpha);
  ExpectAsRecorded({"event-no-coalesce"});
  EXPECT_TRUE(beta->WaitForOutput("agent: Received event: user-event: deploy")) << beta->out();
  ExpectAsRecorded({"event", "event-empty-name", "event-no-payload", "event-too-large"});
}

TEST(MessageCommandTest, KeysOfAPlainCluster) {
  const auto alpha = StartAlpha();
  const auto beta = StartBeta(*alpha);
  ExpectAsRecorded({"keys-list-no-encryption"});
  // Go Serf's order is random; ours is by name.
  const Outcome install = Transcript("keys-install-no-encryption").Run();
  EXPECT_EQ(install.exit_code, 1);
  EXPECT_EQ(install.out,
            "==> Installing key on all members...\n"
            "failed:  alpha  No keyring to modify (encryption not enabled)\n"
            "failed:  beta   No keyring to modify (encryption not enabled)\n"
            "\nError installing key: 2/2 nodes reported failure\n");
}

TEST(MessageCommandTest, KeyRotation) {
  const auto alpha = StartAlpha({absl::StrCat("-encrypt=", kKey)});
  ExpectAsRecorded({"keys-list", "keys-install-bad-base64", "keys-install-bad-length",
                    "keys-use-missing", "keys-install", "keys-list-two", "keys-use",
                    "keys-remove-primary", "keys-remove"});
  const Outcome list = Transcript("keys-list").Run();
  EXPECT_FALSE(absl::StrContains(list.out, kKey)) << list.out;
  EXPECT_TRUE(absl::EndsWith(list.out, "  [1/1]\n")) << list.out;
}

}  // namespace
}  // namespace serf::testkit
