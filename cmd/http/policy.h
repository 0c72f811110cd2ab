#ifndef SERF_CMD_HTTP_POLICY_H_
#define SERF_CMD_HTTP_POLICY_H_

// What a caller may do over HTTP: scopes, tokens, and the checks against browsers that are made to
// ask for somebody else. Pure functions of a request and the policy; docs/http-api.md has the rules
// for users.
//
//   const Verdict verdict = Judge(policy, request, Scope::kMetrics);
//   if (verdict.refusal) return *verdict.refusal;

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "serf/base/endpoint.h"
#include "serf/base/host_port.h"
#include "serf/rpc/constant_time.h"
#include "serf/rpc/http/message.h"

namespace serf::cmd {

// What a caller may do. A route needs one of them.
enum class Scope : std::uint8_t { kProbe, kMetrics, kRead, kControl };
inline constexpr std::array<Scope, 4> kScopes = {Scope::kProbe, Scope::kMetrics, Scope::kRead,
                                                 Scope::kControl};

// "probe", "metrics", "read", "control".
inline absl::string_view ScopeName(Scope scope) {
  constexpr std::array<absl::string_view, 4> kNames = {"probe", "metrics", "read", "control"};
  return kNames[static_cast<std::size_t>(scope)];
}

inline std::optional<Scope> ParseScope(absl::string_view name) {
  for (const Scope scope : kScopes) {
    if (name == ScopeName(scope)) return scope;
  }
  return std::nullopt;
}

// A set of scopes.
class Scopes {
 public:
  Scopes() = default;
  Scopes(std::initializer_list<Scope> scopes) {
    for (const Scope scope : scopes) Add(scope);
  }
  void Add(Scope scope) { bits_ |= Bit(scope); }
  bool Has(Scope scope) const { return (bits_ & Bit(scope)) != 0; }

  friend bool operator==(const Scopes&, const Scopes&) = default;

 private:
  static unsigned Bit(Scope scope) { return 1U << static_cast<unsigned>(scope); }
  unsigned bits_ = 0;
};

struct HttpToken {
  std::string name;  // for the log
  std::string secret;
  Scopes scopes;
};

struct HttpPolicy {
  std::vector<HttpToken> tokens;
  Scopes anonymous;  // what callers without a token may do
  // Names, besides IP addresses and "localhost", under which anonymous callers may come. In lower
  // case.
  std::vector<std::string> allowed_hosts;
  // A Unix domain socket: no browser reaches it, so the Host says nothing.
  bool local_socket = false;
};

// Why a request was refused before it reached its route: for the metrics.
enum class RefusalReason : std::uint8_t { kHost, kOrigin, kAuth };

struct Refusal {
  http::Problem problem;
  RefusalReason reason = RefusalReason::kAuth;
  bool wrong_token = false;
};

// The token's name if one was shown, and the refusal, if any.
struct Verdict {
  std::string token;
  Scopes scopes;  // of the caller
  std::optional<Refusal> refusal;
};

// Whether a Host is one of this agent: an IP address, "localhost", or a name of the list. A page of
// another site that has itself resolved to this address comes under its own name. `host` may have a
// port.
inline bool IsOwnHost(absl::string_view host, const std::vector<std::string>& allowed) {
  if (const absl::StatusOr<HostPort> split = SplitHostPort(host); split.ok()) {
    const std::optional<int> port = ParsePortNumber(split->port);
    if (!port || *port < 0) return false;
    return IsOwnHost(
        absl::StrContains(split->host, ':') ? absl::StrCat("[", split->host, "]") : split->host,
        allowed);
  }
  if (absl::ConsumePrefix(&host, "[")) {
    return absl::ConsumeSuffix(&host, "]") && IpAddress::Parse(host).has_value();
  }
  if (absl::StrContains(host, ':')) return false;
  if (const auto address = IpAddress::Parse(host)) return true;
  const std::string name = absl::AsciiStrToLower(host);
  return name == "localhost" || std::find(allowed.begin(), allowed.end(), name) != allowed.end();
}

// The Host of a request: that of an absolute target outweighs the field.
inline absl::string_view HostOf(const http::Request& request, absl::string_view authority) {
  return authority.empty() ? request.Find("host").value_or("") : authority;
}

// Whether a browser says that a page of another site asks. `host` is that of the request.
inline bool IsCrossSite(const http::Request& request, absl::string_view host) {
  if (const auto site = request.Find("sec-fetch-site")) {
    if (*site != "same-origin" && *site != "none") return true;
  }
  const std::optional<absl::string_view> origin = request.Find("origin");
  return origin && !absl::EqualsIgnoreCase(*origin, absl::StrCat("http://", host)) &&
         !absl::EqualsIgnoreCase(*origin, absl::StrCat("https://", host));
}

// The token with this secret. Compares with all of them, so that the time says nothing.
inline const HttpToken* FindToken(const std::vector<HttpToken>& tokens, absl::string_view secret) {
  const HttpToken* found = nullptr;
  for (const HttpToken& token : tokens) {
    if (rpc::EqualInConstantTime(token.secret, secret)) found = &token;
  }
  return found;
}

// Judges the head of a request for a route that needs `scope`. `authority` is that of an absolute
// target, or empty.
inline Verdict Judge(const HttpPolicy& policy, const http::Request& request,
                     absl::string_view authority, Scope scope) {
  Verdict verdict;
  verdict.scopes = policy.anonymous;
  const auto refuse = [&](int status, absl::string_view code, std::string message,
                          RefusalReason reason, bool wrong_token = false) {
    verdict.refusal = Refusal{
        {.status = status, .code = code, .message = std::move(message)}, reason, wrong_token};
    return verdict;
  };
  const absl::string_view host = HostOf(request, authority);
  const bool changes =
      request.method != http::Method::kGet && request.method != http::Method::kHead;
  if (changes && IsCrossSite(request, host)) {
    return refuse(403, "cross_origin", "a page of another origin may not ask this",
                  RefusalReason::kOrigin);
  }
  if (const auto credentials = request.Find("authorization")) {
    absl::string_view secret = *credentials;
    constexpr absl::string_view kScheme = "bearer ";
    const bool bearer = absl::StartsWithIgnoreCase(secret, kScheme);
    if (bearer) secret.remove_prefix(kScheme.size());
    const HttpToken* const token =
        bearer && request.Count("authorization") == 1
            ? FindToken(policy.tokens, absl::StripAsciiWhitespace(secret))
            : nullptr;
    // Even where anonymous callers may: a mistyped token must not silently lose rights.
    if (token == nullptr) {
      return refuse(401, "unauthenticated", "the token is not known", RefusalReason::kAuth, true);
    }
    verdict.token = token->name;
    verdict.scopes = token->scopes;
  } else if (scope != Scope::kProbe && !policy.local_socket &&
             !IsOwnHost(host, policy.allowed_hosts)) {
    return refuse(421, "unknown_host",
                  absl::StrCat("the host '", host.substr(0, 255),
                               "' is none of this agent (http_allowed_hosts)"),
                  RefusalReason::kHost);
  }
  if (verdict.scopes.Has(scope)) return verdict;
  if (verdict.token.empty()) {
    return refuse(401, "unauthenticated",
                  absl::StrCat("a token with the scope '", ScopeName(scope), "' is necessary"),
                  RefusalReason::kAuth);
  }
  return refuse(
      403, "forbidden",
      absl::StrCat("the token '", verdict.token, "' has no scope '", ScopeName(scope), "'"),
      RefusalReason::kAuth);
}

}  // namespace serf::cmd

#endif  // SERF_CMD_HTTP_POLICY_H_
