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
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/wire/aead.h"
#include "serf/wire/label.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

class NodeInfoPool;
struct RemoteNode;

// Longest node name, own or of others, in bytes. The original has no limit; a name must leave
// room for the rest of an alive message in a packet.
inline constexpr std::size_t kNodeNameMax = 512;
// What others said, for a log line or an error: no longer than a name may be.
inline absl::string_view Shown(absl::string_view said) { return said.substr(0, kNodeNameMax); }

// Most metadata of a node, in bytes.
using wire::kMetaMax;

// The engine's protocol versions (spec/memberlist.md 0.2).
inline constexpr std::uint8_t kProtocolVersionMin = 1;
inline constexpr std::uint8_t kProtocolVersionMax = 5;

// Longest label, in bytes.
using wire::kLabelMax;

// Bounds of Config::packet_size: what every IPv4 host takes, and the most that UDP carries.
inline constexpr std::size_t kPacketSizeMin = 548;
inline constexpr std::size_t kPacketSizeMax = 65507;

// Most helpers of a probe: what a probe keeps of them is bounded. The original's default is 3.
inline constexpr int kIndirectChecksMax = 16;

// Most targets of a round of gossip, packets to each, and of any multiplier: far beyond what
// makes sense, and small enough that no product overflows.
inline constexpr int kGossipNodesMax = 64;
inline constexpr int kPromptPacketsMax = 64;
inline constexpr int kMultiplierMax = 100;

// Longest interval or time-out; and longest probe interval, since suspicions last up to some
// 60,000 times as long, which must not overflow.
inline constexpr Duration kIntervalMax = std::chrono::hours(24 * 365);
inline constexpr Duration kProbeIntervalMax = std::chrono::hours(1);

// A CIDR block, "10.0.0.0/8".
struct AddressBlock {
  IpAddress base;
  int prefix_bits = 0;

  // True if the first `prefix_bits` of `address` are those of `base`. A mapped IPv4 address is
  // compared as IPv4.
  bool Contains(const IpAddress& address) const;
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

  // InvalidArgumentError that names the first value which makes no sense.
  absl::Status Validate() const;

  // True if a node may have this address: no list, or a block that contains it.
  bool AddressAllowed(const IpAddress& address) const;

  std::string name;                   // 1 to kNodeNameMax bytes, any value
  Endpoint advertise;                 // what others are told; the driver fills it in before Start
  std::uint16_t default_port = 7946;  // stands in for port 0 in messages of others
  ByteVector meta;                    // at most kMetaMax bytes
  std::string label;                  // at most 255 bytes
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

 private:
  absl::Status ValidateCounts() const;
  absl::Status ValidateDurations() const;
};

inline bool AddressBlock::Contains(const IpAddress& address) const {
  const IpAddress own = base.Unmapped();
  const IpAddress other = address.Unmapped();
  const ByteView a = own.bytes();
  const ByteView b = other.bytes();
  if (a.size() != b.size()) return false;
  // "::ffff:10.0.0.0/104" is "10.0.0.0/8".
  int bits = base.is_v4_mapped() ? prefix_bits - 96 : prefix_bits;
  for (std::size_t i = 0; i < a.size() && bits > 0; ++i, bits -= 8) {
    const int shift = bits >= 8 ? 0 : 8 - bits;
    if ((a[i] >> shift) != (b[i] >> shift)) return false;
  }
  return true;
}

inline Config Config::Lan() { return Config(); }

inline Config Config::Wan() {
  Config config;
  config.tcp_timeout = std::chrono::seconds(30);
  config.suspicion_mult = 6;
  config.push_pull_interval = std::chrono::seconds(60);
  config.probe_timeout = std::chrono::seconds(3);
  config.probe_interval = std::chrono::seconds(5);
  config.gossip_pacing = GossipPacing::kTicked;
  config.gossip_nodes = 4;
  config.gossip_interval = std::chrono::milliseconds(500);
  config.gossip_to_the_dead_time = std::chrono::seconds(60);
  return config;
}

inline Config Config::Local() {
  Config config;
  config.tcp_timeout = std::chrono::seconds(1);
  config.indirect_checks = 1;
  config.retransmit_mult = 2;
  config.suspicion_mult = 3;
  config.push_pull_interval = std::chrono::seconds(15);
  config.probe_timeout = std::chrono::milliseconds(200);
  config.gossip_interval = std::chrono::milliseconds(100);
  config.gossip_to_the_dead_time = std::chrono::seconds(15);
  return config;
}

inline bool Config::AddressAllowed(const IpAddress& address) const {
  if (cidrs_allowed.empty()) return true;
  for (const AddressBlock& block : cidrs_allowed) {
    if (block.Contains(address)) return true;
  }
  return false;
}

inline absl::Status Config::Validate() const {
  const auto bad = [](const auto&... text) {
    return absl::InvalidArgumentError(absl::StrCat(text...));
  };
  if (name.empty()) return bad("node name is empty");
  if (name.size() > kNodeNameMax) {
    return bad("node name has ", name.size(), " bytes, limit is ", kNodeNameMax);
  }
  if (meta.size() > kMetaMax) {
    return bad("metadata has ", meta.size(), " bytes, limit is ", kMetaMax);
  }
  if (label.size() > kLabelMax) {
    return bad("label has ", label.size(), " bytes, limit is ", kLabelMax);
  }
  if (protocol_version < kProtocolVersionMin) {
    return bad("Protocol version '", protocol_version, "' too low. Must be in range: [",
               kProtocolVersionMin, ", ", kProtocolVersionMax, "]");
  }
  if (protocol_version > kProtocolVersionMax) {
    return bad("Protocol version '", protocol_version, "' too high. Must be in range: [",
               kProtocolVersionMin, ", ", kProtocolVersionMax, "]");
  }
  if (delegate_protocol_version < delegate_protocol_min ||
      delegate_protocol_version > delegate_protocol_max) {
    return bad("delegate protocol version '", delegate_protocol_version,
               "' is not in its own range: [", delegate_protocol_min, ", ", delegate_protocol_max,
               "]");
  }
  if (absl::Status status = ValidateCounts(); !status.ok()) return status;
  if (absl::Status status = ValidateDurations(); !status.ok()) return status;
  for (const AddressBlock& block : cidrs_allowed) {
    const int most = static_cast<int>(block.base.bytes().size()) * 8;
    if (block.prefix_bits < 0 || block.prefix_bits > most) {
      return bad("allowed address block ", block.base.ToString(), "/", block.prefix_bits,
                 " has no valid prefix length");
    }
  }
  // Its own announcement would be refused by itself, and nothing would work.
  if (!advertise.address.is_unspecified() && !AddressAllowed(advertise.address)) {
    return bad("advertised address ", advertise.address.ToString(),
               " is not in the allowed address blocks");
  }
  if (keyring != nullptr && (aead == nullptr || nonces == nullptr)) {
    return bad("a keyring needs an AEAD and a source of nonces");
  }
  return absl::OkStatus();
}

inline absl::Status Config::ValidateCounts() const {
  const struct {
    absl::string_view name;
    int value;
    int low;
    int high;
  } counts[] = {
      {"indirect_checks", indirect_checks, 0, kIndirectChecksMax},
      {"retransmit_mult", retransmit_mult, 0, kMultiplierMax},
      {"suspicion_mult", suspicion_mult, 1, kMultiplierMax},
      {"suspicion_max_timeout_mult", suspicion_max_timeout_mult, 1, kMultiplierMax},
      {"awareness_max_multiplier", awareness_max_multiplier, 1, kMultiplierMax},
      {"gossip_nodes", gossip_nodes, 0, kGossipNodesMax},
      {"prompt_packets_per_target", prompt_packets_per_target, 1, kPromptPacketsMax},
  };
  for (const auto& count : counts) {
    if (count.value < count.low || count.value > count.high) {
      return absl::InvalidArgumentError(absl::StrCat(count.name, " is ", count.value,
                                                     ", must be in range: [", count.low, ", ",
                                                     count.high, "]"));
    }
  }
  if (packet_size < kPacketSizeMin || packet_size > kPacketSizeMax) {
    return absl::InvalidArgumentError(absl::StrCat("packet_size is ", packet_size,
                                                   ", must be in range: [", kPacketSizeMin, ", ",
                                                   kPacketSizeMax, "]"));
  }
  // An alive message of its own must fit, or nobody hears of the node by gossip: 2 bytes of
  // compound, 2 of its length table, at most 45 of encryption, 2 before the label, and the message.
  const std::size_t announcement = 51 + 76 + 2 + label.size() + name.size() + meta.size();
  if (packet_size < announcement) {
    return absl::InvalidArgumentError(absl::StrCat("packet_size is ", packet_size,
                                                   ", the own announcement needs ", announcement,
                                                   " with this name, metadata and label"));
  }
  if (broadcast_queue_max == 0) {
    return absl::InvalidArgumentError("broadcast_queue_max is 0");
  }
  return absl::OkStatus();
}

inline absl::Status Config::ValidateDurations() const {
  const struct {
    absl::string_view name;
    Duration value;
    bool zero_allowed;
    Duration most = kIntervalMax;
  } durations[] = {
      {"tcp_timeout", tcp_timeout, false},
      {"push_pull_interval", push_pull_interval, true},
      {"probe_interval", probe_interval, true, kProbeIntervalMax},
      {"probe_timeout", probe_timeout, false},
      {"gossip_interval", gossip_interval, true},
      {"prompt_interval", prompt_interval, false},
      {"gossip_to_the_dead_time", gossip_to_the_dead_time, true},
      {"dead_node_reclaim_time", dead_node_reclaim_time, true},
  };
  for (const auto& duration : durations) {
    if (duration.value < Duration::zero() || duration.value > duration.most ||
        (duration.value == Duration::zero() && !duration.zero_allowed)) {
      return absl::InvalidArgumentError(
          absl::StrCat(duration.name, " is ", ToSeconds(duration.value), " s, must be ",
                       duration.zero_allowed ? "zero or " : "", "positive and at most ",
                       ToSeconds(duration.most), " s"));
    }
  }
  return absl::OkStatus();
}

}  // namespace serf::swim

#endif  // SERF_SWIM_CONFIG_H_
