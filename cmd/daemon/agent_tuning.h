#ifndef SERF_CMD_DAEMON_AGENT_TUNING_H_
#define SERF_CMD_DAEMON_AGENT_TUNING_H_

// AgentTuning: settings of the layers below that Go Serf's agent does not offer, as keys of
// configuration files. A key has the name, the meaning and the range of the member that it sets
// (serf/config.h, serf/swim/config.h). Only gossip_verify_incoming and gossip_verify_outgoing have
// longer names. Unlike Go Serf's keys, a given value always replaces the old one, even if it is
// zero or false.

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/swim/config.h"

namespace serf::cmd {

// A value of a key.
using TuningValue =
    std::variant<bool, std::int64_t, Duration, std::string, std::vector<std::string>>;

// The operator's values by key.
using AgentTuning = std::map<std::string, TuningValue, std::less<>>;

// The kind of a key's value. Nothing, if this list has no such key.
enum class TuningKind : std::uint8_t { kBool, kNumber, kDuration, kText, kList };
std::optional<TuningKind> TuningKindOf(absl::string_view key);

// All keys.
std::vector<std::string> TuningKeys();

// Sets the given values. An error names the key; Config::Validate() checks the ranges.
absl::Status ApplyTuning(const AgentTuning& tuning, Config& config);

// The value that each key has in `config`.
AgentTuning TuningValues(const Config& config);

// Parses "10.0.0.0/8".
absl::StatusOr<swim::AddressBlock> ParseAddressBlock(absl::string_view text);

namespace agent_tuning_internal {

using Member = std::variant<bool swim::Config::*, int swim::Config::*, std::size_t swim::Config::*,
                            Duration swim::Config::*, std::string swim::Config::*,
                            std::vector<swim::AddressBlock> swim::Config::*,
                            swim::GossipPacing swim::Config::*, bool Config::*, int Config::*,
                            std::size_t Config::*, Duration Config::*>;

struct Key {
  absl::string_view name;
  Member member;
};

inline const auto& Keys() {
  using Swim = swim::Config;
  static const std::array keys = {
      Key{"answer_unknown_nodes", &Config::answer_unknown_nodes},
      Key{"awareness_max_multiplier", &Swim::awareness_max_multiplier},
      Key{"broadcast_queue_max", &Swim::broadcast_queue_max},
      Key{"cidrs_allowed", &Swim::cidrs_allowed},
      Key{"coalesce_period", &Config::coalesce_period},
      Key{"dead_node_reclaim_time", &Swim::dead_node_reclaim_time},
      Key{"disable_tcp_pings", &Swim::disable_tcp_pings},
      Key{"flap_timeout", &Config::flap_timeout},
      Key{"gossip_bytes_per_second", &Swim::gossip_bytes_per_second},
      Key{"gossip_interval", &Swim::gossip_interval},
      Key{"gossip_nodes", &Swim::gossip_nodes},
      Key{"gossip_pacing", &Swim::gossip_pacing},
      Key{"gossip_packets_per_second", &Swim::gossip_packets_per_second},
      Key{"gossip_to_the_dead_time", &Swim::gossip_to_the_dead_time},
      Key{"gossip_verify_incoming", &Swim::verify_incoming},
      Key{"gossip_verify_outgoing", &Swim::verify_outgoing},
      Key{"indirect_checks", &Swim::indirect_checks},
      Key{"label", &Swim::label},
      Key{"leave_propagate_delay", &Config::leave_propagate_delay},
      Key{"leaving_timeout", &Config::leaving_timeout},
      Key{"max_queue_depth", &Config::max_queue_depth},
      Key{"min_queue_depth", &Config::min_queue_depth},
      Key{"packet_size", &Swim::packet_size},
      Key{"probe_interval", &Swim::probe_interval},
      Key{"probe_timeout", &Swim::probe_timeout},
      Key{"prompt_interval", &Swim::prompt_interval},
      Key{"prompt_packets_per_target", &Swim::prompt_packets_per_target},
      Key{"push_pull_interval", &Swim::push_pull_interval},
      Key{"query_timeout_mult", &Config::query_timeout_mult},
      Key{"queue_check_interval", &Config::queue_check_interval},
      Key{"queue_depth_warning", &Config::queue_depth_warning},
      Key{"quiescent_period", &Config::quiescent_period},
      Key{"reap_interval", &Config::reap_interval},
      Key{"recent_intent_timeout", &Config::recent_intent_timeout},
      Key{"retransmit_mult", &Swim::retransmit_mult},
      Key{"skip_inbound_label_check", &Swim::skip_inbound_label_check},
      Key{"suspicion_max_timeout_mult", &Swim::suspicion_max_timeout_mult},
      Key{"suspicion_mult", &Swim::suspicion_mult},
      Key{"suspicion_prompt_percent", &Swim::suspicion_prompt_percent},
      Key{"tcp_timeout", &Swim::tcp_timeout},
      Key{"user_coalesce_period", &Config::user_coalesce_period},
      Key{"user_quiescent_period", &Config::user_quiescent_period},
  };
  return keys;
}

template <typename Pointer>
struct Pointee;
template <typename Owner, typename T>
struct Pointee<T Owner::*> {
  using OwnerType = Owner;
  using Type = T;
};

template <typename T>
constexpr TuningKind KindFor() {
  if constexpr (std::is_same_v<T, bool>) {
    return TuningKind::kBool;
  } else if constexpr (std::is_integral_v<T>) {
    return TuningKind::kNumber;
  } else if constexpr (std::is_same_v<T, Duration>) {
    return TuningKind::kDuration;
  } else if constexpr (std::is_same_v<T, std::vector<swim::AddressBlock>>) {
    return TuningKind::kList;
  } else {
    return TuningKind::kText;
  }
}

inline absl::Status Convert(bool from, bool& to) {
  to = from;
  return absl::OkStatus();
}

inline absl::Status Convert(Duration from, Duration& to) {
  to = from;
  return absl::OkStatus();
}

inline absl::Status Convert(const std::string& from, std::string& to) {
  to = from;
  return absl::OkStatus();
}

template <typename T>
requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) absl::Status
    Convert(std::int64_t from, T& to) {
  using Limits = std::numeric_limits<T>;
  if (std::cmp_less(from, Limits::min())) {
    return absl::InvalidArgumentError(
        absl::StrCat("is ", from, ", must be at least ", Limits::min()));
  }
  if (std::cmp_greater(from, Limits::max())) {
    return absl::InvalidArgumentError(
        absl::StrCat("is ", from, ", must be at most ", Limits::max()));
  }
  to = static_cast<T>(from);
  return absl::OkStatus();
}

inline absl::Status Convert(const std::string& from, swim::GossipPacing& to) {
  if (from != "prompt" && from != "ticked") {
    return absl::InvalidArgumentError(
        absl::StrCat("is '", from, "', must be 'prompt' or 'ticked'"));
  }
  to = from == "prompt" ? swim::GossipPacing::kPrompt : swim::GossipPacing::kTicked;
  return absl::OkStatus();
}

inline absl::Status Convert(const std::vector<std::string>& from,
                            std::vector<swim::AddressBlock>& to) {
  to.clear();
  for (const std::string& text : from) {
    const absl::StatusOr<swim::AddressBlock> block = ParseAddressBlock(text);
    if (!block.ok()) return block.status();
    to.push_back(*block);
  }
  return absl::OkStatus();
}

inline const Key* FindKey(absl::string_view name) {
  for (const Key& key : Keys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

// The value as a file would give it.
template <typename T>
TuningValue ValueOf(const T& member) {
  if constexpr (std::is_same_v<T, swim::GossipPacing>) {
    return std::string(member == swim::GossipPacing::kPrompt ? "prompt" : "ticked");
  } else if constexpr (std::is_same_v<T, std::vector<swim::AddressBlock>>) {
    std::vector<std::string> blocks;
    for (const swim::AddressBlock& block : member) {
      blocks.push_back(absl::StrCat(block.base.ToString(), "/", block.prefix_bits));
    }
    return blocks;
  } else if constexpr (KindFor<T>() == TuningKind::kNumber) {
    return std::in_range<std::int64_t>(member) ? static_cast<std::int64_t>(member)
                                               : std::numeric_limits<std::int64_t>::max();
  } else {
    return member;
  }
}

// The member that the value goes to, by the kind that it was decoded as.
template <typename T>
absl::Status Assign(const TuningValue& value, T& to) {
  using From = std::variant_alternative_t<static_cast<std::size_t>(KindFor<T>()), TuningValue>;
  const From* const from = std::get_if<From>(&value);
  if (from == nullptr) return absl::InvalidArgumentError("has the wrong type");
  return Convert(*from, to);
}

}  // namespace agent_tuning_internal

inline std::optional<TuningKind> TuningKindOf(absl::string_view key) {
  const agent_tuning_internal::Key* const found = agent_tuning_internal::FindKey(key);
  if (found == nullptr) return std::nullopt;
  return std::visit(
      [](auto member) {
        return agent_tuning_internal::KindFor<
            typename agent_tuning_internal::Pointee<decltype(member)>::Type>();
      },
      found->member);
}

inline std::vector<std::string> TuningKeys() {
  std::vector<std::string> names;
  for (const auto& key : agent_tuning_internal::Keys()) names.emplace_back(key.name);
  return names;
}

inline absl::Status ApplyTuning(const AgentTuning& tuning, Config& config) {
  for (const auto& [name, value] : tuning) {
    const agent_tuning_internal::Key* const key = agent_tuning_internal::FindKey(name);
    if (key == nullptr) return absl::InvalidArgumentError(absl::StrCat("no setting '", name, "'"));
    const absl::Status status = std::visit(
        [&, &value = value](auto member) {
          using Owner = typename agent_tuning_internal::Pointee<decltype(member)>::OwnerType;
          if constexpr (std::is_same_v<Owner, Config>) {
            return agent_tuning_internal::Assign(value, config.*member);
          } else {
            return agent_tuning_internal::Assign(value, config.swim.*member);
          }
        },
        key->member);
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, " ", absl::string_view(status.message())));
    }
  }
  return absl::OkStatus();
}

inline AgentTuning TuningValues(const Config& config) {
  AgentTuning values;
  for (const auto& key : agent_tuning_internal::Keys()) {
    values[std::string(key.name)] = std::visit(
        [&config](auto member) {
          using Owner = typename agent_tuning_internal::Pointee<decltype(member)>::OwnerType;
          if constexpr (std::is_same_v<Owner, Config>) {
            return agent_tuning_internal::ValueOf(config.*member);
          } else {
            return agent_tuning_internal::ValueOf(config.swim.*member);
          }
        },
        key.member);
  }
  return values;
}

inline absl::StatusOr<swim::AddressBlock> ParseAddressBlock(absl::string_view text) {
  const auto invalid = [text] {
    return absl::InvalidArgumentError(absl::StrCat("has an invalid CIDR address: ", text));
  };
  const std::size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return invalid();
  const std::optional<IpAddress> base = IpAddress::Parse(text.substr(0, slash));
  const absl::string_view digits = text.substr(slash + 1);
  int bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  const bool number = error == std::errc() && end == digits.data() + digits.size();
  if (!base || !number || bits < 0 || bits > static_cast<int>(base->bytes().size()) * 8) {
    return invalid();
  }
  return swim::AddressBlock{*base, bits};
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DAEMON_AGENT_TUNING_H_
