#ifndef SERF_CMD_HTTP_HEALTH_H_
#define SERF_CMD_HTTP_HEALTH_H_

// The checks behind /readyz, and the texts of probes. Pure functions.
//
//   const std::vector<Check> checks = ReadinessChecks({.started = true, ...});
//   Response response = ProbeResponse(checks, target, wants_json);

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/text/json_text.h"
#include "serf/rpc/http/message.h"
#include "serf/rpc/http/url.h"

namespace serf::cmd {

struct Check {
  absl::string_view name;
  bool ok = true;
  absl::string_view reason = "";  // why it is not ok
};

// What the readiness of an agent depends on.
struct ReadinessFacts {
  bool started = false;      // sockets and RPC are up
  bool join_wanted = false;  // the operator named other agents, or how to find them
  bool met_another = false;  // another member was alive since the start
  bool leaving = false;      // the node leaves, or has left
};

// In the order of the documentation. Failed members do not count: another agent
// would not be a better one.
inline std::vector<Check> ReadinessChecks(const ReadinessFacts& facts) {
  return {{"started", facts.started, "the agent is starting"},
          {"joined", !facts.join_wanted || facts.met_another, "no other member has answered yet"},
          {"not_leaving", !facts.leaving, "the node leaves the cluster, or has left it"}};
}

inline bool AllOk(const std::vector<Check>& checks) {
  return std::all_of(checks.begin(), checks.end(), [](const Check& check) { return check.ok; });
}

// The answer of a probe: 200 if all checks that count are ok, else 503. `?exclude=NAME` takes one
// out, `?verbose` lists all.
inline http::Response ProbeResponse(std::vector<Check> checks, const http::Target& target,
                                    bool json) {
  std::erase_if(checks, [&](const Check& check) {
    return std::any_of(target.parameters.begin(), target.parameters.end(),
                       [&](const http::Parameter& parameter) {
                         return parameter.name == "exclude" && parameter.value == check.name;
                       });
  });
  http::Response response;
  const bool ok = AllOk(checks);
  response.status = ok ? 200 : 503;
  if (json) {
    response.type = "application/json";
    response.body = absl::StrCat("{\"status\":", ok ? "\"ok\"" : "\"failed\"", ",\"checks\":{");
    const char* separator = "";
    for (const Check& check : checks) {
      absl::StrAppend(&response.body, separator, JsonQuote(check.name),
                      ":{\"ok\":", check.ok ? "true" : "false");
      if (!check.ok) absl::StrAppend(&response.body, ",\"reason\":", JsonQuote(check.reason));
      response.body += '}';
      separator = ",";
    }
    response.body += "}}\n";
    return response;
  }
  response.type = "text/plain; charset=utf-8";
  const bool verbose = target.Has("verbose");
  for (const Check& check : checks) {
    if (check.ok && !verbose) continue;
    absl::StrAppend(&response.body, check.ok ? "[+]" : "[-]", check.name,
                    check.ok ? " ok" : " failed: ", check.ok ? "" : check.reason, "\n");
  }
  if (ok) response.body += "ok\n";
  return response;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_HTTP_HEALTH_H_
