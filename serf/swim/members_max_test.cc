// A node knows a million members, and no more. (Optimised, since a million are added.)

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/swim/config.h"
#include "serf/swim/membership.h"
#include "serf/swim/node.h"
#include "serf/swim/outbox.h"
#include "serf/swim/test_net.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {
namespace {

class UntoldDelegate final : public RecordingDelegate {
 public:
  void OnNodeJoin(Instant, MemberIndex) override {}
};

TEST(MembersMax, FurtherOnesAreDroppedAndCounted) {
  constexpr std::size_t kFurther = 100;
  Config config = Config::Lan();
  config.name = "self";
  config.advertise = TestNet::EndpointOf(1);
  UntoldDelegate delegate;
  Node node(config, delegate);
  delegate.node = &node;
  const Instant now{std::chrono::hours(1)};
  Outbox out;
  node.Start(now, out);
  const auto versions = wire::VersionVector{1, 5, 2, 0, 0, 0}.ToBytes();
  ByteVector packet;
  for (std::size_t i = 0; i < Membership::kMembersMax - 1 + kFurther; ++i) {
    const std::string name = absl::StrCat(i);
    const IpAddress address =
        IpAddress::V4(10, static_cast<std::uint8_t>(i >> 16), static_cast<std::uint8_t>(i >> 8),
                      static_cast<std::uint8_t>(i));
    packet.clear();
    wire::Encode(wire::Alive{.incarnation = wire::Incarnation(1),
                             .node = name,
                             .addr = address.bytes(),
                             .port = 7946,
                             .vsn = versions},
                 packet);
    node.OnDatagram(now, TestNet::EndpointOf(9), packet, out);
    out.Clear();
  }
  EXPECT_EQ(node.counters().dropped_members, kFurther);
  std::size_t members = 0;
  node.ForEachMember([&](MemberIndex) { ++members; });
  EXPECT_EQ(members, Membership::kMembersMax);
}

}  // namespace
}  // namespace serf::swim
