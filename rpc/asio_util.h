// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_ASIO_UTIL_H_
#define SERF_RPC_ASIO_UTIL_H_

// What the socket code of server and client share. Internal to rpc/: it is published because
// headers that an application includes need it. All functions are pure except SteadyNow(); any
// thread may call them.

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"

namespace serf::rpc {

// The time of std::chrono::steady_clock, with its epoch.
inline Instant SteadyNow() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

// The same point in time, for timers.
inline std::chrono::steady_clock::time_point ToSteady(Instant instant) {
  return std::chrono::steady_clock::time_point(
      std::chrono::duration_cast<std::chrono::steady_clock::duration>(instant.time_since_epoch()));
}

// The text of an endpoint: "127.0.0.1:7373", "[::1]:7373".
inline std::string EndpointText(const boost::asio::ip::tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return endpoint.address().is_v6() ? absl::StrCat("[", host, "]:", endpoint.port())
                                    : absl::StrCat(host, ":", endpoint.port());
}

// The endpoint of an address and a port.
inline boost::asio::ip::tcp::endpoint ToEndpoint(const IpAddress& address, std::uint16_t port) {
  boost::system::error_code never;
  return {boost::asio::ip::make_address(address.ToString(), never), port};
}

// The address without its zone.
inline IpAddress ToIpAddress(const boost::asio::ip::address& address) {
  const auto take = [](const auto& bytes) {
    return IpAddress::FromBytes({bytes.data(), bytes.size()})->Unmapped();
  };
  return address.is_v4() ? take(address.to_v4().to_bytes()) : take(address.to_v6().to_bytes());
}

// The address of a text; nothing for a name. Unlike IpAddress::Parse() it accepts a zone:
// "fe80::1%eth0".
inline std::optional<boost::asio::ip::address> ParseAsioAddress(const std::string& host) {
  boost::system::error_code error;
  const boost::asio::ip::address address = boost::asio::ip::make_address(host, error);
  return error ? std::nullopt : std::optional(address);
}

}  // namespace serf::rpc

#endif  // SERF_RPC_ASIO_UTIL_H_
