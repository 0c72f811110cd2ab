// Two agents in one process: one sends a user event and asks a query, which the other answers.
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include "serf/transport/host.h"

using serf::transport::Host, serf::transport::HostOptions;

std::unique_ptr<Host> StartAgent(boost::asio::io_context& io, std::string name,
                                 std::function<void(const serf::Event&)> on_event) {
  HostOptions options;
  options.config = serf::Config::Lan();
  options.config.swim.name = std::move(name);
  options.bind = *serf::Endpoint::Parse("127.0.0.1:0");
  options.on_event = std::move(on_event);
  auto host = Host::Create(io, std::move(options));
  if (!host.ok()) return nullptr;
  (*host)->Start();
  return *std::move(host);
}

int main() {
  boost::asio::io_context io;
  std::unique_ptr<Host> a, b;
  bool deployed = false, answered = false;
  const auto stop_if_done = [&] {
    if (deployed && answered) io.stop();
  };
  a = StartAgent(io, "a", nullptr);
  b = StartAgent(io, "b", [&](const serf::Event& event) {
    if (const auto* user = std::get_if<serf::UserEvent>(&event)) {
      std::printf("b is told: %s %s\n", user->name.c_str(), user->payload.c_str());
      deployed = user->name == "deploy" && user->payload == "v1.2.3";
      stop_if_done();
    } else if (const auto* query = std::get_if<serf::QueryEvent>(&event)) {
      b->AsyncRespond(query->id, "3 days", [](absl::Status) {});
    }
  });
  if (!a || !b) return 1;

  serf::QueryParams params;
  params.filter_nodes = {"b"};
  params.timeout = std::chrono::seconds(5);
  const auto on_update = [&](const serf::QueryUpdate& update) {
    if (update.kind == serf::QueryUpdate::Kind::kResponse) {
      std::printf("%s answers: %s\n", update.from.c_str(), update.payload.c_str());
      answered = update.payload == "3 days";
      stop_if_done();
    }
  };
  a->AsyncJoin({b->local().ToString()}, {.replay = true}, [&](const serf::JoinResult&) {
    a->AsyncSendUserEvent("deploy", "v1.2.3", {}, [](absl::Status) {});
    a->AsyncSendQuery("uptime", "", params, on_update, [](absl::StatusOr<serf::QueryId>) {});
  });
  io.run_for(std::chrono::seconds(10));
  return deployed && answered ? 0 : 1;
}
