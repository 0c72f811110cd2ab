// SPDX-License-Identifier: Apache-2.0
#ifndef SERF_RPC_ENCODE_H_
#define SERF_RPC_ENCODE_H_

// Writes the records of the RPC protocol as MessagePack, byte for byte as Go Serf writes them:
// msgpack-c's packer with str8 and bin, unlike the dialect of gossip, and keys in ascending order.
// A client or a service never calls it: the sessions do.
//
//   Writer writer(out);
//   Encode(writer, RequestHeader{"members", 2});
//
// One thread per buffer. Source: docs/protocol/agent.md 1.2.

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "msgpack/pack.hpp"
#include "msgpack/sbuffer.hpp"
#include "serf/base/bytes.h"
#include "serf/event.h"
#include "serf/keys.h"
#include "serf/member.h"
#include "serf/member_listing.h"
#include "serf/query.h"
#include "serf/rpc/protocol.h"
#include "serf/rpc/service.h"
#include "serf/tags.h"
#include "serf/wire/coordinate_message.h"
#include "serf/wire/record.h"

namespace serf::rpc {

// Appends MessagePack values to a buffer, which must outlive the writer.
class Writer {
 public:
  explicit Writer(msgpack::sbuffer& out) : out_(out), packer_(out) {}
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void Map(std::size_t pairs) { packer_.pack_map(Size32(pairs)); }
  void List(std::size_t elements) { packer_.pack_array(Size32(elements)); }

  void Text(absl::string_view text) {
    if (text.size() < kFixTexts) {  // most texts are short, and one write takes less than two
      std::array<char, kFixTexts> encoded;
      encoded[0] = static_cast<char>(0xa0 | text.size());
      text.copy(encoded.data() + 1, text.size());
      out_.write(encoded.data(), 1 + text.size());
      return;
    }
    packer_.pack_str(Size32(text.size()));
    packer_.pack_str_body(text.data(), Size32(text.size()));
  }
  // The key of a record: its head and text are constants of the program.
  template <std::size_t kSize>
  void Key(const char (&key)[kSize]) {
    static_assert(kSize <= kFixTexts, "a fixstr");
    char encoded[kSize];
    encoded[0] = static_cast<char>(0xa0 | (kSize - 1));
    std::memcpy(encoded + 1, key, kSize - 1);
    out_.write(encoded, kSize);
  }
  // An object that is encoded already.
  void Encoded(absl::string_view object) { out_.write(object.data(), object.size()); }
  // No bytes become nil, as Go's empty slices do on their way through a decoder.
  void Bytes(absl::string_view bytes) {
    if (bytes.empty()) {
      packer_.pack_nil();
      return;
    }
    packer_.pack_bin(Size32(bytes.size()));
    packer_.pack_bin_body(bytes.data(), Size32(bytes.size()));
  }
  void Nil() { packer_.pack_nil(); }
  void Uint(std::uint64_t value) { packer_.pack_uint64(value); }
  void Int(std::int64_t value) { packer_.pack_int64(value); }
  // Always eight bytes, because the packer's own pack_double turns a whole number into an integer.
  void Float(double value) {
    const auto bits = std::bit_cast<std::uint64_t>(value);
    std::array<char, 9> bytes = {static_cast<char>(0xcb)};
    for (unsigned i = 0; i < 8; ++i) bytes[1 + i] = static_cast<char>(bits >> (56 - 8 * i));
    out_.write(bytes.data(), bytes.size());
  }
  void Bool(bool value) { value ? packer_.pack_true() : packer_.pack_false(); }

  template <typename TextMap>
  void Texts(const TextMap& texts) {
    Map(texts.size());
    for (const auto& [key, value] : texts) {
      Text(key);
      Text(value);
    }
  }
  void Texts(const std::vector<std::string>& texts) {
    List(texts.size());
    for (const std::string& text : texts) Text(text);
  }

  // A field of a record, as its type is written.
  void Value(absl::string_view value) { Text(value); }
  void Value(const ByteString& value) { Bytes(value.data); }
  void Value(bool value) { Bool(value); }
  void Value(std::int32_t value) { Int(value); }
  void Value(std::int64_t value) { Int(value); }
  void Value(std::uint8_t value) { Uint(value); }
  void Value(std::uint64_t value) { Uint(value); }
  void Value(double value) { Float(value); }
  void Value(const std::vector<std::string>& value) { Texts(value); }
  void Value(const Tags& value) { Texts(value); }
  // The coordinate of an unknown node has no dimensions, and Go Serf writes nil.
  void Value(const wire::CoordinateVector& value) {
    if (value.values().empty()) return Nil();
    List(value.values().size());
    for (const double number : value.values()) Float(number);
  }
  template <wire::HasFields Record>
  void Value(const Record& record) {
    wire::WriteRecord(*this, record);
  }

 private:
  // Shorter texts have their size in the byte before them.
  static constexpr std::size_t kFixTexts = 32;

  // Objects are bounded far below 4 GiB.
  static std::uint32_t Size32(std::size_t size) {
    assert(size <= std::numeric_limits<std::uint32_t>::max());
    return static_cast<std::uint32_t>(size);
  }

  msgpack::sbuffer& out_;
  msgpack::packer<msgpack::sbuffer> packer_;
};

// Small numbers of a record with their keys, for a single write: in a list of thousands of records,
// writes of a few bytes take most of the time.
template <std::size_t kFields>
class UintFields {
 public:
  template <std::size_t kSize>
  UintFields& Add(const char (&key)[kSize], std::uint16_t value) {
    static_assert(kSize <= kKeyMax + 1, "enlarge kKeyMax");
    assert(size_ + kFieldMax <= bytes_.size());
    Put(0xa0 | (kSize - 1));
    std::memcpy(bytes_.data() + size_, key, kSize - 1);
    size_ += kSize - 1;
    if (value > 0xff) {
      Put(0xcd);
      Put(value >> 8);
    } else if (value > 0x7f) {
      Put(0xcc);
    }
    Put(value & 0xff);
    return *this;
  }
  absl::string_view bytes() const { return {bytes_.data(), size_}; }

 private:
  static constexpr std::size_t kKeyMax = 12;
  static constexpr std::size_t kFieldMax = 1 + kKeyMax + 3;

  void Put(unsigned byte) { bytes_[size_++] = static_cast<char>(byte); }

  std::array<char, kFields * kFieldMax> bytes_;
  std::size_t size_ = 0;
};

inline ByteView ViewOf(const msgpack::sbuffer& buffer) {
  return AsBytes(absl::string_view(buffer.data(), buffer.size()));
}

// Writes any record by its table.
template <wire::HasFields Record>
void Encode(Writer& w, const Record& record) {
  wire::WriteRecord(w, record);
}

// Writes a Member or a MemberView. Without a table, because a listing has thousands of them, and a
// member holds its address and its versions in types of its own.
template <typename M>
requires std::is_same_v<M, Member> || std::is_same_v<M, MemberView>
void Encode(Writer& w, const M& member) {
  w.Map(11);
  w.Key("Addr");
  w.Bytes(AsText(member.endpoint.address.bytes()));
  w.Encoded(UintFields<3>()
                .Add("DelegateCur", member.versions.delegate_cur)
                .Add("DelegateMax", member.versions.delegate_max)
                .Add("DelegateMin", member.versions.delegate_min)
                .bytes());
  w.Key("Name");
  w.Text(member.name);
  w.Encoded(UintFields<4>()
                .Add("Port", member.endpoint.port)
                .Add("ProtocolCur", member.versions.protocol_cur)
                .Add("ProtocolMax", member.versions.protocol_max)
                .Add("ProtocolMin", member.versions.protocol_min)
                .bytes());
  w.Key("Status");
  w.Text(MemberStatusName(member.status));
  w.Key("Tags");
  w.Texts(member.tags);
}

// The body of a members reply is a map with this key and a list of `size` members, which follow.
inline void BeginMembers(Writer& w, std::size_t size) {
  w.Key("Members");
  w.List(size);
}

// The head of a members reply of `size` members, which follow.
inline void BeginMembersReply(Writer& w, std::size_t size) {
  w.Map(1);
  BeginMembers(w, size);
}

// --- records without a table ---
//
// The keys of the statistics are free. A client learns the kind of a stream's record only by
// reading it, so decode.h has one table for all kinds, and here each kind has its own few keys. The
// records for the queues of streams and monitors are written from views, without a copy.

inline void Encode(Writer& w, const StatsSections& sections) {
  w.Map(sections.size());
  for (const auto& [name, section] : sections) {
    w.Text(name);
    w.Texts(section);
  }
}

inline void Encode(Writer& w, const MemberEvent& event) {
  w.Map(2);
  w.Key("Event");
  w.Text(MemberEventName(event.kind));
  BeginMembers(w, event.members.size());
  for (const Member& member : event.members) Encode(w, member);
}

inline void Encode(Writer& w, const UserEvent& event) {
  w.Map(5);
  w.Key("Coalesce");
  w.Bool(event.coalesce);
  w.Key("Event");
  w.Text("user");
  w.Key("LTime");
  w.Uint(event.time.value());
  w.Key("Name");
  w.Text(event.name);
  w.Key("Payload");
  w.Bytes(event.payload);
}

inline void Encode(Writer& w, const QueryUpdate& update) {
  w.Map(3);
  w.Key("From");
  w.Text(update.from);
  w.Key("Payload");
  w.Bytes(update.payload);
  w.Key("Type");
  w.Text(AnswerTypeName(update.kind));
}

// Writes the record of a query in two parts. Between them goes the number that the client may
// answer it by.
inline void EncodeQueryHead(Writer& w) {
  w.Map(5);
  w.Key("Event");
  w.Text("query");
  w.Key("ID");
}
inline void EncodeQueryTail(Writer& w, const QueryEvent& query) {
  w.Key("LTime");
  w.Uint(query.id.time.value());
  w.Key("Name");
  w.Text(query.name);
  w.Key("Payload");
  w.Bytes(query.payload);
}

// The reply to a key operation. Only a list has keys, and then also an empty map of them; any other
// reply has nil.
inline void EncodeKeysReply(Writer& w, const KeyOutcome& outcome, bool lists) {
  w.Map(5);
  w.Key("Keys");
  if (lists) {
    w.Map(outcome.keys.size());
    for (const auto& [key, nodes] : outcome.keys) {
      w.Text(key);
      w.Uint(nodes);
    }
  } else {
    w.Nil();
  }
  w.Key("Messages");
  w.Texts(outcome.messages);
  w.Key("NumErr");
  w.Uint(outcome.errors);
  w.Key("NumNodes");
  w.Uint(outcome.nodes);
  w.Key("NumResp");
  w.Uint(outcome.responses);
}

// The log record of a line; a client receives it as a LogRecord.
inline void EncodeLogRecord(Writer& w, absl::string_view line) {
  w.Map(1);
  w.Key("Log");
  w.Text(line);
}

}  // namespace serf::rpc

#endif  // SERF_RPC_ENCODE_H_
