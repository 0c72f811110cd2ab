// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_DECODE_H_
#define SERF_RPC_DECODE_H_

// Reads the records of the RPC protocol from MessagePack, in every form that Go Serf accepts. A
// client or a service never calls it: the sessions do.
//
//   RequestHeader header;
//   Decoder decoder(object);                      // a complete object: object_scanner.h
//   if (!decoder.Read(header)) Log(..., decoder.error());
//
// It builds on the wire's pull reader, and is stricter: text is never bin. One thread. Source:
// docs/protocol/agent.md 1.2.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "serf/base/bytes.h"
#include "serf/base/endpoint.h"
#include "serf/event.h"
#include "serf/member.h"
#include "serf/query.h"
#include "serf/rpc/protocol.h"
#include "serf/tags.h"
#include "serf/wire/coordinate_message.h"
#include "serf/wire/ids.h"
#include "serf/wire/msgpack.h"
#include "serf/wire/record.h"

namespace serf::rpc {

// Decodes one complete object, which must outlive the decoder. Methods return false on a value that
// the field does not accept; error() then says why, and the record is unspecified.
//
//   record = nil | map of fields in any order | list of fields in declaration order
//   text   = str | nil            bytes = bin | str | list of 0..255 | nil
//   list, map, number, bool       also nil for empty or zero; bool also 0 and 1
class Decoder {
 public:
  explicit Decoder(ByteView object) : reader_(object, scratch_) {}
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  absl::string_view error() const {
    return error_.empty() ? wire::DecodeResultName(reader_.result()) : error_;
  }

  bool Read(bool& out) { return reader_.Read(out); }
  bool Read(std::uint8_t& out) { return reader_.Read(out); }
  bool Read(std::uint16_t& out) { return reader_.Read(out); }
  bool Read(std::uint64_t& out) { return reader_.Read(out); }
  bool Read(std::int32_t& out);
  bool Read(std::int64_t& out) { return reader_.Read(out); }
  bool Read(double& out) { return reader_.Read(out); }
  bool Read(wire::CoordinateVector& out) { return out.ReadFrom(reader_); }
  bool Read(wire::LamportTime& out) { return reader_.Read(out); }
  // A view of the object.
  bool Read(absl::string_view& out);
  bool Read(std::string& out);
  bool ReadBytes(std::string& out);
  bool Read(ByteString& out);
  bool Read(std::vector<std::string>& out);
  template <typename Value, typename Less>
  bool Read(std::map<std::string, Value, Less>& out);
  bool Read(Member& out);
  bool Read(std::vector<Member>& out);
  bool Read(EventRecord& out);
  bool Read(AnswerRecord& out);
  template <wire::HasFields Record>
  bool Read(Record& out) {
    out = Record{};
    return Update(out);
  }
  // The same, but fields that are missing keep what `out` has.
  template <wire::HasFields Record>
  bool Update(Record& out);
  // Record.h reads with these, too.
  bool ReadKey(absl::string_view& out) { return Read(out); }
  bool Skip() { return reader_.Skip(); }

  // Whether the object is a map with exactly the keys Error and Seq. It is then a header, because
  // no body has these keys (docs/protocol/agent.md 1.3).
  bool ReadResponseHeader(ResponseHeader& out);

  // Whether the object is a map with the key "Command": then it is a header, because no body of any
  // command has that key. Nothing for an object that is not a map.
  std::optional<bool> IsRequestHeader() { return HasKey({"Command"}); }
  // Whether the object is a map without any key of a header, or an empty list: it asks for nothing.
  bool IsStrayBody();

 private:
  using Head = wire::MsgpackReader::Head;
  using Kind = wire::MsgpackReader::Kind;

  // The flat form of all stream records.
  struct AnyEvent;
  struct FlatAnswer;
  // A Member as it travels.
  struct FlatMember;

  bool Fail(absl::string_view why) {
    error_ = why;
    return false;
  }
  bool ReadHead(Head& head) { return reader_.ReadHead(head); }
  // The bytes of the value whose head was just read.
  absl::string_view Body(const Head& head) {
    const absl::string_view body =
        AsText(reader_.input().subspan(reader_.position(), static_cast<std::size_t>(head.value)));
    return reader_.SkipBody(head) ? body : absl::string_view();
  }
  // Whether the object is a map with one of these keys. Nothing if it is not a map.
  std::optional<bool> HasKey(std::initializer_list<absl::string_view> keys);
  // Reads the head of a list or map. Nil counts as one without elements.
  bool ReadCount(Kind kind, std::uint64_t& count);

  wire::DecodeScratch scratch_;
  wire::MsgpackReader reader_;
  absl::string_view error_;
};

struct Decoder::FlatMember {
  std::string name;
  ByteString addr;
  std::uint16_t port = 0;
  Tags tags;
  absl::string_view status;
  std::uint8_t protocol_min = 0;
  std::uint8_t protocol_max = 0;
  std::uint8_t protocol_cur = 0;
  std::uint8_t delegate_min = 0;
  std::uint8_t delegate_max = 0;
  std::uint8_t delegate_cur = 0;

  friend constexpr auto RecordFields(const FlatMember*) {
    return std::tuple{wire::Field{"Name", &FlatMember::name},
                      wire::Field{"Addr", &FlatMember::addr},
                      wire::Field{"Port", &FlatMember::port},
                      wire::Field{"Tags", &FlatMember::tags},
                      wire::Field{"Status", &FlatMember::status},
                      wire::Field{"ProtocolMin", &FlatMember::protocol_min},
                      wire::Field{"ProtocolMax", &FlatMember::protocol_max},
                      wire::Field{"ProtocolCur", &FlatMember::protocol_cur},
                      wire::Field{"DelegateMin", &FlatMember::delegate_min},
                      wire::Field{"DelegateMax", &FlatMember::delegate_max},
                      wire::Field{"DelegateCur", &FlatMember::delegate_cur}};
  }
};

struct Decoder::AnyEvent {
  absl::string_view event;
  std::vector<Member> members;
  std::uint64_t id = 0;
  wire::LamportTime time;
  std::string name;
  ByteString payload;
  bool coalesce = false;

  friend constexpr auto RecordFields(const AnyEvent*) {
    return std::tuple{wire::Field{"Event", &AnyEvent::event},
                      wire::Field{"Members", &AnyEvent::members},
                      wire::Field{"ID", &AnyEvent::id},
                      wire::Field{"LTime", &AnyEvent::time},
                      wire::Field{"Name", &AnyEvent::name},
                      wire::Field{"Payload", &AnyEvent::payload},
                      wire::Field{"Coalesce", &AnyEvent::coalesce}};
  }
};

struct Decoder::FlatAnswer {
  absl::string_view type;
  std::string from;
  ByteString payload;

  friend constexpr auto RecordFields(const FlatAnswer*) {
    return std::tuple{wire::Field{"Type", &FlatAnswer::type},
                      wire::Field{"From", &FlatAnswer::from},
                      wire::Field{"Payload", &FlatAnswer::payload}};
  }
};

template <wire::HasFields Record>
bool Decoder::Update(Record& out) {
  Head head;
  if (!ReadHead(head)) return false;
  switch (head.kind) {
    case Kind::kNil:
      out = Record{};
      return true;
    case Kind::kList:
      return wire::ReadElements(*this, head.value, out);
    case Kind::kMap:
      return wire::ReadPairs(*this, head.value, out);
    default:
      return Fail("only a map or an array can be a record");
  }
}

inline bool Decoder::Read(std::int32_t& out) {
  std::int64_t wide = 0;
  if (!reader_.Read(wide)) return false;
  if (wide < std::numeric_limits<std::int32_t>::min() ||
      wide > std::numeric_limits<std::int32_t>::max()) {
    return Fail("integer out of range");
  }
  out = static_cast<std::int32_t>(wide);
  return true;
}

inline bool Decoder::Read(absl::string_view& out) {
  Head head;
  if (!ReadHead(head)) return false;
  out = absl::string_view();
  if (head.kind == Kind::kText) {
    out = Body(head);
    return true;
  }
  return head.kind == Kind::kNil || Fail("expected text");
}

inline bool Decoder::Read(std::string& out) {
  absl::string_view view;
  if (!Read(view)) return false;
  out.assign(view.data(), view.size());
  return true;
}

inline bool Decoder::ReadBytes(std::string& out) {
  Head head;
  if (!ReadHead(head)) return false;
  out.clear();
  if (head.kind == Kind::kText || head.kind == Kind::kBytes) {
    const absl::string_view body = Body(head);
    out.assign(body.data(), body.size());
    return true;
  }
  if (head.kind == Kind::kList) {
    for (std::uint64_t i = 0; i < head.value; ++i) {
      std::uint8_t byte = 0;
      if (!reader_.Read(byte)) return false;
      out.push_back(static_cast<char>(byte));
    }
    return true;
  }
  return head.kind == Kind::kNil || Fail("expected bytes");
}

inline bool Decoder::Read(ByteString& out) { return ReadBytes(out.data); }

inline bool Decoder::ReadCount(Kind kind, std::uint64_t& count) {
  Head head;
  if (!ReadHead(head)) return false;
  if (head.kind == Kind::kNil) {
    count = 0;
    return true;
  }
  count = head.value;
  return head.kind == kind || Fail(kind == Kind::kMap ? "expected a map" : "expected an array");
}

inline bool Decoder::Read(std::vector<std::string>& out) {
  std::uint64_t count = 0;
  out.clear();
  if (!ReadCount(Kind::kList, count)) return false;
  if (count > kJoinAddressesMax) return Fail("too many elements");
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!Read(out.emplace_back())) return false;
  }
  return true;
}

template <typename Value, typename Less>
bool Decoder::Read(std::map<std::string, Value, Less>& out) {
  std::uint64_t count = 0;
  out.clear();
  if (!ReadCount(Kind::kMap, count)) return false;
  if (count > kMapEntriesMax) return Fail("too many elements");
  std::string key;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!Read(key) || !Read(out[key])) return false;
  }
  return true;
}

inline bool Decoder::Read(Member& out) {
  FlatMember flat;
  if (!Read(flat)) return false;
  const std::optional<IpAddress> address = IpAddress::FromBytes(AsBytes(flat.addr.data));
  if (!address) return Fail("bad address of a member");
  out.name = std::move(flat.name);
  out.endpoint = Endpoint{*address, flat.port};
  out.tags = std::move(flat.tags);
  out.status = MemberStatus::kNone;
  for (const MemberStatus status :
       {MemberStatus::kAlive, MemberStatus::kLeaving, MemberStatus::kLeft, MemberStatus::kFailed}) {
    if (flat.status == MemberStatusName(status)) out.status = status;
  }
  out.versions = {flat.protocol_min, flat.protocol_max, flat.protocol_cur,
                  flat.delegate_min, flat.delegate_max, flat.delegate_cur};
  return true;
}

inline bool Decoder::Read(std::vector<Member>& out) {
  std::uint64_t count = 0;
  out.clear();
  if (!ReadCount(Kind::kList, count)) return false;
  for (std::uint64_t i = 0; i < count; ++i) {
    if (!Read(out.emplace_back())) return false;
  }
  return true;
}

inline bool Decoder::Read(EventRecord& out) {
  AnyEvent any;
  if (!Read(any)) return false;
  if (any.event == "user") {
    out = UserEvent{any.time, std::move(any.name), std::move(any.payload.data), any.coalesce};
    return true;
  }
  if (any.event == "query") {
    out = QueryRecord{any.id, any.time, std::move(any.name), std::move(any.payload.data)};
    return true;
  }
  for (const MemberEventKind kind :
       {MemberEventKind::kJoin, MemberEventKind::kLeave, MemberEventKind::kFailed,
        MemberEventKind::kUpdate, MemberEventKind::kReap}) {
    if (any.event == MemberEventName(kind)) {
      out = MemberEvent{kind, std::move(any.members)};
      return true;
    }
  }
  return Fail("unknown event");
}

inline bool Decoder::Read(AnswerRecord& out) {
  FlatAnswer flat;
  if (!Read(flat)) return false;
  for (const QueryUpdate::Kind kind :
       {QueryUpdate::Kind::kAck, QueryUpdate::Kind::kResponse, QueryUpdate::Kind::kDone}) {
    if (flat.type != AnswerTypeName(kind)) continue;
    out = AnswerRecord{kind, std::move(flat.from), std::move(flat.payload.data)};
    return true;
  }
  return Fail("unknown type of an answer");
}

inline bool Decoder::ReadResponseHeader(ResponseHeader& out) {
  Head head;
  if (!ReadHead(head) || head.kind != Kind::kMap || head.value != 2) return false;
  bool has_error = false;
  bool has_seq = false;
  for (int i = 0; i < 2; ++i) {
    absl::string_view key;
    if (!Read(key)) return false;
    if (key == "Error") {
      has_error = Read(out.error);
    } else if (key == "Seq") {
      has_seq = Read(out.seq);
    } else {
      return false;
    }
  }
  return has_error && has_seq;
}

inline std::optional<bool> Decoder::HasKey(std::initializer_list<absl::string_view> keys) {
  Head head;
  if (!ReadHead(head) || head.kind != Kind::kMap) return std::nullopt;
  for (std::uint64_t i = 0; i < head.value; ++i) {
    absl::string_view key;
    if (!Read(key)) return false;
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) return true;
    if (!reader_.Skip()) return false;
  }
  return false;
}

inline bool Decoder::IsStrayBody() {
  constexpr std::uint8_t kEmptyList = 0x90;
  const ByteView object = reader_.input();
  if (object.size() == 1 && object.front() == kEmptyList) return true;
  const std::optional<bool> is_header = HasKey({"Command", "Seq"});
  // A key that is not text makes the object a mistake.
  return is_header && !*is_header && reader_.result() == wire::DecodeResult::kOk && error_.empty();
}

}  // namespace serf::rpc

#endif  // SERF_RPC_DECODE_H_
