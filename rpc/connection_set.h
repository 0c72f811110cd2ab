// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_CONNECTION_SET_H_
#define SERF_RPC_CONNECTION_SET_H_

// ConnectionSet: the connections of a server, and which of them make room for a newcomer. A
// connection is a stranger until the server trusts it; each server says what that takes. Internal
// to rpc/; one thread.
//
//   if (!set.HasRoom()) return refuse();      // has closed a stranger, if that was necessary
//   const ConnectionId id = set.NextId();
//   set.Add(id, connection, from);            // a stranger
//   set.Trust(id);                            // it never makes room for another one
//   set.Distrust(id, from);                   // a stranger again, the youngest
//   set.Remove(id);                           // it has ended
//
// A Connection has Abandon(), which ends it at once, and Drain(limit), which ends it when what is
// ready has been written.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "serf/base/endpoint.h"
#include "serf/base/fair_shares.h"
#include "serf/base/time.h"

namespace serf::rpc {

using ConnectionId = std::uint64_t;

template <typename Connection>
class ConnectionSet {
 public:
  using Map = std::map<ConnectionId, std::shared_ptr<Connection>>;

  // The most connections, and the most strangers among them.
  ConnectionSet(std::size_t max, std::size_t strangers_max)
      : max_(max), strangers_max_(std::max<std::size_t>(strangers_max, 1)) {}
  ~ConnectionSet() {
    for (const auto& [id, connection] : connections_) connection->Abandon();
  }
  ConnectionSet(const ConnectionSet&) = delete;
  ConnectionSet& operator=(const ConnectionSet&) = delete;

  // Whether there is room for a stranger, if need be by closing another one (see FairShares).
  bool HasRoom() {
    if (connections_.size() < max_ && strangers_.size() < strangers_max_) return true;
    const std::optional<ConnectionId> victim = strangers_.Victim();
    if (!victim) return false;
    const auto found = connections_.find(*victim);
    const std::shared_ptr<Connection> connection = found->second;
    connections_.erase(found);
    strangers_.Remove(*victim);
    connection->Abandon();
    return true;
  }

  ConnectionId NextId() { return ++last_id_; }
  void Add(ConnectionId id, std::shared_ptr<Connection> connection, const IpAddress& from) {
    connections_.emplace(id, std::move(connection));
    strangers_.Add(id, from);
  }
  void Trust(ConnectionId id) { strangers_.Remove(id); }
  void Distrust(ConnectionId id, const IpAddress& from) {
    strangers_.Remove(id);
    if (connections_.contains(id)) strangers_.Add(id, from);
  }
  void Remove(ConnectionId id) {
    strangers_.Remove(id);
    connections_.erase(id);
    if (connections_.empty() && on_empty_) std::exchange(on_empty_, nullptr)();
  }

  // Ends all connections, which have `limit` to write what is ready. Calls `done` once, perhaps at
  // once. The server must not add any more.
  void Drain(Duration limit, std::function<void()> done) {
    if (connections_.empty()) return done();
    on_empty_ = std::move(done);
    // A connection that ends leaves connections_.
    std::vector<std::shared_ptr<Connection>> all;
    for (const auto& [id, connection] : connections_) all.push_back(connection);
    for (const auto& connection : all) connection->Drain(limit);
  }

  const Map& all() const { return connections_; }

 private:
  const std::size_t max_;
  const std::size_t strangers_max_;
  Map connections_;
  FairShares<ConnectionId> strangers_;  // among the connections
  ConnectionId last_id_ = 0;
  std::function<void()> on_empty_;
};

}  // namespace serf::rpc

#endif  // SERF_RPC_CONNECTION_SET_H_
