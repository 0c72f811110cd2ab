#ifndef MONOREPO_RPC_CLIENT_H_
#define MONOREPO_RPC_CLIENT_H_

// The monorepo's own client, in a folder of the same name as one of ours.
namespace monorepo {

inline constexpr int kClient = 1;

}  // namespace monorepo

#endif  // MONOREPO_RPC_CLIENT_H_
