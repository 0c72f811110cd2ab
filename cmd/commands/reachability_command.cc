#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdio>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/commands/interrupt.h"
#include "serf/cmd/commands/reachability.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/text/quote.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/client.h"
#include "serf/rpc/protocol.h"

DEFINE_bool(reachability_verbose, false, "show each acknowledgement");

namespace serf::cmd {
namespace {

using Clock = std::chrono::steady_clock;

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

// How long the command waits for surplus acknowledgements after all live members have sent theirs:
// several rounds of gossip, and at least as long as those took.
constexpr std::chrono::milliseconds kLateMin{500};

// Takes acknowledgements until the query ends, or until all are there and no more come.
absl::Status Collect(rpc::Client& client, Reachability& test) {
  const Clock::time_point begin = Clock::now();
  Clock::time_point last = begin;
  boost::asio::steady_timer late(client.io_context());
  const auto all_came = std::make_shared<bool>(false);
  for (bool waits = false;;) {
    if (test.complete() && !waits) {
      waits = true;
      late.expires_after(std::max<Clock::duration>(kLateMin, Clock::now() - begin));
      late.async_wait([all_came, client = &client](const auto& error) {
        if (error) return;
        *all_came = true;
        client->Interrupt();
      });
    }
    const absl::StatusOr<rpc::Client::Record> record = client.Next();
    if (!record.ok() && *all_came) break;
    if (!record.ok()) return record.status();
    const auto& answer = std::get<rpc::AnswerRecord>(record->value);
    if (answer.kind == QueryUpdate::Kind::kDone) break;
    if (answer.kind != QueryUpdate::Kind::kAck) continue;
    last = Clock::now();
    const std::string name = EscapeControls(answer.from);
    if (FLAGS_reachability_verbose) Print(absl::StrCat("\tAck from '", name, "'\n"));
    if (!test.OnAck(answer.from)) Print(absl::StrCat("Duplicate response from '", name, "'\n"));
    std::fflush(stdout);
  }
  if (FLAGS_reachability_verbose) {
    Print(absl::StrFormat("Query time: %.2f sec, time to last response: %.2f sec\n",
                          Seconds(Clock::now() - begin), Seconds(last - begin)));
  }
  return absl::OkStatus();
}

int Run(std::span<const std::string> args) {
  const std::vector<Flag> flags =
      WithClientFlags({{.name = "verbose", .gflag = "reachability_verbose"}});
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  if (!words.ok()) return FlagError(kReachabilityCommand, words.status());
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  const absl::StatusOr<std::vector<Member>> members = client.Members();
  if (!members.ok()) {
    Print(absl::StrCat("Error getting members: ", absl::string_view(members.status().message()),
                       "\n"));
    return kExitFailure;
  }
  std::set<std::string> live;
  for (const Member& member : *members) {
    if (member.status == MemberStatus::kAlive) live.insert(member.name);
  }
  Print(absl::StrCat("Total members: ", members->size(), ", live members: ", live.size(), "\n"));

  QueryParams params;
  params.request_ack = true;
  const absl::Status asked = client.SendQuery(std::string(kPingQuery), "", params).status();
  if (!asked.ok()) {
    Print(absl::StrCat("Error sending query: ", absl::string_view(asked.message()), "\n"));
    return kExitFailure;
  }
  // Caught only from here on: while the calls above wait, an interrupt ends the process.
  const CatchInterrupt caught(client);
  Print("Starting reachability test...\n");
  std::fflush(stdout);
  Reachability test(live);
  const absl::Status ended = Collect(client, test);
  if (absl::IsCancelled(ended)) {
    Print("Test interrupted\n");
    return kExitFailure;
  }
  if (!ended.ok()) {
    Print(absl::StrCat("Error receiving acks: ", absl::string_view(ended.message()), "\n"));
    return kExitFailure;
  }
  Print(test.Verdict());
  return test.passed() ? kExitSuccess : kExitFailure;
}

constexpr char kHelp[] =
    R"(Usage: serf reachability [options]

  Asks all members for a sign of life through the gossip network, waits until
  all have answered, or as long as a query takes, and compares who did with who
  is said to live. If they differ, it says what that may mean.

Options:

  -verbose                 Also show each acknowledgement, and the times.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kReachabilityCommand = {
    .name = "reachability", .synopsis = "Test network reachability", .help = kHelp, .run = Run};

}  // namespace serf::cmd
