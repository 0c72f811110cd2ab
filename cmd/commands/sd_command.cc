#include <sys/types.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/commands/member_feed.h"
#include "serf/cmd/discovery/member_services.h"
#include "serf/cmd/discovery/targets.h"
#include "serf/cmd/files/file_text.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/tag_flag.h"
#include "serf/cmd/text/quote.h"
#include "serf/member.h"
#include "serf/rpc/client.h"
#include "serf/rpc/protocol.h"
#include "serf/tags.h"

namespace serf::cmd {
namespace {

// Between two attempts to reach an agent that is away: soon enough that a restart of the agent
// hardly ages the file, and seldom enough to cost nothing.
constexpr std::chrono::seconds kRetry{1};

// The program that reads the file runs as another user. The umask still counts.
constexpr mode_t kFileMode = 0666;

struct Request {
  std::string format = "prometheus";
  TargetOptions targets;
  rpc::MembersFilteredRequest filter;
  std::string out;  // empty: standard output
  bool watch = false;
};

std::optional<MemberStatus> ParseStatus(absl::string_view text) {
  for (const MemberStatus status :
       {MemberStatus::kAlive, MemberStatus::kLeaving, MemberStatus::kLeft, MemberStatus::kFailed}) {
    if (text == MemberStatusName(status)) return status;
  }
  return std::nullopt;
}

// The request of the command line. An error's message is the mistake.
absl::StatusOr<Request> ParseRequest(std::span<const std::string> args) {
  Request request;
  std::vector<std::string> statuses;
  std::vector<std::string> tags;
  constexpr std::int64_t kNoPort = std::numeric_limits<std::int64_t>::min();
  std::int64_t port = kNoPort;
  std::string service;
  const std::vector<Flag> flags =
      WithClientFlags({{.name = "format", .variable = &request.format},
                       {.name = "out", .variable = &request.out},
                       {.name = "port", .variable = &port},
                       {.name = "port-tag", .variable = &request.targets.port_tag},
                       {.name = "service", .variable = &request.targets.service},
                       {.name = "status", .list = &statuses},
                       {.name = "tag", .list = &tags},
                       {.name = "watch", .variable = &request.watch}});
  const absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  // Aborted: FlagError() prints it.
  if (!words.ok()) return absl::AbortedError(words.status().message());
  if (!words->empty()) {
    return absl::InvalidArgumentError(absl::StrCat("Unexpected argument: ", words->front()));
  }
  if (request.format != "prometheus" && request.format != "hosts" && request.format != "json") {
    return absl::InvalidArgumentError(absl::StrCat("Invalid output format ", Quote(request.format),
                                                   ": prometheus, hosts or json"));
  }
  if (port != kNoPort && (port < 1 || port > 0xffff)) {
    return absl::InvalidArgumentError(
        absl::StrCat("Invalid port: ", port, ", must be from 1 to 65535"));
  }
  if (port != kNoPort) request.targets.port = static_cast<std::uint16_t>(port);
  if (!request.targets.service.empty() && !IsServiceName(request.targets.service)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Invalid service ", Quote(request.targets.service), ": must be one DNS label"));
  }
  if (request.format == "hosts") request.targets.statuses = {MemberStatus::kAlive};
  if (!statuses.empty()) request.targets.statuses.clear();
  for (const std::string& text : statuses) {
    const std::optional<MemberStatus> status = ParseStatus(text);
    if (!status) {
      return absl::InvalidArgumentError(
          absl::StrCat("Invalid status ", Quote(text), ": alive, leaving, left or failed"));
    }
    request.targets.statuses.push_back(*status);
  }
  absl::StatusOr<Tags> parsed = ParseTags(tags);
  if (!parsed.ok()) return parsed.status();
  request.filter.tags = *std::move(parsed);
  if (request.watch && request.out.empty()) {
    return absl::InvalidArgumentError("-watch needs -out=FILE");
  }
  return request;
}

std::string TextOf(const Request& request, std::span<const Member> members,
                   absl::string_view agent) {
  const std::vector<Target> targets = SelectTargets(members, request.targets);
  if (request.format == "hosts") return HostsText(targets);
  if (request.format == "json") return TargetsJson(targets);
  return PrometheusText(targets, agent);
}

// Runs `serf sd`: for one list, or with -watch for each, over one connection after the other.
class Writer {
 public:
  explicit Writer(Request request) : request_(std::move(request)), retry_(io_) {}

  // With -watch it returns only if no further attempt could help. A signal then ends the process:
  // there is nothing to put in order.
  int Run() {
    if (request_.watch) RemoveLeftover(request_.out);
    Connect();
    io_.run();
    return exit_code_;
  }

 private:
  void Connect() {
    MemberFeed::Options options = {.address = AgentAddressFromFlags(),
                                   .client = ClientOptionsFromFlags(),
                                   .filter = request_.filter};
    if (!request_.watch) options.events = "";
    feed_ = std::make_shared<MemberFeed>(io_, std::move(options));
    feed_->on_members = [this](const std::vector<Member>& members) { OnMembers(members); };
    feed_->on_end = [this](const absl::Status& why) { OnEnd(why); };
    feed_->Start();
  }

  void OnMembers(const std::vector<Member>& members) {
    const std::string text = TextOf(request_, members, feed_->agent());
    if (std::exchange(away_, false)) PrintError("The agent is back\n");
    absl::Status status;
    if (request_.out.empty()) {
      request_.format == "hosts" ? Print(text) : PrintRaw(text);
    } else if (written_ != text) {
      status = WriteTextFile(request_.out, text, kFileMode);
    }
    if (!request_.watch) return Finish(status);
    if (status.ok()) {
      written_ = text;
      return;
    }
    // The next list tries again: a full disk may have room then.
    if (written_) return PrintError(WriteError(status));
    Finish(status);
  }

  void OnEnd(const absl::Status& why) {
    const std::string reason(why.message());
    if (!request_.watch || absl::IsInvalidArgument(why)) {
      Print(absl::StrCat(reason, "\n"));
      return Stop(kExitFailure);
    }
    if (!std::exchange(away_, true)) {
      PrintError(
          absl::StrCat(reason, "; ", request_.out, " stays as it is until the agent is back\n"));
    }
    retry_.expires_after(kRetry);
    retry_.async_wait([this](const boost::system::error_code& error) {
      if (!error) Connect();
    });
  }

  static std::string WriteError(const absl::Status& status) {
    return absl::StrCat("Error writing targets: ", absl::string_view(status.message()), "\n");
  }

  void Finish(const absl::Status& written) {
    if (!written.ok()) Print(WriteError(written));
    Stop(written.ok() ? kExitSuccess : kExitFailure);
  }

  void Stop(int exit_code) {
    exit_code_ = exit_code;
    feed_->Close();
    io_.stop();
  }

  const Request request_;
  boost::asio::io_context io_{1};
  boost::asio::steady_timer retry_;
  std::shared_ptr<MemberFeed> feed_;
  std::optional<std::string> written_;  // what the file has from this process
  bool away_ = false;
  int exit_code_ = kExitFailure;
};

int Run(std::span<const std::string> args) {
  absl::StatusOr<Request> request = ParseRequest(args);
  if (absl::IsAborted(request.status())) return FlagError(kSdCommand, request.status());
  if (!request.ok()) return UsageError(kSdCommand, request.status().message());
  return Writer(*std::move(request)).Run();
}

constexpr char kHelp[] =
    R"(Usage: serf sd [options]

  Service discovery for other programs: writes the members, as the agent knows
  them, in the form in which Prometheus (file_sd_configs), dnsmasq (addn-hosts)
  or a script reads them.

Options:

  -format=prometheus       "prometheus", "hosts" or "json".
  -port=PORT               Port of the targets. Default: the gossip port.
  -port-tag=TAG            The tag that holds the port. Members without a port
                           there are left out, unless -port is given.
  -service=NAME            Only members that offer this service, at its port:
                           those with a tag "service.NAME=PORT", or with
                           "role=NAME" and the port in the tag "port".
  -status=STATUS           Only members with this status: alive, leaving, left
                           or failed. May be repeated. Default: alive and
                           failed; with -format=hosts alive.
  -tag key=EXPRESSION      Only members with such a tag. May be repeated: all
                           must match.
  -out=FILE                Write to this file, which is replaced as a whole.
                           Default: standard output.
  -watch                   Keep FILE up to date until interrupted. While the
                           agent is away, FILE stays as it is.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.

  An EXPRESSION is a regular expression (RE2) that matches from beginning to
  end.)";

}  // namespace

constinit const Command kSdCommand = {.name = "sd",
                                      .synopsis = "Writes the members for service discovery",
                                      .help = kHelp,
                                      .run = Run};

}  // namespace serf::cmd
