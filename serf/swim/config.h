#ifndef SERF_SWIM_CONFIG_H_
#define SERF_SWIM_CONFIG_H_

// Config of the membership engine, with the three profiles of the original.
// Source: spec/memberlist.md 7.1.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/wire/aead.h"

namespace serf::swim {

class NodeInfoPool;
struct RemoteNode;

// A CIDR block, "10.0.0.0/8".
struct AddressBlock {
  IpAddress base;
  int prefix_bits = 0;
};

// When gossip leaves the queue. docs/protocol.md explains the two.
enum class GossipPacing : std::uint8_t {
  // At once when the queue turns non-empty, then paced by `prompt_interval` while there is a
  // backlog, within `gossip_bytes_per_second`.
  kPrompt,
  // One round of packets at each tick of `gossip_interval`, as the original does.
  kTicked,
};

struct Config {
  static Config Lan();
  static Config Wan();
  static Config Local();

  // Names the first value that makes no sense.
  absl::Status Validate() const;

  std::string name;                // 1 to kNodeNameMax bytes, any value
  Endpoint advertise;              // what others are told; the driver fills it in before Start
  std::uint16_t default_port = 7946;  // stands in for port 0 in messages of others
  ByteVector meta;                 // at most kMetaMax bytes
  std::string label;               // at most 255 bytes
  bool skip_inbound_label_check = false;

  std::uint8_t protocol_version = 2;  // 1 to 5
  std::uint8_t delegate_protocol_min = 0;
  std::uint8_t delegate_protocol_max = 0;
  std::uint8_t delegate_protocol_version = 0;

  Duration tcp_timeout = std::chrono::seconds(10);
  int indirect_checks = 3;
  int retransmit_mult = 4;
  int suspicion_mult = 4;
  int suspicion_max_timeout_mult = 6;
  Duration push_pull_interval = std::chrono::seconds(30);  // zero: never
  Duration probe_interval = std::chrono::seconds(1);       // zero: never
  Duration probe_timeout = std::chrono::milliseconds(500);
  bool disable_tcp_pings = false;
  int awareness_max_multiplier = 8;

  GossipPacing gossip_pacing = GossipPacing::kPrompt;
  Duration gossip_interval = std::chrono::milliseconds(200);  // zero: never
  Duration prompt_interval = std::chrono::milliseconds(15);   // jittered by a third
  int prompt_packets_per_target = 4;                          // a round's most, when deep
  std::uint64_t gossip_bytes_per_second = 2'000'000;          // of kPrompt; zero: no limit
  int gossip_nodes = 3;
  Duration gossip_to_the_dead_time = std::chrono::seconds(30);
  std::size_t broadcast_queue_max = 16384;  // messages; the newest per subject is kept

  bool verify_incoming = true;
  bool verify_outgoing = true;
  bool enable_compression = true;
  std::size_t packet_size = 1400;  // bytes of a datagram aimed at

  Duration dead_node_reclaim_time = Duration::zero();  // zero: never
  std::vector<AddressBlock> cidrs_allowed;             // empty: all

  // Encryption is on while the keyring is not empty. Shared with key operations.
  std::shared_ptr<wire::Keyring> keyring;
  std::shared_ptr<wire::Aead> aead;           // null only without keyring
  std::shared_ptr<wire::NonceSource> nonces;  // null only without keyring

  // Admission filters; null admits all. Each returns why not, or OK.
  std::function<absl::Status(const RemoteNode&)> alive_filter;
  std::function<absl::Status(const std::vector<RemoteNode>&)> merge_filter;

  std::shared_ptr<NodeInfoPool> node_infos;  // null: a pool of the node's own
  std::uint64_t seed = 0;                    // of the node's Rng; the driver draws it
  Logger* logger = nullptr;
};

}  // namespace serf::swim

#endif  // SERF_SWIM_CONFIG_H_
