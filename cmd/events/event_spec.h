#ifndef SERF_CMD_EVENTS_EVENT_SPEC_H_
#define SERF_CMD_EVENTS_EVENT_SPEC_H_

// EventScript: a command and the events that it handles, as -event-handler gives them. Source:
// docs/protocol/agent.md 3.1.
//
//   spec   = command | filter "=" command     the first "=" splits; no filter is "*"
//   filter = element *("," element)           rpc/event_filter.h
//
// Each element makes a script of its own: an event that two elements match runs the command twice.
// The scripts of one `spec` are one handler.

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "serf/rpc/event_filter.h"

namespace serf::cmd {

struct EventScript {
  std::string event;  // one element: "*", "member-join", "user:deploy"
  rpc::EventFilter filter;
  std::string command;      // for the shell
  std::size_t handler = 0;  // the index of its spec

  friend bool operator==(const EventScript& a, const EventScript& b) {
    return a.event == b.event && a.command == b.command;
  }
};

// Returns the scripts in the order of `specs`. Error: "Invalid event script: Event 'TYPE' invoking
// 'COMMAND'".
absl::StatusOr<std::vector<EventScript>> ParseEventScripts(const std::vector<std::string>& specs);

inline absl::StatusOr<std::vector<EventScript>> ParseEventScripts(
    const std::vector<std::string>& specs) {
  std::vector<EventScript> scripts;
  std::size_t handler = 0;
  for (const std::string& spec : specs) {
    const std::size_t equals = spec.find('=');
    std::string filter = equals == std::string::npos ? "" : spec.substr(0, equals);
    const std::string command = equals == std::string::npos ? spec : spec.substr(equals + 1);
    if (filter.empty()) filter = "*";
    for (const absl::string_view element : absl::StrSplit(filter, ',')) {
      std::optional<rpc::EventFilter> parsed;
      // Within a list an empty element is invalid.
      if (!element.empty()) parsed = rpc::EventFilter::Parse(element);
      if (!parsed) {
        return absl::InvalidArgumentError(
            absl::StrCat("Invalid event script: Event '", element, "' invoking '", command, "'"));
      }
      scripts.push_back({std::string(element), *std::move(parsed), command, handler});
    }
    ++handler;
  }
  return scripts;
}

}  // namespace serf::cmd

#endif  // SERF_CMD_EVENTS_EVENT_SPEC_H_
