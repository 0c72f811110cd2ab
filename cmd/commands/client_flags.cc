#include "serf/cmd/commands/client_flags.h"

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/command.h"
#include "serf/cmd/flags.h"
#include "serf/rpc/client.h"

namespace serf::cmd {
namespace {

// An empty value counts as unset.
std::string FromEnvironment(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

}  // namespace
}  // namespace serf::cmd

DEFINE_string(rpc_addr, serf::cmd::FromEnvironment("SERF_RPC_ADDR", "127.0.0.1:7373"),
              "address of the agent");
DEFINE_string(rpc_auth, serf::cmd::FromEnvironment("SERF_RPC_AUTH", ""),
              "key of the agent; empty: none");

namespace serf::cmd {

std::vector<Flag> WithClientFlags(std::vector<Flag> own) {
  own.push_back({.name = "rpc-addr", .gflag = "rpc_addr"});
  own.push_back({.name = "rpc-auth", .gflag = "rpc_auth"});
  return own;
}

rpc::ClientOptions ClientOptionsFromFlags() { return {.auth_key = FLAGS_rpc_auth}; }

std::string AgentAddressFromFlags() { return FLAGS_rpc_addr; }

bool ConnectToAgent(rpc::Client& client) {
  const absl::Status connected = client.Connect(FLAGS_rpc_addr);
  if (connected.ok()) return true;
  Print(absl::StrCat("Error connecting to Serf agent: ", absl::string_view(connected.message()),
                     "\n"));
  return false;
}

}  // namespace serf::cmd
