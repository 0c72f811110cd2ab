// Measures how many pings one core can answer: a member floods a Host with pings, which the Host
// acknowledges. `calls_per_datagram` counts the system calls for receiving and sending.

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <future>
#include <thread>
#include <utility>
#include <vector>

#include "benchmark/benchmark.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/swim/outbox.h"
#include "serf/transport/host.h"
#include "serf/transport/udp_socket.h"
#include "serf/wire/swim_messages.h"

namespace serf::transport {
namespace {

constexpr Endpoint kAnyPort = {IpAddress::V4(127, 0, 0, 1), 0};

// A Host on a thread of its own. It sends no probes, so the sender of the flood stays a member.
class Answerer {
 public:
  Answerer() : work_(asio::make_work_guard(io_)) {
    HostOptions options;
    options.config = Config::Lan();
    options.config.swim.name = "host";
    options.config.swim.probe_interval = Duration::zero();
    options.config.swim.push_pull_interval = Duration::zero();
    options.bind = kAnyPort;
    host_ = *Host::Create(io_, std::move(options));
    host_->Start();
    thread_ = std::thread([this] { io_.run(); });
  }
  ~Answerer() {
    host_.reset();
    work_.reset();
    thread_.join();
  }

  const Endpoint& address() const { return host_->local(); }
  UdpSocket::Counters Counters() {
    std::promise<UdpSocket::Counters> result;
    asio::post(io_, [&] { result.set_value(host_->udp_counters()); });
    return result.get_future().get();
  }

 private:
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> work_;
  std::unique_ptr<Host> host_;
  std::thread thread_;
};

class Flooder {
 public:
  Flooder(asio::io_context& io, const Endpoint& to) : io_(io), socket_(io), to_(to) {
    if (!socket_.Open(kAnyPort).ok()) std::abort();
    Wait();
    const auto versions = wire::VersionVector{1, 5, 2, 2, 5, 5}.ToBytes();
    wire::Alive alive;
    alive.incarnation = wire::Incarnation(1);
    alive.node = "flooder";
    alive.addr = socket_.local().address.bytes();
    alive.port = socket_.local().port;
    alive.vsn = versions;
    Send(alive);
    socket_.Send(out_, refused_);
    out_.Clear();
  }

  // Sends `count` pings and waits for their acknowledgements. Those that do not come within a
  // second count as lost.
  void Round(std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
      wire::Ping ping;
      ping.seq_no = wire::SequenceNumber(++seq_no_);
      ping.node = "host";
      ping.source_addr = socket_.local().address.bytes();
      ping.source_port = socket_.local().port;
      ping.source_node = "flooder";
      Send(ping);
    }
    socket_.Send(out_, refused_);
    out_.Clear();
    const std::uint64_t want = answers_ + count;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(1);
    while (answers_ < want && std::chrono::steady_clock::now() < deadline) {
      io_.run_one_until(deadline);
    }
    lost_ += want - std::min(want, answers_);
  }

  std::uint64_t lost() const { return lost_; }

 private:
  template <typename Message>
  void Send(const Message& message) {
    const std::size_t begin = out_.BeginSlice();
    wire::Encode(message, out_.arena());
    out_.SendDatagram(to_, out_.EndSlice(begin));
  }
  void Wait() {
    socket_.AsyncWaitReadable([this](const ErrorCode& error) {
      if (error) return;
      answers_ += socket_.Receive(refused_).size();
      Wait();
    });
  }

  asio::io_context& io_;
  UdpSocket socket_;
  Endpoint to_;
  swim::Outbox out_;
  std::vector<Endpoint> refused_;
  std::uint32_t seq_no_ = 0;
  std::uint64_t answers_ = 0;
  std::uint64_t lost_ = 0;
};

void BM_PingFlood(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  Answerer answerer;
  asio::io_context io;
  Flooder flooder(io, answerer.address());
  flooder.Round(1);
  const UdpSocket::Counters before = answerer.Counters();
  for (auto _ : state) flooder.Round(count);
  const UdpSocket::Counters after = answerer.Counters();
  const auto pings = static_cast<double>(after.received - before.received);
  const auto calls = static_cast<double>(after.receive_calls - before.receive_calls +
                                         after.send_calls - before.send_calls);
  state.counters["calls_per_datagram"] = calls / (2 * pings);
  state.counters["lost"] = static_cast<double>(flooder.lost());
  state.SetItemsProcessed(static_cast<std::int64_t>(pings));
}
BENCHMARK(BM_PingFlood)->Arg(1)->Arg(32)->Arg(256)->UseRealTime();

}  // namespace
}  // namespace serf::transport
