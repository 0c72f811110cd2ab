#include <memory>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "rpc/client.h"
#include "serf/base/endpoint.h"
#include "serf/config.h"
#include "serf/outbox.h"
#include "serf/rpc/client.h"
#include "serf/serf.h"

TEST(Consumer, HasAClientHeaderOfItsOwnBesideOurs) {
  EXPECT_EQ(monorepo::kClient, 1);
  serf::rpc::Client client;
  EXPECT_FALSE(client.Connect("127.0.0.1:1").ok());  // nothing listens there
}

TEST(Consumer, RunsANode) {
  serf::Config config = serf::Config::Lan();
  config.swim.name = "monorepo";
  config.swim.advertise = *serf::Endpoint::Parse("127.0.0.1:7946");
  absl::StatusOr<std::unique_ptr<serf::Serf>> node = serf::Serf::Create(config);
  ASSERT_TRUE(node.ok()) << node.status();
  serf::Outbox out;
  (*node)->Start(serf::Instant{}, out);
  EXPECT_EQ((*node)->LocalMember().name, "monorepo");
}
