// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_SWIM_CONFIG_H_
#define SERF_SWIM_CONFIG_H_

// Config of the membership layer: name, addresses, timing, gossip, encryption. It has the three
// profiles of Go Serf's memberlist. An application reaches it as Config::swim of serf/config.h.
//
//   swim::Config config = swim::Config::Lan();
//   config.name = "web-1";
//   config.label = "staging";          // nodes with another label do not hear each other
//   config.probe_interval = std::chrono::milliseconds(500);
//
// A change of the timing affects the whole cluster, because each member judges the others by its
// own values. Start from a profile, use one profile on all members, and change single values only
// after a measurement. A node reads its Config once, at its creation.
//
// Source: docs/protocol/membership.md 7.1.

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

// The longest node name in bytes, of this node and of others. Go Serf has no limit. A name must
// leave room for the rest of an alive message in a packet.
inline constexpr std::size_t kNodeNameMax = 512;
// The beginning of a text from another node, for a log line or an error: at most as long as a name.
inline absl::string_view Shown(absl::string_view said) { return said.substr(0, kNodeNameMax); }

// The most metadata of a node: 512 bytes.
using wire::kMetaMax;

// The versions of the membership protocol (docs/protocol/membership.md 0.2).
inline constexpr std::uint8_t kProtocolVersionMin = 1;
inline constexpr std::uint8_t kProtocolVersionMax = 5;

// The longest label: 255 bytes.
using wire::kLabelMax;

// The bounds of Config::packet_size: what every IPv4 host accepts, and the most that UDP carries.
inline constexpr std::size_t kPacketSizeMin = 548;
inline constexpr std::size_t kPacketSizeMax = 65507;

// The most helpers of a probe, because a probe keeps state for each. Go Serf's default is 3.
inline constexpr int kIndirectChecksMax = 16;

// The most targets of a round of gossip, the most packets to each, and the largest multiplier: far
// more than makes sense, and small enough that no product overflows.
inline constexpr int kGossipNodesMax = 64;
inline constexpr int kPromptPacketsMax = 64;
inline constexpr int kMultiplierMax = 100;

// The least of Config::suspicion_prompt_percent. Below it a suspicion may end before a refutation
// has had its way through ticked members (testing/scenarios:lifeguard_main).
inline constexpr int kSuspicionPercentMin = 25;

// The longest interval or timeout, and the longest probe interval. A suspicion lasts up to about
// 60,000 probe intervals, which must not overflow.
inline constexpr Duration kIntervalMax = std::chrono::hours(24 * 365);
inline constexpr Duration kProbeIntervalMax = std::chrono::hours(1);

// kPrompt: up to so many members, a node sends its own news to all of them itself, if
// `gossip_packets_per_second` allows a packet to each in 128 ms. Beyond, the time for so many
// packets would be longer than the way from hop to hop.
inline constexpr std::size_t kTellAllMax = 128;

// The longest Config::prompt_interval, and the least Config::gossip_bytes_per_second besides zero:
// with less of either, suspicions would end before a refutation has left.
inline constexpr Duration kPromptIntervalMax = std::chrono::seconds(1);
inline constexpr std::uint64_t kGossipBytesMin = 10'000;

// A CIDR block, such as "10.0.0.0/8": base 10.0.0.0, prefix_bits 8.
struct AddressBlock {
  IpAddress base;
  int prefix_bits = 0;

  // True if the first `prefix_bits` of `address` are those of `base`. A mapped IPv4 address is
  // compared as IPv4.
  bool Contains(const IpAddress& address) const;
};

// When gossip leaves the queue (docs/decisions/0003-prompt-gossip.md).
enum class GossipPacing : std::uint8_t {
  // Fresh messages leave at once, in waves that are `prompt_interval` apart at most, within
  // `gossip_bytes_per_second` and `gossip_packets_per_second`. Repeats follow at the ticks. A
  // message reaches all members in some milliseconds per hop, at any rate of news.
  kPrompt,
  // One round of packets per `gossip_interval`, as Go Serf does it.
  kTicked,
};

struct Config {
  // Profiles: for one data centre, for links between data centres (longer timeouts, slower gossip)
  // and for nodes on one machine (shorter timeouts). docs/protocol/membership.md 7.1 lists the
  // values.
  static Config Lan();
  static Config Wan();
  static Config Local();

  // InvalidArgument for the first value that makes no sense; the text names it.
  absl::Status Validate() const;

  // True if fresh messages leave in waves, and none rides on other packets.
  bool gossips_promptly() const {
    return gossip_pacing == GossipPacing::kPrompt && gossip_interval > Duration::zero() &&
           gossip_nodes > 0;
  }

  // True if a member may have this address: `cidrs_allowed` is empty, or one of its blocks contains
  // the address.
  bool AddressAllowed(const IpAddress& address) const;

  // The name of this node, unique in the cluster: 1 to kNodeNameMax bytes of any value.
  std::string name;
  // The address that this node announces. The driver sets it before the start.
  Endpoint advertise;
  // Stands in for port 0 in messages of others. The driver sets it to the port that is bound.
  std::uint16_t default_port = 7946;
  // What this node announces of itself, at most kMetaMax bytes. Serf sets it from the tags.
  ByteVector meta;
  // Names the cluster in front of every packet and stream; at most kLabelMax bytes, empty: none. A
  // node drops what carries another label. It prevents accidents only: use a keyring against
  // attackers.
  std::string label;
  // For a node behind a proxy that has already removed the label: what arrives must then carry no
  // label, and what goes out still carries it.
  bool skip_inbound_label_check = false;

  // The version of this protocol, 1 to 5, and the versions of the layer above. Serf sets all four.
  std::uint8_t protocol_version = 2;
  std::uint8_t delegate_protocol_min = 0;
  std::uint8_t delegate_protocol_max = 0;
  std::uint8_t delegate_protocol_version = 0;

  // How long dialling, and each exchange on a stream, may take.
  Duration tcp_timeout = std::chrono::seconds(10);
  // The number of members that a probe asks for help when its target does not answer; 0 to
  // kIndirectChecksMax.
  int indirect_checks = 3;
  // A message is gossiped `retransmit_mult` * ceil(log10(members + 1)) times; 0 to kMultiplierMax.
  int retransmit_mult = 4;
  // A suspect has `suspicion_mult` * max(1, log10(members)) * `probe_interval` to refute, and up to
  // `suspicion_max_timeout_mult` times as long while few members confirm the suspicion
  // (docs/protocol/membership.md 5.4, 5.5). Both 1 to kMultiplierMax.
  int suspicion_mult = 4;
  int suspicion_max_timeout_mult = 6;
  // The shortest time of a suspicion of a member that is known to gossip promptly, in percent of
  // the time that `suspicion_mult` gives; kSuspicionPercentMin to 100. 100 is Go Serf's time
  // (docs/decisions/0013-shorter-suspicions.md). Without effect unless this node is prompt, too.
  int suspicion_prompt_percent = 40;
  // How often this node exchanges its full state with another one; longer in clusters of more than
  // 32 members. Zero: never, and then lost messages are not made good.
  Duration push_pull_interval = std::chrono::seconds(30);
  // How often this node probes a member; at most kProbeIntervalMax. Zero: never, and then it
  // detects no failure.
  Duration probe_interval = std::chrono::seconds(1);
  // How long a probe waits for the direct answer before it asks for help.
  Duration probe_timeout = std::chrono::milliseconds(500);
  // Whether to omit the ping by TCP, which a node sends together with its requests for help.
  bool disable_tcp_pings = false;
  // Whether a node whose timers were late waits longer for refutations and answers, by as long as
  // it heard nobody (serf/swim/standstill.h). False: it judges at once, as Go Serf does.
  bool postpone_after_standstill = true;
  // A node that finds itself slow, because it misses answers or must refute suspicions, probes less
  // often, by up to this factor; 1 to kMultiplierMax.
  int awareness_max_multiplier = 8;

  // How gossip is paced; see GossipPacing. Members with different values understand each other.
  GossipPacing gossip_pacing = GossipPacing::kPrompt;
  // The tick: of kTicked for all messages, of kPrompt for repeats; and the unit of the default
  // query timeout. Zero: never.
  Duration gossip_interval = std::chrono::milliseconds(200);
  // kPrompt: the least pause between two waves to all members. After a wave to some, who pass it
  // on, it is a quarter, and after full packets a sixteenth. At most kPromptIntervalMax.
  Duration prompt_interval = std::chrono::milliseconds(20);
  // kPrompt: the most packets to one target in a wave, when many messages wait, and four times as
  // many as in a round; 1 to kPromptPacketsMax.
  int prompt_packets_per_target = 16;
  // kPrompt: the most bytes of gossip per second. Rounds at the ticks are sent all the same, and
  // count. Zero: no limit; else at least kGossipBytesMin.
  std::uint64_t gossip_bytes_per_second = 2'000'000;
  // kPrompt: the most packets per second of waves whose packets are not full. Zero: no limit.
  std::uint64_t gossip_packets_per_second = 1000;
  // The number of targets of a round, and of a wave that is not for all; 0 to kGossipNodesMax. In
  // clusters of up to kTellAllMax a round of kPrompt has one target while all probes are answered.
  int gossip_nodes = 3;
  // How long a failed member still receives gossip, so that it can refute.
  Duration gossip_to_the_dead_time = std::chrono::seconds(30);
  // The most messages of this layer that wait for gossip. Of each subject only the newest one
  // waits.
  std::size_t broadcast_queue_max = 16384;

  // With a keyring: whether to drop what arrives unencrypted, and whether to encrypt what goes out.
  // Both are false only while a cluster changes over to encryption: first all members get the
  // keyring with both false, then verify_outgoing becomes true, then verify_incoming.
  bool verify_incoming = true;
  bool verify_outgoing = true;
  // Whether to compress what becomes shorter. Every member can read it.
  bool enable_compression = true;
  // The size of datagrams to aim at, in bytes; kPacketSizeMin to kPacketSizeMax, and large enough
  // for the announcement of this node. It should fit into the network's MTU.
  std::size_t packet_size = 1400;

  // How long after a failure another node may take over the name with another address. Zero: never.
  Duration dead_node_reclaim_time = Duration::zero();
  // The blocks that members' addresses must lie in; empty: all. Messages about other addresses are
  // dropped.
  std::vector<AddressBlock> cidrs_allowed;

  // Encryption is on while the keyring is not null and not empty. Key operations change the ring
  // while the node runs: do not share it between threads. With a keyring `aead` and `nonces` must
  // not be null; transport::Host fills them in.
  std::shared_ptr<wire::Keyring> keyring;
  std::shared_ptr<wire::Aead> aead;
  std::shared_ptr<wire::NonceSource> nonces;

  // Admission filters. Each returns OK, or why not; a null one admits all. They run within an input
  // of the machine, so they must be fast and must not call it. `alive_filter` sees each
  // announcement of a member; one that it refuses does not change the list. `merge_filter` sees all
  // nodes of a push/pull that joins; if it refuses, the join fails. The views are valid during the
  // call. Example:
  //
  //   config.alive_filter = [](const RemoteNode& node) {
  //     return absl::StartsWith(node.name, "prod-")
  //                ? absl::OkStatus() : absl::PermissionDeniedError("not a production node");
  //   };
  std::function<absl::Status(const RemoteNode&)> alive_filter;
  std::function<absl::Status(const std::vector<RemoteNode>&)> merge_filter;

  // Shares what members announce between nodes of one thread, in simulations. Null: a pool of its
  // own.
  std::shared_ptr<NodeInfoPool> node_infos;
  // The seed of the node's random numbers. The same inputs and the same seed give the same effects.
  // The driver draws it.
  std::uint64_t seed = 0;
  // Where log lines go; null: nowhere. It must outlive the node.
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
  // A mapped block is compared as IPv4: "::ffff:10.0.0.0/104" is "10.0.0.0/8".
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
  config.suspicion_prompt_percent = 100;
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
  // The node would refuse its own announcement, and nothing would work.
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
      {"suspicion_prompt_percent", suspicion_prompt_percent, kSuspicionPercentMin, 100},
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
  // An alive message of this node must fit, or other members do not learn of it by gossip: 2 bytes
  // of compound, 2 of its length table, at most 45 of encryption, 2 before the label, and the
  // message.
  const std::size_t announcement = 51 + 76 + 2 + label.size() + name.size() + meta.size();
  if (packet_size < announcement) {
    return absl::InvalidArgumentError(absl::StrCat("packet_size is ", packet_size,
                                                   ", the own announcement needs ", announcement,
                                                   " with this name, metadata and label"));
  }
  if (gossip_bytes_per_second > 0 && gossip_bytes_per_second < kGossipBytesMin) {
    return absl::InvalidArgumentError(absl::StrCat("gossip_bytes_per_second is ",
                                                   gossip_bytes_per_second,
                                                   ", must be zero or at least ", kGossipBytesMin));
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
      {"prompt_interval", prompt_interval, false, kPromptIntervalMax},
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
