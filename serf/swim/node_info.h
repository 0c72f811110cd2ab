#ifndef SERF_SWIM_NODE_INFO_H_
#define SERF_SWIM_NODE_INFO_H_

// NodeInfo: what a node says of itself, immutable and interned by content, so that the thousands
// of tables of a simulation share one copy (architecture.md, Data structures).

#include <cstdint>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/base/newtype.h"
#include "serf/wire/swim_messages.h"

namespace serf::swim {

// A row of the member table. Stable from join to purge; then reused.
using MemberIndex = Newtype<struct MemberIndexTag, std::uint32_t>;

// As on the wire (spec/memberlist.md 4.1). Append-only.
enum class NodeState : std::uint8_t { kAlive = 0, kSuspect = 1, kDead = 2, kLeft = 3 };

class NodeInfo;      // name(), endpoint(), meta(), versions(), hash()
class NodeInfoPool;  // Intern(...) -> NodeInfoRef; shared by the nodes of a process, one thread

}  // namespace serf::swim

#endif  // SERF_SWIM_NODE_INFO_H_
