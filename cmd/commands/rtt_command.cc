#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/text/quote.h"
#include "serf/coordinate.h"
#include "serf/rpc/client.h"
#include "serf/rpc/service.h"

namespace serf::cmd {
namespace {

// The name of the node whose agent this is.
absl::StatusOr<std::string> OwnName(rpc::Client& client) {
  const absl::StatusOr<rpc::StatsSections> sections = client.Stats();
  if (!sections.ok()) return sections.status();
  const auto agent = sections->find("agent");
  if (agent != sections->end()) {
    const auto name = agent->second.find("name");
    if (name != agent->second.end()) return name->second;
  }
  return absl::NotFoundError("it does not tell its name");
}

// Prints the reason if there is no coordinate.
std::optional<Coordinate> CoordinateOf(rpc::Client& client, const std::string& node) {
  const absl::StatusOr<std::optional<Coordinate>> coordinate = client.GetCoordinate(node);
  if (!coordinate.ok()) {
    Print(absl::StrCat(
        "Error getting coordinates: ", absl::string_view(coordinate.status().message()), "\n"));
    return std::nullopt;
  }
  if (!coordinate->has_value()) {
    Print(absl::StrCat("Could not find a coordinate for node ", Quote(node), "\n"));
  }
  return *coordinate;
}

int Run(std::span<const std::string> args) {
  absl::StatusOr<std::vector<std::string>> nodes = ParseFlags(WithClientFlags({}), args);
  if (!nodes.ok()) return FlagError(kRttCommand, nodes.status());
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  if (nodes->empty() || nodes->size() > 2) {
    return UsageError(kRttCommand, "One or two node names must be specified");
  }
  if (nodes->size() == 1) {
    const absl::StatusOr<std::string> own = OwnName(client);
    if (!own.ok()) {
      Print(
          absl::StrCat("Error querying agent: ", absl::string_view(own.status().message()), "\n"));
      return kExitFailure;
    }
    nodes->push_back(*own);
  }
  const std::string& from = nodes->front();
  const std::string& to = nodes->back();
  const std::optional<Coordinate> a = CoordinateOf(client, from);
  if (!a) return kExitFailure;
  const std::optional<Coordinate> b = CoordinateOf(client, to);
  if (!b) return kExitFailure;
  if (a->dimensions != b->dimensions) {
    Print("Error getting coordinates: they differ in their number of dimensions\n");
    return kExitFailure;
  }
  const std::chrono::duration<double, std::milli> rtt = Distance(*a, *b);
  Print(absl::StrCat("Estimated ", from, " <-> ", to,
                     " rtt: ", absl::StrFormat("%.3f ms\n", rtt.count())));
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf rtt [options] node1 [node2]

  Estimates the round trip time between two nodes, from the coordinates that
  they gossip; nothing is sent between them. Without a second name: to the node
  of the agent.

Options:

  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kRttCommand = {
    .name = "rtt",
    .synopsis = "Estimates network round trip time between nodes",
    .help = kHelp,
    .run = Run};

}  // namespace serf::cmd
