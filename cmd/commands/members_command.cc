#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/base/time.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/commands/member_list.h"
#include "serf/cmd/commands/members_watch.h"
#include "serf/cmd/commands/screen.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/tag_flag.h"
#include "serf/cmd/text/duration.h"
#include "serf/cmd/text/quote.h"
#include "serf/member.h"
#include "serf/rpc/client.h"
#include "serf/rpc/protocol.h"
#include "serf/tags.h"

DEFINE_bool(members_detailed, false, "also show protocol versions");
DEFINE_string(members_format, "text", "text or json");
DEFINE_string(members_name, "", "regular expression of names");
DEFINE_string(members_role, "", "deprecated: regular expression of the tag \"role\"");
DEFINE_string(members_status, "", "regular expression of statuses");

namespace serf::cmd {
namespace {

int Run(std::span<const std::string> args) {
  std::vector<std::string> tag_words;
  bool watch = false;
  std::string interval = "0";
  std::string color = "auto";
  const std::vector<Flag> flags = WithClientFlags({
      {.name = "color", .variable = &color},
      {.name = "detailed", .gflag = "members_detailed"},
      {.name = "format", .gflag = "members_format"},
      {.name = "interval", .duration = true, .variable = &interval},
      {.name = "name", .gflag = "members_name"},
      {.name = "role", .gflag = "members_role"},
      {.name = "status", .gflag = "members_status"},
      {.name = "tag", .list = &tag_words},
      {.name = "watch", .variable = &watch},
  });
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  if (!words.ok()) return FlagError(kMembersCommand, words.status());

  if (!FLAGS_members_role.empty()) {
    Print("Deprecation warning: 'Role' has been replaced with 'Tags'\n");
    tag_words.push_back(absl::StrCat("role=", FLAGS_members_role));
  }
  absl::StatusOr<Tags> tags = ParseTags(tag_words);
  if (!tags.ok()) {
    Print(absl::StrCat("Error: ", absl::string_view(tags.status().message()), "\n"));
    return kExitFailure;
  }
  rpc::MembersFilteredRequest filter = {
      .tags = *std::move(tags), .status = FLAGS_members_status, .name = FLAGS_members_name};
  if (!IsColorMode(color)) {
    Print(absl::StrCat("Error: Invalid color ", Quote(color), ": auto, always or never\n"));
    return kExitFailure;
  }
  const Duration every = *ParseDuration(interval);
  if (every < Duration::zero()) {
    Print(absl::StrCat("Error: Invalid interval ", interval, ", must not be negative\n"));
    return kExitFailure;
  }
  if (watch && (FLAGS_members_format == "text" || FLAGS_members_format == "json")) {
    return WatchMembers({.filter = std::move(filter),
                         .json = FLAGS_members_format == "json",
                         .detailed = FLAGS_members_detailed,
                         .color = WantsColor(color),
                         .interval = every});
  }
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  absl::StatusOr<std::vector<Member>> members = client.MembersFiltered(std::move(filter));
  if (!members.ok()) {
    Print(absl::StrCat("Error retrieving members: ", absl::string_view(members.status().message()),
                       "\n"));
    return kExitFailure;
  }
  const auto by_name = [](const Member& a, const Member& b) { return a.name < b.name; };
  // Agents of this project have sorted them already.
  if (!absl::c_is_sorted(*members, by_name)) absl::c_sort(*members, by_name);
  if (FLAGS_members_format == "text") {
    Print(MemberTable(*members, FLAGS_members_detailed));
  } else if (FLAGS_members_format == "json") {
    PrintRaw(MemberJson(*members));
  } else {
    Print(
        absl::StrCat("Encoding error: Invalid output format ", Quote(FLAGS_members_format), "\n"));
    return kExitFailure;
  }
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf members [options]

  Lists the members of the cluster, as the agent knows them: name, address,
  status and tags. Left and failed members are listed for a day.

Options:

  -detailed                Also show the protocol versions.
  -format=text             "text" or "json".
  -name=EXPRESSION         Only members whose name matches.
  -status=EXPRESSION       Only members whose status matches: alive, leaving,
                           left or failed.
  -tag key=EXPRESSION      Only members with such a tag. May be repeated: all
                           must match.
  -role=EXPRESSION         Deprecated: the same as "-tag role=EXPRESSION".
  -watch                   Stay until interrupted. On a terminal: redraw the
                           table after each change. Else: print one line a
                           change, with -format=json one object a line.
  -interval=0              With -watch: also look after this time, "5s".
  -color=auto              With -watch: color the table: "auto", "always" or
                           "never".
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.

  An EXPRESSION is a regular expression (RE2) that matches from beginning to
  end.)";

}  // namespace

constinit const Command kMembersCommand = {.name = "members",
                                           .synopsis = "Lists the members of a Serf cluster",
                                           .help = kHelp,
                                           .run = Run};

}  // namespace serf::cmd
