#ifndef SERF_TESTING_SIM_CLOCK_JUMP_H_
#define SERF_TESTING_SIM_CLOCK_JUMP_H_

// ClockJump: messages to a node of a World that move its Lamport clocks: an event, a query and an
// intent with a given time, in plaintext. Only that node receives them.

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/outbox.h"
#include "serf/serf.h"
#include "serf/testing/sim/link_model.h"
#include "serf/testing/sim/world.h"
#include "serf/wire/ids.h"
#include "serf/wire/list_view.h"
#include "serf/wire/message_type.h"
#include "serf/wire/serf_messages.h"

namespace serf::testkit {

// The three clocks of a node.
struct Clocks {
  std::uint64_t member = 0;
  std::uint64_t event = 0;
  std::uint64_t query = 0;

  friend bool operator==(const Clocks&, const Clocks&) = default;
};
inline Clocks ClocksOf(const World& world, NodeId node) {
  const auto stats = world.serf(node).Stats();
  return {std::stoull(stats.at("member_time")), std::stoull(stats.at("event_time")),
          std::stoull(stats.at("query_time"))};
}

// The node accepts what is not encrypted.
template <typename Message>
void Say(World& world, NodeId node, const Message& message) {
  ByteVector packet = {static_cast<std::uint8_t>(wire::MessageType::kUser)};
  Encode(message, packet);
  world.Call(node, [&](Serf& serf, Instant now, Outbox& out) {
    serf.OnDatagram(now, world.endpoint(node), packet, out);
  });
}

// `payload` is that of the event.
inline void SayEvent(World& world, NodeId node, std::uint64_t time, absl::string_view payload) {
  Say(world, node,
      wire::UserEventMessage{
          .ltime = wire::LamportTime(time), .name = "jump", .payload = AsBytes(payload)});
}
// A query for no node, so that no application answers it.
inline void SayQuery(World& world, NodeId node, std::uint64_t time) {
  const std::vector<absl::string_view> nobody = {"nobody"};
  ByteVector filter;
  wire::EncodeFilter(wire::NodeFilter(nobody), filter);
  const std::vector<ByteView> filters = {filter};
  wire::QueryMessage query;
  query.ltime = wire::LamportTime(time);
  query.name = "jump";
  query.filters = wire::ListView<ByteView>(filters);
  Say(world, node, query);
}
// An intent about an unknown node.
inline void SayIntent(World& world, NodeId node, std::uint64_t time) {
  Say(world, node, wire::JoinMessage{.ltime = wire::LamportTime(time), .node = "nobody"});
}
inline void SayAll(World& world, NodeId node, std::uint64_t time) {
  SayEvent(world, node, time, absl::StrCat("jump to ", time));
  SayQuery(world, node, time);
  SayIntent(world, node, time);
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SIM_CLOCK_JUMP_H_
