#ifndef SERF_CMD_COMMANDS_CLIENT_FLAGS_H_
#define SERF_CMD_COMMANDS_CLIENT_FLAGS_H_

// -rpc-addr and -rpc-auth: the flags of every command that talks to an agent. Source:
// docs/protocol/agent.md 4.2.
//
//   rpc::Client client(ClientOptionsFromFlags());
//   if (!ConnectToAgent(client)) return kExitFailure;

#include <string>
#include <vector>

#include "serf/cmd/flags.h"
#include "serf/rpc/client.h"

namespace serf::cmd {

// Adds the two flags to `own`. Their defaults come from the environment: SERF_RPC_ADDR,
// SERF_RPC_AUTH.
std::vector<Flag> WithClientFlags(std::vector<Flag> own);

rpc::ClientOptions ClientOptionsFromFlags();

// The address that -rpc-addr names, for a command that connects by itself.
std::string AgentAddressFromFlags();

// Connects to the agent that -rpc-addr names. After a failure it prints the reason and returns
// false.
bool ConnectToAgent(rpc::Client& client);

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_CLIENT_FLAGS_H_
