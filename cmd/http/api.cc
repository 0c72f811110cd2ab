#include "serf/cmd/http/api.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/http/health.h"
#include "serf/cmd/http/policy.h"
#include "serf/cmd/text/json_text.h"
#include "serf/rpc/exposition.h"
#include "serf/rpc/http/accept.h"
#include "serf/rpc/http/connection.h"
#include "serf/rpc/http/message.h"
#include "serf/rpc/http/url.h"

namespace serf::cmd {

namespace {

// What a route's function gets.
struct Call {
  const http::Request& request;
  const http::Target& target;
};

bool WantsJson(const http::Request& request) {
  const auto ranges = http::ParseAccept(request.Find("accept").value_or(""));
  const double json = http::QualityOf(ranges, "application", "json");
  return json > 0 && json > http::QualityOf(ranges, "text", "plain");
}

// OpenMetrics for a client that prefers it; the text format for all others.
rpc::Exposition::Format MetricsFormat(const http::Request& request) {
  const auto ranges = http::ParseAccept(request.Find("accept").value_or(""));
  const double open =
      http::QualityOf(ranges, "application", "openmetrics-text", {"1.0.0", "0.0.1"});
  const double text = http::QualityOf(ranges, "text", "plain", {"0.0.4"});
  return open > text ? rpc::Exposition::Format::kOpenMetrics : rpc::Exposition::Format::kText;
}

}  // namespace

struct HttpApi::Route {
  absl::string_view pattern;  // "/readyz/{check}"; a segment in braces is any one
  http::Method method;        // GET answers HEAD, too
  Scope scope;
  Scope verbose_scope;  // with "?verbose"
  http::Response (*answer)(const HttpApi& api, const Call& call);
};

struct HttpRoutes {
  static http::Response Livez(const HttpApi&, const Call& call) {
    // That this runs is the whole check: an agent whose loop stands still does not answer.
    return ProbeResponse({{.name = "loop"}}, call.target, WantsJson(call.request));
  }
  static http::Response Readyz(const HttpApi& api, const Call& call) {
    return ProbeResponse(api.hooks_.readiness(), call.target, WantsJson(call.request));
  }
  static http::Response OneCheck(const HttpApi& api, const Call& call) {
    std::vector<Check> checks = api.hooks_.readiness();
    std::erase_if(checks,
                  [&](const Check& check) { return check.name != call.target.segments.back(); });
    if (checks.empty()) {
      return ErrorResponse(
          {.status = 404,
           .code = "no_such_route",
           .message = absl::StrCat("no check '", call.target.segments.back(), "'")});
    }
    return ProbeResponse(std::move(checks), call.target, WantsJson(call.request));
  }
  static http::Response Metrics(const HttpApi& api, const Call& call) {
    const rpc::Exposition::Format format = MetricsFormat(call.request);
    rpc::Exposition text(format);
    api.hooks_.append_metrics(text);
    return {.type = std::string(rpc::Exposition::ContentType(format)),
            .body = std::move(text).Finish()};
  }

  static constexpr std::array kRoutes = {
      HttpApi::Route{"/healthz", http::Method::kGet, Scope::kProbe, Scope::kMetrics, &Livez},
      HttpApi::Route{"/livez", http::Method::kGet, Scope::kProbe, Scope::kMetrics, &Livez},
      HttpApi::Route{"/metrics", http::Method::kGet, Scope::kMetrics, Scope::kMetrics, &Metrics},
      HttpApi::Route{"/readyz", http::Method::kGet, Scope::kProbe, Scope::kMetrics, &Readyz},
      HttpApi::Route{"/readyz/{check}", http::Method::kGet, Scope::kProbe, Scope::kMetrics,
                     &OneCheck},
  };
};

namespace {

bool Matches(absl::string_view pattern, const http::Target& target) {
  pattern.remove_prefix(1);
  for (std::size_t i = 0; i < target.segments.size(); ++i) {
    const std::size_t slash = pattern.find('/');
    const absl::string_view part = pattern.substr(0, slash);
    const bool any = absl::StartsWith(part, "{");
    if (any ? target.segments[i].empty() : target.segments[i] != part) return false;
    const bool last = slash == absl::string_view::npos;
    if (last != (i + 1 == target.segments.size())) return false;
    if (!last) pattern.remove_prefix(slash + 1);
  }
  return !target.segments.empty();
}

// The route of a request, or the problem.
struct Found {
  const HttpApi::Route* route = nullptr;
  std::string allow;  // with a 405
  http::Problem problem;
};

Found FindRoute(const http::Target& target, http::Method method) {
  Found found;
  const http::Method wanted = method == http::Method::kHead ? http::Method::kGet : method;
  for (const HttpApi::Route& route : HttpRoutes::kRoutes) {
    if (!Matches(route.pattern, target)) continue;
    if (route.method == wanted) {
      found.route = &route;
      return found;
    }
    absl::StrAppend(&found.allow, found.allow.empty() ? "" : ", ", http::MethodName(route.method),
                    route.method == http::Method::kGet ? ", HEAD" : "");
  }
  if (found.allow.empty()) {
    found.problem = {.status = 404,
                     .code = "no_such_route",
                     .message = absl::StrCat("no route '", target.path.substr(0, 512), "'")};
  } else {
    found.problem = {.status = 405,
                     .code = "method_not_allowed",
                     .message = absl::StrCat("'", target.path, "' takes ", found.allow)};
  }
  return found;
}

}  // namespace

http::Response ErrorResponse(const http::Problem& problem) {
  return {.status = problem.status,
          .type = "application/json",
          .body = absl::StrCat("{\"error\":{\"code\":", JsonQuote(problem.code),
                               ",\"message\":", JsonQuote(problem.message), "}}\n")};
}

http::Response HttpApi::Describe(const http::Problem& problem) {
  const bool limit = problem.code == "too_many_connections" || problem.code == "too_large" ||
                     problem.code == "timeout";
  ++(limit ? refused_limit_ : refused_parse_);
  return ErrorResponse(problem);
}

http::Response HttpApi::Refused(const Refusal& refusal, http::Peer& peer) {
  ++(refusal.reason == RefusalReason::kHost     ? refused_host_
     : refusal.reason == RefusalReason::kOrigin ? refused_origin_
                                                : refused_auth_);
  http::Response response = ErrorResponse(refusal.problem);
  if (refusal.problem.status == 401) {
    response.fields.push_back({"WWW-Authenticate", "Bearer realm=\"serf\""});
  }
  if (refusal.wrong_token && ++peer.wrong_tokens >= kWrongTokensMax) response.close = true;
  return response;
}

std::optional<http::Response> HttpApi::Refuse(const http::Request& head, http::Peer& peer) {
  const std::optional<http::Target> target = http::ParseTarget(head.target);
  if (!target) {
    return Describe({.status = 400,
                     .code = "malformed_request",
                     .message = "the target of the request cannot be read"});
  }
  const Found found = FindRoute(*target, head.method);
  if (found.route == nullptr) {
    Count("other", found.problem.status);
    http::Response response = ErrorResponse(found.problem);
    if (!found.allow.empty()) response.fields.push_back({"Allow", found.allow});
    return response;
  }
  const Scope scope = target->Has("verbose") ? found.route->verbose_scope : found.route->scope;
  const Verdict verdict = Judge(policy_, head, target->authority, scope);
  if (!verdict.refusal) return std::nullopt;
  Count(found.route->pattern, verdict.refusal->problem.status);
  return Refused(*verdict.refusal, peer);
}

void HttpApi::Serve(http::Request request, const http::Peer&, http::Exchange exchange) {
  const std::optional<http::Target> target = http::ParseTarget(request.target);
  const Found found = FindRoute(*target, request.method);
  http::Response response = found.route->answer(*this, {request, *target});
  Count(found.route->pattern, response.status);
  exchange.Respond(std::move(response));
}

void HttpApi::AppendMetrics(std::size_t connections, rpc::Exposition& text) const {
  text.Gauge("serf_http_connections", "HTTP clients.", static_cast<double>(connections));
  std::vector<rpc::Exposition::Sample> answers;
  std::vector<std::string> codes;
  codes.reserve(answers_.size());
  for (const auto& [key, count] : answers_) {
    codes.push_back(absl::StrCat(key.second));
    answers.push_back({{{"route", key.first}, {"code", codes.back()}}, static_cast<double>(count)});
  }
  text.Counter("serf_http_requests_total", "HTTP requests by route and status.", answers);
  const std::vector<rpc::Exposition::Sample> refused = {
      {{{"reason", "host"}}, static_cast<double>(refused_host_)},
      {{{"reason", "origin"}}, static_cast<double>(refused_origin_)},
      {{{"reason", "auth"}}, static_cast<double>(refused_auth_)},
      {{{"reason", "limit"}}, static_cast<double>(refused_limit_)},
      {{{"reason", "parse"}}, static_cast<double>(refused_parse_)}};
  text.Counter("serf_http_refused_total", "HTTP requests refused before routing.", refused);
}

}  // namespace serf::cmd
