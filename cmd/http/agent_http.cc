#include "serf/cmd/http/agent_http.h"

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "boost/asio/io_context.hpp"
#include "serf/base/endpoint.h"
#include "serf/base/logger.h"
#include "serf/cmd/http/api.h"
#include "serf/cmd/http/health.h"
#include "serf/cmd/http/policy.h"
#include "serf/cmd/telemetry/process_metrics.h"
#include "serf/cmd/version.h"
#include "serf/rpc/exposition.h"
#include "serf/rpc/http/server_io.h"
#include "serf/rpc/node_metrics.h"
#include "serf/rpc/service.h"

namespace serf::cmd {

struct AgentHttp::Parts {
  Parts(boost::asio::io_context& io, rpc::Service& from, Logger& logger, HttpPolicy policy,
        std::size_t connections_max, Hooks given)
      : service(from),
        hooks(std::move(given)),
        api({.readiness = [this] { return ReadinessChecks(hooks.readiness()); },
             .append_metrics = [this](rpc::Exposition& text) { AppendMetrics(text); },
             .on_arrival = [this] { memory.Read(); }},
            std::move(policy)),
        server(io, api, {.logger = &logger, .max_connections = connections_max}) {}

  void AppendMetrics(rpc::Exposition& text);

  rpc::Service& service;
  const Hooks hooks;
  ProcessMemory memory;
  const double start_time =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  HttpApi api;
  http::Server server;
  std::string address;
};

void AgentHttp::Parts::AppendMetrics(rpc::Exposition& text) {
  text.Info("serf_build_info", "Version of the program.",
            {{"version", kVersion}, {"compiler", __VERSION__}});
  hooks.append_metrics(text);
  text.Gauge("serf_ready", "1 if /readyz answers 200.",
             AllOk(ReadinessChecks(hooks.readiness())) ? 1 : 0);
  rpc::AppendNodeMetrics(service.Snapshot(), text);
  api.AppendMetrics(server.connection_count(), text);
  AppendProcessMetrics(memory, start_time, text);
}

AgentHttp::AgentHttp(boost::asio::io_context& io, rpc::Service& service, Logger& logger,
                     HttpPolicy policy, std::size_t connections_max, Hooks hooks)
    : parts_(std::make_unique<Parts>(io, service, logger, std::move(policy), connections_max,
                                     std::move(hooks))) {}

AgentHttp::~AgentHttp() = default;

absl::Status AgentHttp::Listen(const std::string& address, mode_t socket_mode) {
  const absl::Status status = parts_->server.Listen(address, socket_mode);
  if (!status.ok()) return status;
  const std::optional<Endpoint> local = parts_->server.local_endpoint();
  const bool any_port = local && absl::EndsWith(address, ":0");
  parts_->address = any_port ? local->ToString() : address;
  return status;
}

const std::string& AgentHttp::address() const { return parts_->address; }

void AgentHttp::set_policy(HttpPolicy policy) { parts_->api.set_policy(std::move(policy)); }

void AgentHttp::Shutdown(std::function<void()> done) { parts_->server.Shutdown(std::move(done)); }

}  // namespace serf::cmd
