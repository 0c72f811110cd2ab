// Parses any text as an entry to join, as an address to bind, and as the kernel's table of routes.
// An address that parses keeps its meaning when it is written out.

#include <net/if.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/testing/fuzz_bounds.h"
#include "serf/transport/bind_address.h"
#include "serf/transport/interfaces.h"
#include "serf/transport/net/system_names.h"
#include "serf/transport/resolver.h"

namespace {

using serf::names::Addresses;

void Check(bool holds) {
  if (!holds) std::abort();
}

// A book that knows only "host" and "serf".
constexpr serf::names::Book kBook = {
    [](const std::string& host) -> Addresses {
      if (host == "host") return std::vector<serf::IpAddress>{serf::IpAddress::V4(10, 0, 0, 1)};
      return absl::NotFoundError(absl::StrCat("lookup ", host, ": no such host"));
    },
    [](const std::string& service, const char*) -> std::optional<std::uint16_t> {
      return service == "serf" ? std::optional<std::uint16_t>(7946) : std::nullopt;
    }};

// Limits for texts as long as the input, and for errors that quote them.
constexpr serf::testkit::FuzzBounds kBounds = {
    .total = {64, 8 << 10},
    .peak = {32, 8 << 10},
    .work = {4, 2500},
};

void Fuzz(serf::ByteView input) {
  constexpr std::uint16_t kDefaultPort = 7946;
  const absl::string_view text = serf::AsText(input);
  if (const auto entry = serf::transport::ParseJoinEntry(text, kDefaultPort); entry.ok()) {
    const std::string written =
        absl::StrCat(entry->node_name, entry->node_name.empty() ? "" : "/",
                     serf::JoinHostPort(entry->host, absl::StrCat(entry->port)));
    const auto again = serf::transport::ParseJoinEntry(written, kDefaultPort);
    Check(again.ok() && again->node_name == entry->node_name && again->host == entry->host &&
          again->port == entry->port);
  }
  Check(serf::transport::FindDefaultInterface(text).size() <= IFNAMSIZ);
  if (const auto bind = serf::transport::ParseBindAddress(text, kDefaultPort, kBook); bind.ok()) {
    const auto again =
        serf::transport::ParseBindAddress(bind->endpoint.ToString(), kDefaultPort, kBook);
    Check(again.ok() && again->endpoint == bind->endpoint && again->has_host && again->has_port);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  return serf::testkit::FuzzWithin(kBounds, data, size, Fuzz);
}
