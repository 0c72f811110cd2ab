#ifndef SERF_TRANSPORT_LOOKUP_H_
#define SERF_TRANSPORT_LOOKUP_H_

// Names of hosts to addresses, by the system's resolver (files, DNS, whatever it is set up to ask).

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/transport/asio.h"
#include "serf/transport/error_text.h"
#include "serf/transport/socket_address.h"

namespace serf::transport {

// Addresses of one name: more than a round-robin record of a large cluster has.
inline constexpr std::size_t kAddressesPerNameMax = 256;

// Finds the addresses of `host` and calls `done`, later, once.
using LookupFunction = std::function<void(
    const std::string& host, std::function<void(const ErrorCode&, std::vector<IpAddress>)> done)>;

// "lookup HOST: no such host".
inline absl::Status LookupError(absl::string_view host, const ErrorCode& error) {
  const bool unknown =
      error == asio::error::host_not_found || error == asio::error::no_data || !error;
  // "Host not found (non-authoritative), try again later": no server answered.
  const bool again = error == asio::error::host_not_found_try_again;
  return absl::NotFoundError(absl::StrCat("lookup ", host, ": ",
                                          unknown ? "no such host"
                                          : again ? "temporary failure in name resolution"
                                                  : ErrorText(error)));
}

// Each address once, in the resolver's order.
inline std::vector<IpAddress> AddressesOf(const asio::ip::tcp::resolver::results_type& results) {
  std::vector<IpAddress> addresses;
  for (const auto& entry : results) {
    if (addresses.size() == kAddressesPerNameMax) break;
    const IpAddress address = FromAsio(entry.endpoint().address());
    bool known = false;
    for (const IpAddress& other : addresses) known = known || other == address;
    if (!known) addresses.push_back(address);
  }
  return addresses;
}

// Looks up on a thread that Asio starts for the first name. `resolver` must live until `done` is
// called or the resolver is cancelled; the destructor of the io_context waits for a lookup that the
// system has begun, for as long as the system's own time-out.
inline LookupFunction SystemLookup(asio::ip::tcp::resolver& resolver) {
  return
      [resolver = &resolver](const std::string& host,
                             std::function<void(const ErrorCode&, std::vector<IpAddress>)> done) {
        resolver->async_resolve(
            host, "",
            [done = std::move(done)](const ErrorCode& error,
                                     const asio::ip::tcp::resolver::results_type& results) {
              done(error, AddressesOf(results));
            });
      };
}

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_LOOKUP_H_
