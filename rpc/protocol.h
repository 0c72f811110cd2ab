// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_PROTOCOL_H_
#define SERF_RPC_PROTOCOL_H_

// The agent's RPC protocol (IPC version 1): its commands, records, error texts and limits. A
// program that talks to an agent uses Client or AsyncClient, and finds here only the records that
// they return: EventRecord, LogRecord, AnswerRecord, and the requests that they take. encode.h and
// decode.h turn records into bytes and back.
//
//   for (const CommandTraits& command : kCommands) std::puts(std::string(command.name).c_str());
//
// All of it is constants and plain values; any thread may use them. Commands and fields are the
// wire format: a later version appends, and renames nothing. Source: docs/protocol/agent.md 1.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/logger.h"
#include "serf/base/time.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/tags.h"
#include "serf/wire/coordinate_message.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/record.h"

namespace serf::rpc {

// The only version of the protocol.
inline constexpr std::int32_t kIpcVersion = 1;

// --- limits ---

// The most bytes of one request from an authenticated client. The largest honest request is a join
// with thousands of addresses.
inline constexpr std::size_t kRequestSizeMax = std::size_t{1} << 20;
// The same before the handshake and the authentication, where only a header and a key must fit.
inline constexpr std::size_t kLoginSizeMax = std::size_t{16} << 10;
// The most bytes of one reply of an agent: 50,000 members with 512 bytes of tags each.
inline constexpr std::size_t kReplySizeMax = std::size_t{64} << 20;
// The most containers within containers. Records nest four deep.
inline constexpr std::size_t kNestingMax = wire::kSkipNestingMax;
// The most addresses of one join; the agent contacts each in turn.
inline constexpr std::size_t kJoinAddressesMax = 4096;
// The most entries of one map, such as the tags of a request: more than 512 bytes of metadata hold,
// and than any reply has. An entry takes 100 bytes and more of memory for as few as two on the
// wire.
inline constexpr std::size_t kMapEntriesMax = 16'384;
// The most records that wait for a slow client, per stream and monitor. The agent drops further
// ones (docs/protocol/agent.md 1.9.2).
inline constexpr std::size_t kQueueMax = 512;
// The same in bytes, per stream: one event may hold all members.
inline constexpr std::size_t kQueueBytesMax = std::size_t{32} << 20;
// The most lines of the log that a new monitor receives at first (docs/protocol/agent.md 1.9.3).
inline constexpr std::size_t kLogHistoryMax = 512;
// The same in bytes, and the most bytes of one line. A client with a list of thousands of addresses
// can make a line of a megabyte, and more than one.
inline constexpr std::size_t kLogHistoryBytesMax = std::size_t{2} << 20;
inline constexpr std::size_t kLogLineMax = std::size_t{64} << 10;
// The most event streams of one connection. Each costs a look at every event, and 200 bytes.
inline constexpr std::size_t kStreamsMax = 1024;
// The most running queries of one connection: 500 a second that end after 16 s, the default timeout
// of 10,000 nodes. Each takes 300 bytes here, and state on every node.
inline constexpr std::size_t kQueriesMax = 8192;
// The most bytes of answers that wait for a client that does not read. Beyond it the agent closes
// the connection, because an incomplete set of answers would look complete. More than 10,000 nodes
// answer to one query.
inline constexpr std::size_t kAnswersWaitingMax = std::size_t{32} << 20;
// The most records that wait at a blocking client while one of its calls waits for an answer, in
// number and in memory. Beyond it the client closes the connection, because it can neither wait nor
// drop. More than 10,000 nodes answer to one query.
inline constexpr std::size_t kRecordsWaitingMax = 65'536;
inline constexpr std::size_t kRecordBytesWaitingMax = std::size_t{32} << 20;
// The most queries that streams have delivered to one connection and that it may still answer: as
// many as another connection may ask at once; 600 KB.
inline constexpr std::size_t kPendingQueriesMax = kQueriesMax;
// The most wrong keys of one connection, and how long the answer to each takes: slow enough that an
// attack with a dictionary is noticed, fast enough after a typing error.
inline constexpr int kAuthAttemptsMax = 3;
inline constexpr Duration kAuthDelay = std::chrono::milliseconds(250);
// The time from the connection to the handshake, and to the authentication if the agent has a key.
inline constexpr Duration kHandshakeTimeout = std::chrono::seconds(10);
inline constexpr Duration kAuthTimeout = std::chrono::seconds(60);
// The time from the first byte of a request to its last.
inline constexpr Duration kRequestTimeout = std::chrono::seconds(10);

// --- errors (docs/protocol/agent.md 1.5) ---

inline constexpr absl::string_view kUnsupportedCommand = "Unsupported command";
inline constexpr absl::string_view kUnsupportedVersion = "Unsupported IPC version";
inline constexpr absl::string_view kDuplicateHandshake = "Handshake already performed";
inline constexpr absl::string_view kHandshakeRequired = "Handshake required";
inline constexpr absl::string_view kAuthRequired = "Authentication required";
inline constexpr absl::string_view kInvalidAuthToken = "Invalid authentication token";
inline constexpr absl::string_view kMonitorExists = "Monitor already exists";
inline constexpr absl::string_view kUnknownLogLevel = "Unknown log level: ";
inline constexpr absl::string_view kInvalidFilter = "Invalid event filter";
inline constexpr absl::string_view kStreamExists = "Stream with given sequence exists";
inline constexpr absl::string_view kNoPendingQuery = "No pending queries matching ID";
inline constexpr absl::string_view kReservedQueryName =
    "Queries cannot contain the '_serf_' prefix";
// Texts of this project. Go Serf has no such limits.
inline constexpr absl::string_view kTooManyStreams = "Too many streams";
inline constexpr absl::string_view kTooManyQueries = "Too many queries";
inline constexpr absl::string_view kTooBusy = "Too many requests";
inline constexpr absl::string_view kFilterTooSlow =
    "Failed to compile regex: the expressions take too long to match";
// What the waiting calls of a client get when the connection ends (docs/protocol/agent.md 1.11).
inline constexpr absl::string_view kClientClosed = "client closed";

// True if no body follows this error, whatever the command (docs/protocol/agent.md 1.3).
inline bool IsHeaderOnlyError(absl::string_view error) {
  return error == kHandshakeRequired || error == kAuthRequired || error == kUnsupportedCommand;
}

// --- commands (docs/protocol/agent.md 1.7) ---

enum class Command : std::uint8_t {
  kHandshake,
  kAuth,
  kEvent,
  kForceLeave,
  kJoin,
  kMembers,
  kMembersFiltered,
  kStream,
  kStop,
  kMonitor,
  kLeave,
  kTags,
  kQuery,
  kRespond,
  kInstallKey,
  kUseKey,
  kRemoveKey,
  kListKeys,
  kStats,
  kGetCoordinate,
};

// When a body follows the header of a reply.
enum class ReplyBody : std::uint8_t { kNever, kOnSuccess, kAlways };

// What a command looks like on the wire.
struct CommandTraits {
  Command command;
  absl::string_view name;
  bool request_body;
  ReplyBody reply_body;
};

// In the order of Command. The errors of IsHeaderOnlyError() have no body even for kAlways.
inline constexpr CommandTraits kCommands[] = {
    {Command::kHandshake, "handshake", true, ReplyBody::kNever},
    {Command::kAuth, "auth", true, ReplyBody::kNever},
    {Command::kEvent, "event", true, ReplyBody::kNever},
    {Command::kForceLeave, "force-leave", true, ReplyBody::kNever},
    {Command::kJoin, "join", true, ReplyBody::kAlways},
    {Command::kMembers, "members", false, ReplyBody::kOnSuccess},
    {Command::kMembersFiltered, "members-filtered", true, ReplyBody::kOnSuccess},
    {Command::kStream, "stream", true, ReplyBody::kNever},
    {Command::kStop, "stop", true, ReplyBody::kNever},
    {Command::kMonitor, "monitor", true, ReplyBody::kNever},
    {Command::kLeave, "leave", false, ReplyBody::kNever},
    {Command::kTags, "tags", true, ReplyBody::kNever},
    {Command::kQuery, "query", true, ReplyBody::kNever},
    {Command::kRespond, "respond", true, ReplyBody::kNever},
    {Command::kInstallKey, "install-key", true, ReplyBody::kAlways},
    {Command::kUseKey, "use-key", true, ReplyBody::kAlways},
    {Command::kRemoveKey, "remove-key", true, ReplyBody::kAlways},
    {Command::kListKeys, "list-keys", false, ReplyBody::kAlways},
    {Command::kStats, "stats", false, ReplyBody::kOnSuccess},
    {Command::kGetCoordinate, "get-coordinate", true, ReplyBody::kOnSuccess},
};

inline constexpr const CommandTraits& TraitsOf(Command command) {
  return kCommands[static_cast<std::size_t>(command)];
}

// The command with this name; null if there is none.
inline const CommandTraits* FindCommand(absl::string_view name) {
  for (const CommandTraits& traits : kCommands) {
    if (traits.name == name) return &traits;
  }
  return nullptr;
}

// --- records: RecordFields() lists their fields in the order that the array form has ---

// Precedes each request. The client chooses `seq`, and the reply repeats it.
struct RequestHeader {
  std::string command;
  std::uint64_t seq = 0;
};

// Precedes each reply and each record of a stream. `error` is empty after a success.
struct ResponseHeader {
  absl::string_view error;  // a view of the decoded object
  std::uint64_t seq = 0;
};

struct HandshakeRequest {
  std::int32_t version = 0;
};

struct AuthRequest {
  std::string auth_key;
};

// Bytes, which travel as msgpack bytes and not as text.
struct ByteString {
  std::string data;
};

// Sends a user event.
struct EventRequest {
  std::string name;
  ByteString payload;
  bool coalesce = false;
};

struct KeyRequest {
  std::string key;  // base64
};

// The reply to a key operation, after an error too.
struct KeysReply {
  std::map<std::string, std::string> messages;  // by the name of the node
  std::map<std::string, std::uint64_t> keys;    // for list-keys: how many nodes have each key
  std::uint64_t nodes = 0;                      // how many nodes are alive
  std::uint64_t errors = 0;
  std::uint64_t responses = 0;
};

struct JoinRequest {
  std::vector<std::string> existing;
  bool replay = false;
  // Whether the reply should name the failures. An extension of this project; Go Serf ignores it.
  bool failures = false;
};

// How many addresses answered.
struct JoinReply {
  std::int32_t num = 0;
  // One text for each address that did not answer. An extension of this project.
  std::vector<std::string> failures = {};
};

struct ForceLeaveRequest {
  std::string node;
  bool prune = false;
};

// Which members to list. Each text is an RE2 expression, to which the agent adds "^" and "$"; so
// "a|b" means "^a|b$". Empty status and name match all; each tag named must match. For example, all
// live members of a role:
//
//   MembersFilteredRequest filter{.tags = {{"role", "web"}}, .status = "alive"};
struct MembersFilteredRequest {
  Tags tags;
  std::string status;
  std::string name;
};

struct MembersReply {
  std::vector<Member> members;
};

// Opens a stream of events.
struct StreamRequest {
  std::string type;  // the grammar is in event_filter.h
};

// Ends the stream or monitor that was opened with the number `stop`.
struct StopRequest {
  std::uint64_t stop = 0;
};

// Opens a monitor: "TRACE" to "ERR", in any case.
struct MonitorRequest {
  std::string log_level;
};

// Removes the tags named by `delete_tags`, then sets `tags`.
struct TagsRequest {
  Tags tags;
  std::vector<std::string> delete_tags;
};

// The fields of QueryParams, with the name and the payload of the query.
struct QueryRequest {
  std::vector<std::string> filter_nodes;
  Tags filter_tags;
  bool request_ack = false;
  std::uint8_t relay_factor = 0;
  std::int64_t timeout = 0;  // nanoseconds
  std::string name;
  ByteString payload;
  // Extensions of this project. A Go agent ignores them. A Go client never sends them, and so gets
  // the whole timeout that it expects.
  bool finish_early = false;
  bool from_handler = false;
};

// The request for a query with these parameters.
inline QueryRequest MakeQueryRequest(std::string name, std::string payload, QueryParams params) {
  QueryRequest request;
  request.filter_nodes = std::move(params.filter_nodes);
  request.filter_tags = std::move(params.filter_tags);
  request.request_ack = params.request_ack;
  request.relay_factor = params.relay_factor;
  request.timeout = params.timeout.count();
  request.name = std::move(name);
  request.payload.data = std::move(payload);
  request.finish_early = params.finish_early;
  request.from_handler = params.from_handler;
  return request;
}

// The parameters of a request, moved out of it.
inline QueryParams TakeParams(QueryRequest& request) {
  QueryParams params;
  params.filter_nodes = std::move(request.filter_nodes);
  params.filter_tags = std::move(request.filter_tags);
  params.request_ack = request.request_ack;
  params.relay_factor = request.relay_factor;
  params.timeout = Duration(request.timeout);
  params.finish_early = request.finish_early;
  params.from_handler = request.from_handler;
  return params;
}

// Answers a query.
struct RespondRequest {
  std::uint64_t id = 0;  // QueryRecord::id
  ByteString payload;
};

// Asks for the network coordinate of a node.
struct CoordinateRequest {
  std::string node;
};

// If `ok` is false the coordinate is zero and its vector nil.
struct CoordinateReply {
  wire::CoordinateMessage coord;
  bool ok = false;
};

// A line of the agent's log, as a monitor shows it, with its time.
struct LogRecord {
  std::string log;
};

// A query, as a stream shows it. `id` is for Client::Respond(), on the same connection.
struct QueryRecord {
  std::uint64_t id = 0;
  wire::LamportTime time;
  std::string name;
  std::string payload;  // bytes
};

// What a stream of events delivers (docs/protocol/agent.md 1.9.2).
using EventRecord = std::variant<MemberEvent, UserEvent, QueryRecord>;

// What a query delivers (docs/protocol/agent.md 1.9.4). The last record is kDone.
struct AnswerRecord {
  QueryUpdate::Kind kind = QueryUpdate::Kind::kDone;
  std::string from;     // the name of the node; empty for kDone
  std::string payload;  // for kResponse: any bytes
};

// "ack", "response", "done".
inline constexpr absl::string_view AnswerTypeName(QueryUpdate::Kind kind) {
  switch (kind) {
    case QueryUpdate::Kind::kAck:
      return "ack";
    case QueryUpdate::Kind::kResponse:
      return "response";
    case QueryUpdate::Kind::kDone:
      return "done";
  }
  return "";
}

constexpr auto RecordFields(const RequestHeader*) {
  return std::tuple{wire::Field{"Command", &RequestHeader::command},
                    wire::Field{"Seq", &RequestHeader::seq}};
}
constexpr auto RecordFields(const ResponseHeader*) {
  return std::tuple{wire::Field{"Seq", &ResponseHeader::seq},
                    wire::Field{"Error", &ResponseHeader::error}};
}
constexpr auto RecordFields(const HandshakeRequest*) {
  return std::tuple{wire::Field{"Version", &HandshakeRequest::version}};
}
constexpr auto RecordFields(const AuthRequest*) {
  return std::tuple{wire::Field{"AuthKey", &AuthRequest::auth_key}};
}
constexpr auto RecordFields(const EventRequest*) {
  return std::tuple{wire::Field{"Name", &EventRequest::name},
                    wire::Field{"Payload", &EventRequest::payload},
                    wire::Field{"Coalesce", &EventRequest::coalesce}};
}
constexpr auto RecordFields(const KeyRequest*) {
  return std::tuple{wire::Field{"Key", &KeyRequest::key}};
}
constexpr auto RecordFields(const KeysReply*) {
  return std::tuple{
      wire::Field{"Messages", &KeysReply::messages}, wire::Field{"Keys", &KeysReply::keys},
      wire::Field{"NumNodes", &KeysReply::nodes}, wire::Field{"NumErr", &KeysReply::errors},
      wire::Field{"NumResp", &KeysReply::responses}};
}
constexpr auto RecordFields(const JoinRequest*) {
  return std::tuple{wire::Field{"Existing", &JoinRequest::existing},
                    wire::Field{"Replay", &JoinRequest::replay},
                    wire::Field{"Failures", &JoinRequest::failures, wire::IfEmpty::kLeaveOut}};
}
constexpr auto RecordFields(const JoinReply*) {
  return std::tuple{wire::Field{"Num", &JoinReply::num},
                    wire::Field{"Failures", &JoinReply::failures, wire::IfEmpty::kLeaveOut}};
}
constexpr auto RecordFields(const ForceLeaveRequest*) {
  return std::tuple{wire::Field{"Node", &ForceLeaveRequest::node},
                    wire::Field{"Prune", &ForceLeaveRequest::prune}};
}
constexpr auto RecordFields(const MembersFilteredRequest*) {
  return std::tuple{wire::Field{"Tags", &MembersFilteredRequest::tags},
                    wire::Field{"Status", &MembersFilteredRequest::status},
                    wire::Field{"Name", &MembersFilteredRequest::name}};
}
constexpr auto RecordFields(const MembersReply*) {
  return std::tuple{wire::Field{"Members", &MembersReply::members}};
}
constexpr auto RecordFields(const StreamRequest*) {
  return std::tuple{wire::Field{"Type", &StreamRequest::type}};
}
constexpr auto RecordFields(const StopRequest*) {
  return std::tuple{wire::Field{"Stop", &StopRequest::stop}};
}
constexpr auto RecordFields(const MonitorRequest*) {
  return std::tuple{wire::Field{"LogLevel", &MonitorRequest::log_level}};
}
constexpr auto RecordFields(const TagsRequest*) {
  return std::tuple{wire::Field{"Tags", &TagsRequest::tags},
                    wire::Field{"DeleteTags", &TagsRequest::delete_tags}};
}
// Go Serf's client writes nil for an absent filter.
constexpr auto RecordFields(const QueryRequest*) {
  return std::tuple{
      wire::Field{"FilterNodes", &QueryRequest::filter_nodes, wire::IfEmpty::kNil},
      wire::Field{"FilterTags", &QueryRequest::filter_tags, wire::IfEmpty::kNil},
      wire::Field{"RequestAck", &QueryRequest::request_ack},
      wire::Field{"RelayFactor", &QueryRequest::relay_factor},
      wire::Field{"Timeout", &QueryRequest::timeout},
      wire::Field{"Name", &QueryRequest::name},
      wire::Field{"Payload", &QueryRequest::payload},
      wire::Field{"FinishEarly", &QueryRequest::finish_early, wire::IfEmpty::kLeaveOut},
      wire::Field{"FromHandler", &QueryRequest::from_handler, wire::IfEmpty::kLeaveOut}};
}
constexpr auto RecordFields(const RespondRequest*) {
  return std::tuple{wire::Field{"ID", &RespondRequest::id},
                    wire::Field{"Payload", &RespondRequest::payload}};
}
constexpr auto RecordFields(const CoordinateRequest*) {
  return std::tuple{wire::Field{"Node", &CoordinateRequest::node}};
}
constexpr auto RecordFields(const CoordinateReply*) {
  return std::tuple{wire::Field{"Coord", &CoordinateReply::coord},
                    wire::Field{"Ok", &CoordinateReply::ok}};
}
constexpr auto RecordFields(const LogRecord*) {
  return std::tuple{wire::Field{"Log", &LogRecord::log}};
}

}  // namespace serf::rpc

#endif  // SERF_RPC_PROTOCOL_H_
