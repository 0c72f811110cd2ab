#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gflags/gflags.h"
#include "serf/cmd/command.h"
#include "serf/cmd/commands/client_flags.h"
#include "serf/cmd/commands/commands.h"
#include "serf/cmd/commands/interrupt.h"
#include "serf/cmd/commands/query_answers.h"
#include "serf/cmd/flags.h"
#include "serf/cmd/tag_flag.h"
#include "serf/cmd/text/duration.h"
#include "serf/query.h"
#include "serf/rpc/client.h"
#include "serf/rpc/protocol.h"
#include "serf/tags.h"

DEFINE_string(query_format, "text", "text or json");
DEFINE_bool(query_no_ack, false, "do not ask for acknowledgements");
DEFINE_int64(query_relay_factor, 0, "members through which each answer goes once more");
DEFINE_string(query_timeout, "0s", "how long answers are taken; 0s: as long as the agent thinks");
DEFINE_bool(query_wait, false, "wait for the whole timeout");

namespace serf::cmd {
namespace {

struct Question {
  std::string name;
  std::string payload;
  QueryParams params;
};

// The question that the words ask, or the exit code if they are wrong.
std::variant<Question, int> ParseQuestion(std::span<const std::string> args) {
  Question question;
  std::vector<std::string> tag_words;
  const std::vector<Flag> flags = WithClientFlags({
      {.name = "format", .gflag = "query_format"},
      {.name = "node", .list = &question.params.filter_nodes},
      {.name = "tag", .list = &tag_words},
      {.name = "timeout", .gflag = "query_timeout", .duration = true},
      {.name = "no-ack", .gflag = "query_no_ack"},
      {.name = "relay-factor", .gflag = "query_relay_factor"},
      {.name = "wait", .gflag = "query_wait"},
  });
  absl::StatusOr<std::vector<std::string>> words = ParseFlags(flags, args);
  if (!words.ok()) return FlagError(kQueryCommand, words.status());
  absl::StatusOr<Tags> tags = ParseTags(tag_words);
  if (!tags.ok()) {
    Print(absl::StrCat("Error: ", absl::string_view(tags.status().message()), "\n"));
    return kExitFailure;
  }
  if (words->empty()) return UsageError(kQueryCommand, "A query name must be specified.");
  if (words->size() > 2) {
    return UsageError(
        kQueryCommand,
        "Too many command line arguments. Only a name and payload must be specified.");
  }
  constexpr std::int64_t kRelayFactorMax = std::numeric_limits<std::uint8_t>::max();
  if (FLAGS_query_relay_factor < 0 || FLAGS_query_relay_factor > kRelayFactorMax) {
    Print(absl::StrCat("Relay factor must be between 0 and ", kRelayFactorMax, "\n"));
    return kExitFailure;
  }
  question.name = words->front();
  if (words->size() == 2) question.payload = words->back();
  question.params.filter_tags = *std::move(tags);
  question.params.request_ack = !FLAGS_query_no_ack;
  question.params.relay_factor = static_cast<std::uint8_t>(FLAGS_query_relay_factor);
  question.params.timeout = *ParseDuration(FLAGS_query_timeout);
  question.params.finish_early = !FLAGS_query_wait;
  // Agents set this variable for their event handlers.
  question.params.from_handler = std::getenv("SERF_EVENT") != nullptr;
  return question;
}

// Takes answers until the query ends. With `print` it shows each at once.
absl::Status Collect(rpc::Client& client, bool print, QueryAnswers& answers) {
  for (;;) {
    absl::StatusOr<rpc::Client::Record> record = client.Next();
    if (!record.ok()) return record.status();
    auto& answer = std::get<rpc::AnswerRecord>(record->value);
    if (answer.kind == QueryUpdate::Kind::kDone) return absl::OkStatus();
    const std::string line = answer.kind == QueryUpdate::Kind::kAck
                                 ? answers.OnAck(answer.from)
                                 : answers.OnResponse(answer.from, std::move(answer.payload));
    if (!print) continue;
    Print(line);
    if (std::fflush(stdout) != 0) return absl::CancelledError("nobody reads the answers");
  }
}

int Run(std::span<const std::string> args) {
  std::variant<Question, int> parsed = ParseQuestion(args);
  if (const int* exit_code = std::get_if<int>(&parsed)) return *exit_code;
  Question& question = std::get<Question>(parsed);
  rpc::Client client(ClientOptionsFromFlags());
  if (!ConnectToAgent(client)) return kExitFailure;
  const bool json = FLAGS_query_format == "json";
  if (!json && FLAGS_query_format != "text") {
    Print(absl::StrCat("Invalid format: ", FLAGS_query_format, "\n"));
    return kExitFailure;
  }
  const absl::Status asked =
      client.SendQuery(question.name, question.payload, question.params).status();
  if (!asked.ok()) {
    Print(absl::StrCat("Error sending query: ", absl::string_view(asked.message()), "\n"));
    return kExitFailure;
  }
  // Caught only from here on: while the calls above wait, an interrupt ends the process.
  const CatchInterrupt caught(client);
  if (!json) {
    Print(absl::StrCat("Query '", question.name, "' dispatched\n"));
    std::fflush(stdout);
  }
  QueryAnswers answers(question.params.request_ack);
  const absl::Status ended = Collect(client, !json, answers);
  if (absl::IsCancelled(ended)) return kExitFailure;
  if (!ended.ok()) {
    // The answers are incomplete: no totals, and no JSON that a program could take for complete.
    Print(absl::StrCat("Error receiving responses: ", absl::string_view(ended.message()), "\n"));
    return kExitFailure;
  }
  if (json) {
    PrintRaw(answers.ToJson());
  } else {
    Print(answers.Totals());
  }
  return kExitSuccess;
}

constexpr char kHelp[] =
    R"(Usage: serf query [options] name payload

  Asks all members, or those that the options choose, and prints who heard of
  it (acks) and what they answer. The payload is optional; it reaches the event
  handlers on their standard input, and what a handler prints is the answer of
  its node.

  It ends as soon as every live node that was asked has acknowledged and
  answered, and at the latest after the timeout.

Options:

  -format=text             "text" or "json".
  -node=NAME               Asks only this node. May be repeated.
  -no-ack                  Does not ask for acknowledgements.
  -relay-factor=0          Each answer also goes through so many other members,
                           up to 255: it comes even if the way back is broken.
  -tag key=EXPRESSION      Asks only nodes with such a tag: a regular expression
                           (RE2) that matches anywhere. May be repeated: all
                           must match.
  -timeout=0s              How long answers are taken. 0s: as long as it takes
                           to reach all members of a cluster of this size.
  -wait                    Waits for the whole timeout in any case.
  -rpc-addr=127.0.0.1:7373 Address of the agent. Default: SERF_RPC_ADDR.
  -rpc-auth=KEY            Key of the agent. Default: SERF_RPC_AUTH.)";

}  // namespace

constinit const Command kQueryCommand = {
    .name = "query", .synopsis = "Send a query to the Serf cluster", .help = kHelp, .run = Run};

}  // namespace serf::cmd
