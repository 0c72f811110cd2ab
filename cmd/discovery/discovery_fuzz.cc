// Parses datagrams with any content. A message that was read can be written, and is then the same.
// Queries get answers that can be read. Responses lead to no more work than the limits allow.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>

#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/cmd/discovery/dns_message.h"
#include "serf/cmd/discovery/poller.h"
#include "serf/cmd/discovery/service.h"
#include "serf/testing/fuzz_bounds.h"

namespace {

using serf::cmd::DiscoveryPoller;

void Require(bool condition) {
  if (!condition) std::abort();
}

void Rewrite(const serf::cmd::DnsMessage& message) {
  serf::cmd::DnsWriter writer(message.id, message.response ? serf::cmd::kDnsResponse : 0);
  serf::cmd::DnsMessage kept;
  kept.id = message.id;
  kept.response = message.response;
  for (const auto& question : message.questions) {
    if (writer.AddQuestion(question)) kept.questions.push_back(question);
  }
  for (const auto& record : message.records) {
    if (writer.AddRecord(record, 1)) kept.records.push_back(record);
  }
  const auto again = serf::cmd::ParseDnsMessage(writer.bytes());
  Require(again && again->id == kept.id && again->response == kept.response);
  Require(again->questions.size() == kept.questions.size());
  Require(again->records.size() == kept.records.size());
}

// A name may be a pointer of two bytes to a name of 255, and each question has an answer.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {2048, 64 << 10},
    .peak = {1024, 64 << 10},
    .work = {50, 5000},
};

void Fuzz(serf::ByteView input) {
  const std::optional<serf::cmd::DnsMessage> message = serf::cmd::ParseDnsMessage(input);
  if (!message) return;
  Rewrite(*message);
  static const auto service = serf::cmd::DiscoveryService::Create(
      {"clus", "alpha", "vm", {serf::IpAddress::V4(127, 0, 0, 1), 23171}});
  for (const serf::ByteVector& answer : service->Answer(*message)) {
    Require(serf::cmd::ParseDnsMessage(answer).has_value());
  }
  const serf::Instant start{};
  DiscoveryPoller poller(start, service->service(), {}, /*seed=*/1);
  serf::cmd::DiscoveryOutput out;
  poller.OnTimer(start, out);
  poller.OnResponse(start, *message, out);
  Require(out.questions.size() <= 1 + DiscoveryPoller::kInstancesMax);
  poller.OnTimer(start + std::chrono::milliseconds(500), out);
  Require(out.join.size() <= DiscoveryPoller::kJoinMax);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
