#ifndef SERF_CMD_DISCOVERY_TARGETS_H_
#define SERF_CMD_DISCOVERY_TARGETS_H_

// Targets: the members that another program shall find, each with the port of what it offers, and
// the texts in which such programs read them. The same for a file and for an HTTP answer.
//
//   TargetOptions options;
//   options.port = 9100;
//   WriteFile(PrometheusText(SelectTargets(members, options), "web-1"));
//
// Pure functions; any thread may call them. Names and tags come from other nodes and may hold any
// bytes: each text is well-formed whatever they hold.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/discovery/member_services.h"
#include "serf/cmd/text/json_text.h"
#include "serf/cmd/text/quote.h"
#include "serf/member.h"

namespace serf::cmd {

struct TargetOptions {
  std::optional<std::uint16_t> port;  // none: the member's gossip port
  // The tag that holds the port; wins over `port`. A member without a port there is left out if
  // `port` is not set. Empty: none.
  std::string port_tag;
  // Only instances of this service, at its port; see member_services.h. An instance whose port is
  // unknown is left out if neither `port_tag` nor `port` gives one. Empty: all members.
  std::string service;
  // A failed member stays a target, so that an alert can see that it does not answer.
  std::vector<MemberStatus> statuses = {MemberStatus::kAlive, MemberStatus::kFailed};
};

struct Target {
  const Member* member = nullptr;
  std::uint16_t port = 0;
};

// By name. Points into `members`.
std::vector<Target> SelectTargets(std::span<const Member> members, const TargetOptions& options);

// What Prometheus reads in file_sd_configs and http_sd_configs: one group a member, each on a line
// of its own. `agent` names the node that says so.
std::string PrometheusText(std::span<const Target> targets, absl::string_view agent);

// The labels of a group. In a tag's name each byte that a label may not
// have becomes "_"; of two tags that become equal the first counts.
std::vector<std::pair<std::string, std::string>> TargetLabels(const Member& member,
                                                              absl::string_view agent);

// A list of objects, one a line.
std::string TargetsJson(std::span<const Target> targets);

// Lines of a hosts file: "10.0.0.12 db-2". A member whose name IsHostsName() refuses is a comment.
std::string HostsText(std::span<const Target> targets);

// True for 1 to 253 letters, digits, dashes, underscores and dots; but not for localhost, which no
// member may redirect.
bool IsHostsName(absl::string_view name);

namespace targets_internal {

inline std::optional<std::uint16_t> PortOf(const Member& member, const TargetOptions& options) {
  std::optional<std::uint16_t> offered;
  if (!options.service.empty()) {
    const std::vector<ServiceInstance> services = ServicesOf(member.tags);
    const auto found = absl::c_find_if(
        services, [&options](const ServiceInstance& s) { return s.name == options.service; });
    if (found == services.end()) return std::nullopt;
    if (found->port != 0) offered = found->port;
  }
  if (!options.port_tag.empty()) {
    if (const auto port = PortTag(member.tags, options.port_tag)) return port;
    return options.port;
  }
  if (offered) return offered;
  if (options.port) return options.port;
  if (!options.service.empty()) return std::nullopt;
  return member.endpoint.port;
}

inline std::string LabelName(absl::string_view tag) {
  std::string name(tag);
  for (char& c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
}

// The items between brackets, each on a line.
template <typename Item>
std::string Lines(std::span<const Target> targets, Item item) {
  std::string text = "[";
  const char* separator = "\n";
  for (const Target& target : targets) {
    absl::StrAppend(&text, separator, item(target));
    separator = ",\n";
  }
  absl::StrAppend(&text, targets.empty() ? "]\n" : "\n]\n");
  return text;
}

}  // namespace targets_internal

inline std::vector<Target> SelectTargets(std::span<const Member> members,
                                         const TargetOptions& options) {
  std::vector<Target> targets;
  for (const Member& member : members) {
    if (!absl::c_linear_search(options.statuses, member.status)) continue;
    const std::optional<std::uint16_t> port = targets_internal::PortOf(member, options);
    if (port) targets.push_back({&member, *port});
  }
  absl::c_sort(targets,
               [](const Target& a, const Target& b) { return a.member->name < b.member->name; });
  return targets;
}

inline std::vector<std::pair<std::string, std::string>> TargetLabels(const Member& member,
                                                                     absl::string_view agent) {
  std::vector<std::pair<std::string, std::string>> labels = {
      {"__meta_serf_node", member.name},
      {"__meta_serf_ip", member.endpoint.address.ToString()},
      {"__meta_serf_status", std::string(MemberStatusName(member.status))},
      {"__meta_serf_agent", std::string(agent)},
  };
  std::map<std::string, std::string> tags;  // by label
  for (const auto& [key, value] : member.tags) {
    tags.emplace(targets_internal::LabelName(key), value);
  }
  for (const auto& [name, value] : tags) {
    labels.emplace_back(absl::StrCat("__meta_serf_tag_", name), value);
    labels.emplace_back(absl::StrCat("__meta_serf_tagpresent_", name), "true");
  }
  return labels;
}

inline std::string PrometheusText(std::span<const Target> targets, absl::string_view agent) {
  return targets_internal::Lines(targets, [agent](const Target& target) {
    const Endpoint at{target.member->endpoint.address, target.port};
    return absl::StrCat("  {\"targets\": [", JsonQuote(at.ToString()),
                        "], \"labels\": ", JsonObject(TargetLabels(*target.member, agent)), "}");
  });
}

inline std::string TargetsJson(std::span<const Target> targets) {
  return targets_internal::Lines(targets, [](const Target& target) {
    const Member& member = *target.member;
    return absl::StrCat(
        "  {\"node\": ", JsonQuote(member.name), ", \"ip\": \"", member.endpoint.address.ToString(),
        "\", \"port\": ", target.port, ", \"status\": \"", MemberStatusName(member.status),
        "\", \"healthy\": ", member.status == MemberStatus::kAlive ? "true" : "false",
        ", \"tags\": ", JsonObject(member.tags), "}");
  });
}

inline bool IsHostsName(absl::string_view name) {
  constexpr std::size_t kNameMax = 253;  // of a DNS name in text (RFC 1035, 2.3.4)
  if (name.empty() || name.size() > kNameMax) return false;
  for (const absl::string_view label : absl::StrSplit(name, '.')) {
    if (label.empty() || label.front() == '-') return false;
    const bool plain = absl::c_all_of(label, [](char c) {
      return c == '-' || c == '_' || absl::ascii_isalnum(static_cast<unsigned char>(c));
    });
    if (!plain) return false;
  }
  return !absl::EqualsIgnoreCase(name, "localhost") &&
         !absl::EndsWithIgnoreCase(name, ".localhost");
}

inline std::string HostsText(std::span<const Target> targets) {
  std::string text;
  for (const Target& target : targets) {
    const std::string& name = target.member->name;
    if (IsHostsName(name)) {
      absl::StrAppend(&text, target.member->endpoint.address.ToString(), " ", name, "\n");
    } else {
      absl::StrAppend(&text, "# not a host name: ", Quote(name), "\n");
    }
  }
  return text;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DISCOVERY_TARGETS_H_
