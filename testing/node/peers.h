#ifndef SERF_TESTING_NODE_PEERS_H_
#define SERF_TESTING_NODE_PEERS_H_

// Peers: imaginary members, for tests. It makes the packets by which a node under test learns of
// them; nobody answers at their addresses.
//
//   Peers peers;
//   node.OnDatagram(now, from, peers.Alive("a"), out);
//   node.OnDatagram(now, from, peers.Gone("a", /*announced=*/false), out);

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/config.h"
#include "serf/tags.h"
#include "serf/wire/ids.h"
#include "serf/wire/serf_messages.h"
#include "serf/wire/swim_messages.h"

namespace serf::testkit {

// The bytes of a message.
template <typename Message>
ByteVector Encoded(const Message& message) {
  ByteVector bytes;
  Encode(message, bytes);
  return bytes;
}

inline wire::LeaveMessage LeaveOf(absl::string_view node, std::uint64_t time, bool prune = false) {
  return {.ltime = wire::LamportTime(time), .node = node, .prune = prune};
}
inline wire::JoinMessage JoinOf(absl::string_view node, std::uint64_t time) {
  return {.ltime = wire::LamportTime(time), .node = node};
}

class Peers {
 public:
  // 10.1.x.y, derived from the name.
  static Endpoint EndpointOf(absl::string_view name) {
    std::uint32_t h = 7;
    for (const char c : name) h = h * 31 + static_cast<unsigned char>(c);
    return {IpAddress::V4(10, 1, static_cast<std::uint8_t>(h >> 8), static_cast<std::uint8_t>(h)),
            7946};
  }

  // The peer is alive, with a higher incarnation at each call.
  ByteVector Alive(absl::string_view name, const Tags& tags = {}) {
    return AliveAt(name, EndpointOf(name), tags);
  }
  ByteVector AliveAt(absl::string_view name, const Endpoint& endpoint, const Tags& tags = {},
                     std::uint8_t protocol_max = 5) {
    const ByteVector meta = EncodeTags(tags, kSerfProtocolMax).value();
    const auto versions = wire::VersionVector{1, protocol_max, 2, 2, 5, 5}.ToBytes();
    wire::Alive alive;
    alive.incarnation = wire::Incarnation(++incarnations_[std::string(name)]);
    alive.node = name;
    alive.addr = endpoint.address.bytes();
    alive.port = endpoint.port;
    alive.meta = meta;
    alive.vsn = versions;
    return Encoded(alive);
  }
  // The peer died, or, if `announced`, it announced its departure.
  ByteVector Gone(absl::string_view name, bool announced) const {
    wire::Dead dead;
    const auto found = incarnations_.find(name);
    dead.incarnation = wire::Incarnation(found == incarnations_.end() ? 0 : found->second);
    dead.node = name;
    dead.from = announced ? name : absl::string_view("somebody");
    return Encoded(dead);
  }

 private:
  std::map<std::string, std::uint32_t, std::less<>> incarnations_;
};

}  // namespace serf::testkit

#endif  // SERF_TESTING_NODE_PEERS_H_
