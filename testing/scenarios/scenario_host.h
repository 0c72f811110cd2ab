#ifndef SERF_TESTING_SCENARIOS_SCENARIO_HOST_H_
#define SERF_TESTING_SCENARIOS_SCENARIO_HOST_H_

// ScenarioHost: the ScenarioDriver over real sockets on loopback. Each node is a transport::Host;
// all are on one io_context, in real time.

#include <unistd.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/write.hpp>
#include <cassert>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/time.h"
#include "serf/config.h"
#include "serf/event.h"
#include "serf/serf.h"
#include "serf/tags.h"
#include "serf/testing/run_until.h"
#include "serf/testing/scenarios/scenario.h"
#include "serf/testing/sim/link_model.h"
#include "serf/transport/host.h"
#include "serf/transport/net/asio.h"
#include "serf/transport/net/socket_address.h"

namespace serf::testkit {

class ScenarioHost : public ScenarioDriver {
 public:
  // The address of the nodes; each takes a free port.
  explicit ScenarioHost(const IpAddress& address) : address_(address) {}
  ~ScenarioHost() override {
    for (Slot& slot : slots_) slot.host.reset();
    io_.restart();
    io_.poll();  // the ends of the hosts take effect here
  }

  using ScenarioDriver::Add;
  NodeId Add(Config config) override {
    const NodeId node = NewNode();
    slots_.push_back({std::move(config), {address_, 0}, nullptr});
    Start(node);
    return node;
  }
  void Crash(NodeId node) override {
    slots_[node.value()].host.reset();
    Poll();
  }
  void Restart(NodeId node) override { Start(node); }

  inline JoinResult Join(NodeId node, const std::vector<NodeId>& targets,
                         JoinOptions options) override;
  absl::Status Leave(NodeId node) override {
    return Await([&](auto done) { host(node).AsyncLeave(std::move(done)); });
  }
  absl::Status ForceLeave(NodeId node, absl::string_view name, ForceLeaveOptions options) override {
    return Await([&](auto done) {
      host(node).AsyncForceLeave(std::string(name), options, std::move(done));
    });
  }
  absl::Status SetTags(NodeId node, Tags tags) override {
    return Await([&](auto done) { host(node).AsyncSetTags(std::move(tags), std::move(done)); });
  }

  inline void SendDatagram(NodeId to, ByteView bytes) override;
  inline void SendStream(NodeId to, ByteView bytes) override;

  inline bool RunUntil(const std::function<bool()>& done, Duration limit) override;

  const Serf& serf(NodeId node) override { return host(node).serf(); }
  std::string address(NodeId node) override { return slots_[node.value()].bound.ToString(); }

 private:
  struct Slot {
    Config config;
    Endpoint bound;  // port 0 until the node has run
    std::unique_ptr<transport::Host> host;
  };

  transport::Host& host(NodeId node) {
    assert(slots_[node.value()].host != nullptr);
    return *slots_[node.value()].host;
  }
  void Start(NodeId node);
  // Runs all handlers that are ready.
  void Poll() {
    if (io_.stopped()) io_.restart();
    io_.poll();
  }
  // Runs start(handler) and waits for its status.
  template <typename Start>
  absl::Status Await(Start start) {
    // The handler may outlive this call.
    const auto result = std::make_shared<std::optional<absl::Status>>();
    start([result](absl::Status status) { *result = std::move(status); });
    if (!RunUntil([&] { return result->has_value(); }, kPatience)) {
      return absl::DeadlineExceededError("no answer");
    }
    return **result;
  }

  transport::asio::io_context io_;
  IpAddress address_;
  std::vector<Slot> slots_;
};

// An address of 127.0.0.0/8 that parallel tests do not share, so that a node that restarts finds
// its port free.
inline IpAddress OwnLoopbackAddress() {
  const auto id = static_cast<std::uint32_t>(::getpid());
  return IpAddress::V4(127, static_cast<std::uint8_t>(1 + id / 62'500 % 250),
                       static_cast<std::uint8_t>(1 + id / 250 % 250),
                       static_cast<std::uint8_t>(1 + id % 250));
}

class ScenarioHostOnIpv4 final : public ScenarioHost {
 public:
  ScenarioHostOnIpv4() : ScenarioHost(OwnLoopbackAddress()) {}
};

class ScenarioHostOnIpv6 final : public ScenarioHost {
 public:
  ScenarioHostOnIpv6() : ScenarioHost(*IpAddress::Parse("::1")) {}
};

// --- bodies ---

inline void ScenarioHost::Start(NodeId node) {
  Slot& slot = slots_[node.value()];
  assert(slot.host == nullptr);
  transport::HostOptions options;
  options.config = slot.config;
  options.bind = slot.bound;
  options.on_event = [this, node](const Event& event) { Tell(node, event); };
  absl::StatusOr<std::unique_ptr<transport::Host>> created =
      transport::Host::Create(io_, std::move(options));
  if (!created.ok()) {
    std::fprintf(stderr, "ScenarioHost: %s\n", created.status().ToString().c_str());
    std::abort();  // a mistake of the scenario
  }
  slot.host = *std::move(created);
  slot.bound = slot.host->local();
  slot.host->Start();
  Poll();
}

inline JoinResult ScenarioHost::Join(NodeId node, const std::vector<NodeId>& targets,
                                     JoinOptions options) {
  std::vector<std::string> addresses;
  for (const NodeId target : targets) addresses.push_back(address(target));
  const auto result = std::make_shared<std::optional<JoinResult>>();
  host(node).AsyncJoin(std::move(addresses), options,
                       [result](JoinResult joined) { *result = std::move(joined); });
  if (!RunUntil([&] { return result->has_value(); }, kPatience)) {
    return {.status = absl::DeadlineExceededError("no answer")};
  }
  return **result;
}

inline void ScenarioHost::SendDatagram(NodeId to, ByteView bytes) {
  namespace asio = transport::asio;
  const asio::ip::tcp::endpoint target = transport::ToAsio(host(to).local());
  asio::ip::udp::socket socket(io_, asio::ip::udp::endpoint(target.address(), 0));
  socket.send_to(asio::buffer(bytes.data(), bytes.size()), {target.address(), target.port()});
}

inline void ScenarioHost::SendStream(NodeId to, ByteView bytes) {
  namespace asio = transport::asio;
  asio::ip::tcp::socket socket(io_);
  socket.connect(transport::ToAsio(host(to).local()));
  asio::write(socket, asio::buffer(bytes.data(), bytes.size()));
  bool closed = false;
  std::array<char, 4096> rest;
  std::function<void()> read = [&] {
    socket.async_read_some(asio::buffer(rest), [&](const transport::ErrorCode& error, std::size_t) {
      closed = static_cast<bool>(error);
      if (!closed) read();
    });
  };
  read();
  if (RunUntil([&] { return closed; }, kPatience)) return;
  socket.close();
  Poll();
}

inline bool ScenarioHost::RunUntil(const std::function<bool()>& done, Duration limit) {
  return testkit::RunUntil(io_, done, limit);
}

}  // namespace serf::testkit

#endif  // SERF_TESTING_SCENARIOS_SCENARIO_HOST_H_
