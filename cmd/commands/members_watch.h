#ifndef SERF_CMD_COMMANDS_MEMBERS_WATCH_H_
#define SERF_CMD_COMMANDS_MEMBERS_WATCH_H_

// `serf members -watch`.

#include "absl/strings/string_view.h"
#include "serf/base/time.h"
#include "serf/rpc/protocol.h"

namespace serf::cmd {

struct MembersWatchOptions {
  rpc::MembersFilteredRequest filter;
  bool json = false;  // one object a change; not with a terminal's table
  bool detailed = false;
  bool color = false;
  // The list is also read so long after the last time; zero: only after events.
  Duration interval = Duration::zero();
};

// Shows the members and each change, until interrupted: on a terminal as a table that is drawn
// again, else as one line a change. Returns the exit code: 0 after an interrupt, 1 when the agent
// ends or cannot be reached.
int WatchMembers(const MembersWatchOptions& options);

}  // namespace serf::cmd

#endif  // SERF_CMD_COMMANDS_MEMBERS_WATCH_H_
