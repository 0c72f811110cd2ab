#ifndef MONOREPO_RPC_CLIENT_H_
#define MONOREPO_RPC_CLIENT_H_

// The monorepo's own client, in a folder that has the name of one of this project's.
namespace monorepo {

inline constexpr int kClient = 1;

}  // namespace monorepo

#endif  // MONOREPO_RPC_CLIENT_H_
