#ifndef SERF_CMD_HTTP_AGENT_HTTP_H_
#define SERF_CMD_HTTP_AGENT_HTTP_H_

// AgentHttp: the HTTP side of an agent: the listener, the routes, and the metrics that they show.
// An agent without -http-addr has none.
//
//   AgentHttp http(io, service, logger, settings.policy, connections_max, hooks);
//   if (absl::Status s = http.Listen("127.0.0.1:7380", settings.socket_mode); !s.ok()) ...
//
// It stands apart from the agent's header, because few files should include the parser of requests.
// Threads: all calls on the io_context's thread.

#include <sys/types.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "boost/asio/io_context.hpp"
#include "serf/base/logger.h"
#include "serf/cmd/http/health.h"
#include "serf/cmd/http/policy.h"
#include "serf/rpc/exposition.h"
#include "serf/rpc/service.h"

namespace serf::cmd {

class AgentHttp {
 public:
  // What the routes need of the agent besides the service.
  struct Hooks {
    std::function<ReadinessFacts()> readiness;
    std::function<void(rpc::Exposition& text)> append_metrics;
  };

  // The io_context, the service and the logger must outlive it.
  AgentHttp(boost::asio::io_context& io, rpc::Service& service, Logger& logger, HttpPolicy policy,
            std::size_t connections_max, Hooks hooks);
  ~AgentHttp();
  AgentHttp(const AgentHttp&) = delete;
  AgentHttp& operator=(const AgentHttp&) = delete;

  // Listens on "HOST:PORT" or "unix:/PATH". An error's message names the address.
  absl::Status Listen(const std::string& address, mode_t socket_mode);
  // Where it listens, with the port that was free if port 0 was asked for.
  const std::string& address() const;
  // For a reload: holds from the next request on.
  void set_policy(HttpPolicy policy);
  // As http::Server::Shutdown().
  void Shutdown(std::function<void()> done);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace serf::cmd

#endif  // SERF_CMD_HTTP_AGENT_HTTP_H_
