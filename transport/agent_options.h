// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_AGENT_OPTIONS_H_
#define SERF_TRANSPORT_AGENT_OPTIONS_H_

// AgentOptions: what an application says about its member, as texts and in one struct. Agent and
// BlockingAgent take it.
//
//   AgentOptions options = {.name = "web-1",
//                           .tags = {{"role", "web"}},
//                           .bind = "10.0.0.1:7946",
//                           .join = {"10.0.0.2", "db.example:7000"}};
//
// Host takes transport::HostOptions instead, which also have limits and what keeps keys and tags in
// files.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/base64.h"
#include "serf/base/bytes.h"
#include "serf/base/logger.h"
#include "serf/config.h"
#include "serf/tags.h"
#include "serf/transport/bind_address.h"
#include "serf/transport/host.h"
#include "serf/transport/net/system_names.h"
#include "serf/transport/net/zone.h"
#include "serf/transport/resolver.h"
#include "serf/wire/aead.h"

namespace serf {

// The port of `bind` without one, as in Go Serf.
inline constexpr std::uint16_t kDefaultBindPort = 7946;

struct AgentOptions {
  // The name of this node, unique in the cluster. Default: `config.swim.name`, else the name of
  // this host.
  std::string name = {};
  // What this node announces of itself; see serf/tags.h. Default: `config.tags`.
  Tags tags = {};
  // Where the node listens, UDP and TCP: "[HOST][:PORT]", as ParseBindAddress() reads it. HOST is
  // an IP address, "[fe80::1%eth0]" with brackets and zone, or a name of this host. Port 0 takes
  // any free port.
  std::string bind = "0.0.0.0:7946";
  // What the node announces instead of that, of the same form but with a HOST, for members behind
  // address translation. Default: what is bound, and for 0.0.0.0 the first private address.
  std::string advertise = {};
  // Members to join at the start: "[NODE/]HOST[:PORT]" each. Agent::OnJoin() says how it ended.
  std::vector<std::string> join = {};
  // The keys of the cluster, in base64 as `serf keygen` prints them. The first one encrypts, all of
  // them decrypt. Default: `config.swim.keyring`, else no encryption.
  std::vector<std::string> keyring = {};
  // The path of the snapshot file: the node finds its cluster again after a restart, and delivers
  // no event twice. Default: no snapshot.
  std::string snapshot = {};
  // Whether it does so also after it has left the cluster on purpose.
  bool rejoin_after_leave = false;
  // Where log lines go. It must live as long as the io_context runs. Default: `config.swim.logger`,
  // else nowhere.
  Logger* logger = nullptr;
  // Everything else: timing, limits, the protocol. Fields above, where they are given, go before.
  Config config = Config::Lan();
};

// The options of a Host. Blocks while the system looks up a name in `bind` or `advertise`. Errors
// begin with the field and its value, but never show a key:
//
//   bind: "10.0.0.1:x": address tcp/x: unknown port
//   keyring[1]: illegal base64 data at input byte 4
absl::StatusOr<transport::HostOptions> ToHostOptions(AgentOptions options);

// --- bodies ---

namespace agent_options_internal {

inline absl::Status Wrong(absl::string_view field, const absl::Status& why) {
  return absl::Status(why.code(), absl::StrCat(field, ": ", absl::string_view(why.message())));
}

inline absl::Status Wrong(absl::string_view field, absl::string_view value,
                          const absl::Status& why) {
  return Wrong(absl::StrCat(field, ": \"", value, "\""), why);
}

inline absl::StatusOr<std::shared_ptr<wire::Keyring>> MakeKeyring(
    const std::vector<std::string>& texts) {
  wire::Keyring keyring;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    const absl::StatusOr<ByteVector> key = DecodeBase64(texts[i]);
    const absl::Status status = key.ok() ? keyring.Add(*key) : key.status();
    if (!status.ok()) return Wrong(absl::StrCat("keyring[", i, "]"), status);
  }
  return std::make_shared<wire::Keyring>(std::move(keyring));
}

inline absl::Status SetAddresses(const AgentOptions& options, transport::HostOptions& host) {
  const auto bind = transport::ParseBindAddress(options.bind, kDefaultBindPort);
  if (!bind.ok()) return Wrong("bind", options.bind, bind.status());
  host.bind = bind->endpoint;
  const absl::StatusOr<names::Zone> zone = names::ZoneOf(bind->host);
  if (!zone.ok()) return Wrong("bind", options.bind, zone.status());
  host.zone = *zone;
  if (options.advertise.empty()) return absl::OkStatus();
  const auto advertise = transport::ParseBindAddress(options.advertise, host.bind.port);
  if (!advertise.ok()) return Wrong("advertise", options.advertise, advertise.status());
  if (advertise->endpoint.address.is_unspecified()) {
    return Wrong("advertise", options.advertise,
                 absl::InvalidArgumentError("no address that others can reach"));
  }
  host.advertise = advertise->endpoint;
  return absl::OkStatus();
}

}  // namespace agent_options_internal

inline absl::StatusOr<transport::HostOptions> ToHostOptions(AgentOptions options) {
  namespace internal = agent_options_internal;
  transport::HostOptions host;
  if (absl::Status status = internal::SetAddresses(options, host); !status.ok()) return status;
  for (std::size_t i = 0; i < options.join.size(); ++i) {
    const auto entry = transport::ParseJoinEntry(options.join[i], host.bind.port);
    if (!entry.ok()) {
      return internal::Wrong(absl::StrCat("join[", i, "]"), options.join[i], entry.status());
    }
  }
  Config& config = host.config;
  config = std::move(options.config);
  if (!options.name.empty()) config.swim.name = std::move(options.name);
  if (config.swim.name.empty()) {
    absl::StatusOr<std::string> name = names::HostName();
    if (!name.ok()) return internal::Wrong("name", name.status());
    config.swim.name = *std::move(name);
  }
  if (!options.tags.empty()) config.tags = std::move(options.tags);
  if (options.logger != nullptr) config.swim.logger = options.logger;
  if (!options.keyring.empty()) {
    auto keyring = internal::MakeKeyring(options.keyring);
    if (!keyring.ok()) return keyring.status();
    config.swim.keyring = *std::move(keyring);
  }
  host.snapshot_path = std::move(options.snapshot);
  host.rejoin_after_leave = options.rejoin_after_leave;
  return host;
}

}  // namespace serf

#endif  // SERF_TRANSPORT_AGENT_OPTIONS_H_
