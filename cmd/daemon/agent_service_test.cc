#include "serf/cmd/daemon/agent_service.h"

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "serf/cmd/events/event_spec.h"
#include "serf/cmd/telemetry/glog_logger.h"
#include "serf/keys.h"
#include "serf/query.h"
#include "serf/rpc/service.h"
#include "serf/testing/host_fixture.h"

namespace serf::cmd {
namespace {

using ::testing::Each;
using ::testing::Pair;

class AgentServiceTest : public testkit::HostFixture {
 protected:
  // Calls every method that has a completion, and counts their calls by name in `calls_`.
  void CallAll(AgentService& service, const std::string& when) {
    const auto count = [this, &when](const char* what) {
      int& calls = calls_[what + when];
      return [&calls](const auto&...) { ++calls; };
    };
    service.RunAside([](const rpc::Service::MayGoOn&) {}, count("aside"));
    service.Join({"127.0.0.1:1"}, {}, count("join"));
    service.SendUserEvent("deploy", "", {}, count("event"));
    service.SendQuery(
        "load", "", {}, [](const QueryUpdate&) {}, count("query"));
    service.Respond({}, "", count("respond"));
    service.ManageKeys(KeyOperation::kList, "", count("keys"));
    service.ManageKeys(KeyOperation::kInstall, "not base64", count("bad key"));
    service.ForceLeave("nobody", {}, count("force-leave"));
    service.UpdateTags({{"role", "web"}}, {}, count("tags"));
    service.Leave(count("leave"));
  }
  bool AllCalled() const {
    for (const auto& [what, calls] : calls_) {
      if (calls == 0) return false;
    }
    return true;
  }

  GlogLogger logger_{[](absl::string_view) {}};
  std::map<std::string, int> calls_;
};

TEST_F(AgentServiceTest, EachCompletionIsCalledOnceWhateverEnds) {
  const auto host = Start(testkit::QuickOptions("a"));
  AgentService service(*host, logger_, [] {});
  CallAll(service, ", answered");
  ASSERT_TRUE(RunUntil([&] { return AllCalled(); }));

  const auto other = Start(testkit::QuickOptions("b"));
  AgentService ending(*other, logger_, [] {});
  CallAll(ending, ", interrupted");
  other->Shutdown();
  CallAll(ending, ", too late");
  ASSERT_TRUE(RunUntil([&] { return AllCalled(); }));
  // A second call would have come before the answer to a later request.
  CallAll(service, ", at last");
  ASSERT_TRUE(RunUntil([&] { return AllCalled(); }));
  EXPECT_THAT(calls_, Each(Pair(::testing::_, 1)));
}

// The versions by which the server keeps encoded replies.
TEST_F(AgentServiceTest, VersionsChangeWithWhatTheRepliesShow) {
  const auto host = Start(testkit::QuickOptions("a"));
  AgentService service(*host, logger_, [] {});
  ASSERT_TRUE(RunUntil([&] { return service.ListMembers().size() == 1; }));
  const auto stats = service.StatsVersion();
  const auto members = service.MembersVersion();
  ASSERT_TRUE(stats && members);
  EXPECT_EQ(service.StatsVersion(), stats);
  EXPECT_EQ(service.MembersVersion(), members);

  service.set_event_scripts(*ParseEventScripts({"user:deploy=true"}));
  const auto with_scripts = service.StatsVersion();
  EXPECT_NE(with_scripts, stats);
  EXPECT_EQ(service.MembersVersion(), members);

  bool told = false;
  service.UpdateTags({{"role", "web"}}, {}, [&told](const absl::Status&) { told = true; });
  ASSERT_TRUE(RunUntil([&] { return told && service.MembersVersion() != members; }));
  EXPECT_EQ(service.Stats()["tags"]["role"], "web");
  const auto with_tags = service.StatsVersion();
  EXPECT_NE(with_tags, with_scripts);

  told = false;
  service.SendUserEvent("deploy", "", {}, [&told](const absl::Status&) { told = true; });
  ASSERT_TRUE(RunUntil([&] { return told; }));
  EXPECT_NE(service.StatsVersion(), with_tags) << "the clock of events has moved";
}

}  // namespace
}  // namespace serf::cmd
