#ifndef SERF_CMD_COMMANDS_CLIENT_FLAGS_H_
#define SERF_CMD_COMMANDS_CLIENT_FLAGS_H_

// -rpc-addr and -rpc-auth, which every command that talks to an agent has. Source:
// docs/protocol/agent.md 4.2.
//
//   rpc::Client client(ClientOptionsFromFlags());
//   if (!ConnectToAgent(client)) return kExitFailure;

#include <vector>

#include "serf/cmd/flags.h"
#include "serf/rpc/client.h"

namespace serf::cmd {

// `own`, with the two flags. Their defaults are SERF_RPC_ADDR, SERF_RPC_AUTH of the environment.
std::vector<Flag> WithClientFlags(std::vector<Flag> own);

rpc::ClientOptions ClientOptionsFromFlags();

// Connects where -rpc-addr says. If that fails: prints why and returns false.
bool ConnectToAgent(rpc::Client& client);

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_CLIENT_FLAGS_H_
