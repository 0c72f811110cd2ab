// Two agents in one process: they join, and both know the cluster.
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "serf/transport/host.h"

using serf::transport::Host, serf::transport::HostOptions;

absl::StatusOr<std::unique_ptr<Host>> StartAgent(boost::asio::io_context& io, std::string name) {
  HostOptions options;
  options.config = serf::Config::Lan();
  options.config.swim.name = name;
  options.config.tags = {{"role", "example"}};
  options.bind = *serf::Endpoint::Parse("127.0.0.1:0");  // any free port
  options.on_event = [name](const serf::Event& event) {
    if (const auto* change = std::get_if<serf::MemberEvent>(&event)) {
      for (const serf::Member& member : change->members) {
        std::printf("%s: %s of %s\n", name.c_str(), serf::MemberEventName(change->kind).data(),
                    member.name.c_str());
      }
    }
  };
  absl::StatusOr<std::unique_ptr<Host>> host = Host::Create(io, std::move(options));
  if (host.ok()) (*host)->Start();
  return host;
}
int main() {
  boost::asio::io_context io;
  auto a = StartAgent(io, "a"), b = StartAgent(io, "b");
  if (!a.ok() || !b.ok()) return 1;
  (*b)->AsyncJoin({(*a)->local().ToString()}, {.replay = true},
                  [&io](const serf::JoinResult&) { io.stop(); });
  io.run_for(std::chrono::seconds(10));
  return (*a)->serf().member_count() == 2 && (*b)->serf().member_count() == 2 ? 0 : 1;
}
