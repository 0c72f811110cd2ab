#ifndef SERF_CMD_DISCOVERY_SERVICE_H_
#define SERF_CMD_DISCOVERY_SERVICE_H_

// DiscoveryService: the names of a cluster's agents in multicast DNS, and the answers of one agent.
// No sockets, no clock. Source: docs/protocol/agent.md 2.14, RFC 6763.
//
//   absl::StatusOr<DiscoveryService> service = DiscoveryService::Create(
//       {.cluster = "web", .node = "a", .host = "vm", .endpoint = advertised});
//   for (const ByteVector& answer : service->Answer(query)) SendBack(answer);

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/cmd/discovery/dns_message.h"

namespace serf::cmd {

// "_serf_web._tcp.local" in the form of DnsName().
inline absl::StatusOr<std::string> DiscoveryServiceName(absl::string_view cluster) {
  return DnsName(absl::StrCat("_serf_", cluster, "._tcp.local."));
}

class DiscoveryService {
 public:
  struct Options {
    std::string cluster;  // from -discover
    std::string node;
    std::string host;   // the system's name of the host
    Endpoint endpoint;  // where other nodes reach this one
  };

  static constexpr std::uint32_t kTtlSeconds = 120;
  static constexpr std::uint16_t kPriority = 10;
  static constexpr std::uint16_t kWeight = 1;

  // If the name of the node or the host is not valid in DNS (64 digits of a container, "a..b"), the
  // address replaces it; nobody reads these names. Error: the name of the cluster is not valid, so
  // nobody could ask for it.
  static absl::StatusOr<DiscoveryService> Create(const Options& options);

  const std::string& service() const { return service_; }

  // Up to two messages, for the asker alone: one for the questions that want a unicast answer, with
  // the query's id, and one for the others. Records that do not fit are left out. Responses get no
  // answer.
  std::vector<ByteVector> Answer(const DnsMessage& query) const;

 private:
  DiscoveryService() = default;

  std::vector<DnsRecord> RecordsFor(const DnsQuestion& question) const;

  std::string service_;
  std::string instance_;
  std::string host_;
  std::string services_;  // the name that lists all services
  Endpoint endpoint_;
  std::string text_;
};

inline absl::StatusOr<DiscoveryService> DiscoveryService::Create(const Options& options) {
  DiscoveryService result;
  result.endpoint_ = {options.endpoint.address.Unmapped(), options.endpoint.port};
  // "10-0-0-1-7946"
  const std::string stand_in = absl::StrReplaceAll(
      absl::StrCat(result.endpoint_.address.ToString(), "-", result.endpoint_.port),
      {{".", "-"}, {":", "-"}});
  const std::string service = absl::StrCat("_serf_", options.cluster, "._tcp.local.");
  const struct {
    std::string text;
    std::string otherwise;
    std::string& into;
  } names[] = {
      {service, service, result.service_},
      {absl::StrCat(options.node, ".", service), absl::StrCat(stand_in, ".", service),
       result.instance_},
      {absl::StrCat(options.host, "."), absl::StrCat(stand_in, ".local."), result.host_},
      {"_services._dns-sd._udp.local.", "", result.services_},
  };
  for (const auto& name : names) {
    absl::StatusOr<std::string> made = DnsName(name.text);
    if (!made.ok()) made = DnsName(name.otherwise);
    if (!made.ok()) return made.status();
    name.into = *std::move(made);
  }
  result.text_ = absl::StrCat("Serf '", options.cluster, "' cluster");
  return result;
}

inline std::vector<DnsRecord> DiscoveryService::RecordsFor(const DnsQuestion& question) const {
  const DnsRecord ptr{service_, DnsPtr{instance_}};
  const DnsRecord srv{instance_, DnsSrv{kPriority, kWeight, endpoint_.port, host_}};
  const DnsRecord address{host_, endpoint_.address};
  const DnsRecord txt{instance_, DnsTxt{text_}};
  const DnsType address_type = endpoint_.address.is_v4() ? DnsType::kA : DnsType::kAaaa;
  const bool any = question.type == DnsType::kAny;
  if (question.name == service_) {
    if (any || question.type == DnsType::kPtr) return {ptr, srv, address, txt};
  } else if (question.name == instance_) {
    if (any) return {srv, address, txt};
    if (question.type == DnsType::kSrv) return {srv, address};
    if (question.type == DnsType::kTxt) return {txt};
    if (question.type == address_type) return {address};
  } else if (question.name == host_) {
    if (question.type == address_type) return {address};
  } else if (question.name == services_) {
    if (any || question.type == DnsType::kPtr) return {{services_, DnsPtr{service_}}};
  }
  return {};
}

inline std::vector<ByteVector> DiscoveryService::Answer(const DnsMessage& query) const {
  std::vector<ByteVector> answers;
  if (query.response) return answers;
  for (const bool unicast : {false, true}) {
    DnsWriter answer(unicast ? query.id : 0, kDnsResponse | kDnsAuthoritative);
    for (const DnsQuestion& question : query.questions) {
      if (question.unicast_response != unicast) continue;
      for (const DnsRecord& record : RecordsFor(question)) answer.AddRecord(record, kTtlSeconds);
    }
    const ByteView bytes = answer.bytes();
    if (!answer.empty()) answers.emplace_back(bytes.begin(), bytes.end());
  }
  return answers;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_DISCOVERY_SERVICE_H_
