// Any text as "HOST:PORT" and as an endpoint: what a parser accepts has the same meaning when it is
// written and read again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/testing/fuzz_bounds.h"

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

// Texts as long as the input.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {64, 4 << 10},
    .peak = {32, 4 << 10},
    .work = {2, 1500},
};

void Fuzz(serf::ByteView input) {
  const absl::string_view text = serf::AsText(input);
  if (const auto parts = serf::SplitHostPort(text); parts.ok()) {
    const auto again = serf::SplitHostPort(serf::JoinHostPort(parts->host, parts->port));
    Check(again.ok() && again->host == parts->host && again->port == parts->port);
    const auto port = serf::ParsePortNumber(parts->port);
    Check(!port || (*port >= -1 && *port <= 65535));
  }
  // An IPv4 address in the form of IPv6 may become plain.
  if (const auto endpoint = serf::Endpoint::Parse(text)) {
    const auto again = serf::Endpoint::Parse(endpoint->ToString());
    Check(again && SameHostAndPort(*again, *endpoint));
    // A less strict reader finds the same parts.
    const auto parts = serf::SplitHostPort(text);
    Check(parts.ok() && serf::IpAddress::Parse(parts->host) == endpoint->address);
    Check(serf::ParsePortNumber(parts->port) == endpoint->port);
  }
  if (const auto address = serf::IpAddress::Parse(text)) {
    const auto again = serf::IpAddress::Parse(address->ToString());
    Check(again && SameHost(*again, *address));
    const auto from_bytes = serf::IpAddress::FromBytes(address->bytes());
    Check(from_bytes && SameHost(*from_bytes, *address));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
