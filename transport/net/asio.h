// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_TRANSPORT_NET_ASIO_H_
#define SERF_TRANSPORT_NET_ASIO_H_

// Names for Boost.Asio. The headers of Asio itself are included one by one where they are used:
// the whole of it costs a second per compilation.

#include <boost/asio/error.hpp>
#include <boost/system/error_code.hpp>

namespace serf::transport {

namespace asio = boost::asio;

using ErrorCode = boost::system::error_code;

}  // namespace serf::transport

#endif  // SERF_TRANSPORT_NET_ASIO_H_
