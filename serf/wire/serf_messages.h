// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_WIRE_SERF_MESSAGES_H_
#define SERF_WIRE_SERF_MESSAGES_H_

// The messages of the Serf layer. Structs, Encode and Decode are as in swim_messages.h: views
// everywhere, and absent bytes are a default ByteView.
//
//   Encode(LeaveMessage{.ltime = LamportTime(7), .node = "node-a"}, out);
//
//   DecodeScratch scratch;
//   LeaveMessage leave;
//   if (Decode(payload.subspan(1), leave, scratch) != DecodeResult::kOk) ...
//
// Lists and maps within messages are ListViews, which visit their elements one by one. Decoding
// checks the form only: names, times and sizes may have any value. Source: docs/protocol/serf.md
// 1.4.

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <tuple>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/wire/ids.h"
#include "serf/wire/list_view.h"
#include "serf/wire/message_type.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/record.h"

namespace serf::wire {

inline void AppendType(SerfMessageType type, ByteVector& out) {
  out.push_back(static_cast<std::uint8_t>(type));
}

// --- gossiped intents ---

// A leave intent: the member is about to leave, or an operator has forced it to.
struct LeaveMessage {
  static constexpr auto kType = SerfMessageType::kLeave;
  LamportTime ltime = {};
  absl::string_view node = {};  // the leaving member; not always the sender
  bool prune = false;           // also forget the member
};

// A join intent: the member has joined at this time, and earlier leave intents are obsolete.
struct JoinMessage {
  static constexpr auto kType = SerfMessageType::kJoin;
  LamportTime ltime = {};
  absl::string_view node = {};
};

constexpr auto RecordFields(const LeaveMessage*) {
  return std::tuple{Field{"LTime", &LeaveMessage::ltime}, Field{"Node", &LeaveMessage::node},
                    Field{"Prune", &LeaveMessage::prune}};
}

constexpr auto RecordFields(const JoinMessage*) {
  return std::tuple{Field{"LTime", &JoinMessage::ltime}, Field{"Node", &JoinMessage::node}};
}

// --- push/pull state ---

// An entry of StatusLTimes: the last time at which the status of a member changed.
struct StatusLTime {
  absl::string_view node = {};
  LamportTime ltime = {};

  bool ReadEntry(MsgpackReader& reader) { return reader.ReadKey(node) && reader.Read(ltime); }
  void WriteEntry(MsgpackWriter& writer) const { writer.Pair(node, ltime); }
};

// A user event of an EventSlot.
struct RecentEvent {
  absl::string_view name = {};
  ByteView payload = {};
};

// A slot of the event ring: the events of one time. An unused slot travels as nil.
struct EventSlot {
  bool used = false;
  LamportTime ltime = {};
  ListView<RecentEvent> events = {};

  bool ReadFrom(MsgpackReader& reader);
  void WriteTo(MsgpackWriter& writer) const;
};

// What nodes exchange in a push/pull: their clocks, the status of all members, recent user events.
struct PushPullState {
  static constexpr auto kType = SerfMessageType::kPushPull;
  LamportTime ltime = {};
  ListView<StatusLTime> status_ltimes = {};       // of all members; senders sort it by name
  ListView<absl::string_view> left_members = {};  // senders give a present list, even if empty
  LamportTime event_ltime = {};
  // Senders may omit unused slots.
  ListView<EventSlot> events = {};
  LamportTime query_ltime = {};
};

constexpr auto RecordFields(const RecentEvent*) {
  return std::tuple{Field{"Name", &RecentEvent::name}, Field{"Payload", &RecentEvent::payload}};
}

constexpr auto RecordFields(const EventSlot*) {
  return std::tuple{Field{"LTime", &EventSlot::ltime}, Field{"Events", &EventSlot::events}};
}

constexpr auto RecordFields(const PushPullState*) {
  return std::tuple{Field{"LTime", &PushPullState::ltime},
                    Field{"StatusLTimes", &PushPullState::status_ltimes},
                    Field{"LeftMembers", &PushPullState::left_members},
                    Field{"EventLTime", &PushPullState::event_ltime},
                    Field{"Events", &PushPullState::events},
                    Field{"QueryLTime", &PushPullState::query_ltime}};
}

inline bool EventSlot::ReadFrom(MsgpackReader& reader) {
  const bool nil = reader.NextIsNil();
  if (!reader.ReadRecord(*this)) return false;
  used = !nil;
  return true;
}

inline void EventSlot::WriteTo(MsgpackWriter& writer) const {
  used ? WriteRecord(writer, *this) : writer.Nil();
}

// --- user events ---

// A user event, gossiped.
struct UserEventMessage {
  static constexpr auto kType = SerfMessageType::kUserEvent;
  LamportTime ltime = {};
  absl::string_view name = {};
  ByteView payload = {};
  bool cc = false;  // receivers may coalesce it
};

constexpr auto RecordFields(const UserEventMessage*) {
  return std::tuple{
      Field{"LTime", &UserEventMessage::ltime}, Field{"Name", &UserEventMessage::name},
      Field{"Payload", &UserEventMessage::payload}, Field{"CC", &UserEventMessage::cc}};
}

// --- queries ---

inline constexpr std::uint32_t kQueryFlagAck = 1;          // the issuer wants acknowledgements
inline constexpr std::uint32_t kQueryFlagNoBroadcast = 2;  // do not gossip it on

// A query, gossiped. Time and id together name it.
struct QueryMessage {
  static constexpr auto kType = SerfMessageType::kQuery;
  LamportTime ltime = {};
  std::uint32_t id = 0;
  ByteView addr = {};  // the address of the issuer, which answers go to
  std::uint16_t port = 0;
  absl::string_view source_node = {};
  // The filters; absent without filters. Each is a type byte and a NodeFilter or TagFilter.
  ListView<ByteView> filters = {};
  std::uint32_t flags = 0;
  std::uint8_t relay_factor = 0;
  std::int64_t timeout_ns = 0;  // nanoseconds to answer, from receipt
  absl::string_view name = {};
  ByteView payload = {};
};

inline constexpr std::uint32_t kResponseFlagAck = 1;  // an acknowledgement, else an answer

// An answer or an acknowledgement, sent to the issuer. Time and id are those of the query.
struct QueryResponseMessage {
  static constexpr auto kType = SerfMessageType::kQueryResponse;
  LamportTime ltime = {};  // of the query
  std::uint32_t id = 0;    // of the query
  absl::string_view from = {};
  std::uint32_t flags = 0;
  ByteView payload = {};
};

constexpr auto RecordFields(const QueryMessage*) {
  return std::tuple{Field{"LTime", &QueryMessage::ltime},
                    Field{"ID", &QueryMessage::id},
                    Field{"Addr", &QueryMessage::addr},
                    Field{"Port", &QueryMessage::port},
                    Field{"SourceNode", &QueryMessage::source_node},
                    Field{"Filters", &QueryMessage::filters},
                    Field{"Flags", &QueryMessage::flags},
                    Field{"RelayFactor", &QueryMessage::relay_factor},
                    Field{"Timeout", &QueryMessage::timeout_ns},
                    Field{"Name", &QueryMessage::name},
                    Field{"Payload", &QueryMessage::payload}};
}

constexpr auto RecordFields(const QueryResponseMessage*) {
  return std::tuple{
      Field{"LTime", &QueryResponseMessage::ltime}, Field{"ID", &QueryResponseMessage::id},
      Field{"From", &QueryResponseMessage::from}, Field{"Flags", &QueryResponseMessage::flags},
      Field{"Payload", &QueryResponseMessage::payload}};
}

// An element of QueryMessage::filters:
//
//   filter      = 00 list of names | 01 tag-filter
//   tag-filter  = record {Tag, Expr}
struct TagFilter {
  absl::string_view tag = {};
  absl::string_view expr = {};  // RE2 syntax
};

using NodeFilter = ListView<absl::string_view>;

constexpr auto RecordFields(const TagFilter*) {
  return std::tuple{Field{"Tag", &TagFilter::tag}, Field{"Expr", &TagFilter::expr}};
}

inline void EncodeFilter(const NodeFilter& names, ByteVector& out) {
  out.push_back(static_cast<std::uint8_t>(FilterType::kNode));
  MsgpackWriter(out).Value(names);
}

inline void EncodeFilter(const TagFilter& filter, ByteVector& out) {
  out.push_back(static_cast<std::uint8_t>(FilterType::kTag));
  MsgpackWriter(out).Value(filter);
}

// To read a filter: the first byte is the FilterType (an empty filter has none). Decode() what
// follows as a NodeFilter or TagFilter.

// --- relays ---

struct RelayAddress {
  ByteView ip = {};
  std::int64_t port = 0;
  absl::string_view zone = {};  // of IPv6 link-local addresses
};

// Precedes the message to pass on, which follows the record at once; the caller appends it.
struct RelayHeader {
  static constexpr auto kType = SerfMessageType::kRelay;
  RelayAddress dest_addr = {};
  absl::string_view dest_name = {};
};

constexpr auto RecordFields(const RelayAddress*) {
  return std::tuple{Field{"IP", &RelayAddress::ip}, Field{"Port", &RelayAddress::port},
                    Field{"Zone", &RelayAddress::zone}};
}

constexpr auto RecordFields(const RelayHeader*) {
  return std::tuple{Field{"DestAddr", &RelayHeader::dest_addr},
                    Field{"DestName", &RelayHeader::dest_name}};
}

// --- payloads of internal queries and their answers ---

// An entry of a tag map.
struct TagEntry {
  absl::string_view name = {};
  absl::string_view value = {};

  bool ReadEntry(MsgpackReader& reader) { return reader.ReadKey(name) && reader.Read(value); }
  void WriteEntry(MsgpackWriter& writer) const { writer.Pair(name, value); }
};

// What a node knows about a name in conflict.
struct ConflictResponse {
  static constexpr auto kType = SerfMessageType::kConflictResponse;
  absl::string_view name = {};
  ByteView addr = {};
  std::uint16_t port = 0;
  ListView<TagEntry> tags = {};
  std::int64_t status = 0;  // a MemberStatus
  std::uint8_t protocol_min = 0;
  std::uint8_t protocol_max = 0;
  std::uint8_t protocol_cur = 0;
  std::uint8_t delegate_min = 0;
  std::uint8_t delegate_max = 0;
  std::uint8_t delegate_cur = 0;
};

struct KeyRequest {
  ByteView key = {};  // empty for list-keys
};

struct KeyResponse {
  static constexpr auto kType = SerfMessageType::kKeyResponse;
  bool result = false;
  absl::string_view message = {};
  ListView<absl::string_view> keys = {};  // base64, primary first; absent unless listed
  absl::string_view primary_key = {};     // base64
};

constexpr auto RecordFields(const ConflictResponse*) {
  return std::tuple{Field{"Name", &ConflictResponse::name},
                    Field{"Addr", &ConflictResponse::addr},
                    Field{"Port", &ConflictResponse::port},
                    Field{"Tags", &ConflictResponse::tags},
                    Field{"Status", &ConflictResponse::status},
                    Field{"ProtocolMin", &ConflictResponse::protocol_min},
                    Field{"ProtocolMax", &ConflictResponse::protocol_max},
                    Field{"ProtocolCur", &ConflictResponse::protocol_cur},
                    Field{"DelegateMin", &ConflictResponse::delegate_min},
                    Field{"DelegateMax", &ConflictResponse::delegate_max},
                    Field{"DelegateCur", &ConflictResponse::delegate_cur}};
}

constexpr auto RecordFields(const KeyRequest*) {
  return std::tuple{Field{"Key", &KeyRequest::key}};
}

constexpr auto RecordFields(const KeyResponse*) {
  return std::tuple{Field{"Result", &KeyResponse::result}, Field{"Message", &KeyResponse::message},
                    Field{"Keys", &KeyResponse::keys},
                    Field{"PrimaryKey", &KeyResponse::primary_key}};
}

// The answer of a node that does not know the name. It decodes as a ConflictResponse of zeros.
inline void EncodeUnknownConflict(ByteVector& out) {
  AppendType(SerfMessageType::kConflictResponse, out);
  MsgpackWriter(out).Nil();
}

// Unlike other bytes, an absent key travels as an empty one, as in the list-keys of Go Serf.
inline void Encode(const KeyRequest& m, ByteVector& out) {
  AppendType(SerfMessageType::kKeyRequest, out);
  MsgpackWriter(out).Value(KeyRequest{.key = m.key.empty() ? AsBytes("") : m.key});
}

// --- tags in a node's metadata (docs/protocol/serf.md 7.1) ---
//
//   meta = ff map{text, text}   all tags
//        | byte*                the value of the tag "role": protocol version 2; so does no meta

inline constexpr std::uint8_t kTagsMagic = 0xff;

// All tags, for protocol version 3 and above. An absent map travels as an empty one. Sort the tags
// by name, because the membership layer compares encoded metadata.
inline void EncodeTags(const ListView<TagEntry>& tags, ByteVector& out) {
  out.push_back(kTagsMagic);
  MsgpackWriter w(out);
  if (!tags.is_present()) return w.Map(0);
  w.Value(tags);
}

// Calls visit(name, value) for each tag. On failure the tags before the fault were visited and
// count, as in Go Serf. A name may come twice; then the last value counts.
template <typename F>
DecodeResult DecodeTags(ByteView meta, F&& visit) {
  if (meta.empty() || meta[0] != kTagsMagic) {
    visit(absl::string_view("role"), AsText(meta));
    return DecodeResult::kOk;
  }
  DecodeScratch scratch;
  MsgpackReader reader(meta.subspan(1), scratch);
  MsgpackReader::Head head;
  if (!reader.ReadHead(head) || head.kind == MsgpackReader::Kind::kNil) return reader.result();
  if (head.kind != MsgpackReader::Kind::kMap) return DecodeResult::kBadType;
  for (std::uint64_t i = 0; i < head.value; ++i) {
    TagEntry tag;
    if (!tag.ReadEntry(reader)) return reader.result();
    visit(tag.name, tag.value);
  }
  return DecodeResult::kOk;
}

}  // namespace serf::wire

#endif  // SERF_WIRE_SERF_MESSAGES_H_
