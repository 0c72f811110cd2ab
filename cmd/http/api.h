#ifndef SERF_CMD_HTTP_API_H_
#define SERF_CMD_HTTP_API_H_

// HttpApi: answers the HTTP requests to an agent: finds the route, asks the policy, counts, and has
// the route's function answer. docs/http-api.md describes the routes.
//
//   HttpApi api(hooks, *settings);
//   http::Server server(io, api, {.logger = &logger});
//
// Threads: all calls on the io_context's thread.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/cmd/http/health.h"
#include "serf/cmd/http/policy.h"
#include "serf/rpc/exposition.h"
#include "serf/rpc/http/connection.h"
#include "serf/rpc/http/message.h"
#include "serf/rpc/http/url.h"

namespace serf::cmd {

class HttpApi final : public http::Handler {
 public:
  // What the routes need of the agent.
  struct Hooks {
    std::function<std::vector<Check>()> readiness;
    std::function<void(rpc::Exposition& text)> append_metrics;
    // The first bytes of a request have come: numbers that the answer itself would change should be
    // read now.
    std::function<void()> on_arrival;
  };
  struct Route;

  HttpApi(Hooks hooks, HttpPolicy policy) : hooks_(std::move(hooks)), policy_(std::move(policy)) {}

  // For a reload.
  void set_policy(HttpPolicy policy) { policy_ = std::move(policy); }

  // The families about HTTP itself.
  void AppendMetrics(std::size_t connections, rpc::Exposition& text) const;

  // --- http::Handler ---
  void OnArrival() override {
    if (hooks_.on_arrival) hooks_.on_arrival();
  }
  std::optional<http::Response> Refuse(const http::Request& head, http::Peer& peer) override;
  void Serve(http::Request request, const http::Peer& peer, http::Exchange exchange) override;
  http::Response Describe(const http::Problem& problem) override;

 private:
  friend struct HttpRoutes;  // the functions of the routes
  // Wrong tokens after which a connection ends: a person mistypes once or twice, a program that
  // guesses does not stop.
  static constexpr int kWrongTokensMax = 3;

  http::Response Refused(const Refusal& refusal, http::Peer& peer);
  void Count(absl::string_view route, int status) { ++answers_[{std::string(route), status}]; }

  const Hooks hooks_;
  HttpPolicy policy_;
  // By route and status: both from tables of this program.
  std::map<std::pair<std::string, int>, std::uint64_t> answers_;
  std::uint64_t refused_host_ = 0;
  std::uint64_t refused_origin_ = 0;
  std::uint64_t refused_auth_ = 0;
  std::uint64_t refused_limit_ = 0;
  std::uint64_t refused_parse_ = 0;
};

// The answer to an error, in the one form that clients must know:
// {"error": {"code": "no_such_route", "message": "..."}}.
http::Response ErrorResponse(const http::Problem& problem);

}  // namespace serf::cmd

#endif  // SERF_CMD_HTTP_API_H_
